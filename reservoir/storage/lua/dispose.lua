#!lua
--[[ Records the outcome of a claim that was attempted, and removes the prospect from the rep's dialing of the list if that is asked for (R10).
KEYS   the org's prefix
ARGV   4 claim, 5 outcome, 6 remove ('1' or '0'), 7 note, 8 whether there is a note ('1' or '0'), 9 the integrations in which the outcome removes by itself,
       if the claim is of a list
Reply  {'recorded', now} | {'claim-not-attempted', now} | {'no-list', now} | {'claim-not-found', now} | {'stale', now} | {'clock', now}
Again  the same as the last one: nothing more is recorded. Another one replaces it; the history has both.
Bound  one prospect.
]]
local refusal = guard()
if refusal then
  return refusal
end

local id, outcome, asked = ARGV[4], ARGV[5], ARGV[6] == '1'
local note = ARGV[8] == '1' and ARGV[7] or nil
local key = prefix .. 'claim:' .. id
local record = claim_record(id)
if not record then
  return { 'claim-not-found', now }
elseif not record.attempted_at then
  return { 'claim-not-attempted', now }
elseif asked and not record.list then
  return { 'no-list', now }
end

local last = redis.call('HGET', key, 'disposition')
if last then
  local known = cjson.decode(last)
  local known_note = known.note ~= cjson.null and known.note or nil
  if known.outcome == outcome and known.remove == asked and known_note == note then
    redis.call('HSET', key, 'state', record.state)
    return { 'recorded', now }
  end
end
redis.call('XLEN', prefix .. 'history')
local mapped = false
for _, integration in ipairs(record.list and words(ARGV[9]) or {}) do
  mapped = mapped or integration == record.integration
end
local removing = (asked or mapped) and removal_of(record)
local noted = prefix .. 'notes:' .. record.integration .. ':' .. encoded(record.prospect)
redis.call('SCARD', noted)

redis.call('HSET', key, 'disposition',
  cjson.encode({ outcome = outcome, remove = asked, note = note or cjson.null, at = integer(now) }))
local facts = facts_of(record, id)
facts[#facts + 1], facts[#facts + 2] = 'detail', cjson.encode({ outcome = outcome, remove = asked })
remember('disposition.recorded', now, facts)
redis.call(note and 'SADD' or 'SREM', noted, id)
if note then
  -- Two days longer than the claim is kept by now, for it may yet be extended.
  redis.call('PEXPIREAT', noted, math.max(redis.call('PEXPIRETIME', key) + 2 * DAY, redis.call('PEXPIRETIME', noted)))
end
if removing then
  take_out(removing, record, id)
end
return { 'recorded', now }
