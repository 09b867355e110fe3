#!lua
--[[ Lets the removals of a deleted list go, then unties its members from it, a chunk at a time; one who is in a new list of the same id stays tied to that.
What a search found them by is put aside, for `tidy_search`.
KEYS   the org's prefix
ARGV   4 what `delete_list` kept aside
Reply  {'swept', now, left} | {'stale', now} | {'clock', now}
Again  goes on with what is left; 0 when there is nothing.
Bound  250 reps or 250 members; the store frees the memory in the background.
]]
local refusal = guard()
if refusal then
  return refusal
end
local aside = ARGV[4]
local key = prefix .. 'sweep:' .. aside
local data = prefix .. 'sweep-members:' .. aside
local list = string.match(aside, '^[^:]+')
local integration = words(redis.call('HGET', prefix .. 'sweep', aside))[1]
local removers = redis.call('SPOP', key .. ':removers', 250)
if #removers > 0 then
  for _, rep in ipairs(removers) do
    redis.call('UNLINK', prefix .. 'list:' .. list .. ':removed:' .. encoded(rep))
  end
  return { 'swept', now, 1 + redis.call('SCARD', key .. ':removers') + redis.call('ZCARD', key) }
end
local prospects = integration and redis.call('ZRANGE', key, 0, 249) or {}
if #prospects == 0 then
  redis.call('UNLINK', data)
  redis.call('HDEL', prefix .. 'sweep', aside)
  return { 'swept', now, 0 }
end
local marks = redis.call('HMGET', prefix .. 'lists-of:' .. integration, unpack(prospects))
local places = redis.call('ZMSCORE', prefix .. 'list:' .. list .. ':order', unpack(prospects))
local known = redis.call('HMGET', data, unpack(prospects))
redis.call('SCARD', prefix .. 'search-due')
local anew = redis.call('HGET', prefix .. 'list:' .. list, 'integration') == integration
for i, prospect in ipairs(prospects) do
  if not (anew and places[i]) then
    untie(integration, prospect, marks[i], list)
  end
end
put_aside(integration, known)
redis.call('ZREM', key, unpack(prospects))
redis.call('HDEL', data, unpack(prospects))
local left = redis.call('ZCARD', key)
if left == 0 then
  redis.call('HDEL', prefix .. 'sweep', aside)
end
return { 'swept', now, left }
