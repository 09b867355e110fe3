-- What claims that wait need: who waits for a list, in which order, and what of the list is theirs before it is anybody else's.
--
-- list:<list>:waiting    ticket -> when its waiting began at the store (µs), no two at once; negative: its answer is there, for another request with its key was served
-- list:<list>:waiters    ticket -> "count rep"; "key <key>" -> the tickets that wait with it; "stirred" -> how often the list was stirred since somebody waits
-- waiting-processes      process -> when it was last heard of (ms)
--
-- A ticket is process:number. One whose process has been silent for too long has lost its turn, and so has one older than any wait lasts.

local OFFERED = 256
local WAITERS = 128
local WAITERS_CHUNK = 32
local OFFERED_CHUNK = 8
local LOST_MOST = 1024
local MARKS_LOOKED = 4096
local SAME_KEY = 64
local SILENT_MOST = 2000
local WAIT_MOST = 31000
local WAITERS_KEPT = 60000

local heard_of = {}

local function process_of(ticket)
  return string.match(ticket, '^[^:]*')
end

local function lives(ticket)
  local process = process_of(ticket)
  if heard_of[process] == nil then
    local heard = tonumber(redis.call('ZSCORE', prefix .. 'waiting-processes', process) or nil)
    heard_of[process] = heard and heard + SILENT_MOST >= now or false
  end
  return heard_of[process]
end

-- The process lives, and waits.
local function hear(process)
  redis.call('ZADD', prefix .. 'waiting-processes', now, process)
  redis.call('ZREMRANGEBYSCORE', prefix .. 'waiting-processes', '-inf', '(' .. integer(now - WAITERS_KEPT))
  redis.call('PEXPIREAT', prefix .. 'waiting-processes', integer(now + WAITERS_KEPT))
end

-- The list has changed in a way that may bring somebody whom waiters have not met.
local function stir(base)
  if redis.call('EXISTS', base .. ':waiting') == 1 then
    redis.pcall('HINCRBY', base .. ':waiters', 'stirred', 1)
    redis.call('PEXPIREAT', base .. ':waiters', integer(now + WAITERS_KEPT))
  end
end

