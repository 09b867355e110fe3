#!lua
--[[ Gives back a held prospect that was never dialed: available again, in its place, in all its lists.
KEYS   the org's prefix
ARGV   4 claim
Reply  {'released', now} | {'reservation-not-removable', now, expiry} | {'claim-lapsed', now} | {'claim-unreserved', now} | {'claim-not-found', now}
       {'stale', now} | {'clock', now}
Again  after a release: 'released'.
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
elseif record.state == 'unreserved' then
  return { 'claim-unreserved', now }
elseif record.state == 'reserved' then
  return { 'reservation-not-removable', now, integer(record.expires_at) }
elseif record.state == 'released' then
  redis.call('HSET', key, 'state', 'released')
  return { 'released', now }
elseif not stands(record, id) then
  return { 'claim-lapsed', now }
end

redis.call('XLEN', prefix .. 'history')
redis.call('ZCARD', prefix .. 'session:' .. encoded(record.session))
local _, by_list = lists_of(record.integration, { record.prospect })
if give_back(id, record) then
  move_everywhere(by_list, 'available')
end
return { 'released', now }
