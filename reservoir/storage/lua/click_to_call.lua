#!lua
--[[ Tells a person who picked a prospect by hand who has them: it never reserves and is never blocked (R3). The history keeps it.
KEYS   the org's prefix
ARGV   4 integration, 5 prospect, 6 list ('' for none), 7 rep, 8 session
Reply  {'told', now, row or false, do not call (1 or 0)}   row: the live hold or reservation, if there is one
       {'not-a-member', now} | {'list-not-found', now} | {'stale', now} | {'clock', now}
Again  is told anew, and is in the history twice: it is two calls.
Bound  one prospect, at most 64 lists.
]]
local refusal = guard()
if refusal then
  return refusal
end

local integration, prospect, list = ARGV[4], ARGV[5], ARGV[6]
local member = integration .. ':' .. prospect
if list ~= '' then
  local of = redis.call('HGET', prefix .. 'list:' .. list, 'integration')
  if not of then
    return { 'list-not-found', now }
  end
  if of ~= integration or not redis.call('ZSCORE', prefix .. 'list:' .. list .. ':order', prospect) then
    return { 'not-a-member', now }
  end
end
local do_not_call = 0
for _, mark in ipairs(words(redis.call('HGET', prefix .. 'lists-of:' .. integration, prospect))) do
  local flagged = prefix .. 'list:' .. string.gsub(mark, '^!', '') .. ':do-not-call'
  do_not_call = math.max(do_not_call, redis.call('SISMEMBER', flagged, prospect))
end
local row = taken(member)
remember('click_to_call', now, facts_of({ integration = integration, prospect = prospect, rep = ARGV[7], session = ARGV[8],
  mode = 'click_to_call', list = list ~= '' and list or nil }))
return { 'told', now, row, do_not_call }
