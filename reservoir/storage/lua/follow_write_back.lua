#!lua
--[[ Makes of some entries of the history what is to be written back, and moves the reader on behind them: both or neither.
KEYS   the org's prefix
ARGV   4 integration, 5 the entry behind which the reader stands, 6 the one behind which it stands then ('': it reads no more), 7 the setting as it is there
       (JSON), then for each entry that counts (JSON): kind 'attempt' (job, due, unsure: only if the call began with the claim) or 'outcome' (claim, at,
       outcome, call_outcome, fields, log: whether calls are logged, and what a new job is made of)
Reply  {'followed', now} | {'moved', now} | {'stale', now} | {'clock', now}
Again  'moved', as for another worker that comes too late: nothing is done.
Bound  200 entries.
]]
local refusal = guard()
if refusal then
  return refusal
end
local integration = ARGV[4]
local base = write_back_keys(integration)
local reader = 'write-back:' .. integration
if redis.call('HGET', prefix .. 'history-readers', reader) ~= ARGV[5] then
  return { 'moved', now }
end
check_write_back(base)

local function attempted(told)
  local id = told.job.claim .. ':call'
  if told.unsure and redis.pcall('HGET', prefix .. 'claim:' .. told.job.claim, 'attempted_at') ~= told.job.at then
    return
  end
  if not job_of(base, id) then
    put_job(base, id, told.job, told.due)
  end
end

local function outcome(told)
  local claim = told.job.claim
  local call, logged = job_of(base, claim .. ':call'), redis.pcall('HGET', prefix .. 'claim:' .. claim, 'logged')
  if not call and told.log and type(logged) == 'string' then
    call = cjson.decode(cjson.encode(told.job))
    call.what, call.logged = 'call', logged
  end
  if call then
    call.outcome, call.call_outcome, call.rev = told.outcome, told.call_outcome, call.rev + 1
    put_job(base, claim .. ':call', call, integer(now))
  end
  if told.fields then
    local changes = job_of(base, claim .. ':fields') or told.job
    changes.what, changes.rev = 'fields', changes.rev + 1
    changes.fields = changes.fields or {}
    for name, value in pairs(told.fields) do
      changes.fields[name] = value
    end
    put_job(base, claim .. ':fields', changes, integer(now))
  end
end

for i = 8, #ARGV do
  local told = cjson.decode(ARGV[i])
  if told.kind == 'attempt' then
    attempted(told)
  else
    outcome(told)
  end
end
if ARGV[6] == '' then
  redis.call('HDEL', prefix .. 'history-readers', reader)
  redis.call('HDEL', base .. 'state', 'followed')
else
  redis.call('HSET', prefix .. 'history-readers', reader, ARGV[6])
  redis.call('HSET', base .. 'state', 'followed', ARGV[7])
end
return { 'followed', now }
