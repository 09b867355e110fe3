-- What the scripts of syncs share: who may write for a run, how one begins and ends, and when a list is next to be looked at by a worker.
--
-- A run's hash, `list:<list>:sync`, has its state: queued (asked for), waiting (until `resumes_at`), running, done or failed. One that a worker runs has
-- the worker's `token`, is `held` until an instant, and is lost at the end of its `lease` unless another worker took it over before. A list's own hash has
-- when its last run ended (`synced_at`), the pause before it may be refilled (`pause`), and whether the source was not ready (`unready`).
-- `due` has each list that a worker must look at, and when; `refilling` each list to be refilled when it runs low, and when it may be.
-- A file's run is no worker's, who only writes down that it is lost when nobody has worked on it until the end of its `lease`.

local REFILL_PAUSE = 300000
local REFILL_PAUSE_MOST = 3600000
local UNREADY_PAUSE = 60000
local WAITED_MOST = 86400000
local ROOM = 1073741824
local LOST = '{"type":"lost","detail":"Nobody works on this sync any more. Start it again; everybody is still in the list."}'

-- A list's run, and whether it is that of the caller, who says in ARGV[5] which run it is and, behind a space, the token of the worker that holds it.
local function run_of_caller(base)
  local run, told = flat(redis.call('HGETALL', base .. ':sync')), words(ARGV[5])
  return run, run.id ~= nil and run.id == told[1] and run.token == told[2]
end

-- When a worker must look at a list next, and when it may be refilled at the earliest; each false for never.
local function planned(definition, run)
  if run.state == 'running' and not run.token then
    return tonumber(run.lease) + 1, false
  elseif not definition.source or definition.source == 'null' then
    return false, false
  elseif run.state == 'queued' then
    return tonumber(run.started_at), false
  elseif run.state == 'running' then
    return tonumber(run.held), false
  elseif run.state == 'waiting' then
    return run.asked and 0 or math.min(tonumber(run.resumes_at), tonumber(run.waiting_since) + WAITED_MOST), false
  end
  local plan = cjson.decode(definition.sync)
  local ended = tonumber(definition.synced_at or definition.created_at)
  local due = definition.unready == '1' and ended + UNREADY_PAUSE
  local every = tonumber(plan.every_minutes)
  if every and (not due or ended + every * 60000 < due) then
    due = ended + every * 60000
  end
  local refill = tonumber(plan.refill_below) and (run.started_at and tonumber(run.started_at) + tonumber(definition.pause or REFILL_PAUSE) or 0)
  return due or false, refill or false
end

local function enlist(key, list, at)
  if at then
    redis.call('ZADD', key, integer(at), list)
  else
    redis.call('ZREM', key, list)
  end
end

-- Writes down when a list is to be looked at, as it now stands.
local function plan(list)
  local base = prefix .. 'list:' .. list
  local due, refill = planned(flat(redis.call('HGETALL', base)), flat(redis.call('HGETALL', base .. ':sync')))
  enlist(prefix .. 'due', list, due)
  enlist(prefix .. 'refilling', list, refill)
end

-- What must be of its type before a run is written.
local function check_run_keys()
  redis.call('XLEN', prefix .. 'history')
  redis.call('ZCARD', prefix .. 'due')
  redis.call('ZCARD', prefix .. 'refilling')
end

-- Begins a run. What it brings gets places before all that the list has (R12). False: more reps have a place of their own than one call tells their rank,
-- and nothing has begun.
-- A rep whose prospect leaves by this run goes on at the rank that it has now. Until all are told theirs, the order stays as it is.
local PLACES = 256
local function begin_run(list, integration, id, lease)
  local base = prefix .. 'list:' .. list
  local key = base .. ':sync'
  local of, cursor = string.match(redis.call('HGET', base, 'ranked') or '', '^(%S+) (%d+)$')
  local scanned = redis.call('HSCAN', base .. ':places', of == id and cursor or 0, 'COUNT', PLACES)
  for rep, place in pairs(flat(scanned[2])) do
    local seen, prospect = string.match(place, '^(%d+) %d+ (.*)$')
    local rank = redis.call('ZRANK', base .. ':order', prospect)
    if not seen or tonumber(seen) + PLACE_KEPT < now then
      redis.call('HDEL', base .. ':places', rep)
    elseif rank then
      redis.call('HSET', base .. ':places', rep, seen .. ' ' .. rank .. ' ' .. prospect)
    end
  end
  if scanned[1] ~= '0' then
    redis.call('HSET', base, 'ranked', id .. ' ' .. scanned[1])
    return false
  end
  redis.call('HDEL', base, 'ranked')
  local ceiling = tonumber(redis.call('HGET', base, 'floor'))
  redis.call('HSET', base, 'floor', integer(ceiling - ROOM))
  redis.call('DEL', key)
  redis.call('HSET', key, 'id', id, 'state', 'running', 'started_at', integer(now), 'lease', integer(now + lease),
    'ceiling', integer(ceiling), 'next', integer(ceiling - ROOM), 'fetched', 0, 'added', 0, 'updated', 0, 'left', 0, 'rejected_count', 0)
  remember('sync.started', now, { 'integration', integration, 'list', list, 'detail', cjson.encode({ sync = id }) })
  return true
end

-- What a worker's run leaves for the next one: the pause before a refill is longer each time that nobody new came.
local function leave_word(list, run, unready)
  local base = prefix .. 'list:' .. list
  local pause = tonumber(redis.call('HGET', base, 'pause') or REFILL_PAUSE)
  pause = tonumber(run.added) > 0 and REFILL_PAUSE or math.min(2 * pause, REFILL_PAUSE_MOST)
  redis.call('HSET', base, 'synced_at', integer(now), 'pause', integer(pause), 'unready', unready)
  plan(list)
end

-- Ends a run that could not read its source to the end. Everybody stays in, and what it brought stands (R12).
local function fail_run(list, integration, run, error)
  redis.call('HSET', prefix .. 'list:' .. list .. ':sync', 'state', 'failed', 'finished_at', integer(now), 'error', error)
  redis.call('HDEL', prefix .. 'list:' .. list .. ':sync', 'resumes_at', 'cursor')
  remember('sync.finished', now, { 'integration', integration, 'list', list, 'detail', cjson.encode({ sync = run.id, state = 'failed',
    error = cjson.decode(error).type }) })
  if run.token or run.state == 'queued' then
    leave_word(list, run, '0')
  else
    plan(list)
  end
end

-- Takes back what was counted of rows that the run will be given again, because its source is read on from its last cursor: they count once.
local function uncount(key, run)
  local count, shown = string.match(run.settled or '0 0', '^(%d+) (%d+)$')
  if run.rejected_count == count then
    return
  end
  local rows = {}
  for i, row in ipairs(cjson.decode(run.rejected or '[]')) do
    rows[i] = i <= tonumber(shown) and row or nil
  end
  redis.call('HSET', key, 'rejected_count', count)
  if #rows > 0 then
    redis.call('HSET', key, 'rejected', cjson.encode(rows))
  else
    redis.call('HDEL', key, 'rejected')
  end
end
