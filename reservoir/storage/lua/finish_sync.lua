#!lua
--[[ Ends a run that read its source to the end: members that it did not bring leave the list, a chunk at a time, then the run is done.
What a search found them by is put aside, for `tidy_search`.
KEYS   the org's prefix
ARGV   4 list, 5 id of the run (and the token of the worker that holds it), 6 how long the run may be silent from now on (ms), 7 whether the source was cut
       off ('1' or '0'), 8 whether it was ready ('1'; '0': absence from it means nothing, so nobody leaves), 9 for how long a worker holds the run from now on
       (ms)
Reply  {'leaving', now, left so far}   call again | {'done', now} | {'sync-lost', now} | {'list-not-found', now} | {'stale', now} | {'clock', now}
Again  after it is done: 'done'.
Bound  100 members.
]]
local LEAVING = 100
local refusal = guard()
if refusal then
  return refusal
end
local list = ARGV[4]
local base = prefix .. 'list:' .. list
local key = base .. ':sync'
local integration = redis.call('HGET', base, 'integration')
if not integration then
  return { 'list-not-found', now }
end
local run, ours = run_of_caller(base)
if ours and run.state == 'done' then
  redis.call('HSET', key, 'state', 'done')
  return { 'done', now }
elseif not ours or run.state ~= 'running' then
  return { 'sync-lost', now }
end
check_run_keys()
redis.call('SCARD', prefix .. 'search-due')
local ready = ARGV[8] == '1'

local prospects = ready and redis.call('ZRANGE', base .. ':order', run.ceiling, '+inf', 'BYSCORE', 'LIMIT', 0, LEAVING) or {}
local left = tonumber(run.left) + #prospects
if #prospects > 0 then
  stir(base)
  local marks = redis.call('HMGET', prefix .. 'lists-of:' .. integration, unpack(prospects))
  put_aside(integration, redis.call('HMGET', base .. ':members', unpack(prospects)))
  for _, index in ipairs({ ':available', ':held', ':reserved', ':undialable', ':order' }) do
    redis.call('ZREM', base .. index, unpack(prospects))
  end
  redis.call('HDEL', base .. ':members', unpack(prospects))
  redis.call('SREM', base .. ':do-not-call', unpack(prospects))
  for i, prospect in ipairs(prospects) do
    untie(integration, prospect, marks[i], list)
  end
  redis.call('HSET', key, 'left', left, 'lease', integer(now + tonumber(ARGV[6])))
end
if #prospects == LEAVING then
  if run.token then
    redis.call('HSET', key, 'held', integer(now + tonumber(ARGV[9])))
    plan(list)
  end
  return { 'leaving', now, left }
end
redis.call('HSET', key, 'state', 'done', 'finished_at', integer(now), 'complete', ARGV[8], 'truncated', ARGV[7])
redis.call('HDEL', key, 'cursor')
redis.call('HSET', base, 'fetched', run.fetched, 'truncated', ARGV[7])
if run.token then
  redis.call('HSET', base, 'advice', run.advice or '')
  leave_word(list, run, ready and '0' or '1')
else
  plan(list)
end
remember('sync.finished', now, { 'integration', integration, 'list', list, 'detail', cjson.encode({ sync = run.id, state = 'done',
  fetched = tonumber(run.fetched), added = tonumber(run.added), updated = tonumber(run.updated), left = left,
  rejected = tonumber(run.rejected_count) }) })
return { 'done', now }
