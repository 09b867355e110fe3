#!lua
--[[ Ends a run that could not read its source to the end. Everybody stays in, and what it brought stands (R12).
KEYS   the org's prefix
ARGV   4 list, 5 id of the run (and the token of the worker that holds it), 6 the error (JSON)
Reply  {'failed', now} | {'sync-lost', now} | {'list-not-found', now} | {'stale', now} | {'clock', now}
Again  'failed', whatever the error; nothing more is written.
Bound  constant.
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
local run, ours = run_of_caller(base)
if ours and run.state == 'failed' then
  redis.call('HSET', base .. ':sync', 'state', 'failed')
  return { 'failed', now }
end
if not ours or run.state ~= 'running' then
  return { 'sync-lost', now }
end
check_run_keys()
fail_run(list, integration, run, ARGV[6])
return { 'failed', now }
