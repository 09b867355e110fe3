#!lua
--[[ Takes out of the search what it found prospects by in data that no list has any more.
KEYS   the org's prefix
ARGV   4 integration, then for each: the data as it was put aside, prospect, SHA-1 of its data in all its lists as the caller read it, what to take out (terms with
       spaces between them)
Reply  {'tidied', now, how many}   whose data is another by now: it stays aside, read it anew | {'stale', now} | {'clock', now}
Again  finds nothing more to take out.
Bound  100 prospects of 20 terms; 1,000 of their data, or one prospect's in 64 lists.
]]
local FIRST, STEP = 5, 4
local refusal = guard()
if refusal then
  return refusal
end
local integration, prospects = ARGV[4], {}
for i = FIRST, #ARGV, STEP do
  prospects[#prospects + 1] = ARGV[i + 1]
end
redis.call('ZCARD', prefix .. 'search:' .. integration)
redis.call('SCARD', prefix .. 'search-due')
local out, done = {}, {}
for i, found in ipairs(listed(integration, prospects)) do
  local at = FIRST + (i - 1) * STEP
  if redis.sha1hex(table.concat(found.data, ' ')) == ARGV[at + 2] then
    done[#done + 1] = ARGV[at]
    for term in string.gmatch(ARGV[at + 3], '%S+') do
      out[#out + 1] = term .. ' ' .. prospects[i]
    end
  end
end
if #out > 0 then
  redis.call('ZREM', prefix .. 'search:' .. integration, unpack(out))
end
if #done > 0 then
  redis.call('SREM', prefix .. 'search-due', unpack(done))
end
return { 'tidied', now, #done }
