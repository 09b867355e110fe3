#!lua flags=no-writes
--[[ Tells how a claim stands.
KEYS   the org's prefix
ARGV   1 generation, 2 claim
Reply  {'claim', now, row} | {'claim-not-found', now} | {'stale', now}
Again  reads anew.
Bound  one prospect, at most 64 lists.
]]
if stale() then
  return { 'stale', now }
end
local record = claim_record(ARGV[2])
if not record then
  return { 'claim-not-found', now }
end
return { 'claim', now, claim_row(ARGV[2], record, redis.call('HGET', prefix .. 'claim:' .. ARGV[2], 'disposition'), member_of(record)) }
