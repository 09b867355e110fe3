#!lua
--[[ Takes one call out of an org's budget, which all workers share.
KEYS   the org's prefix
ARGV   4 integration, 5 what is spent, 6 how many in a window, 7 the window (ms)
Reply  {'spent', now} | {'wait', now, after}   after: how long until one may be free (ms) | {'stale', now} | {'clock', now}
Again  the same call sent again is spent once, at the later of its times.
Bound  as many entries let go as the budget of one window has.
]]
local refusal = guard()
if refusal then
  return refusal
end
local name, most, window = ARGV[4] .. ':' .. encoded(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local spent, hold, left = prefix .. 'spent:' .. name, prefix .. 'budget-held:' .. name, prefix .. 'budget-left:' .. name
if redis.call('ZSCORE', spent, nonce) then
  redis.call('ZADD', spent, integer(now), nonce)
  redis.call('PEXPIREAT', spent, integer(now + window))
  return { 'spent', now }
end
local held = redis.call('PTTL', hold)
if held > 0 then
  return { 'wait', now, held }
end
local told = redis.call('GET', left)
if told and tonumber(told) <= 0 then
  return { 'wait', now, math.max(1, redis.call('PTTL', left)) }
end
redis.call('ZREMRANGEBYSCORE', spent, '-inf', integer(now - window))
if redis.call('ZCARD', spent) >= most then
  local oldest = redis.call('ZRANGE', spent, -most, -most, 'WITHSCORES')[2]
  return { 'wait', now, math.max(1, tonumber(oldest) + window - now) }
end
redis.call('ZADD', spent, integer(now), nonce)
redis.call('PEXPIREAT', spent, integer(now + window))
if told then
  redis.call('DECR', left)
end
return { 'spent', now }
