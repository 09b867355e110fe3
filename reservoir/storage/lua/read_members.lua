#!lua flags=no-writes
--[[ Reads a list's members in list order, each with how it stands.
KEYS   the org's prefix
ARGV   1 generation, 2 list, 3 the last member's place ('' at first), 4 how many (at most 250), 5 rep ('' for none)
Reply  {'page', now, members, more (1 or false)}   Each member:
       {prospect, place, data, undialable (1 or 0), do not call (1 or 0), removed for the rep (1 or 0), row of who has it or false}
       {'list-not-found', now} | {'stale', now}
Again  reads anew.
Bound  250 members.
]]
if stale() then
  return { 'stale', now }
end
local list, after, most, rep = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local base = prefix .. 'list:' .. list
local integration = redis.call('HGET', base, 'integration')
if not integration then
  return { 'list-not-found', now }
end
local found = redis.call('ZRANGE', base .. ':order', after == '' and '-inf' or '(' .. after, '+inf', 'BYSCORE', 'LIMIT', 0, most + 1, 'WITHSCORES')
local prospects, members = {}, {}
for i = 1, math.min(#found, 2 * most), 2 do
  prospects[#prospects + 1], members[#members + 1] = found[i], integration .. ':' .. found[i]
end
if #prospects == 0 then
  return { 'page', now, {}, false }
end
local data = redis.call('HMGET', base .. ':members', unpack(prospects))
local undialable = redis.call('ZMSCORE', base .. ':undialable', unpack(prospects))
local flagged = redis.call('SMISMEMBER', base .. ':do-not-call', unpack(prospects))
local removed = rep ~= '' and redis.call('HMGET', base .. ':removed:' .. encoded(rep), unpack(prospects)) or {}
local ends = redis.call('ZMSCORE', prefix .. 'ends', unpack(members))
local claims = redis.call('HMGET', prefix .. 'claim-of', unpack(members))
local reserved = redis.call('ZMSCORE', base .. ':reserved', unpack(prospects))
local page = {}
for i, prospect in ipairs(prospects) do
  page[i] = { prospect, found[2 * i], data[i] or '', undialable[i] and 1 or 0, flagged[i], removed[i] and 1 or 0,
    (ends[i] or reserved[i]) and taken_row(members[i], tonumber(ends[i] or nil), claims[i]) }
end
return { 'page', now, page, #found > 2 * most and 1 or false }
