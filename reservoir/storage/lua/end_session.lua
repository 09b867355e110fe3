#!lua
--[[ Gives back what a session still holds, a chunk at a time: each prospect is available again, in its place, in all its lists. Reserved ones stay.
A hold that is past is left to be settled, and counts as none.
KEYS   the org's prefix
ARGV   4 session
Reply  {'ended', now, released, left}   left: how many more the session may hold; call again while there are any | {'stale', now} | {'clock', now}
Again  releases what is left; the same call sent again is told how many it released.
Bound  100 claims or 512 moves.
]]
local RELEASED_MOST = 100
local SENT_AGAIN_MS = 60000

local refusal = guard()
if refusal then
  return refusal
end
local session = prefix .. 'session:' .. encoded(ARGV[4])
local key = prefix .. 'session-end:' .. encoded(ARGV[4])
local said = words(redis.call('GET', key))
if said[1] == nonce then
  redis.call('SET', key, nonce .. ' ' .. said[2], 'KEEPTTL')
  return { 'ended', now, tonumber(said[2]), redis.call('ZCARD', session) }
end
redis.call('XLEN', prefix .. 'history')
redis.call('HLEN', prefix .. 'claim-of')
redis.call('ZCARD', prefix .. 'ends')

local ids = redis.call('ZRANGE', session, 0, RELEASED_MOST - 1)
local looked, standing, lists, moves = {}, {}, {}, 0
for _, id in ipairs(ids) do
  local record = claim_record(id)
  local member = record and record.integration .. ':' .. record.prospect
  local ends = member and tonumber(redis.call('ZSCORE', prefix .. 'ends', member) or nil)
  if ends and ends >= now and record.state == 'held' and redis.call('HGET', prefix .. 'claim-of', member) == id then
    local more, of = lists_of(record.integration, { record.prospect })
    moves = moves + more
    standing[#standing + 1] = { id = id, record = record, lists = of }
  end
  looked[#looked + 1] = id
  if moves >= SETTLE_MOVES then
    break
  end
end

local free = {}
for _, hold in ipairs(standing) do
  if give_back(hold.id, hold.record) then
    for list in pairs(hold.lists) do
      free[list] = free[list] or {}
      table.insert(free[list], hold.record.prospect)
    end
  end
end
if #looked > 0 then
  redis.call('ZREM', session, unpack(looked))
end
redis.call('SET', key, nonce .. ' ' .. #standing, 'PXAT', integer(now + SENT_AGAIN_MS))
move_everywhere(free, 'available')
return { 'ended', now, #standing, redis.call('ZCARD', session) }
