#!lua
--[[ Claims one particular prospect.
KEYS   the org's prefix
ARGV   4 integration, 5 prospect, 6 list ('' for none), 7 rep, 8 session, 9 mode, 10 hold (ms; 0: the attempt starts now), 11 idempotency key,
       12 digest of the request, 13 how long the key is kept (ms), 14 base of the claim's id; terms
Reply  {'claimed', now, rows}      one row
       {'repeated', now, rows}     what the same key took before, as it stands; none if it stands no more
       {'prospect-reserved', now, row}   somebody's hold or reservation, one's own included
       {'do-not-call', now} | {'not-a-member', now} | {'list-not-found', now} | {'reused', now} | {'integration-not-found', now}
       {'stale', now} | {'clock', now}
Again  the same key and digest takes nothing more: 'repeated'.
Bound  one prospect, at most 64 lists.
]]
local refusal = guard()
if refusal then
  return refusal
end

local taker = { integration = ARGV[4], list = ARGV[6] ~= '' and ARGV[6] or nil, rep = ARGV[7], session = ARGV[8], mode = ARGV[9],
  hold = tonumber(ARGV[10]), base = ARGV[14] }
local prospect = ARGV[5]
local member = taker.integration .. ':' .. prospect
local token = prefix .. 'idempotency:' .. encoded(ARGV[11])

local before = repeated(token, ARGV[12])
if before == 'reused' then
  return { 'reused', now }
elseif before then
  return { 'repeated', now, before }
end

local terms = terms_of(taker.integration)
if not terms then
  return { 'integration-not-found', now }
end
if taker.list then
  local base = prefix .. 'list:' .. taker.list
  local integration = redis.call('HGET', base, 'integration')
  if not integration then
    return { 'list-not-found', now }
  end
  if integration ~= taker.integration or not redis.call('ZSCORE', base .. ':order', prospect) then
    return { 'not-a-member', now }
  end
end
for _, mark in ipairs(words(redis.call('HGET', prefix .. 'lists-of:' .. taker.integration, prospect))) do
  local list = string.gsub(mark, '^!', '')
  if redis.call('SISMEMBER', prefix .. 'list:' .. list .. ':do-not-call', prospect) == 1 then
    return { 'do-not-call', now }
  end
end
redis.call('HLEN', prefix .. 'claim-of')
redis.call('XLEN', prefix .. 'history')
redis.call('ZCARD', prefix .. 'session:' .. encoded(taker.session))

local rows, ids
if terms.enabled then
  taker.length = terms.length
  local ends = tonumber(redis.call('ZSCORE', prefix .. 'ends', member) or nil)
  if ends and ends >= now then
    mend(member, redis.call('HGET', prefix .. 'claim-of', member), ends)
    return { 'prospect-reserved', now, taken(member) }
  end
  if ends then
    settle({ member })
  end
  rows, ids = grant(taker, { prospect }, select(2, lists_of(taker.integration, { prospect })))
  if #rows == 0 then
    return { 'prospect-reserved', now, taken(member) }
  end
else
  redis.call('ZCARD', prefix .. 'unreserved-ends')
  taker.switched_on = terms.switched_on
  rows, ids = hand_over(taker, { prospect })
end
keep_token(token, ARGV[12], ARGV[13], ids)
rows[1][13] = member_of(claim_record(ids[1])) or false
return { 'claimed', now, rows }
