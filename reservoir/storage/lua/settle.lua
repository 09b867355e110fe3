#!lua
--[[ Settles what is due in the whole org: lapsed holds and expired reservations go back to their places, and into the history, once. So do the lapses of holds
that were taken while multi-rep dialing was off, which free nobody.
KEYS   the org's prefix
ARGV   (the guard's)
Reply  {'settled', now, how many, next (ms or false), broken}   next: when the soonest of what is left ends, past if more is due; broken: how many lists
       have an index to be mended
       {'stale', now} | {'clock', now}
Again  finds nothing more to settle.
Bound  256 ends or 512 moves.
]]
local refusal = guard()
if refusal then
  return refusal
end

local function soonest()
  local first
  for _, index in ipairs({ 'ends', 'unreserved-ends' }) do
    local at = tonumber(redis.call('ZRANGE', prefix .. index, 0, 0, 'WITHSCORES')[2] or nil)
    first = at and math.min(at, first or at) or first
  end
  return first and integer(first) or false
end

-- Tells the history of unreserved holds that ran out. Nobody was kept from anybody by them. One whose call began was left here by an older version.
local function tell_lapsed(ids)
  for i = 1, #ids, 2 do
    local record = claim_record(ids[i])
    if record and not record.attempted_at then
      local facts = facts_of(record, ids[i])
      facts[#facts + 1], facts[#facts + 2] = 'detail', '{"reserved":false}'
      remember('claim.lapsed', ids[i + 1], facts)
    end
    redis.call('ZREM', prefix .. 'unreserved-ends', ids[i])
  end
end

redis.call('XLEN', prefix .. 'history')
redis.call('ZCARD', prefix .. 'unreserved-ends')
local past = '(' .. integer(now)
local due = redis.call('ZRANGEBYSCORE', prefix .. 'ends', '-inf', past, 'LIMIT', 0, SETTLE_PROSPECTS)
local settled = settle(due)
local left = settled == #due and SETTLE_PROSPECTS - settled or 0
local unreserved = redis.call('ZRANGEBYSCORE', prefix .. 'unreserved-ends', '-inf', past, 'LIMIT', 0, left, 'WITHSCORES')
tell_lapsed(unreserved)
return { 'settled', now, settled + #unreserved / 2, soonest(), redis.call('SCARD', prefix .. 'broken') }
