#!lua flags=no-writes
--[[ Tells of some prospects: the lists that have them, their data in each, and who has them.
KEYS   the org's prefix
ARGV   1 generation, 2 integration, 3… prospects (at most 100)
Reply  {'prospects', now, rows}   for each, in the same order: {prospect, lists, data in each, row of who has it or false}; fewer than were asked for if they are
       in many lists: ask again for the rest
       {'stale', now}
Again  reads anew.
Bound  100 prospects; 1,000 of their data, or one prospect's in 64 lists.
]]
local MOST = 1000
if stale() then
  return { 'stale', now }
end
local integration, prospects, members = ARGV[2], { unpack(ARGV, 3) }, {}
if #prospects == 0 then
  return { 'prospects', now, {} }
end
for i, prospect in ipairs(prospects) do
  members[i] = integration .. ':' .. prospect
end
local ends = redis.call('ZMSCORE', prefix .. 'ends', unpack(members))
local claims = redis.call('HMGET', prefix .. 'claim-of', unpack(members))
local rows = {}
for i, found in ipairs(listed(integration, prospects, MOST)) do
  rows[i] = { prospects[i], found.lists, found.data, taken_row(members[i], tonumber(ends[i] or nil), claims[i]) }
end
return { 'prospects', now, rows }
