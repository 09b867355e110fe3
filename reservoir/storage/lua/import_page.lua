#!lua
--[[ Writes a page of members of a running sync, in the order given, behind those that the run has brought before.
A member whose key lives is indexed as taken at once. It is written only if the run is still the list's run (a fence against a sleeper who wakes up late).
KEYS   the org's prefix
ARGV   4 list, 5 id of the run (and the token of the worker that holds it), 6 how long the run may be silent from now on (ms), 7 number of the page,
       ascending in its run, 8 rejected rows before this page (JSON array of objects), 9 how many of them count, 10 what else is known of the run from here
       on (JSON object: cursor, total, advice, each as text), 11 for how long a worker holds the run from now on (ms), 12 how many members, then for each:
       line (for a worker, the record), prospect, data (JSON), '' or 'no-phone' or 'do-not-call', or 'unread': the source names the member and does not show
       it, so that it is as this list has it, or else another one; only if none does, the data counts. Behind them what a search finds them by: 0 and
       'term prospect' for each term of each, of one who comes twice those of the first; in the order of the text, for then the index is quicker (what
       another list has is found already)
Reply  {'in', now, fetched so far, how many had other data}   what a search found those by is put aside, for `tidy_search`
       {'sync-lost', now} | {'list-not-found', now} | {'stale', now} | {'clock', now}
       One who comes again in a run has the first place: of a file, the later row is rejected; of a source, it is stepped over.
       With a cursor, the rejected rows so far are settled: who takes the run over is not given them again.
Again  the same page number, or one below (a page that was sent again, and whose first sending comes late), writes nothing more: 'in'.
Bound  100 members of 20 terms; 64 lists for one that is unread and new to the list.
]]
local REJECTED_SHOWN = 100
local LISTS_MOST = 64
local FIRST, STEP = 13, 4

local refusal = guard()
if refusal then
  return refusal
end
local list = ARGV[4]
local base = prefix .. 'list:' .. list
local key = base .. ':sync'
local integration = redis.call('HGET', base, 'integration')
if not integration then
  return { 'list-not-found', now }
end
local run, ours = run_of_caller(base)
if not ours or run.state ~= 'running' then
  return { 'sync-lost', now }
end
local sourced = run.token ~= nil

local function hold()
  redis.call('HSET', key, 'lease', integer(now + tonumber(ARGV[6])))
  if sourced then
    redis.call('HSET', key, 'held', integer(now + tonumber(ARGV[11])))
    plan(list)
  end
end

if sourced then
  redis.call('HLEN', base)
  check_run_keys()
end
if run.page and tonumber(ARGV[7]) <= tonumber(run.page) then
  hold()
  return { 'in', now, tonumber(run.fetched), 0 }
end

local prospects, members = {}, {}
local count = tonumber(ARGV[12])
for i = 1, count do
  local prospect = ARGV[FIRST + (i - 1) * STEP + 1]
  prospects[i], members[i] = prospect, integration .. ':' .. prospect
end
local function of_each(command, name, names)
  return count > 0 and redis.call(command, name, unpack(names)) or {}
end
local places = of_each('ZMSCORE', base .. ':order', prospects)
local known = of_each('HMGET', base .. ':members', prospects)
local flagged = of_each('SMISMEMBER', base .. ':do-not-call', prospects)
local undialable = of_each('ZMSCORE', base .. ':undialable', prospects)
local marks = of_each('HMGET', prefix .. 'lists-of:' .. integration, prospects)
local ends = of_each('ZMSCORE', prefix .. 'ends', members)
local claims = of_each('HMGET', prefix .. 'claim-of', members)
for _, index in ipairs(INDEXES) do
  redis.call('ZCARD', base .. ':' .. index)
end
redis.call('ZCARD', prefix .. 'search:' .. integration)
redis.call('SCARD', prefix .. 'search-due')

local ceiling, place = tonumber(run.ceiling), tonumber(run.next)
local rejected, rejected_count = cjson.decode(ARGV[8]), tonumber(ARGV[9])
local seen, order, data, ties, gone = {}, {}, {}, {}, {}
local index = { available = {}, held = {}, reserved = {}, undialable = {} }
local flags, unflags, aside, passed = {}, {}, {}, {}
local added, updated, fetched = 0, 0, 0

