#!lua
--[[ Erases a person: out of every list, the search and the claims' notes. A live hold or reservation stays until it ends (R6), and so do removals, which are ids.
KEYS   the org's prefix
ARGV   4 integration, 5 prospect, 6 who asked
Reply  {'erasing', now}   there are more notes: call again | {'erased', now, how many lists}   what a search found is put aside, for `tidy_search`
       {'not-found', now}   in no list, taken by nobody, and no note is left | {'stale', now} | {'clock', now}
Again  the same as the first time, for 15 minutes, if it is the same call sent again; another call erases what there is by now.
Bound  100 notes; 64 lists, and in each one rank per rep with a place of their own.
]]
local NOTES = 100
local refusal = guard()
if refusal then
  return refusal
end
local integration, prospect = ARGV[4], ARGV[5]
local again = prefix .. 'erased:' .. nonce
local before = redis.call('GET', again)
if before then
  redis.call('SET', again, before, 'KEEPTTL')
  return { 'erased', now, tonumber(before) }
end

local noted = prefix .. 'notes:' .. integration .. ':' .. encoded(prospect)
local claims = redis.call('SRANDMEMBER', noted, NOTES)
local known, lists = listed(integration, { prospect })[1], {}
for _, mark in ipairs(words(redis.call('HGET', prefix .. 'lists-of:' .. integration, prospect))) do
  local base = prefix .. 'list:' .. string.gsub(mark, '^!', '')
  local of = redis.call('HGET', base, 'integration') == integration
  local rank = of and redis.call('ZRANK', base .. ':order', prospect)
  if rank then
    lists[#lists + 1] = { base = base, rank = rank, places = flat(redis.call('HGETALL', base .. ':places')) }
    for _, index in ipairs({ ':available', ':held', ':reserved', ':undialable' }) do
      redis.call('ZCARD', base .. index)
    end
    redis.call('HLEN', base .. ':members')
    redis.call('SCARD', base .. ':do-not-call')
  end
end
if #lists == 0 and #claims == 0 and not taken(integration .. ':' .. prospect) then
  return { 'not-found', now }
end
redis.call('XLEN', prefix .. 'history')
redis.call('SCARD', prefix .. 'search-due')

for _, id in ipairs(claims) do
  local disposition = redis.pcall('HGET', prefix .. 'claim:' .. id, 'disposition')
  if type(disposition) == 'string' then
    local told = cjson.decode(disposition)
    told.note = cjson.null
    redis.call('HSET', prefix .. 'claim:' .. id, 'disposition', cjson.encode(told))
  end
  redis.call('SREM', noted, id)
end
if #claims == NOTES then
  return { 'erasing', now }
end

-- A rep whose place it was goes on at its rank, and one whose prospect left before, behind it, a rank nearer.
local function mend_places(list)
  for rep, place in pairs(list.places) do
    local seen, rank, last = string.match(place, '^(%d+) (%d+) (.*)$')
    if last == prospect then
      redis.call('HSET', list.base .. ':places', rep, seen .. ' ' .. list.rank .. ' ' .. last)
    elseif tonumber(rank) > list.rank and not redis.call('ZSCORE', list.base .. ':order', last) then
      redis.call('HSET', list.base .. ':places', rep, seen .. ' ' .. (rank - 1) .. ' ' .. last)
    end
  end
end

for _, list in ipairs(lists) do
  mend_places(list)
  for _, index in ipairs({ ':order', ':available', ':held', ':reserved', ':undialable' }) do
    redis.call('ZREM', list.base .. index, prospect)
  end
  redis.call('HDEL', list.base .. ':members', prospect)
  redis.call('SREM', list.base .. ':do-not-call', prospect)
end
put_aside(integration, known.data)
redis.call('HDEL', prefix .. 'lists-of:' .. integration, prospect)
remember('prospect.erased', now, { 'integration', integration, 'prospect', prospect, 'detail', cjson.encode({ by = ARGV[6], lists = #lists }) })
redis.call('SET', again, #lists, 'PXAT', integer(now + 900000))
return { 'erased', now, #lists }
