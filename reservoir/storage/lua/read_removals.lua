#!lua flags=no-writes
--[[ Reads whom reps removed from a list, by rep and prospect.
KEYS   the org's prefix
ARGV   1 generation, 2 list, 3 rep ('' for all), 4 the last removal that was read ('' at first), 5 how many (at most 250)
Reply  {'page', now, removals, last (false: there are no more), integration}   Each removal: {rep, encoded, prospect, when (ms), claim, the member's data or false}
       {'list-not-found', now} | {'stale', now}
Again  reads anew.
Bound  250 removals.
]]
if stale() then
  return { 'stale', now }
end
local list, rep, after, most = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local base = prefix .. 'list:' .. list
local integration = redis.call('HGET', base, 'integration')
if not integration then
  return { 'list-not-found', now }
end
local start, stop, of_rep = '-', '+', ''
if rep ~= '' then
  of_rep = removal(rep, '')
  start, stop = '[' .. of_rep, '(' .. encoded(rep) .. '!'
end
if after ~= '' and string.sub(after, 1, #of_rep) == of_rep then
  start = '(' .. after
end
local found = redis.call('ZRANGE', base .. ':removals', start, stop, 'BYLEX', 'LIMIT', 0, most + 1)
local removals = {}
for i = 1, math.min(#found, most) do
  local of, prospect = string.match(found[i], '^(%S+) (.*)$')
  local told = words(redis.call('HGET', base .. ':removed:' .. of, prospect))
  if told[2] then
    removals[#removals + 1] = { of, prospect, told[1], told[2], member_of({ integration = integration, prospect = prospect, list = list }) or false }
  end
end
return { 'page', now, removals, #found > most and found[most] or false, integration }
