#!lua
--[[ Takes a claim that waits no more out of the line of its list: what the next in line could be served with is theirs from now on.
KEYS   the org's prefix
ARGV   4 list, 5 ticket, 6 idempotency key
Reply  {'left', now} | {'stale', now} | {'clock', now}
Again  nothing more.
Bound  constant, but for the others who wait with the same key.
]]
local refusal = guard()
if refusal then
  return refusal
end
redis.call('HLEN', prefix .. 'list:' .. ARGV[4] .. ':waiters')
leave(prefix .. 'list:' .. ARGV[4], ARGV[5], ARGV[6])
return { 'left', now }
