#!lua
--[[ Undoes a remove: the rep may be handed the prospect from that list again.
KEYS   the org's prefix
ARGV   4 list, 5 rep, 6 integration, 7 prospect, 8 who asked (JSON, for the history)
Reply  {'restored', now} | {'removal-not-found', now} | {'list-not-found', now} | {'stale', now} | {'clock', now}
Again  the same, if it is the same call sent again and no other of the list came between; another call: 'removal-not-found'.
Bound  one prospect.
]]
local refusal = guard()
if refusal then
  return refusal
end
local list, rep, integration, prospect = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local base = prefix .. 'list:' .. list
local there = redis.call('HMGET', base, 'integration', 'restored')
if not there[1] then
  return { 'list-not-found', now }
elseif there[2] == nonce then
  redis.call('HSET', base, 'restored', nonce)
  return { 'restored', now }
end
local removed = base .. ':removed:' .. encoded(rep)
local told = there[1] == integration and redis.call('HGET', removed, prospect)
if not told then
  return { 'removal-not-found', now }
end
redis.call('XLEN', prefix .. 'history')
redis.call('ZREM', base .. ':removals', removal(rep, prospect))
redis.call('HDEL', removed, prospect)
redis.call('HSET', base, 'restored', nonce)
stir(base)
came(base, { prospect })
remember('prospect.restored', now, { 'integration', integration, 'prospect', prospect, 'rep', rep, 'list', list, 'claim', words(told)[2], 'detail', ARGV[8] })
return { 'restored', now }
