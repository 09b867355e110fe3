#!lua
--[[ Changes what an admin says of a list, if it still is what the caller read. A sync that is reading another source than the list has from now on fails.
KEYS   the org's prefix
ARGV   4 list, 5 name, 6 source and 7 sync as the caller read them, 8 name, 9 source and 10 sync as they are to be, 11 who asked (JSON)
Reply  {'changed', now} | {'list-not-found', now} | {'raced', now} | {'stale', now} | {'clock', now}
Again  'raced': it is not what was read any more.
Bound  constant.
]]
local refusal = guard()
if refusal then
  return refusal
end
local key = prefix .. 'list:' .. ARGV[4]
local there = redis.call('HMGET', key, 'name', 'source', 'sync', 'integration')
if not there[1] then
  return { 'list-not-found', now }
elseif there[1] ~= ARGV[5] or there[2] ~= ARGV[6] or there[3] ~= ARGV[7] then
  return { 'raced', now }
end
local run = flat(redis.call('HGETALL', key .. ':sync'))
check_run_keys()
redis.call('HSET', key, 'name', ARGV[8], 'source', ARGV[9], 'sync', ARGV[10])
remember('list.changed', now, { 'integration', there[4], 'list', ARGV[4], 'detail', ARGV[11] })
if ARGV[9] ~= ARGV[6] and run.token and (run.state == 'running' or run.state == 'waiting') then
  fail_run(ARGV[4], there[4], run, '{"type":"source-changed","detail":"The list has another source since this sync began. Sync it again; everybody is in the list until then."}')
else
  plan(ARGV[4])
end
return { 'changed', now }
