#!lua
--[[ Settles what is due in the whole org: lapsed holds and expired reservations go back to their places, and into the history, once.
KEYS   the org's prefix
ARGV   (the guard's)
Reply  {'settled', now, how many, next (ms or false), broken}   next: when the soonest of what is left ends, past if more is due; broken: how many lists
       have an index to be mended
       {'stale', now} | {'clock', now}
Again  finds nothing more to settle.
Bound  256 prospects or 512 moves.
]]
local refusal = guard()
if refusal then
  return refusal
end
redis.call('XLEN', prefix .. 'history')
local due = redis.call('ZRANGEBYSCORE', prefix .. 'ends', '-inf', '(' .. integer(now), 'LIMIT', 0, SETTLE_PROSPECTS)
local settled = settle(due)
return { 'settled', now, settled, redis.call('ZRANGE', prefix .. 'ends', 0, 0, 'WITHSCORES')[2] or false,
  redis.call('SCARD', prefix .. 'broken') }
