#!lua
--[[ Ends a run that could not read its source to the end. Everybody stays in, and what it brought stands (R12).
KEYS   the org's prefix
ARGV   4 list, 5 id of the run, 6 the error (JSON)
Reply  {'failed', now} | {'sync-lost', now} | {'list-not-found', now} | {'stale', now} | {'clock', now}
Again  'failed', whatever the error; nothing more is written.
Bound  constant.
]]
local refusal = guard()
if refusal then
  return refusal
end
local list, id = ARGV[4], ARGV[5]
local base = prefix .. 'list:' .. list
local key = base .. ':sync'
local integration = redis.call('HGET', base, 'integration')
if not integration then
  return { 'list-not-found', now }
end
local run = redis.call('HMGET', key, 'id', 'state')
if run[1] == id and run[2] == 'failed' then
  redis.call('HSET', key, 'state', 'failed')
  return { 'failed', now }
end
if run[1] ~= id or run[2] ~= 'running' then
  return { 'sync-lost', now }
end
redis.call('XLEN', prefix .. 'history')
redis.call('HSET', key, 'state', 'failed', 'finished_at', integer(now), 'error', ARGV[6])
remember('sync.finished', now, { 'integration', integration, 'list', list, 'detail', cjson.encode({ sync = id, state = 'failed',
  error = cjson.decode(ARGV[6]).type }) })
return { 'failed', now }
