#!lua
--[[ Deletes an org: from the first step on every process refuses its keys; then all its keys go, a chunk of the store at a time, live reservations too.
KEYS   the org's prefix
ARGV   1 where to go on in the store ('' at first)
Reply  {'deleting', now, cursor}   call again from there | {'deleted', now} | {'none', now}   there is no such org
Again  the first step marks it again; a step after the last: 'deleted'.
Bound  500 of the store's keys; the store frees the memory in the background.
]]
local mark = prefix .. 'deleting'
local marked = redis.call('EXISTS', mark) == 1
if ARGV[1] == '' then
  if not marked and redis.call('EXISTS', prefix .. 'generation') == 0 then
    return { 'none', now }
  end
  redis.call('SET', mark, integer(now))
  redis.call('DEL', prefix .. 'generation')
  return { 'deleting', now, '0' }
end
if not marked then
  return { 'deleted', now }
end
local cursor, found = unpack(redis.call('SCAN', ARGV[1], 'MATCH', prefix .. '*', 'COUNT', 500))
for _, key in ipairs(found) do
  if key ~= mark then
    redis.call('UNLINK', key)
  end
end
if cursor ~= '0' then
  return { 'deleting', now, cursor }
end
redis.call('DEL', mark)
return { 'deleted', now }