local function reject(line, detail)
  rejected[#rejected + 1] = sourced and { record = line, detail = detail } or { line = tonumber(line), detail = detail }
  rejected_count = rejected_count + 1
end

-- The prospect's marks with this list among them, as dialable or not; nil if that changes nothing; false if it is in too many lists.
local function tied(old, mark)
  local kept, count = {}, 0
  for _, word in ipairs(words(old or '')) do
    if word == mark then
      return nil
    end
    if string.gsub(word, '^!', '') ~= list then
      kept[#kept + 1] = word
    end
  end
  if #kept >= LISTS_MOST then
    return false
  end
  kept[#kept + 1] = mark
  return table.concat(kept, ' ')
end

-- The data and the reason of a member that the source does not show.
local function as_known(i, prospect, nothing)
  if known[i] then
    return known[i], flagged[i] == 1 and 'do-not-call' or undialable[i] and 'no-phone' or ''
  end
  for _, word in ipairs(words(marks[i] or '')) do
    local dialable = string.sub(word, 1, 1) ~= '!'
    local other = prefix .. 'list:' .. (dialable and word or string.sub(word, 2))
    local json = redis.pcall('HGET', other .. ':members', prospect)
    if type(json) == 'string' then
      local flag = not dialable and redis.pcall('SISMEMBER', other .. ':do-not-call', prospect)
      return json, dialable and '' or flag == 1 and 'do-not-call' or 'no-phone'
    end
  end
  return nothing, 'no-phone'
end

-- Whether any of them is taken of whom the witness knows nothing: by somebody's hand.
local function any_key()
  local names = {}
  for i, prospect in ipairs(prospects) do
    if not ends[i] then
      names[#names + 1] = reservation_key(integration, prospect)
    end
  end
  return #names > 0 and redis.call('EXISTS', unpack(names)) > 0
end
local by_hand = any_key()

local function into(name, score, prospect)
  local entries = index[name]
  local size = #entries
  entries[size + 1], entries[size + 2] = score, prospect
end

for i, prospect in ipairs(prospects) do
  local at = FIRST + (i - 1) * STEP
  local line, json, reason = ARGV[at], ARGV[at + 2], ARGV[at + 3]
  if reason == 'unread' then
    json, reason = as_known(i, prospect, json)
  end
  local old = tonumber(places[i] or nil)
  local mark = reason ~= '' and '!' .. list or list
  local ties_now = mark
  if marks[i] then
    ties_now = tied(marks[i], mark)
  end
  if seen[prospect] or (old and old < ceiling and old >= ceiling - ROOM) then
    if not seen[prospect] then
      passed[prospect] = true
    end
    if not sourced then
      reject(line, 'the id ' .. prospect .. ' stands in an earlier row')
    end
  elseif ties_now == false then
    passed[prospect] = true
    reject(line, 'the prospect is in 64 lists already')
  else
    seen[prospect] = true
    fetched = fetched + 1
    local flag = reason == 'do-not-call' and 1 or 0
    local same = known[i] == json
    if not old then
      added = added + 1
    else
      gone[#gone + 1] = prospect
      if not (same and flagged[i] == flag and (undialable[i] and true or false) == (reason ~= '')) then
        updated = updated + 1
      end
    end
    local score = integer(place)
    local size = 2 * fetched
    order[size - 1], order[size] = score, prospect
    if same then
      passed[prospect] = true
    else
      data[#data + 1], data[#data + 2] = prospect, json
      aside[#aside + 1] = known[i] and integration .. ' ' .. known[i] or nil
    end
    if ties_now then
      ties[#ties + 1], ties[#ties + 2] = prospect, ties_now
    end
    if flag ~= flagged[i] then
      local set = flag == 1 and flags or unflags
      set[#set + 1] = prospect
    end
    if reason ~= '' then
      into('undialable', score, prospect)
    elseif ends[i] or by_hand then
      local name, at_score = shelf(integration, prospect, score, tonumber(ends[i] or nil), claims[i])
      into(name, at_score, prospect)
    else
      into('available', score, prospect)
    end
    place = place + 1
  end
end

-- What those are found by who have other data now, and from where on.
local found, found_from = ARGV, FIRST + count * STEP
if next(passed) then
  found, found_from = {}, 1
  for i = FIRST + count * STEP + 1, #data > 0 and #ARGV or 0, 2 do
    local entry = ARGV[i]
    if not passed[string.sub(entry, string.find(entry, ' ', 1, true) + 1)] then
      found[#found + 1], found[#found + 2] = 0, entry
    end
  end
end

if not sourced then
  table.sort(rejected, function(one, other)
    return one.line < other.line
  end)
end

local function write(command, name, entries)
  if #entries > 0 then
    redis.call(command, name, unpack(entries))
  end
end
for _, name in ipairs({ ':available', ':held', ':reserved', ':undialable' }) do
  write('ZREM', base .. name, gone)
end
write('ZADD', base .. ':order', order)
write('HSET', base .. ':members', data)
if found[found_from] then
  redis.call('ZADD', prefix .. 'search:' .. integration, unpack(found, found_from))
end
write('SADD', prefix .. 'search-due', aside)
write('HSET', prefix .. 'lists-of:' .. integration, ties)
write('SADD', base .. ':do-not-call', flags)
write('SREM', base .. ':do-not-call', unflags)
for name, entries in pairs(index) do
  write('ZADD', base .. ':' .. name, entries)
end
local arrived = {}
for i = 2, #index.available, 2 do
  arrived[#arrived + 1] = index.available[i]
end
came(base, arrived)

local shown = run.rejected and cjson.decode(run.rejected) or {}
for _, row in ipairs(rejected) do
  if #shown < REJECTED_SHOWN then
    shown[#shown + 1] = row
  end
end
hold()
redis.call('HSET', key, 'page', ARGV[7], 'next', integer(place), 'fetched', tonumber(run.fetched) + fetched, 'added',
  tonumber(run.added) + added, 'updated', tonumber(run.updated) + updated, 'rejected_count', tonumber(run.rejected_count) + rejected_count)
if #shown > 0 then
  redis.call('HSET', key, 'rejected', cjson.encode(shown))
end
local more = cjson.decode(ARGV[10])
for name, text in pairs(more) do
  redis.call('HSET', key, name, text)
end
if more.cursor then
  redis.call('HSET', key, 'settled', tonumber(run.rejected_count) + rejected_count .. ' ' .. #shown)
end
redis.call('HDEL', key, 'waiting_since')
stir(base)
return { 'in', now, tonumber(run.fetched) + fetched, #aside }
