#!lua flags=no-writes
--[[ Reads all that a process remembers of an org, at one generation.
KEYS   the org's prefix
ARGV   1… integrations whose settings are wanted
Reply  {'org', now, generation, profile (JSON), API keys (flat hash of JSON), settings (JSON or false for each integration), write-back (the same)}
       {'none', now}
Again  reads anew.
Bound  constant.
]]
local generation = redis.call('GET', prefix .. 'generation')
if not generation then
  return { 'none', now }
end
local settings, write_back = {}, {}
for i, integration in ipairs(ARGV) do
  settings[i] = redis.call('GET', prefix .. 'settings:' .. integration)
  write_back[i] = redis.call('GET', prefix .. 'write-back:' .. integration)
end
return { 'org', now, generation, redis.call('GET', prefix .. 'org'), redis.call('HGETALL', prefix .. 'keys'), settings, write_back }
