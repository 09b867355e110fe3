#!lua
--[[ Changes what every process remembers of an org: its profile, its settings, its API keys. The generation moves on, so all of them read it anew.
The caller read what it changes under the generation that it gives: if anything was changed since, this is 'stale' and nothing is done.
KEYS   the org's prefix
ARGV   4 what to write: 'SET', 'HSET' or 'HDEL', 5 the key behind the prefix, 6 field ('' for SET), 7 value, 8 type of the history's entry,
       9 integration ('' for none), 10 detail (JSON), 11 a reader who follows the history from here on, if it does not yet (or nothing)
Reply  {'configured', now, generation} | {'stale', now} | {'clock', now}
Again  the same, if it is the same call sent again and nothing was changed since; another call is 'stale', for the first one moved the generation.
Bound  constant.
]]
if redis.call('GET', prefix .. 'configured') == nonce then
  redis.call('SET', prefix .. 'configured', nonce)
  return { 'configured', now, redis.call('GET', prefix .. 'generation') }
end
local refusal = guard()
if refusal then
  return refusal
end
redis.call('XLEN', prefix .. 'history')
if ARGV[4] == 'SET' then
  redis.call('SET', prefix .. ARGV[5], ARGV[7])
elseif ARGV[4] == 'HSET' then
  redis.call('HSET', prefix .. ARGV[5], ARGV[6], ARGV[7])
else
  redis.call('HDEL', prefix .. ARGV[5], ARGV[6])
end
if ARGV[11] then
  local newest = redis.call('XREVRANGE', prefix .. 'history', '+', '-', 'COUNT', 1)[1]
  redis.call('HSETNX', prefix .. 'history-readers', ARGV[11], newest and newest[1] or '0-0')
end
local facts = { 'detail', ARGV[10] }
if ARGV[9] ~= '' then
  facts[3], facts[4] = 'integration', ARGV[9]
end
remember(ARGV[8], now, facts)
redis.call('SET', prefix .. 'configured', nonce)
return { 'configured', now, integer(redis.call('INCR', prefix .. 'generation')) }
