#!lua
--[[ Says that a worker is still at its run, whatever takes so long; or that it leaves the run to another, now or, because the CRM says so, later.
KEYS   the org's prefix
ARGV   4 list, 5 id of the run and token of the worker that holds it, 6 how long the run may be silent before it is lost (ms), 7 for how long it is held (ms;
       0: it is left to another), 8 after how long it goes on (ms; '': it does not wait), 9 for what it waits (JSON, or '')
Reply  {'held', now} | {'waiting', now, until} | {'sync-lost', now} | {'list-not-found', now} | {'stale', now} | {'clock', now}
Again  the same; a run that waits goes on waiting until the instant first said.
Bound  constant.
]]
local refusal = guard()
if refusal then
  return refusal
end
local list = ARGV[4]
local base = prefix .. 'list:' .. list
local key = base .. ':sync'
if redis.call('EXISTS', base) == 0 then
  return { 'list-not-found', now }
end
local run, ours = run_of_caller(base)
if ours and run.state == 'waiting' and ARGV[8] ~= '' then
  redis.call('HSET', key, 'state', 'waiting')
  return { 'waiting', now, tonumber(run.resumes_at) }
end
if not ours or run.state ~= 'running' then
  return { 'sync-lost', now }
end
redis.call('HLEN', base)
check_run_keys()
redis.call('HSET', key, 'lease', integer(now + tonumber(ARGV[6])), 'held', integer(now + tonumber(ARGV[7])))
local resumes = ARGV[8] ~= '' and now + tonumber(ARGV[8])
if resumes then
  redis.call('HSET', key, 'state', 'waiting', 'resumes_at', integer(resumes), 'waiting_since', run.waiting_since or integer(now), 'error', ARGV[9])
end
plan(list)
if resumes then
  return { 'waiting', now, resumes }
end
return { 'held', now }
