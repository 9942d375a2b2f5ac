-- expect: limit:memory
-- why: a generator closes what it holds before its caller sees that memory is spent
local next_item = coroutine.wrap(function()
  local guard <close> = setmetatable({}, { __close = function() coroutine.yield("survived") end })
  local all = {}
  while true do all[#all + 1] = ("x"):rep(1e6) .. #all end
end)
pcall(next_item)
return "survived"
