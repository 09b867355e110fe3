#!lua
--[[ Asks for a sync of a list that has a source. A run that waits is looked at anew at once.
KEYS   the org's prefix
ARGV   4 list, 5 id for the run, if one is to be made
Reply  {'asked', now, run (flat hash)}   the one that is queued, running or waiting, or else the new one
       {'no-source', now} | {'list-not-found', now} | {'stale', now} | {'clock', now}
Again  the same run, as long as it has not ended.
Bound  constant.
]]
local refusal = guard()
if refusal then
  return refusal
end
local list, id = ARGV[4], ARGV[5]
local base = prefix .. 'list:' .. list
local key = base .. ':sync'
local definition = redis.call('HMGET', base, 'integration', 'source')
if not definition[1] then
  return { 'list-not-found', now }
elseif definition[2] == 'null' then
  return { 'no-source', now }
end
local run = flat(redis.call('HGETALL', key))
check_run_keys()
if run.state == 'running' and tonumber(run.lease) < now then
  fail_run(list, definition[1], run, LOST)
  run.state = 'failed'
end
if run.state == 'waiting' then
  redis.call('HSET', key, 'asked', 1)
elseif run.state == 'queued' or run.state == 'running' then
  redis.call('HSET', key, 'state', run.state)
else
  redis.call('DEL', key)
  redis.call('HSET', key, 'id', id, 'state', 'queued', 'started_at', integer(now), 'fetched', 0, 'added', 0, 'updated', 0, 'left', 0, 'rejected_count', 0)
end
plan(list)
return { 'asked', now, redis.call('HGETALL', key) }
