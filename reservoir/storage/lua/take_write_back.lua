#!lua
--[[ Gives a worker what is due to be written back, and nobody else for a while.
KEYS   the org's prefix
ARGV   4 integration, 5 for how long it is this worker's (ms), 6 how many at most (100)
Reply  {'taken', now, ids, jobs (JSON), tries}   tries: how often the CRM could not be reached since it was last
       {'none', now} | {'stale', now} | {'clock', now}
Again  takes others; what was taken is due again when its time is over.
Bound  100 jobs.
]]
local refusal = guard()
if refusal then
  return refusal
end
local base = write_back_keys(ARGV[4])
check_write_back(base)
local state = redis.call('HMGET', base .. 'state', 'not_before', 'tries')
local ids = {}
if not (tonumber(state[1] or 0) > now) then
  ids = redis.call('ZRANGE', base .. 'due', '-inf', integer(now), 'BYSCORE', 'LIMIT', 0, tonumber(ARGV[6]))
end
local jobs = {}
for i, id in ipairs(ids) do
  local job = job_of(base, id)
  job.sent = job.sent + 1
  keep_job(base, id, job)
  redis.call('ZADD', base .. 'due', integer(now + tonumber(ARGV[5])), id)
  jobs[i] = redis.call('HGET', base .. 'jobs', id)
end
if #ids == 0 then
  return { 'none', now }
end
return { 'taken', now, ids, jobs, tonumber(state[2] or 0) }
