-- What more than one verb needs: the org's prefix, the store's clock, the guard, and the moves. Each script gets what it uses of this file and of
-- granting.lua put before it, behind its `#!lua` line, which makes a store that is out of memory refuse a script before its first write.
--
-- KEYS[1]  reservoir:{org}:   every key that a script touches begins with it, so all of them share one slot of a cluster
-- ARGV[1]  generation         what the caller believes the org's generation to be
-- ARGV[2]  from, ARGV[3] until   instants of the store (ms) between which the caller's arguments are right (writing scripts only)
--
-- last     nonce              comes back as the last element of the reply, so that no reply is ever taken for another call's
--
-- An ends-member is integration:prospect. A prospect is taken while `ends` has it at an instant that is not past, or its key lives.

local prefix = KEYS[1]
local nonce = table.remove(ARGV)
local floor = math.floor
local clock = redis.call('TIME')
local now = clock[1] * 1000 + floor(clock[2] / 1000)

local DAY = 86400000
local CLAIM_KEPT = 7 * DAY
local HOLD_KEPT = DAY
local SETTLE_PROSPECTS = 256
local SETTLE_MOVES = 512
local CAME_KEPT = 4096
local INDEXES = { 'available', 'held', 'reserved' }
local RECORD = { 'integration', 'prospect', 'rep', 'session', 'mode', 'list', 'state', 'claimed_at', 'attempted_at', 'expires_at' }

local function stale()
  return redis.call('GET', prefix .. 'generation') ~= ARGV[1]
end

-- The reply that ends a writing script before its first write, or nil.
local function guard()
  if stale() then
    return { 'stale', now }
  end
  if now < tonumber(ARGV[2]) or now >= tonumber(ARGV[3]) then
    return { 'clock', now }
  end
end

local function integer(number)
  return string.format('%.0f', number)
end

local function words(text)
  local found = {}
  for word in string.gmatch(text or '', '%S+') do
    found[#found + 1] = word
  end
  return found
end

-- A hash's reply as a table.
local function flat(pairs_of)
  local table_of = {}
  for i = 1, #pairs_of, 2 do
    table_of[pairs_of[i]] = pairs_of[i + 1]
  end
  return table_of
end

-- An id as a part of a key's name: decoding gives the id back, and no id can reach into another key.
local function encoded(id)
  if not string.find(id, '[^A-Za-z0-9%-._~@+]') then
    return id
  end
  return (string.gsub(id, '[^A-Za-z0-9%-%._~@+]', function(byte)
    return string.format('%%%02X', string.byte(byte))
  end))
end

local function reservation_key(integration, prospect)
  return prefix .. 'reservation:' .. integration .. ':' .. encoded(prospect)
end

local function split(member)
  local colon = string.find(member, ':', 1, true)
  return string.sub(member, 1, colon - 1), string.sub(member, colon + 1)
end

-- RFC 3339 in UTC with milliseconds: days since 1970 to a date by counting whole Gregorian cycles of 400 years from 1 March of year 0.
local told_times = {}

local function rfc3339(at)
  if told_times[at] then
    return told_times[at]
  end
  local days = floor(at / DAY)
  local left = at - days * DAY
  local shifted = days + 719468
  local cycle = floor(shifted / 146097)
  local of_cycle = shifted - cycle * 146097
  local year = floor((of_cycle - floor(of_cycle / 1460) + floor(of_cycle / 36524) - floor(of_cycle / 146096)) / 365)
  local of_year = of_cycle - (365 * year + floor(year / 4) - floor(year / 100))
  local march = floor((5 * of_year + 2) / 153)
  local month = march < 10 and march + 3 or march - 9
  told_times[at] = string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year + cycle * 400 + (month <= 2 and 1 or 0), month,
    of_year - floor((153 * march + 2) / 5) + 1, floor(left / 3600000), floor(left / 60000) % 60, floor(left / 1000) % 60, left % 1000)
  return told_times[at]
end

-- One entry of the history. `facts` is a flat array of names and values; what does not apply is left out.
local function remember(kind, at, facts)
  redis.call('XADD', prefix .. 'history', '*', 'type', kind, 'at', at, unpack(facts))
end

