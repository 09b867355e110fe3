-- What searching, erasing and asking why share: a prospect's data in all its lists, what is to be taken out of the search, and a rep's own place.

-- The lists that have each of some prospects, and its data in each: { lists = {…}, data = {…} } in the order of the prospects. A list whose data is of the wrong
-- type has nobody. Stops behind `most` reads, if it is given, and returns for how many prospects it went.
local function listed(integration, prospects, most)
  local marks, by_list, found, reads = redis.call('HMGET', prefix .. 'lists-of:' .. integration, unpack(prospects)), {}, {}, 0
  local order = {}
  for i, prospect in ipairs(prospects) do
    local of = words(marks[i])
    if most and i > 1 and reads + #of > most then
      break
    end
    reads = reads + #of
    found[i] = { lists = {}, data = {} }
    for _, mark in ipairs(of) do
      local list = string.gsub(mark, '^!', '')
      if not by_list[list] then
        by_list[list] = { prospects = {}, rows = {} }
        order[#order + 1] = list
      end
      table.insert(by_list[list].prospects, prospect)
      table.insert(by_list[list].rows, found[i])
    end
  end
  table.sort(order)
  for _, list in ipairs(order) do
    local base, of = prefix .. 'list:' .. list, by_list[list]
    local data = redis.call('HGET', base, 'integration') == integration and redis.pcall('HMGET', base .. ':members', unpack(of.prospects)) or {}
    for i, row in ipairs(of.rows) do
      if data[i] then
        table.insert(row.lists, list)
        table.insert(row.data, data[i])
      end
    end
  end
  return found
end

-- Puts data that a list has no longer aside, until what a search found by it is gone.
local function put_aside(integration, data)
  local gone = {}
  for _, json in ipairs(data) do
    gone[#gone + 1] = json and integration .. ' ' .. json or nil
  end
  if #gone > 0 then
    redis.call('SADD', prefix .. 'search-due', unpack(gone))
  end
end

local PLACE_KEPT = 30 * DAY

-- Where the rep's own walk goes on: behind the prospect last handed over, wherever it is by now; at its old rank if it left; nil at the end.
local function own_place(base, rep)
  local seen, rank, prospect = string.match(redis.call('HGET', base .. ':places', rep) or '', '^(%d+) (%d+) (.*)$')
  if not seen or tonumber(seen) + PLACE_KEPT < now then
    return '-inf'
  end
  local place = redis.call('ZSCORE', base .. ':order', prospect)
  if place then
    return '(' .. place
  end
  return redis.call('ZRANGE', base .. ':order', rank, rank, 'WITHSCORES')[2]
end
