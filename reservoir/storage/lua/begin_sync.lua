#!lua
--[[ Begins a run that streams a list's members in. What it brings gets places before all that the list has (R12).
KEYS   the org's prefix
ARGV   4 list, 5 id of the run, 6 how long it may be silent before it is lost (ms)
Reply  {'begun', now} | {'more', now}   more reps have a place than one call tells their rank: call again, nothing has begun
       {'sync-running', now, id} | {'list-not-found', now} | {'stale', now} | {'clock', now}
Again  with the same id: 'begun', the same run.
Bound  256 reps with a place of their own in the list; one that was left 30 days ago goes.
]]
local ROOM = 1073741824
local PLACES = 256
local PLACE_KEPT = 30 * DAY
local refusal = guard()
if refusal then
  return refusal
end
local list, id = ARGV[4], ARGV[5]
local base = prefix .. 'list:' .. list
local key = base .. ':sync'
local there = redis.call('HMGET', base, 'integration', 'floor', 'ranked')
if not there[1] then
  return { 'list-not-found', now }
end
local running = redis.call('HMGET', key, 'id', 'state', 'lease')
if running[1] == id then
  redis.call('HSET', key, 'id', id)
  return { 'begun', now }
end
if running[2] == 'running' and tonumber(running[3]) >= now then
  return { 'sync-running', now, running[1] }
end
redis.call('XLEN', prefix .. 'history')
-- A rep whose prospect leaves by this run goes on at the rank that it has now. Until all are told theirs, the order stays as it is.
local of, cursor = string.match(there[3] or '', '^(%S+) (%d+)$')
local scanned = redis.call('HSCAN', base .. ':places', of == id and cursor or 0, 'COUNT', PLACES)
for rep, place in pairs(flat(scanned[2])) do
  local seen, prospect = string.match(place, '^(%d+) %d+ (.*)$')
  local rank = redis.call('ZRANK', base .. ':order', prospect)
  if not seen or tonumber(seen) + PLACE_KEPT < now then
    redis.call('HDEL', base .. ':places', rep)
  elseif rank then
    redis.call('HSET', base .. ':places', rep, seen .. ' ' .. rank .. ' ' .. prospect)
  end
end
if scanned[1] ~= '0' then
  redis.call('HSET', base, 'ranked', id .. ' ' .. scanned[1])
  return { 'more', now }
end
redis.call('HDEL', base, 'ranked')
local ceiling = tonumber(there[2])
redis.call('HSET', base, 'floor', integer(ceiling - ROOM))
redis.call('DEL', key)
redis.call('HSET', key, 'id', id, 'state', 'running', 'started_at', integer(now), 'lease', integer(now + tonumber(ARGV[6])),
  'ceiling', integer(ceiling), 'next', integer(ceiling - ROOM), 'fetched', 0, 'added', 0, 'updated', 0, 'left', 0, 'rejected_count', 0)
remember('sync.started', now, { 'integration', there[1], 'list', list, 'detail', cjson.encode({ sync = id }) })
return { 'begun', now }
