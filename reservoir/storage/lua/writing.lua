-- What is to be written back into a CRM: a job for each call, and for the field changes of each disposition, kept until it is done or has failed for good.

local WRITE_BACK_INDEXES = { 'due', 'pending', 'failed' }

local function write_back_keys(integration)
  return prefix .. 'write-back:' .. integration .. ':'
end

-- A key of the wrong type fails here, before the first write.
local function check_write_back(base)
  redis.call('HLEN', base .. 'jobs')
  redis.call('HLEN', base .. 'state')
  for _, index in ipairs(WRITE_BACK_INDEXES) do
    redis.call('ZCARD', base .. index)
  end
end

local function job_of(base, id)
  local told = redis.call('HGET', base .. 'jobs', id)
  return told and cjson.decode(told)
end

-- Takes a job out of every index but the hash. What counts for a list's eye alone is stepped over where it is of the wrong type.
local function unindex(base, id, job)
  redis.call('ZREM', base .. 'due', id)
  for _, index in ipairs({ 'pending', 'failed' }) do
    redis.call('ZREM', base .. index, id)
    if job.list then
      redis.pcall('ZREM', base .. index .. '-of:' .. job.list, id)
    end
  end
end

local function index_as(base, index, id, job, at)
  redis.call('ZADD', base .. index, at, id)
  if job.list then
    redis.pcall('ZADD', base .. index .. '-of:' .. job.list, at, id)
  end
end

local function keep_job(base, id, job)
  redis.call('HSET', base .. 'jobs', id, cjson.encode(job))
end

-- A job is to be done from `due` on.
local function put_job(base, id, job, due)
  unindex(base, id, job)
  job.error, job.failed_at = nil, nil
  keep_job(base, id, job)
  redis.call('ZADD', base .. 'due', due, id)
  index_as(base, 'pending', id, job, job.at)
end
