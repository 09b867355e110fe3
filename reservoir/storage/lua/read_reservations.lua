#!lua flags=no-writes
--[[ Reads live holds and reservations, soonest to end first.
KEYS   the org's prefix
ARGV   1 generation, 2 the last entry's end ('' at first), 3 the last entry's ends-member, 4 how many (at most 250)
Reply  {'page', now, rows, end, member}   end and member of the last entry looked at, to go on from; false when there is no more
       {'stale', now}
Again  reads anew.
Bound  250 entries.
]]
if stale() then
  return { 'stale', now }
end
local from, after, most = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local index = prefix .. 'ends'
local start = redis.call('ZCOUNT', index, '-inf', '(' .. integer(now))
if from and from >= now then
  -- Behind the last entry: by its own rank, or, if it is gone or was extended, by the first of those that end when it did and come behind it.
  local rank = tonumber(redis.call('ZSCORE', index, after) or nil) == from and redis.call('ZRANK', index, after)
  start = rank and rank + 1 or redis.call('ZCOUNT', index, '-inf', '(' .. integer(from))
end
local found = redis.call('ZRANGE', index, start, start + most, 'WITHSCORES')
local members, ends = {}, {}
for i = 1, math.min(#found, 2 * most), 2 do
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
local more = #found > 2 * most
return { 'page', now, rows, more and found[2 * most] or false, more and found[2 * most - 1] or false }
