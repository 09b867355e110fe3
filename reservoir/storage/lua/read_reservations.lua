#!lua flags=no-writes
--[[ Reads live holds and reservations, soonest to end first.
KEYS   the org's prefix
ARGV   1 generation, 2 the last entry's end ('' at first), 3 the last entry's ends-member, 4 how many (at most 500)
Reply  {'page', now, rows, end, member}   end and member of the last entry looked at, to go on from; false when there is no more
       {'stale', now}
Again  reads anew.
Bound  500 entries.
]]
if stale() then
  return { 'stale', now }
end
local from, after, most = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local start = (from and from >= now) and integer(from) or integer(now)
local found = redis.call('ZRANGE', prefix .. 'ends', start, '+inf', 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
if from and found[2 * most] and tonumber(found[2 * most]) == from and found[2 * most - 1] <= after then
  -- More entries end in this one millisecond than a page holds: go on by rank among them.
  local first = redis.call('ZCOUNT', prefix .. 'ends', '-inf', '(' .. integer(from))
  local rank = redis.call('ZRANK', prefix .. 'ends', after)
  found = redis.call('ZRANGE', prefix .. 'ends', (rank or first + most - 1) + 1, (rank or first + most - 1) + most, 'WITHSCORES')
end
local members, ends = {}, {}
for i = 1, #found, 2 do
  if not (from and tonumber(found[i + 1]) == from and found[i] <= after) then
    members[#members + 1], ends[#ends + 1] = found[i], tonumber(found[i + 1])
  end
end
local rows = {}
if #members > 0 then
  for i, id in ipairs(redis.call('HMGET', prefix .. 'claim-of', unpack(members))) do
    rows[#rows + 1] = taken_row(members[i], ends[i], id) or nil
  end
end
local more = #found == 2 * most
return { 'page', now, rows, more and integer(found[#found]) or false, more and found[#found - 1] or false }