-- Takes a ticket out of the line. **Again**: nothing.
local function leave(base, ticket, key)
  redis.call('ZREM', base .. ':waiting', ticket)
  redis.call('HDEL', base .. ':waiters', ticket)
  local others = {}
  for _, other in ipairs(words(redis.call('HGET', base .. ':waiters', 'key ' .. key))) do
    if other ~= ticket then
      others[#others + 1] = other
    end
  end
  if #others > 0 then
    redis.call('HSET', base .. ':waiters', 'key ' .. key, table.concat(others, ' '))
  else
    redis.call('HDEL', base .. ':waiters', 'key ' .. key)
  end
end

-- Puts a ticket into the line, behind all who wait; one that stands in it keeps its place. Returns how often the list was stirred.
local function join(base, ticket, wanted, rep, key)
  local waiting, waiters = base .. ':waiting', base .. ':waiters'
  local since = tonumber(redis.call('ZSCORE', waiting, ticket) or nil)
  if not since then
    local last = tonumber(redis.call('ZREVRANGE', waiting, 0, 0, 'WITHSCORES')[2] or 0)
    since = math.max(clock[1] * 1000000 + clock[2], last + 1)
    redis.call('HSET', waiters, ticket, wanted .. ' ' .. rep)
    local with = redis.call('HGET', waiters, 'key ' .. key)
    redis.call('HSET', waiters, 'key ' .. key, with and with .. ' ' .. ticket or ticket)
  end
  redis.call('ZADD', waiting, integer(math.abs(since)), ticket)
  redis.call('PEXPIREAT', waiting, integer(now + WAITERS_KEPT))
  redis.call('PEXPIREAT', waiters, integer(now + WAITERS_KEPT))
  hear(process_of(ticket))
  return tonumber(redis.call('HGET', waiters, 'stirred') or 0)
end

-- Tells the others who wait with the key that its answer is there.
local function answer_others(base, ticket, key)
  local others = words(redis.call('HGET', base .. ':waiters', 'key ' .. key))
  for i = 1, math.min(#others, SAME_KEY) do
    local since = others[i] ~= ticket and tonumber(redis.call('ZSCORE', base .. ':waiting', others[i]) or nil)
    if since and since > 0 then
      redis.call('ZADD', base .. ':waiting', integer(-since), others[i])
    end
  end
end

-- Visits those who stand before an instant ('+inf': all), the longest waiter first, until the visit says true: with the ticket, how many it wants, and its
-- rep. Those that have lost their turn are taken out. True if nobody is left who was not visited, or the visit said so.
local function each_waiter(base, before, visit)
  local after, seen, lost, done = '(0', 0, {}, false
  repeat
    local told = redis.call('ZRANGE', base .. ':waiting', after, before, 'BYSCORE', 'LIMIT', 0, WAITERS_CHUNK, 'WITHSCORES')
    local tickets = {}
    for i = 1, #told, 2 do
      tickets[#tickets + 1] = told[i]
    end
    local wants = #tickets > 0 and redis.call('HMGET', base .. ':waiters', unpack(tickets)) or {}
    for i, ticket in ipairs(tickets) do
      local count, rep = string.match(wants[i] or '', '^(%d+) (.*)$')
      if count and lives(ticket) and tonumber(told[2 * i]) + WAIT_MOST * 1000 >= now * 1000 then
        seen, done = seen + 1, visit(ticket, tonumber(count), rep)
        if done then
          break
        end
      else
        lost[#lost + 1] = ticket
      end
    end
    after = '(' .. (told[#told] or '0')
    done = done or #tickets < WAITERS_CHUNK
  until done or seen >= WAITERS or #lost >= LOST_MOST
  if #lost > 0 then
    redis.call('ZREM', base .. ':waiting', unpack(lost))
    redis.call('HDEL', base .. ':waiters', unpack(lost))
  end
  return done
end

-- Which of the candidates a rep has removed, by its removals' key; {} if none, and false if there is too much to look at.
local function marked(removed, candidates, offer)
  local many = redis.pcall('HLEN', removed)
  if many == 0 then
    return {}
  end
  offer.looks = offer.looks - #candidates
  return type(many) == 'number' and offer.looks >= 0 and redis.call('HMGET', removed, unpack(candidates))
end

-- Picks for one waiter what its rep has not removed, out of `offer`: `all` from `from` on, but for what is spoken for.
-- Returns how many it gets, and whether that is sure.
local function picked(base, count, rep, offer, spoken)
  local removed, all, got, sure, at = base .. ':removed:' .. encoded(rep), offer.all, 0, true, offer.from
  while got < count and at <= #all do
    local chunk = {}
    while at <= #all and #chunk < OFFERED_CHUNK do
      if not spoken[all[at]] then
        chunk[#chunk + 1] = all[at]
      end
      at = at + 1
    end
    local marks = #chunk > 0 and marked(removed, chunk, offer)
    sure = sure and (marks or #chunk == 0) and true
    for i, prospect in ipairs(chunk) do
      if got < count and not (marks and marks[i]) then
        spoken[prospect] = true
        got, offer.left = got + 1, offer.left - 1
      end
    end
  end
  while offer.from <= #all and spoken[all[offer.from]] do
    offer.from = offer.from + 1
  end
  return got, sure
end

-- What of the head of a list is for the waiters before an instant, in their order: a set of prospects, and whether all of the list is theirs, as far as one
-- call can see. Then the tickets that could be served by it, and those of which that cannot be said: their reps have removed all that was looked at, or
-- there is too much to look at.
local function spoken_for(base, before)
  local all = redis.call('ZRANGE', base .. ':available', 0, OFFERED - 1)
  local offer, whole = { all = all, from = 1, left = #all, looks = MARKS_LOOKED }, #all < OFFERED
  local spoken, served, unsure, anybody = {}, {}, {}, false
  local seen = each_waiter(base, before, function(ticket, count, rep)
    anybody = true
    local got, sure = picked(base, count, rep, offer, spoken)
    if got > 0 and sure then
      served[#served + 1] = ticket
    elseif not (whole and sure) then
      unsure[#unsure + 1] = ticket
    end
    return offer.left == 0
  end)
  return spoken, not seen or (anybody and not whole and offer.left == 0), served, unsure
end

-- Whether somebody waits with the same rep before an instant: while multi-rep dialing is off, a rep's sessions share one walk.
local function rep_waits(base, before, rep)
  local found = false
  each_waiter(base, before, function(_, _, other)
    found = other == rep
    return found
  end)
  return found
end
