#!lua flags=no-writes
--[[ Reads the history in the order of recording.
KEYS   the org's prefix
ARGV   1 generation, 2 id of the entry behind which to begin ('' at first), 3 id of the last entry to read ('+' for none), 4 how many (at most 500)
Reply  {'page', now, entries, more (1 or false), last}   entries as XRANGE tells them; last: the id of the newest entry there is
       {'stale', now}
Again  reads anew.
Bound  500 entries, and one to see whether there are more.
]]
if stale() then
  return { 'stale', now }
end
local history, most = prefix .. 'history', tonumber(ARGV[4])
local entries = redis.call('XRANGE', history, ARGV[2] == '' and '-' or '(' .. ARGV[2], ARGV[3], 'COUNT', most + 1)
local newest = redis.call('XREVRANGE', history, '+', '-', 'COUNT', 1)[1]
local more = #entries > most
entries[most + 1] = nil
return { 'page', now, entries, more and 1 or false, newest and newest[1] or '0-0' }
