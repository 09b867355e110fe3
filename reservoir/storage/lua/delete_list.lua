#!lua
--[[ Deletes a list: its members, removals and places go, a running sync has no list any more, its id is free at once. Reservations stay.
The order of its members is kept aside, for `sweep_list` to untie each of them from the list.
KEYS   the org's prefix
ARGV   4 list, 5 who asked (JSON)
Reply  {'deleted', now, aside}   aside: what to sweep | {'list-not-found', now} | {'stale', now} | {'clock', now}
Again  'list-not-found'.
Bound  one key per rep who removed someone; the store frees the memory in the background.
]]
local refusal = guard()
if refusal then
  return refusal
end
local list = ARGV[4]
local base = prefix .. 'list:' .. list
local integration = redis.call('HGET', base, 'integration')
if not integration then
  return { 'list-not-found', now }
end
redis.call('XLEN', prefix .. 'history')
local aside = list .. ':' .. integer(now) .. ':' .. redis.call('INCR', prefix .. 'swept')
if redis.call('EXISTS', base .. ':order') == 1 then
  redis.call('HSET', prefix .. 'sweep', aside, integration)
  redis.call('RENAME', base .. ':order', prefix .. 'sweep:' .. aside)
end
for _, rep in ipairs(redis.call('SMEMBERS', base .. ':removers')) do
  redis.call('UNLINK', base .. ':removed:' .. encoded(rep))
end
redis.call('UNLINK', base, base .. ':members', base .. ':available', base .. ':held', base .. ':reserved', base .. ':undialable',
  base .. ':do-not-call', base .. ':places', base .. ':removers', base .. ':sync')
redis.call('ZREM', prefix .. 'lists', list)
remember('list.deleted', now, { 'integration', integration, 'list', list, 'detail', ARGV[5] })
return { 'deleted', now, aside }
