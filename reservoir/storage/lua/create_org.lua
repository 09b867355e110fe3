#!lua
--[[ Creates an org. Its generation starts at the store's time, so that an org deleted and made again is never mistaken for the old one.
KEYS   the org's prefix
ARGV   1 the org's profile (JSON), without created_at
Reply  {'created', now} | {'exists', now} | {'deleting', now}   the one of that id is not gone yet: finish that first
Again  'created', if it is the same call sent again; another call: 'exists'. Nothing changes.
Bound  constant.
]]
if redis.call('EXISTS', prefix .. 'deleting') == 1 then
  return { 'deleting', now }
end
if redis.call('EXISTS', prefix .. 'generation') == 1 then
  if redis.call('GET', prefix .. 'configured') ~= nonce then
    return { 'exists', now }
  end
  redis.call('SET', prefix .. 'configured', nonce)
  return { 'created', now }
end
local profile = cjson.decode(ARGV[1])
profile.created_at = integer(now)
redis.call('SET', prefix .. 'org', cjson.encode(profile))
redis.call('SET', prefix .. 'configured', nonce)
redis.call('SET', prefix .. 'generation', integer(now))
return { 'created', now }
