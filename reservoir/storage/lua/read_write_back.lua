#!lua flags=no-writes
--[[ Tells what is still to be written back, and a page of what the CRM refused, in the order of its refusal.
KEYS   the org's prefix
ARGV   1 generation, 2 integration, 3 when the last one of the page before failed (ms, '' at first), 4 its id, 5 how many (at most 500)
Reply  {'write-back', now, pending, oldest (ms or false), failed, ids, jobs (JSON), more (1 or 0)} | {'stale', now}
Again  reads anew.
Bound  500 jobs.
]]
if stale() then
  return { 'stale', now }
end
local base = write_back_keys(ARGV[2])
local start = 0
if ARGV[3] ~= '' then
  local rank = redis.call('ZRANK', base .. 'failed', ARGV[4])
  start = rank and rank + 1 or redis.call('ZCOUNT', base .. 'failed', '-inf', '(' .. ARGV[3])
end
local most = tonumber(ARGV[5])
local ids = most > 0 and redis.call('ZRANGE', base .. 'failed', start, start + most) or {}
local more = #ids > most
ids[most + 1] = nil
local jobs = #ids > 0 and redis.call('HMGET', base .. 'jobs', unpack(ids)) or {}
return { 'write-back', now, redis.call('ZCARD', base .. 'pending'), redis.call('ZRANGE', base .. 'pending', 0, 0, 'WITHSCORES')[2] or false,
  redis.call('ZCARD', base .. 'failed'), ids, jobs, more and 1 or 0 }
