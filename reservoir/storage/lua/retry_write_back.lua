#!lua
--[[ Makes what the CRM refused due again, and ends a pause.
KEYS   the org's prefix
ARGV   4 integration
Reply  {'retrying', now, how many, how many are left}   some are left: call again | {'stale', now} | {'clock', now}
Again  those that failed since.
Bound  100 jobs.
]]
local refusal = guard()
if refusal then
  return refusal
end
local base = write_back_keys(ARGV[4])
check_write_back(base)
local ids = redis.call('ZRANGE', base .. 'failed', 0, 99)
for _, id in ipairs(ids) do
  put_job(base, id, job_of(base, id), integer(now))
end
redis.call('HDEL', base .. 'state', 'not_before', 'tries')
return { 'retrying', now, #ids, redis.call('ZCARD', base .. 'failed') }