local function facts_of(record, id)
  local facts = { 'integration', record.integration, 'prospect', record.prospect, 'rep', record.rep, 'session', record.session, 'mode', record.mode }
  if record.list then
    facts[#facts + 1], facts[#facts + 2] = 'list', record.list
  end
  if id then
    facts[#facts + 1], facts[#facts + 2] = 'claim', id
  end
  return facts
end

-- A claim's record as a table of its fields, times as numbers; nil where there is none. One of the wrong type is none: it must not keep its prospect, and
-- all who are settled with it, from ending.
local function claim_record(id)
  local values = redis.pcall('HMGET', prefix .. 'claim:' .. id, unpack(RECORD))
  if not values[1] then
    return nil
  end
  local record = {}
  for i, name in ipairs(RECORD) do
    record[name] = values[i] or nil
  end
  record.claimed_at = tonumber(record.claimed_at)
  record.attempted_at = tonumber(record.attempted_at)
  record.expires_at = tonumber(record.expires_at)
  return record
end

-- What GET on a reservation's key shows a person at a terminal.
local function reservation_text(record, id)
  return '{"state":"' .. record.state .. '","rep":' .. cjson.encode(record.rep) .. ',"session":' .. cjson.encode(record.session)
    .. ',"mode":"' .. record.mode .. '","list":' .. (record.list and '"' .. record.list .. '"' or 'null') .. ',"claim":"' .. id
    .. '","claimed_at":"' .. rfc3339(record.claimed_at) .. '","attempted_at":'
    .. (record.attempted_at and '"' .. rfc3339(record.attempted_at) .. '"' or 'null')
    .. ',"expires_at":"' .. rfc3339(record.expires_at) .. '"}'
end

-- A claim as the caller reads it: id, the record's fields in their order, disposition, the member's data (each false where there is none).
local function claim_row(id, record, disposition, member)
  return { id, record.integration, record.prospect, record.rep or false, record.session or false, record.mode or false, record.list or false,
    record.state, record.claimed_at or false, record.attempted_at or false, record.expires_at or false, disposition or false, member or false }
end

-- Who has a prospect now, as a claim's row, or false. A key that somebody set by hand has no claim, rep or session, but an end (if it has one). So too
-- where somebody's hand took the claim: the witness still says until when.
local function taken_row(member, ends, id)
  local integration, prospect = split(member)
  if ends and ends >= now then
    local record = id and claim_record(id)
    if record then
      record.expires_at = ends
      return claim_row(id, record)
    end
    return claim_row('', { integration = integration, prospect = prospect, state = 'reserved', expires_at = ends })
  end
  local key_ends = redis.call('PEXPIRETIME', reservation_key(integration, prospect))
  if key_ends == -2 or (ends and ends < now) then
    return false
  end
  return claim_row('', { integration = integration, prospect = prospect, state = 'reserved', expires_at = key_ends > 0 and key_ends or nil })
end

local function taken(member)
  return taken_row(member, tonumber(redis.call('ZSCORE', prefix .. 'ends', member) or nil), redis.call('HGET', prefix .. 'claim-of', member))
end

-- A prospect's data as a list has it: the claim's own list first, then any other that it is in. A list whose data is of the wrong type knows nobody.
local function member_of(record)
  local lists = words(redis.call('HGET', prefix .. 'lists-of:' .. record.integration, record.prospect))
  if record.list then
    table.insert(lists, 1, record.list)
  end
  for _, mark in ipairs(lists) do
    local member = redis.pcall('HGET', prefix .. 'list:' .. string.gsub(mark, '^!', '') .. ':members', record.prospect)
    if type(member) == 'string' then
      return member
    end
  end
end

-- Adds to `by_list` (list -> prospects) the lists in which each prospect can be dialed; a list marked `!` (byte 33) has it as undialable.
-- Returns how many moves that is, and by_list.
local function lists_of(integration, prospects, by_list)
  local moves = 0
  by_list = by_list or {}
  local marks = redis.call('HMGET', prefix .. 'lists-of:' .. integration, unpack(prospects))
  for i, prospect in ipairs(prospects) do
    for list in string.gmatch(marks[i] or '', '%S+') do
      if string.byte(list) ~= 33 then
        by_list[list] = by_list[list] or {}
        table.insert(by_list[list], prospect)
        moves = moves + 1
      end
    end
  end
  return moves, by_list
end

-- Takes a list out of the marks of a prospect.
local function untie(integration, prospect, marks, list)
  local kept = {}
  for _, mark in ipairs(words(marks)) do
    if mark ~= list and mark ~= '!' .. list then
      kept[#kept + 1] = mark
    end
  end
  if #kept == 0 then
    redis.call('HDEL', prefix .. 'lists-of:' .. integration, prospect)
  else
    redis.call('HSET', prefix .. 'lists-of:' .. integration, prospect, table.concat(kept, ' '))
  end
end

-- Notes who became available in a list in which somebody skips whom they removed (see skipping.lua). What is too long ago is forgotten.
local function came(base, prospects)
  local log = base .. ':came'
  if #prospects == 0 or type(redis.pcall('ZSCORE', log, '')) ~= 'string' then
    return
  end
  local last = tonumber(redis.call('ZRANGE', log, -1, -1, 'WITHSCORES')[2])
  local entries = {}
  for i, prospect in ipairs(prospects) do
    entries[2 * i - 1], entries[2 * i] = integer(last + i), prospect
  end
  redis.call('ZADD', log, unpack(entries))
  local over = redis.call('ZCARD', log) - CAME_KEPT
  if over > 0 then
    local edge = redis.call('ZRANGE', log, over, over, 'WITHSCORES')[2]
    redis.call('ZREMRANGEBYRANK', log, 0, over)
    redis.call('ZADD', log, edge, '')
  end
end

-- Moves prospects of one list into one of its indexes, out of the others (or out of `from` alone, where the caller has just read them there). `scores` gives
-- each one's expiry; without it, each goes to its place.
-- A prospect that is no member of it any more is a stray, and leaves its indexes. A list whose index is broken is stepped over and noted for mending:
-- it must not stop a grant elsewhere.
local function move(list, prospects, target, scores, from)
  local base = prefix .. 'list:' .. list
  local places = redis.pcall('ZMSCORE', base .. ':order', unpack(prospects))
  local broken = places.err
  local entries, strays = {}, {}
  for i, prospect in ipairs(prospects) do
    if broken or not places[i] then
      strays[#strays + 1] = prospect
    else
      entries[#entries + 1], entries[#entries + 2] = scores and scores[prospect] or places[i], prospect
    end
  end
  for _, index in ipairs(INDEXES) do
    local leaving = index == target and strays or prospects
    if #leaving > 0 and (not from or index == from or #strays > 0) then
      local reply = redis.pcall('ZREM', base .. ':' .. index, unpack(leaving))
      broken = broken or (type(reply) == 'table' and reply.err)
    end
  end
  if #entries > 0 then
    local reply = redis.pcall('ZADD', base .. ':' .. target, unpack(entries))
    broken = broken or (type(reply) == 'table' and reply.err)
    if target == 'available' then
      came(base, prospects)
    end
  end
  if broken then
    redis.pcall('SADD', prefix .. 'broken', list)
  end
end

-- Moves prospects in all their lists. `read`: the one list, if any, in whose `available` the caller has just read them. In the others they may stand
-- elsewhere: as reserved, say, since a key that somebody set by hand and took back.
local function move_everywhere(by_list, target, scores, read)
  for list, prospects in pairs(by_list) do
    move(list, prospects, target, scores, list == read and 'available')
  end
end

-- Puts a taken prospect back into the right index of all its lists, and writes its key again if it is gone.
local function mend(member, id, ends)
  local integration, prospect = split(member)
  local record = id and claim_record(id)
  if record then
    record.expires_at = ends
    redis.call('SET', reservation_key(integration, prospect), reservation_text(record, id), 'NX', 'PXAT', ends)
  end
  move_everywhere(select(2, lists_of(integration, { prospect })), record and record.state or 'reserved', { [prospect] = ends })
end

-- A key that no claim of ours explains is somebody's hand. It is obeyed: the prospect counts as reserved until the key ends, or, if it never does,
-- is looked at again in a minute. False if there is no key.
local function obey(integration, prospect)
  local ends = redis.call('PEXPIRETIME', reservation_key(integration, prospect))
  if ends == -2 then
    return false
  end
  move_everywhere(select(2, lists_of(integration, { prospect })), 'reserved', { [prospect] = ends > 0 and ends or now + 60000 })
  return true
end

-- Where a dialable member of a list belongs: one of the indexes, and its score there. `ends` and `id` are what the witness and `claim-of` say of it.
local function shelf(integration, prospect, place, ends, id)
  if ends and ends >= now then
    local state = id and redis.call('HGET', prefix .. 'claim:' .. id, 'state')
    return state == 'held' and 'held' or 'reserved', ends
  end
  local key_ends = not ends and redis.call('PEXPIRETIME', reservation_key(integration, prospect)) or -2
  if key_ends ~= -2 then
    return 'reserved', key_ends > 0 and key_ends or now + 60000
  end
  return 'available', place
end

-- Deletes a prospect's key if it is this claim's. True if one stands that is not: somebody's hand set it.
local function drop_key(integration, prospect, id)
  local key = reservation_key(integration, prospect)
  local text = redis.pcall('GET', key)
  if text and id and type(text) == 'string' and string.find(text, id, 1, true) then
    redis.call('DEL', key)
    return false
  end
  return text and true or false
end

-- Ends one hold or reservation that is past: its key, its claim's ties, its entry in the history. True if the prospect is free by that.
local function end_one(member, id, ends)
  local integration, prospect = split(member)
  local record = id and claim_record(id)
  local foreign = drop_key(integration, prospect, id)
  if record then
    local kind = record.state == 'held' and 'claim.lapsed' or 'reservation.expired'
    remember(kind, ends, facts_of(record, id))
    if record.state == 'held' then
      redis.pcall('ZREM', prefix .. 'session:' .. encoded(record.session), id)
    end
  end
  return not (foreign and obey(integration, prospect))
end

-- Settles ends-members that an index or `ends` itself says are due: they go back to their own places, in all their lists.
-- Bound: the caller gives at most SETTLE_PROSPECTS; it stops after SETTLE_MOVES. Returns how many it looked at.
local function settle(members)
  if #members == 0 then
    return 0
  end
  local ends = redis.call('ZMSCORE', prefix .. 'ends', unpack(members))
  local claims = redis.call('HMGET', prefix .. 'claim-of', unpack(members))
  local free, moves, looked, ended, probed = {}, 0, 0, {}, {}
  for _, member in ipairs(members) do
    local integration = split(member)
    if not probed[integration] then
      probed[integration] = redis.call('HLEN', prefix .. 'lists-of:' .. integration)
    end
  end
  for i, member in ipairs(members) do
    local due = tonumber(ends[i] or nil)
    looked = i
    if due and due >= now then
      mend(member, claims[i], due)
    else
      ended[#ended + 1] = member
      if end_one(member, claims[i], due or now) then
        local integration, prospect = split(member)
        moves = moves + lists_of(integration, { prospect }, free)
      end
    end
    if moves >= SETTLE_MOVES then
      break
    end
  end
  if #ended > 0 then
    redis.call('ZREM', prefix .. 'ends', unpack(ended))
    redis.call('HDEL', prefix .. 'claim-of', unpack(ended))
  end
  move_everywhere(free, 'available')
  return looked
end

-- Settles what is due in one list. True while more is due. A key of the list that is of the wrong type fails before anything is settled.
local function settle_list(list, integration)
  local base = prefix .. 'list:' .. list
  local members = {}
  for _, index in ipairs({ ':held', ':reserved' }) do
    local due = redis.call('ZRANGEBYSCORE', base .. index, '-inf', '(' .. now, 'LIMIT', 0, SETTLE_PROSPECTS - #members)
    for _, prospect in ipairs(due) do
      members[#members + 1] = integration .. ':' .. prospect
    end
    if #members == SETTLE_PROSPECTS then
      break
    end
  end
  if #members == 0 then
    return false
  end
  for _, index in ipairs({ ':order', ':available', ':reserved' }) do
    redis.call('ZCARD', base .. index)
  end
  redis.call('HLEN', base .. ':members')
  return settle(members) < #members or #members == SETTLE_PROSPECTS
end
