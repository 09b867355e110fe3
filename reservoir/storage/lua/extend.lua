#!lua
--[[ Keeps a prospect taken for at least so long from now; never shortens (R16).
KEYS   the org's prefix
ARGV   4 claim, 5 how long from now (ms)
Reply  {'claim', now, row} | {'extension-limit', now, limit} | {'claim-lapsed', now} | {'claim-unreserved', now} | {'claim-not-found', now}
       {'stale', now} | {'clock', now}
Again  moves the expiry to the later of what it is and what is asked for from the repeat's own instant.
Bound  one prospect, at most 64 lists. A hold: until 8 h after its claim. A reservation: until 24 h after its first expiry.
]]
local HELD_MOST = 8 * 3600000
local RESERVED_MOST = DAY

local refusal = guard()
if refusal then
  return refusal
end

local id = ARGV[4]
local key = prefix .. 'claim:' .. id
local record = claim_record(id)
if not record then
  return { 'claim-not-found', now }
elseif record.state == 'unreserved' then
  return { 'claim-unreserved', now }
elseif record.state == 'released' or not stands(record, id) then
  return { 'claim-lapsed', now }
end

local disposition = redis.call('HGET', key, 'disposition')
local wanted = now + tonumber(ARGV[5])
if wanted > record.expires_at then
  local first = tonumber(redis.call('HGET', key, 'first_expires_at') or nil) or record.expires_at
  local limit = record.state == 'held' and record.claimed_at + HELD_MOST or first + RESERVED_MOST
  if wanted > limit then
    return { 'extension-limit', now, integer(limit) }
  end
  redis.call('XLEN', prefix .. 'history')
  local _, by_list = lists_of(record.integration, { record.prospect })
  record.expires_at = wanted
  local member = record.integration .. ':' .. record.prospect
  redis.call('SET', reservation_key(record.integration, record.prospect), reservation_text(record, id), 'PXAT', integer(wanted))
  redis.call('ZADD', prefix .. 'ends', integer(wanted), member)
  redis.call('HSET', key, 'expires_at', integer(wanted))
  if record.state == 'reserved' then
    redis.call('HSET', key, 'first_expires_at', integer(first))
  end
  redis.call('PEXPIREAT', key, integer(wanted + (record.state == 'held' and HOLD_KEPT or CLAIM_KEPT)))
  local facts = facts_of(record, id)
  facts[#facts + 1], facts[#facts + 2] = 'expires_at', integer(wanted)
  remember('claim.extended', now, facts)
  move_everywhere(by_list, record.state, { [record.prospect] = wanted })
else
  redis.call('HSET', key, 'state', record.state)
end
return { 'claim', now, claim_row(id, record, disposition, member_of(record)) }
