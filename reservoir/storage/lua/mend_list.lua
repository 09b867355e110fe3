#!lua
--[[ Builds the indexes of a list anew from its order and from who is taken, a chunk at a time: after one was found to be of the wrong type.
KEYS   the org's prefix
ARGV   4 list, 5 place to go on from ('' at first: indexes of the wrong type are dropped)
Reply  {'mending', now, place}   call again from there | {'mended', now} | {'beyond-mending', now}   the order itself is of the wrong type
       {'stale', now} | {'clock', now}
Again  builds the same.
Bound  250 members.
]]
local CHUNK = 250
local refusal = guard()
if refusal then
  return refusal
end
local list, after = ARGV[4], ARGV[5]
local base = prefix .. 'list:' .. list
local integration = redis.call('HGET', base, 'integration')
if not integration then
  redis.call('SREM', prefix .. 'broken', list)
  return { 'mended', now }
end
if redis.call('TYPE', base .. ':order').ok ~= 'zset' then
  return { 'beyond-mending', now }
end
if after == '' then
  for _, index in ipairs(INDEXES) do
    if redis.call('TYPE', base .. ':' .. index).ok ~= 'zset' then
      redis.call('DEL', base .. ':' .. index)
    end
  end
end
local found = redis.call('ZRANGE', base .. ':order', after == '' and '-inf' or '(' .. after, '+inf', 'BYSCORE', 'LIMIT', 0, CHUNK, 'WITHSCORES')
local prospects, members = {}, {}
for i = 1, #found, 2 do
  prospects[#prospects + 1], members[#members + 1] = found[i], integration .. ':' .. found[i]
end
if #prospects > 0 then
  local undialable = redis.call('ZMSCORE', base .. ':undialable', unpack(prospects))
  local ends = redis.call('ZMSCORE', prefix .. 'ends', unpack(members))
  local claims = redis.call('HMGET', prefix .. 'claim-of', unpack(members))
  local entries = { available = {}, held = {}, reserved = {} }
  for i, prospect in ipairs(prospects) do
    if not undialable[i] then
      local name, score = shelf(integration, prospect, found[2 * i], tonumber(ends[i] or nil), claims[i])
      table.insert(entries[name], score)
      table.insert(entries[name], prospect)
    end
  end
  for _, index in ipairs(INDEXES) do
    redis.call('ZREM', base .. ':' .. index, unpack(prospects))
    if #entries[index] > 0 then
      redis.call('ZADD', base .. ':' .. index, unpack(entries[index]))
    end
  end
  came(base, prospects)
end
if #prospects == CHUNK then
  return { 'mending', now, found[2 * CHUNK] }
end
redis.call('SREM', prefix .. 'broken', list)
return { 'mended', now }
