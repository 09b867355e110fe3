#!lua
--[[ Starts the call of a claim: a hold becomes a reservation whose timeout runs from now.
KEYS   the org's prefix
ARGV   4 claim; terms
Reply  {'claim', now, row} | {'claim-lapsed', now} | {'claim-not-found', now} | {'integration-not-found', now} | {'stale', now} | {'clock', now}
Again  while it is reserved: the same claim, its expiry unmoved. An unreserved one whose call began: the same.
Bound  one prospect, at most 64 lists.
]]
local refusal = guard()
if refusal then
  return refusal
end

local id = ARGV[4]
local key = prefix .. 'claim:' .. id
local record = claim_record(id)
if not record then
  return { 'claim-not-found', now }
end

local function attempted()
  return { 'claim', now, claim_row(id, record, redis.call('HGET', key, 'disposition'), member_of(record)) }
end

if record.state == 'unreserved' then
  if record.attempted_at then
    redis.call('HSET', key, 'state', record.state)
    return attempted()
  end
  local terms = terms_of(record.integration)
  if record.expires_at < now or not terms or terms.enabled or terms.switched_on ~= redis.call('HGET', key, 'switched_on') then
    return { 'claim-lapsed', now }
  end
  redis.call('XLEN', prefix .. 'history')
  redis.call('ZREM', prefix .. 'unreserved-ends', id)
  record.attempted_at = now
  redis.call('HSET', key, 'attempted_at', integer(now))
  redis.call('PEXPIREAT', key, integer(now + CLAIM_KEPT))
  remember('claim.attempted', now, facts_of(record, id))
  return attempted()
end

if record.state == 'released' or not stands(record, id) then
  return { 'claim-lapsed', now }
end
if record.state == 'reserved' then
  redis.call('HSET', key, 'state', record.state)
  return attempted()
end

local terms = terms_of(record.integration)
if not terms then
  return { 'integration-not-found', now }
end
local session = prefix .. 'session:' .. encoded(record.session)
redis.call('XLEN', prefix .. 'history')
redis.call('ZCARD', session)
local _, by_list = lists_of(record.integration, { record.prospect })

record.state, record.attempted_at, record.expires_at = 'reserved', now, now + terms.length
local member = record.integration .. ':' .. record.prospect
local text = reservation_text(record, id)
redis.call('SET', reservation_key(record.integration, record.prospect), text, 'PXAT', integer(record.expires_at))
redis.call('ZADD', prefix .. 'ends', integer(record.expires_at), member)
redis.call('HSET', key, 'state', 'reserved', 'attempted_at', integer(now), 'expires_at', integer(record.expires_at))
redis.call('PEXPIREAT', key, integer(record.expires_at + CLAIM_KEPT))
redis.call('ZREM', session, id)
local facts = facts_of(record, id)
facts[#facts + 1], facts[#facts + 2] = 'expires_at', integer(record.expires_at)
remember('claim.reserved', now, facts)
move_everywhere(by_list, 'reserved', { [record.prospect] = record.expires_at })
return attempted()
