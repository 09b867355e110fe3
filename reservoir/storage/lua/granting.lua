-- What both ways of claiming share: terms, tokens, the grant itself, and what a rep is told of the list.

-- A script that uses the terms is given them as one more argument behind its own: what the settings mean for an attempt now,
-- "integration enabled length switched-on" four by four.
local terms_text = table.remove(ARGV)

local function terms_of(integration)
  local found = words(terms_text)
  for i = 1, #found, 4 do
    if found[i] == integration then
      return { enabled = found[i + 1] == '1', length = tonumber(found[i + 2]), switched_on = found[i + 3] }
    end
  end
end

-- Whether a claim is still its owner's: held or reserved under this very id, or unreserved. Writes a key again that is gone.
local function stands(record, id)
  if record.state == 'unreserved' then
    return true
  end
  local member = record.integration .. ':' .. record.prospect
  local ends = tonumber(redis.call('ZSCORE', prefix .. 'ends', member) or nil)
  if not ends or ends < now or redis.call('HGET', prefix .. 'claim-of', member) ~= id then
    return false
  end
  redis.call('SET', reservation_key(record.integration, record.prospect), reservation_text(record, id), 'NX', 'PXAT', ends)
  return true
end

-- The claims that a token took, as they stand: nil if it took none, 'reused' if it was another request's, else their rows.
-- The token is written again, because a store that waits for its replicas counts only calls that write.
local function repeated(token, digest)
  local text = redis.call('GET', token)
  if not text then
    return nil
  end
  local kept = words(text)
  if kept[1] ~= digest then
    return 'reused'
  end
  redis.call('SET', token, text, 'KEEPTTL')
  local rows = {}
  for i = 2, #kept do
    local record = claim_record(kept[i])
    if record and stands(record, kept[i]) then
      rows[#rows + 1] = claim_row(kept[i], record, false, member_of(record))
    end
  end
  return rows
end

local function keep_record(id, record, kept_until)
  local fields = {}
  for _, name in ipairs(RECORD) do
    local value = record[name]
    if value then
      fields[#fields + 1], fields[#fields + 2] = name, value
    end
  end
  if record.switched_on then
    fields[#fields + 1], fields[#fields + 2] = 'switched_on', record.switched_on
  end
  redis.call('HSET', prefix .. 'claim:' .. id, unpack(fields))
  redis.call('PEXPIREAT', prefix .. 'claim:' .. id, kept_until)
end

local function record_for(taker, prospect)
  return { integration = taker.integration, prospect = prospect, rep = taker.rep, session = taker.session, mode = taker.mode,
    list = taker.list, claimed_at = now }
end

-- Takes prospects that the caller has found free, in `by_list` (their lists), for holds or attempts that start now. A key that stands all the same is obeyed
-- and its prospect left. taker: integration, rep, session, mode, list, hold (ms, 0 for none), length (ms), base (of the ids), read (the list in whose
-- `available` they were found, if any). Returns the claims' rows and ids.
local function grant(taker, prospects, by_list)
  local state = taker.hold > 0 and 'held' or 'reserved'
  local ends = now + (taker.hold > 0 and taker.hold or taker.length)
  local kept_until = ends + (state == 'held' and HOLD_KEPT or CLAIM_KEPT)
  local rows, ids, granted, scores, due, owners, held = {}, {}, {}, {}, {}, {}, {}
  for i, prospect in ipairs(prospects) do
    local id = taker.base .. string.format('%02d', i - 1)
    local record = record_for(taker, prospect)
    record.state, record.expires_at, record.attempted_at = state, ends, state == 'reserved' and now or nil
    if redis.call('SET', reservation_key(taker.integration, prospect), reservation_text(record, id), 'NX', 'PXAT', ends) then
      local member = taker.integration .. ':' .. prospect
      granted[#granted + 1], ids[#ids + 1], scores[prospect] = prospect, id, ends
      due[#due + 1], due[#due + 2] = ends, member
      held[#held + 1], held[#held + 2] = ends, id
      owners[#owners + 1], owners[#owners + 2] = member, id
      keep_record(id, record, kept_until)
      local facts = facts_of(record, id)
      facts[#facts + 1], facts[#facts + 2] = 'expires_at', ends
      remember('claim.' .. state, now, facts)
      rows[#rows + 1] = claim_row(id, record)
    else
      obey(taker.integration, prospect)
    end
  end
  if #granted == 0 then
    return rows, ids
  end
  redis.call('ZADD', prefix .. 'ends', unpack(due))
  redis.call('HSET', prefix .. 'claim-of', unpack(owners))
  if #granted < #prospects then
    by_list = select(2, lists_of(taker.integration, granted))
  end
  move_everywhere(by_list, state, scores, taker.read)
  if state == 'held' then
    local session = prefix .. 'session:' .. encoded(taker.session)
    redis.call('ZADD', session, unpack(held))
    redis.call('PEXPIREAT', session, now + DAY)
  end
  return rows, ids
end

-- Gives back a hold that stands, all but its place in its lists. True if the prospect is free by that.
local function give_back(id, record)
  local key = prefix .. 'claim:' .. id
  local member = record.integration .. ':' .. record.prospect
  local foreign = drop_key(record.integration, record.prospect, id)
  redis.call('ZREM', prefix .. 'ends', member)
  redis.call('HDEL', prefix .. 'claim-of', member)
  redis.call('ZREM', prefix .. 'session:' .. encoded(record.session), id)
  redis.call('HSET', key, 'state', 'released', 'expires_at', integer(now))
  redis.call('PEXPIREAT', key, integer(now + HOLD_KEPT))
  remember('claim.released', now, facts_of(record, id))
  return not (foreign and obey(record.integration, record.prospect))
end

-- Hands prospects over while multi-rep dialing is off: nothing is reserved and nobody is blocked (R9). The caller has looked at what type
-- `unreserved-ends` is of. Returns rows and ids.
local function hand_over(taker, prospects)
  local rows, ids = {}, {}
  for i, prospect in ipairs(prospects) do
    local id = taker.base .. string.format('%02d', i - 1)
    local record = record_for(taker, prospect)
    record.state, record.switched_on = 'unreserved', taker.switched_on
    if taker.hold > 0 then
      record.expires_at = now + taker.hold
      keep_record(id, record, record.expires_at + HOLD_KEPT)
      redis.call('ZADD', prefix .. 'unreserved-ends', record.expires_at, id)
    else
      record.attempted_at = now
      keep_record(id, record, now + CLAIM_KEPT)
    end
    remember('claim.unreserved', now, facts_of(record, id))
    rows[#rows + 1], ids[#ids + 1] = claim_row(id, record), id
  end
  return rows, ids
end

-- Remembers under a token what it took, so that a repeat finds it. An answer that took nothing is not remembered.
local function keep_token(token, digest, kept_ms, ids)
  if #ids > 0 then
    redis.call('SET', token, digest .. ' ' .. table.concat(ids, ' '), 'PXAT', now + tonumber(kept_ms))
  end
end
