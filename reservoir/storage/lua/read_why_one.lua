#!lua flags=no-writes
--[[ Tells all that may keep one prospect from being dialed.
KEYS   the org's prefix
ARGV   1 generation, 2 integration, 3 prospect, 4 list ('' for none), 5 rep ('' for none)
Reply  {'why', now, row of who has it or false, the list that flags it as not to be called or false, member, undialable, removed, behind}
       of the list: member (1 or 0), undialable in it (1 or 0), when the rep removed it (ms or false), whether it stands at or before the rep's own place (1 or 0)
       {'list-not-found', now} | {'stale', now}
Again  reads anew.
Bound  one prospect, at most 64 lists.
]]
if stale() then
  return { 'stale', now }
end
local integration, prospect, list, rep = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local base = prefix .. 'list:' .. list
local of = list ~= '' and redis.call('HGET', base, 'integration')
if list ~= '' and not of then
  return { 'list-not-found', now }
end

local flagged = false
for _, name in ipairs(listed(integration, { prospect })[1].lists) do
  if redis.call('SISMEMBER', prefix .. 'list:' .. name .. ':do-not-call', prospect) == 1 and (not flagged or name == list) then
    flagged = name
  end
end
local place = of == integration and redis.call('ZSCORE', base .. ':order', prospect)
local removed, behind = false, 0
if of == integration and rep ~= '' then
  removed = string.match(redis.call('HGET', base .. ':removed:' .. encoded(rep), prospect) or '', '^%d+') or false
  local start = own_place(base, rep)
  local ahead = place and start and redis.call('ZCOUNT', base .. ':order', start, place) > 0
  behind = place and not ahead and 1 or 0
end
return { 'why', now, taken(integration .. ':' .. prospect), flagged, place and 1 or 0,
  place and redis.call('ZSCORE', base .. ':undialable', prospect) and 1 or 0, removed, behind }
