-- expect: limit:memory
-- why: what is closed on the way out cannot replace the error about memory
local function fill()
  local guard <close> = setmetatable({}, { __close = function() error("masked") end })
  return ("x"):rep(1 << 30)
end
for _ = 1, 20 do pcall(fill) end
return "done"
