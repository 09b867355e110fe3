#!lua
--[[ Claims the next prospects of a list for one session.
KEYS   the org's prefix
ARGV   4 list, 5 rep, 6 session, 7 mode, 8 count (1-50), 9 hold (ms; 0: the attempts start now), 10 idempotency key, 11 digest of the request,
       12 how long the key is kept (ms), 13 base of the claims' ids, 14 place to go on from ('' at first), 15 '' for a claim that does not wait, else a word and
       the ticket with which it stands in line: 'wait' (if nothing is available), 'last' (it has waited long enough), 'leave' (it takes nothing any more); terms
Reply  {'claimed', now, rows, available, next (ms or false), enabled}   rows may be none: nothing is available, and nothing was remembered
       {'repeated', now, rows, available, next, enabled}                what the same key took before, as it stands
       {'waiting', now, stirred}        nothing is available that is not for somebody who has waited longer: it stands in line now, and has nothing
       {'more', now}                    more is due in the list than one call settles: call again, nothing was granted
       {'on', now, place}               none of the candidates up to there could be had: call again from that place
       {'reused', now} | {'list-not-found', now} | {'integration-not-found', now} | {'stale', now} | {'clock', now}
Again  the same key and digest takes nothing more: 'repeated'.
Bound  settles 256 prospects or 512 moves; looks at 256 candidates, 256 who came since, 256 early ones and 128 waiters; grants at most 50 and 800 moves.
]]
local CANDIDATES = 256
local GRANT_MOVES = 800

local refusal = guard()
if refusal then
  return refusal
end

local list, count, after = ARGV[4], tonumber(ARGV[8]), ARGV[14]
local base = prefix .. 'list:' .. list
local token = prefix .. 'idempotency:' .. encoded(ARGV[10])
local taker = { list = list, rep = ARGV[5], session = ARGV[6], mode = ARGV[7], hold = tonumber(ARGV[9]), base = ARGV[13] }
local removed = base .. ':removed:' .. encoded(taker.rep)
local removed_count = redis.call('HLEN', removed)
local wish, ticket = string.match(ARGV[15], '^(%a*) ?(.*)$')
local turn, awaited = '+inf', false

-- Reads the keys that a grant writes and has not read: one of the wrong type fails here, before the first write.
local function probe()
  redis.call('HLEN', prefix .. 'claim-of')
  redis.call('XLEN', prefix .. 'history')
  if removed_count > 0 then
    skip_of(base, taker.rep)
  end
  awaited = redis.call('ZCARD', base .. ':waiting') > 0
  if wish ~= '' or awaited then
    redis.call('HLEN', base .. ':waiters')
    redis.call('ZCARD', prefix .. 'waiting-processes')
    local since = redis.call('ZSCORE', base .. ':waiting', ticket)
    turn = since and '(' .. integer(math.abs(tonumber(since))) or '+inf'
  end
  if taker.hold > 0 then
    redis.call('ZCARD', prefix .. 'session:' .. encoded(taker.session))
  end
end

