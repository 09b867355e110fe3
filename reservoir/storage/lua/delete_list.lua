#!lua
--[[ Deletes a list: its members, removals and places go, a sync that is under way ends with it, its id is free at once. Reservations stay.
The order of its members, their data and the reps who removed somebody are kept aside, for `sweep_list` to untie each member, and to let the removals go.
KEYS   the org's prefix
ARGV   4 list, 5 who asked (JSON)
Reply  {'deleted', now, aside}   aside: what to sweep | {'list-not-found', now} | {'stale', now} | {'clock', now}
Again  the same, as long as it is not swept, if it is the same call sent again; another call: 'list-not-found'.
Bound  constant; the store frees the memory in the background.
]]
local refusal = guard()
if refusal then
  return refusal
end
local list = ARGV[4]
local base = prefix .. 'list:' .. list
local integration = redis.call('HGET', base, 'integration')
for aside, of in pairs(flat(redis.call('HGETALL', prefix .. 'sweep'))) do
  if of == words(of)[1] .. ' ' .. nonce then
    redis.call('HSET', prefix .. 'sweep', aside, of)
    return { 'deleted', now, aside }
  end
end
if not integration then
  return { 'list-not-found', now }
end
check_run_keys()
redis.call('ZCARD', prefix .. 'lists')
local run = redis.pcall('HMGET', base .. ':sync', 'id', 'state')
local aside = list .. ':' .. integer(now) .. ':' .. redis.call('INCR', prefix .. 'swept')
redis.call('HSET', prefix .. 'sweep', aside, integration .. ' ' .. nonce)
if redis.call('TYPE', base .. ':order').ok == 'zset' then
  redis.call('RENAME', base .. ':order', prefix .. 'sweep:' .. aside)
  if redis.call('TYPE', base .. ':members').ok == 'hash' then
    redis.call('RENAME', base .. ':members', prefix .. 'sweep-members:' .. aside)
  end
end
if redis.call('TYPE', base .. ':removers').ok == 'set' then
  redis.call('RENAME', base .. ':removers', prefix .. 'sweep:' .. aside .. ':removers')
end
redis.pcall('SREM', prefix .. 'broken', list)
redis.call('UNLINK', base, base .. ':order', base .. ':members', base .. ':available', base .. ':held', base .. ':reserved', base .. ':undialable',
  base .. ':do-not-call', base .. ':places', base .. ':removers', base .. ':removals', base .. ':skips', base .. ':came', base .. ':sync',
  base .. ':waiting', base .. ':waiters')
redis.call('ZREM', prefix .. 'lists', list)
redis.call('ZREM', prefix .. 'due', list)
redis.call('ZREM', prefix .. 'refilling', list)
if run[2] == 'running' or run[2] == 'waiting' then
  remember('sync.finished', now, { 'integration', integration, 'list', list, 'detail', cjson.encode({ sync = run[1], state = 'failed',
    error = 'list-deleted' }) })
end
remember('list.deleted', now, { 'integration', integration, 'list', list, 'detail', ARGV[5] })
return { 'deleted', now, aside }
