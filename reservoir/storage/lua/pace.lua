#!lua
--[[ Notes what the CRM said of its budget, for all workers of the org: that nobody may spend for a while, or how many calls it has left.
KEYS   the org's prefix
ARGV   4 integration, 5 what is spent, 6 'hold' or 'left' or 'forget' (what was noted: the CRM is to be asked anew), 7 how many are left (of 'left'), 8 for how
       long (ms; at least 1)
Reply  {'noted', now} | {'stale', now} | {'clock', now}
Again  the same, for as long from now on.
Bound  constant.
]]
local refusal = guard()
if refusal then
  return refusal
end
local name = ARGV[4] .. ':' .. encoded(ARGV[5])
local hold, left = prefix .. 'budget-held:' .. name, prefix .. 'budget-left:' .. name
if ARGV[6] == 'hold' then
  if redis.call('PTTL', hold) < tonumber(ARGV[8]) then
    redis.call('SET', hold, '1', 'PX', ARGV[8])
  end
elseif ARGV[6] == 'left' then
  redis.call('SET', left, ARGV[7], 'PX', ARGV[8])
else
  redis.call('DEL', hold, left)
end
return { 'noted', now }
