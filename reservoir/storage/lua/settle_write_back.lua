#!lua
--[[ Says what became of jobs that were taken: done, refused for good, or to be tried again. One that changed meanwhile stays, to be done as it is now.
KEYS   the org's prefix
ARGV   4 integration, 5 for how long nothing more is written into the CRM (ms; 0: it answered), 6 how often it could not be reached since it last was, then for
       each job: id, the revision that was done, 'done' or 'failed' or 'again', the CRM's id of the call or the error (JSON) or ''
Reply  {'settled', now} | {'stale', now} | {'clock', now}
Again  the same: what is done or has failed is not there to be changed.
Bound  100 jobs.
]]
local refusal = guard()
if refusal then
  return refusal
end
local base = write_back_keys(ARGV[4])
check_write_back(base)

local function done(id, job, changed, logged)
  if logged ~= '' then
    job.logged = logged
    if redis.call('EXISTS', prefix .. 'claim:' .. job.claim) == 1 then
      redis.pcall('HSET', prefix .. 'claim:' .. job.claim, 'logged', logged)
    end
  end
  if changed then
    put_job(base, id, job, integer(now))
  else
    unindex(base, id, job)
    redis.call('HDEL', base .. 'jobs', id)
  end
end

local function failed(id, job, error)
  unindex(base, id, job)
  job.error, job.failed_at = cjson.decode(error), integer(now)
  keep_job(base, id, job)
  index_as(base, 'failed', id, job, integer(now))
end

for i = 7, #ARGV, 4 do
  local id, job = ARGV[i], job_of(base, ARGV[i])
  if job and not job.error then
    local changed = job.rev ~= tonumber(ARGV[i + 1])
    if ARGV[i + 2] == 'done' then
      done(id, job, changed, ARGV[i + 3])
    elseif ARGV[i + 2] == 'failed' and not changed then
      failed(id, job, ARGV[i + 3])
    else
      put_job(base, id, job, integer(now))
    end
  end
end
if ARGV[5] == '0' then
  redis.call('HDEL', base .. 'state', 'not_before', 'tries')
else
  redis.call('HSET', base .. 'state', 'not_before', integer(now + tonumber(ARGV[5])), 'tries', ARGV[6])
end
return { 'settled', now }