-- How many of the rep's removed members the index counts, exact for the first 256. `from` limits it to places ahead.
local function removed_in(index, from)
  if removed_count == 0 then
    return 0
  end
  local prospects = redis.call('HSCAN', removed, 0, 'COUNT', CANDIDATES)[2]
  local names, found = {}, 0
  for i = 1, math.min(#prospects, 2 * CANDIDATES), 2 do
    names[#names + 1] = prospects[i]
  end
  for _, place in ipairs(redis.call('ZMSCORE', base .. index, unpack(names))) do
    if place and (not from or tonumber(place) > from) then
      found = found + 1
    end
  end
  return found
end

-- Which of the candidates the rep has not removed.
local function not_removed(prospects)
  return removed_count == 0 and prospects or unremoved(removed, prospects)
end

-- Which of the candidates nobody has, by the witness `ends`; at most `count`, and as many moves as a grant may make. Returns them and their lists.
local function free_of(prospects)
  if #prospects == 0 then
    return {}, {}
  end
  local members, free, moves, by_list = {}, {}, 0, {}
  for i, prospect in ipairs(prospects) do
    members[i] = taker.integration .. ':' .. prospect
  end
  local ends = redis.call('ZMSCORE', prefix .. 'ends', unpack(members))
  for i, prospect in ipairs(prospects) do
    local due = tonumber(ends[i] or nil)
    if due and due >= now then
      mend(members[i], redis.call('HGET', prefix .. 'claim-of', members[i]), due)
    else
      if due then
        settle({ members[i] })
      end
      if moves < GRANT_MOVES then
        moves = moves + lists_of(taker.integration, { prospect }, by_list)
        free[#free + 1] = prospect
      end
    end
    if #free == count then
      break
    end
  end
  return free, by_list
end

local function members_of(prospects)
  return #prospects > 0 and redis.call('HMGET', base .. ':members', unpack(prospects)) or {}
end

-- Puts each prospect's data into its row. Some of the prospects may have got none.
local function with_members(rows, prospects, members)
  local at = 1
  for _, row in ipairs(rows) do
    while prospects[at] ~= row[3] do
      at = at + 1
    end
    row[13] = members[at]
  end
  return rows
end

-- When the next taken member of the list that the rep has not removed frees, or false. Behind 256 removed ones: a time that is not later.
local function next_end()
  local soonest = false
  for _, index in ipairs({ ':held', ':reserved' }) do
    local ends = redis.call('ZRANGE', base .. index, 0, math.min(removed_count, CANDIDATES), 'WITHSCORES')
    local prospects, ends_of = {}, {}
    for i = 1, #ends, 2 do
      prospects[#prospects + 1], ends_of[ends[i]] = ends[i], ends[i + 1]
    end
    local first = ends_of[not_removed(prospects)[1]]
    if not first and #prospects > CANDIDATES and redis.call('ZCARD', base .. index) > #prospects then
      first = ends[#ends]
    end
    if first and (not soonest or tonumber(first) < tonumber(soonest)) then
      soonest = first
    end
  end
  return soonest
end

-- What a claim in line, or one that would wait, is to do with its place: nil if it has its answer.
local function waits_on(rows)
  if wish == 'wait' and #rows == 0 then
    return { 'waiting', now, join(base, ticket, count, taker.rep, ARGV[10]) }
  end
  if awaited and #rows > 0 then
    answer_others(base, ticket, ARGV[10])
  end
  if wish ~= '' then
    leave(base, ticket, ARGV[10])
  end
end

-- Which of the candidates are for nobody who has waited longer. Returns them, and whether that is for nobody to say beyond them.
local function unspoken(candidates)
  if wish == 'leave' or not awaited then
    return wish == 'leave' and {} or candidates, wish == 'leave'
  end
  local spoken, all = spoken_for(base, turn)
  local kept = {}
  for _, prospect in ipairs(all and {} or candidates) do
    if not spoken[prospect] then
      kept[#kept + 1] = prospect
    end
  end
  return kept, all
end

-- `available`: how many there are for the rep, where that is known.
local function answer(kind, rows, ids, available)
  local waiting = kind == 'claimed' and waits_on(rows)
  if waiting then
    return waiting
  end
  keep_token(token, ARGV[11], ARGV[12], ids or {})
  available = available or redis.call('ZCARD', base .. ':available') - removed_in(':available')
  return { kind, now, rows, available, available <= 0 and next_end() or false, 1 }
end

local function claim_next()
  local met = meet(base, taker.rep, after, awaited and CANDIDATES or count)
  if not met then
    return { 'on', now, after }
  end
  local unclaimed, all = unspoken(met.kept)
  local free, by_list = free_of(unclaimed)
  local members = members_of(free)
  redis.call('ZCARD', base .. ':order')
  local rows, ids = grant(taker, free, by_list)
  local left, skipped = look_back(met)
  if #rows == 0 and not all and (#free > 0 or not met.ended) then
    local tried = #free > 0 and redis.call('ZSCORE', base .. ':order', free[#free])
    return { 'on', now, tried or met.last and integer(met.last) or after }
  end
  local available = met.ended and left or nil
  if skipped and not available then
    local beyond = '(' .. integer(skipped)
    available = #met.skip.early + redis.call('ZCOUNT', base .. ':available', beyond, '+inf') - removed_in(':available', skipped)
  end
  return answer('claimed', with_members(rows, free, members), ids, available)
end

local function ahead(start)
  if not start then
    return 0
  end
  local from = string.sub(start, 1, 1) == '(' and tonumber(string.sub(start, 2)) or (start == '-inf' and -math.huge or tonumber(start) - 1)
  return redis.call('ZCOUNT', base .. ':order', start, '+inf') - redis.call('ZCOUNT', base .. ':undialable', start, '+inf')
    - removed_in(':order', from) + removed_in(':undialable', from)
end

local function walk()
  redis.call('ZCARD', prefix .. 'unreserved-ends')
  local start = '(' .. after
  if after == '' then
    start = own_place(base, taker.rep)
  end
  local candidates = start and redis.call('ZRANGE', base .. ':order', start, '+inf', 'BYSCORE', 'LIMIT', 0, CANDIDATES) or {}
  local dialable = {}
  local undialable = #candidates > 0 and redis.call('ZMSCORE', base .. ':undialable', unpack(candidates)) or {}
  for i, prospect in ipairs(candidates) do
    if not undialable[i] then
      dialable[#dialable + 1] = prospect
    end
  end
  local chosen, met = {}, not_removed(dialable)
  local none = wish == 'leave' or (awaited and rep_waits(base, turn, taker.rep))
  for _, prospect in ipairs(met) do
    if #chosen < count and not none then
      chosen[#chosen + 1] = prospect
    end
  end
  if #chosen == 0 and #candidates == CANDIDATES and not none then
    return { 'on', now, redis.call('ZSCORE', base .. ':order', candidates[CANDIDATES]) }
  end
  local waiting = waits_on(chosen)
  if waiting then
    return waiting
  end
  local members = members_of(chosen)
  local rows, ids = hand_over(taker, chosen)
  if #chosen > 0 then
    local last = chosen[#chosen]
    redis.call('HSET', base .. ':places', taker.rep, now .. ' ' .. redis.call('ZRANK', base .. ':order', last) .. ' ' .. last)
    start = '(' .. redis.call('ZSCORE', base .. ':order', last)
  end
  keep_token(token, ARGV[11], ARGV[12], ids)
  return { 'claimed', now, with_members(rows, chosen, members), #candidates < CANDIDATES and #met - #chosen or ahead(start), false, 0 }
end

taker.integration = redis.call('HGET', base, 'integration')
local terms = taker.integration and terms_of(taker.integration)
local before = repeated(token, ARGV[11])
if before == 'reused' then
  return { 'reused', now }
end
if before then
  if terms and not terms.enabled then
    return { 'repeated', now, before, ahead(own_place(base, taker.rep)), false, 0 }
  end
  if terms and #before > 0 and settle_list(list, taker.integration) then
    return { 'more', now }
  end
  return answer('repeated', before)
end
if not taker.integration then
  return { 'list-not-found', now }
end
if not terms then
  return { 'integration-not-found', now }
end
probe()
if not terms.enabled then
  taker.switched_on = terms.switched_on
  return walk()
end
taker.length, taker.read = terms.length, list
if settle_list(list, taker.integration) then
  return { 'more', now }
end
return claim_next()
