#!lua
--[[ Notes when an API key was last used.
KEYS   the org's prefix
ARGV   4 API key's id, 5 when (ms)
Reply  {'noted', now} | {'stale', now} | {'clock', now}
Again  notes the same.
Bound  constant.
]]
local refusal = guard()
if refusal then
  return refusal
end
redis.call('HSET', prefix .. 'keys-used', ARGV[4], ARGV[5])
return { 'noted', now }
