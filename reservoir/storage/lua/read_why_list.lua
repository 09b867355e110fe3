#!lua flags=no-writes
--[[ Tells how much of a list may not be dialed, by what.
KEYS   the org's prefix
ARGV   1 generation, 2 list, 3 rep ('' for none), 4 where to go on among whom the rep removed ('0' at first)
Reply  {'why', now, integration, members, available, held, reserved, undialable, flagged, behind, free ahead, next held, next reserved, removed, cursor}
       undialable: with those flagged as not to be called; behind: members at or before the rep's own place; free ahead: those that can be dialed after it;
       next: when the soonest ends (ms or false); removed: of some whom the rep removed and who are members {prospect, available (1 or 0), ahead (1 or 0)};
       cursor: '0' if these were the last. What is past counts as available.
       {'list-not-found', now} | {'stale', now}
Again  reads anew.
Bound  500 removals, or as many as the store packs together.
]]
if stale() then
  return { 'stale', now }
end
local base, rep = prefix .. 'list:' .. ARGV[2], ARGV[3]
local integration = redis.call('HGET', base, 'integration')
if not integration then
  return { 'list-not-found', now }
end

local function past(index)
  return redis.call('ZCOUNT', base .. index, '-inf', '(' .. integer(now))
end

local function soonest(index)
  return redis.call('ZRANGE', base .. index, integer(now), '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2] or false
end

local lapsed, expired = past(':held'), past(':reserved')
local members, start = redis.call('ZCARD', base .. ':order'), '-inf'
if rep ~= '' then
  start = own_place(base, rep) or '+inf'
end
local ahead = redis.call('ZCOUNT', base .. ':order', start, '+inf')

local removed, cursor = {}, '0'
if rep ~= '' then
  local told = redis.call('HSCAN', base .. ':removed:' .. encoded(rep), ARGV[4], 'COUNT', 500)
  local names = {}
  cursor = told[1]
  for i = 1, #told[2], 2 do
    names[#names + 1] = told[2][i]
  end
  local function of_each(index)
    return #names > 0 and redis.call('ZMSCORE', base .. index, unpack(names)) or {}
  end
  local places, undialable, held, reserved = of_each(':order'), of_each(':undialable'), of_each(':held'), of_each(':reserved')
  local from = start == '-inf' and -math.huge or tonumber((string.gsub(start, '^%(', '')))
  local function taken_in(score)
    return score and tonumber(score) >= now
  end
  for i, name in ipairs(names) do
    local place = tonumber(places[i] or nil)
    if place then
      local dialable = not undialable[i]
      local beyond = place > from or (place == from and string.sub(start, 1, 1) ~= '(')
      removed[#removed + 1] = { name, dialable and not taken_in(held[i]) and not taken_in(reserved[i]) and 1 or 0, dialable and beyond and 1 or 0 }
    end
  end
end
return { 'why', now, integration, members, redis.call('ZCARD', base .. ':available') + lapsed + expired, redis.call('ZCARD', base .. ':held') - lapsed,
  redis.call('ZCARD', base .. ':reserved') - expired, redis.call('ZCARD', base .. ':undialable'), redis.call('SCARD', base .. ':do-not-call'),
  members - ahead, ahead - redis.call('ZCOUNT', base .. ':undialable', start, '+inf'), soonest(':held'), soonest(':reserved'), removed, cursor }
