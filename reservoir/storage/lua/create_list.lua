#!lua
--[[ Creates a list.
KEYS   the org's prefix
ARGV   4 id, 5 whether another may be found if it is taken ('1': id-2, id-3, …; '0'), 6 name, 7 integration, 8 source (JSON), 9 sync (JSON),
       10 who asked (JSON, for the history)
Reply  {'created', now, id} | {'list-exists', now} | {'stale', now} | {'clock', now}
       {'sweeping', now, aside}   a list had the id whose removals are still there, or one of another integration, whose members are still tied to it: sweep
       that, and call again
Again  the same list, if it is the same call sent again; another call: 'list-exists', or another list under another id.
Bound  1,000 ids tried.
]]
local refusal = guard()
if refusal then
  return refusal
end
check_run_keys()
redis.call('ZCARD', prefix .. 'lists')
local wanted, id = ARGV[4], ARGV[4]
local number = 1
while redis.call('EXISTS', prefix .. 'list:' .. id) == 1 do
  if redis.call('HGET', prefix .. 'list:' .. id, 'made') == nonce then
    redis.call('HSET', prefix .. 'list:' .. id, 'made', nonce)
    return { 'created', now, id }
  end
  number = number + 1
  if ARGV[5] ~= '1' or number > 1000 then
    return { 'list-exists', now }
  end
  local ending = '-' .. number
  id = string.gsub(string.sub(wanted, 1, 64 - #ending), '%-+$', '') .. ending
end
for aside, of in pairs(flat(redis.call('HGETALL', prefix .. 'sweep'))) do
  local unswept = words(of)[1] ~= ARGV[7] or redis.call('EXISTS', prefix .. 'sweep:' .. aside .. ':removers') == 1
  if string.match(aside, '^[^:]+') == id and unswept then
    return { 'sweeping', now, aside }
  end
end
redis.call('HSET', prefix .. 'list:' .. id, 'name', ARGV[6], 'integration', ARGV[7], 'source', ARGV[8], 'sync', ARGV[9],
  'created_at', integer(now), 'floor', '0', 'made', nonce)
redis.call('ZADD', prefix .. 'lists', 0, id)
plan(id)
remember('list.created', now, { 'integration', ARGV[7], 'list', id, 'detail', ARGV[10] })
return { 'created', now, id }
