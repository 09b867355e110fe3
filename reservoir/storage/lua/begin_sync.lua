#!lua
--[[ Begins a run that streams a list's members in from a file. What it brings gets places before all that the list has (R12).
One that nobody has worked on for too long is lost: it ends as failed, and everybody whom it brought stays in.
KEYS   the org's prefix
ARGV   4 list, 5 id of the run, 6 how long it may be silent before it is lost (ms)
Reply  {'begun', now} | {'more', now}   more reps have a place than one call tells their rank: call again, nothing has begun
       {'sync-running', now, id} | {'list-not-found', now} | {'stale', now} | {'clock', now}
Again  with the same id: 'begun', the same run.
Bound  256 reps with a place of their own in the list; one that was left 30 days ago goes.
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
local running = redis.call('HMGET', key, 'id', 'state', 'lease')
if running[1] == id then
  redis.call('HSET', key, 'id', id)
  return { 'begun', now }
end
if running[2] == 'running' and tonumber(running[3]) >= now then
  return { 'sync-running', now, running[1] }
end
check_run_keys()
if running[2] == 'running' then
  fail_run(list, integration, flat(redis.call('HGETALL', key)), LOST)
end
if not begin_run(list, integration, id, tonumber(ARGV[6])) then
  return { 'more', now }
end
plan(list)
return { 'begun', now }
