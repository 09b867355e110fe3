#!lua flags=no-writes
--[[ Tells who has each of some prospects.
KEYS   the org's prefix
ARGV   1 generation, 2… ends-members (at most 500)
Reply  {'taken', now, rows}   a row or false for each, in the same order
       {'stale', now}
Again  reads anew.
Bound  500 prospects.
]]
if stale() then
  return { 'stale', now }
end
local members = { unpack(ARGV, 2) }
if #members == 0 then
  return { 'taken', now, {} }
end
local ends = redis.call('ZMSCORE', prefix .. 'ends', unpack(members))
local claims = redis.call('HMGET', prefix .. 'claim-of', unpack(members))
local rows = {}
for i, member in ipairs(members) do
  rows[i] = taken_row(member, tonumber(ends[i] or nil), claims[i])
end
return { 'taken', now, rows }
