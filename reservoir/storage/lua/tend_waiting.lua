#!lua
--[[ Settles what is due in lists for which a process's claims wait, and says which of them could be served now. In passing, the process may say that it lives.
KEYS   the org's prefix
ARGV   4 process, 5 whether it says so ('1' or '0'), 6 and on lists; terms
Reply  {'tended', now, told} | {'stale', now} | {'clock', now}
       told: for each list {kind, served, unsure, next (ms or false), stirred}. served, unsure: tickets of the process that are to claim again now, and those
       of which nobody can say whether it helps; next: when the soonest hold or reservation in it ends, past if more is due.
       kind: 'on' or 'off' as multi-rep dialing is; 'lost': nobody stands in line, or there is no such list, or a key of it is of the wrong type, so whoever
       waits is to claim again
Again  the same.
Bound  settles one list, 256 prospects or 512 moves; looks at 128 waiters and 256 candidates a list; the caller gives at most 16 lists.
]]
local refusal = guard()
if refusal then
  return refusal
end
local process, settled, looked = ARGV[4], false, 0
redis.call('XLEN', prefix .. 'history')
redis.call('HLEN', prefix .. 'claim-of')
redis.call('ZCARD', prefix .. 'ends')
redis.call('ZCARD', prefix .. 'waiting-processes')

local function own(tickets)
  local found = {}
  for _, ticket in ipairs(tickets) do
    if process_of(ticket) == process then
      found[#found + 1] = ticket
    end
  end
  return found
end

local function soonest(base)
  local first = false
  for _, index in ipairs({ ':held', ':reserved' }) do
    local at = redis.call('ZRANGE', base .. index, 0, 0, 'WITHSCORES')[2]
    if at and (not first or tonumber(at) < tonumber(first)) then
      first = at
    end
  end
  return first
end

local function is_whole(base)
  for command, keys in pairs({ ZCARD = { 'waiting', 'order', 'available', 'held', 'reserved' }, HLEN = { 'waiters', 'members' } }) do
    for _, key in ipairs(keys) do
      if type(redis.pcall(command, base .. ':' .. key)) ~= 'number' then
        return false
      end
    end
  end
  return true
end

local function told_of(list)
  local base = prefix .. 'list:' .. list
  local integration = redis.call('HGET', base, 'integration')
  local terms = integration and is_whole(base) and terms_of(integration)
  local waiting = terms and redis.call('ZCARD', base .. ':waiting') or 0
  if waiting == 0 then
    return { 'lost', {}, {}, false, 0 }
  end
  local answered = own(redis.call('ZRANGE', base .. ':waiting', '-inf', '(0', 'BYSCORE', 'LIMIT', 0, WAITERS))
  local stirred = tonumber(redis.call('HGET', base .. ':waiters', 'stirred') or 0)
  if not terms.enabled then
    return { 'off', answered, {}, false, stirred }
  end
  local next_at = soonest(base)
  if (next_at and tonumber(next_at) < now and settled) or looked >= WAITERS then
    return { 'on', answered, {}, integer(now), stirred }
  end
  if settle_list(list, integration) then
    settled = true
    return { 'on', answered, {}, integer(now), stirred }
  end
  settled = settled or (next_at and tonumber(next_at) < now)
  local served, unsure = {}, {}
  if redis.call('ZCARD', base .. ':available') > 0 then
    looked = looked + math.min(waiting, WAITERS)
    served, unsure = select(3, spoken_for(base, '+inf'))
  end
  for _, ticket in ipairs(own(served)) do
    answered[#answered + 1] = ticket
  end
  return { 'on', answered, own(unsure), soonest(base), stirred }
end

heard_of[process] = ARGV[5] == '1' or nil
local told = {}
for i = 6, #ARGV do
  told[#told + 1] = told_of(ARGV[i])
end
if ARGV[5] == '1' then
  hear(process)
end
return { 'tended', now, told }
