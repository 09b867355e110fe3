-- How a rep who removed thousands gets past them, though they are at the head of the list (R10): what was found out on the way is remembered.
--
-- list:<list>:skips   rep -> how far `came` was read, a place, and the early ones, a line each: of those who were available by then, all up to the place
--                     are removed by this rep but for the early ones. Who is taken or leaves does not make it untrue, and who becomes available is in `came`.
-- list:<list>:came    who became available since somebody skips, numbered in the order of coming; the empty id has the number up to which that is forgotten,
--                     and a skip that had not read as far is void.

local SKIP_FROM = 64
local EARLY_MOST = 256
local LOOKED = 256
local SPARE = 32

-- Which of the candidates the rep has not removed.
local function unremoved(removed, prospects)
  local kept, marks = {}, #prospects > 0 and redis.call('HMGET', removed, unpack(prospects)) or {}
  for i, prospect in ipairs(prospects) do
    if not marks[i] then
      kept[#kept + 1] = prospect
    end
  end
  return kept
end

-- What is remembered of the rep's walk, or nil if that is nothing or void. A key of the wrong type fails here, before the first write.
local function skip_of(base, rep)
  local text = redis.call('HGET', base .. ':skips', rep)
  local forgotten = tonumber(redis.call('ZSCORE', base .. ':came', '') or nil)
  local skip = { early = {} }
  for line in string.gmatch(text or '', '[^\n]+') do
    if not skip.read then
      skip.read = tonumber(line)
    elseif not skip.place then
      skip.place = tonumber(line)
    else
      table.insert(skip.early, line)
    end
  end
  if skip.place and forgotten and forgotten <= skip.read then
    skip.was = text
    return skip
  end
end

-- Remembers a skip for a day from when it last changed; from the first one on, the list notes who becomes available.
local function remember_skip(base, rep, skip)
  local text = integer(skip.read) .. '\n' .. integer(skip.place) .. '\n' .. table.concat(skip.early, '\n')
  if text == skip.was then
    return
  end
  redis.call('HSET', base .. ':skips', rep, text)
  redis.call('ZADD', base .. ':came', 'NX', integer(skip.read), '')
  redis.call('PEXPIREAT', base .. ':skips', integer(now + DAY))
  redis.call('PEXPIREAT', base .. ':came', integer(now + DAY))
end

-- Reads who came since: those before the place whom the rep may have are early. Where that are too many to remember, the walk begins anew with the first of
-- them. True if there is more to read.
local function catch_up(base, removed, skip)
  local came = redis.call('ZRANGE', base .. ':came', '(' .. integer(skip.read), '+inf', 'BYSCORE', 'LIMIT', 0, LOOKED, 'WITHSCORES')
  local known = {}
  for _, prospect in ipairs(skip.early) do
    known[prospect] = true
  end
  for i = 1, #came, 2 do
    skip.read = tonumber(came[i + 1])
    if not known[came[i]] then
      table.insert(skip.early, came[i])
    end
  end
  local places, early = {}, {}
  for i, place in ipairs(#skip.early > 0 and redis.call('ZMSCORE', base .. ':available', unpack(skip.early)) or {}) do
    if place and tonumber(place) <= skip.place then
      places[skip.early[i]] = tonumber(place)
      table.insert(early, skip.early[i])
    end
  end
  skip.early = unremoved(removed, early)
  table.sort(skip.early, function(one, other)
    return places[one] < places[other]
  end)
  if #skip.early > EARLY_MOST then
    skip.place, skip.early = places[skip.early[1]] - 1, {}
  end
  return #came == 2 * LOOKED
end

-- The head of what the rep may have of a list, at least `wanted` where one call finds so many: the early ones, then who is behind the skip's place and behind
-- `after`. Returns nil if there is more to read of who came.
local function meet(base, rep, after, wanted)
  local removed = base .. ':removed:' .. encoded(rep)
  local met = { base = base, rep = rep, kept = {}, looked = {}, whole = true, ended = false }
  local many = redis.call('HLEN', removed)
  local start = -math.huge
  if many > 0 then
    met.skip = skip_of(base, rep)
    if met.skip then
      if catch_up(base, removed, met.skip) then
        remember_skip(base, rep, met.skip)
        return nil
      end
      start = met.skip.place
      for _, prospect in ipairs(met.skip.early) do
        table.insert(met.kept, prospect)
      end
    end
  end
  met.skips, met.early = many >= SKIP_FROM or met.skip ~= nil, #met.kept
  if after ~= '' and tonumber(after) > start then
    start, met.whole = tonumber(after), false
  end
  local size = math.min(LOOKED, wanted + math.min(many, SPARE))
  repeat
    local from = start == -math.huge and '-inf' or '(' .. integer(start)
    local found = redis.call('ZRANGE', base .. ':available', from, '+inf', 'BYSCORE', 'LIMIT', 0, size, 'WITHSCORES')
    local names = {}
    for i = 1, #found, 2 do
      names[#names + 1] = found[i]
      table.insert(met.looked, tonumber(found[i + 1]))
    end
    for _, prospect in ipairs(many > 0 and unremoved(removed, names) or names) do
      table.insert(met.kept, prospect)
    end
    met.ended = #names < size
    start, size = met.looked[#met.looked] or start, LOOKED - #met.looked
  until met.ended or #met.kept >= wanted or size <= 0
  met.last = met.looked[#met.looked]
  return met
end

-- After the grant: remembers how far all is removed, if that spares the next walk something. Returns how many of those met are available still, or nil if the
-- rep removed nobody, and the place up to which nobody else is.
local function look_back(met)
  if not met.skips then
    return nil
  end
  local standing = #met.kept > 0 and redis.call('ZMSCORE', met.base .. ':available', unpack(met.kept)) or {}
  local left, first, early = 0, nil, {}
  for i, prospect in ipairs(met.kept) do
    if standing[i] then
      left = left + 1
      if i <= met.early then
        table.insert(early, prospect)
      else
        first = first or tonumber(standing[i])
      end
    end
  end
  local place = first and first - 1 or met.last
  local skip = met.skip
  if place and met.whole then
    if not skip then
      local passed = 0
      while met.looked[passed + 1] and met.looked[passed + 1] <= place do
        passed = passed + 1
      end
      if passed >= SKIP_FROM then
        skip = { read = tonumber(redis.call('ZRANGE', met.base .. ':came', -1, -1, 'WITHSCORES')[2] or now) }
      end
    end
    if skip then
      skip.place, skip.early = place, early
    end
  elseif skip then
    skip.early = early
  end
  if skip then
    met.skip = skip
    remember_skip(met.base, met.rep, skip)
  end
  return left, skip and skip.place
end
