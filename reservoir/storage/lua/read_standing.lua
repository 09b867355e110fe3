#!lua flags=no-writes
--[[ Reads what stands and what was recorded, at one instant, so that the two can be held against each other while the org is at work.
KEYS   the org's prefix
ARGV   1 generation, 2 id of the entry behind which to begin ('' at first), 3 the last member's end ('' at first), 4 the last member, 5 how many (at most 250),
       6… ends-members (at most 250): these in place of the next ones
Reply  {'standing', now, entries, rows, end, member, added, length, deleted}
       rows: false while there are more than 500 entries to read first; each {ends-member, end, claim, the key's text, the key's end or -1 or -2, the claim's
       record: integration, prospect, state, expires_at, claimed_at}, false where there is no such thing. end and member: to go on from, false at the end.
       added, length: how many entries were ever added, how many are left; deleted: the newest id that was deleted
       {'stale', now}
Again  reads anew.
Bound  500 entries and 250 prospects.
]]
local ENTRIES = 500
if stale() then
  return { 'stale', now }
end
local history, index = prefix .. 'history', prefix .. 'ends'
local entries = redis.call('XRANGE', history, ARGV[2] == '' and '-' or '(' .. ARGV[2], '+', 'COUNT', ENTRIES + 1)
local figures = redis.call('EXISTS', history) == 1 and flat(redis.call('XINFO', 'STREAM', history)) or {}
local added, length, deleted = figures['entries-added'] or 0, figures.length or 0, figures['max-deleted-entry-id'] or '0-0'
if #entries > ENTRIES then
  entries[ENTRIES + 1] = nil
  return { 'standing', now, entries, false, false, false, added, length, deleted }
end

local function next_members(from, after, most)
  local start = 0
  if from then
    local rank = tonumber(redis.call('ZSCORE', index, after) or nil) == from and redis.call('ZRANK', index, after)
    start = rank and rank + 1 or redis.call('ZCOUNT', index, '-inf', '(' .. integer(from))
  end
  local found, members = redis.call('ZRANGE', index, start, start + most - 1, 'WITHSCORES'), {}
  for i = 1, #found, 2 do
    if not (from and tonumber(found[i + 1]) == from and found[i] <= after) then
      members[#members + 1] = found[i]
    end
  end
  local full = #found == 2 * most
  return members, full and found[2 * most] or false, full and found[2 * most - 1] or false
end

local members, last_end, last_member = { unpack(ARGV, 6) }, false, false
if #members == 0 then
  members, last_end, last_member = next_members(tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]))
end
local rows = {}
if #members > 0 then
  local ends, claims = redis.call('ZMSCORE', index, unpack(members)), redis.call('HMGET', prefix .. 'claim-of', unpack(members))
  for i, member in ipairs(members) do
    local key = reservation_key(split(member))
    local text = redis.pcall('GET', key)
    local record = claims[i] and claim_record(claims[i]) or {}
    rows[i] = { member, ends[i], claims[i], type(text) == 'string' and text or (text and '' or false), redis.call('PEXPIRETIME', key),
      record.integration or false, record.prospect or false, record.state or false, record.expires_at or false, record.claimed_at or false }
  end
end
return { 'standing', now, entries, rows, last_end, last_member, added, length, deleted }
