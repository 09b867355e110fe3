#!lua flags=no-writes
--[[ Tells how some lists stand, all at one instant.
KEYS   the org's prefix
ARGV   1 generation, 2… list ids (at most 100)
Reply  {'lists', now, states}   for each: false if there is none, else {definition and sync as flat hashes, members, available, held, reserved,
       undialable, next (ms or false), {to be written back, the oldest of it (ms or false), refused}}. What is past counts as available, settled or not.
       {'stale', now}
Again  reads anew.
Bound  100 lists.
]]
if stale() then
  return { 'stale', now }
end

local function past(index)
  return redis.call('ZCOUNT', index, '-inf', '(' .. integer(now))
end

local function soonest(base)
  local first = false
  for _, index in ipairs({ ':held', ':reserved' }) do
    local ends = redis.call('ZRANGE', base .. index, integer(now), '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2]
    if ends and (not first or tonumber(ends) < tonumber(first)) then
      first = ends
    end
  end
  return first
end

-- What of the list's claims is still to be written back: how much, since when, and how much was refused.
local function backlog(definition, list)
  local keys_of = prefix .. 'write-back:' .. flat(definition).integration .. ':'
  local pending, failed = keys_of .. 'pending-of:' .. list, keys_of .. 'failed-of:' .. list
  return { redis.call('ZCARD', pending), redis.call('ZRANGE', pending, 0, 0, 'WITHSCORES')[2] or false, redis.call('ZCARD', failed) }
end

local states = {}
for i = 2, #ARGV do
  local base = prefix .. 'list:' .. ARGV[i]
  local definition = redis.call('HGETALL', base)
  if #definition == 0 then
    states[#states + 1] = false
  else
    local lapsed, expired = past(base .. ':held'), past(base .. ':reserved')
    local available = redis.call('ZCARD', base .. ':available') + lapsed + expired
    states[#states + 1] = { definition, redis.call('HGETALL', base .. ':sync'), redis.call('ZCARD', base .. ':order'), available,
      redis.call('ZCARD', base .. ':held') - lapsed, redis.call('ZCARD', base .. ':reserved') - expired,
      redis.call('ZCARD', base .. ':undialable'), available == 0 and soonest(base) or false, backlog(definition, ARGV[i]) }
  end
end
return { 'lists', now, states }
