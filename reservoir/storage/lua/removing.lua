-- Whom a rep removed from a list (R10): a hash for each rep, asked of every candidate of that rep's claims, and one order of all of a list's removals, for the eye.

-- What stands for a removal in the order: no id of a rep, encoded, has a space.
local function removal(rep, prospect)
  return encoded(rep) .. ' ' .. prospect
end

-- The list from which a claim's prospect is to be removed, as the start of its keys, or nil if it is not there any more. A key of the wrong type fails here,
-- before the first write.
local function removal_of(record)
  local base = prefix .. 'list:' .. record.list
  redis.call('HLEN', base .. ':removed:' .. encoded(record.rep))
  redis.call('SCARD', base .. ':removers')
  redis.call('ZCARD', base .. ':removals')
  return redis.call('EXISTS', base) == 1 and base or nil
end

-- Removes a claim's prospect from its rep's dialing of its list: once, whichever claim asks for it again.
local function take_out(base, record, id)
  if redis.call('HSETNX', base .. ':removed:' .. encoded(record.rep), record.prospect, integer(now) .. ' ' .. id) == 1 then
    redis.call('SADD', base .. ':removers', record.rep)
    redis.call('ZADD', base .. ':removals', 0, removal(record.rep, record.prospect))
    remember('prospect.removed', now, facts_of(record, id))
  end
end
