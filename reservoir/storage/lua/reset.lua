#!lua
--[[ Puts a rep's own place in a list to the start (R9). Removals and reservations stay.
KEYS   the org's prefix
ARGV   4 list, 5 rep
Reply  {'reset', now} | {'list-not-found', now} | {'stale', now} | {'clock', now}
Again  the same: a rep at the start is put there.
Bound  constant.
]]
local refusal = guard()
if refusal then
  return refusal
end
local base = prefix .. 'list:' .. ARGV[4]
local integration = redis.call('HGET', base, 'integration')
if not integration then
  return { 'list-not-found', now }
end
redis.call('HDEL', base .. ':places', ARGV[5])
redis.call('HSET', base, 'integration', integration)
stir(base)
return { 'reset', now }
