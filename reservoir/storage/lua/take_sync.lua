#!lua
--[[ Gives a worker one sync of the org that is to be run: asked for, due by the clock or because a list runs low, waited for long enough, or left by a
worker that died. One that nobody has held for too long is lost, and one that waited for a day has failed.
KEYS   the org's prefix
ARGV   4 token by which the worker holds it, 5 id for a run that begins by this, 6 how long a run may be silent before it is lost (ms), 7 for how long it is
       held (ms)
Reply  {'taken', now, list, id, integration, source (JSON), sync (JSON), cursor (JSON or false), number of its last page (-1: none), asked ('1' or '0')}
       {'more', now}   more reps have a place of their own than one call tells their rank: call again
       {'none', now, next, refilling}   next: when there is something to look at (ms or false); refilling: how many lists are watched for running low
       {'stale', now} | {'clock', now}
Again  the same one with the same token, for as long as it is held by it: its asking was sent again, for the answer was lost. Its hold begins anew.
Bound  20 lists that are due, 100 that may run low; the ranks of 256 reps with a place of their own in
       the list of a run that begins.
]]
local DUE_MOST = 20
local LOW_MOST = 100
local refusal = guard()
if refusal then
  return refusal
end
local token, fresh, lease, held = ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
check_run_keys()

local taken = prefix .. 'taken-sync:' .. token

local function take(list, definition, run, asked)
  local base = prefix .. 'list:' .. list
  local key = base .. ':sync'
  local begins = run.state == 'queued' and run.id or run.state ~= 'running' and run.state ~= 'waiting' and fresh
  if begins and not begin_run(list, definition.integration, begins, lease) then
    return { 'more', now }
  end
  if not begins then
    uncount(key, run)
  end
  redis.call('HSET', key, 'state', 'running', 'token', token, 'held', integer(now + held), 'lease', integer(now + lease))
  redis.call('HDEL', key, 'asked', 'resumes_at', 'error')
  redis.call('SET', taken, list .. (asked and ' asked' or ''), 'PXAT', integer(now + held))
  plan(list)
  run = flat(redis.call('HGETALL', key))
  return { 'taken', now, list, run.id, definition.integration, definition.source, definition.sync, run.cursor or false, tonumber(run.page or -1),
    asked and '1' or '0' }
end

-- Whether the list's keys can be what they must be; a broken one is left alone, and looked at again in a minute.
local function sound(list)
  local base = prefix .. 'list:' .. list
  for name, kind in pairs({ [''] = 'hash', [':sync'] = 'hash', [':places'] = 'hash', [':order'] = 'zset', [':available'] = 'zset',
    [':held'] = 'zset', [':reserved'] = 'zset' }) do
    local found = redis.call('TYPE', base .. name).ok
    if found ~= kind and (found ~= 'none' or name == '') then
      return false
    end
  end
  return true
end

local function unsound(list)
  local there = redis.call('EXISTS', prefix .. 'list:' .. list) == 1
  enlist(prefix .. 'due', list, there and now + 60000)
  redis.call('ZREM', prefix .. 'refilling', list)
end

local before = words(redis.call('GET', taken))
if before[1] and sound(before[1]) then
  local definition, run = flat(redis.call('HGETALL', prefix .. 'list:' .. before[1])), flat(redis.call('HGETALL', prefix .. 'list:' .. before[1] .. ':sync'))
  if run.token == token and run.state == 'running' then
    return take(before[1], definition, run, before[2])
  end
end

for _, list in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'due', '-inf', integer(now), 'LIMIT', 0, DUE_MOST)) do
  if not sound(list) then
    unsound(list)
  else
    local base = prefix .. 'list:' .. list
    local definition, run = flat(redis.call('HGETALL', base)), flat(redis.call('HGETALL', base .. ':sync'))
    local due = planned(definition, run)
    if not due or due > now then
      plan(list)
    elseif run.state == 'running' and tonumber(run.lease) < now then
      fail_run(list, definition.integration, run, LOST)
    elseif run.state == 'waiting' and not run.asked and tonumber(run.waiting_since) + WAITED_MOST <= now then
      fail_run(list, definition.integration, run, run.error)
    else
      return take(list, definition, run, run.asked)
    end
  end
end

local function available(base)
  local past = '(' .. integer(now)
  return redis.call('ZCARD', base .. ':available') + redis.call('ZCOUNT', base .. ':held', '-inf', past)
    + redis.call('ZCOUNT', base .. ':reserved', '-inf', past)
end

for _, list in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'refilling', '-inf', integer(now), 'LIMIT', 0, LOW_MOST)) do
  if not sound(list) then
    unsound(list)
  else
    local base = prefix .. 'list:' .. list
    local definition, run = flat(redis.call('HGETALL', base)), flat(redis.call('HGETALL', base .. ':sync'))
    local _, refill = planned(definition, run)
    if not refill or refill > now then
      plan(list)
    elseif available(base) < cjson.decode(definition.sync).refill_below then
      return take(list, definition, run, false)
    else
      redis.call('ZADD', prefix .. 'refilling', integer(now), list)
    end
  end
end
local due = redis.call('ZRANGE', prefix .. 'due', 0, 0, 'WITHSCORES')[2]
local refill = redis.call('ZRANGE', prefix .. 'refilling', '(' .. integer(now), '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2]
if refill and (not due or tonumber(refill) < tonumber(due)) then
  due = refill
end
return { 'none', now, due or false, redis.call('ZCARD', prefix .. 'refilling') }
