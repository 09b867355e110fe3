#!lua flags=no-writes
--[[ Tells which of some commands the store's user, as which it is run, may not give. Of each it asks only whether; none is done.
KEYS   the org's prefix
ARGV   1… commands, each with its arguments in one text: 'TIME', 'SET reservoir:{acme}:org'
Reply  {'rights', now, commands that are refused}
Again  asks anew.
Bound  one look at the user's rights for each; the caller gives at most 200.
]]
local refused = {}
for _, command in ipairs(ARGV) do
  if not redis.acl_check_cmd(unpack(words(command))) then
    refused[#refused + 1] = command
  end
end
return { 'rights', now, refused }
