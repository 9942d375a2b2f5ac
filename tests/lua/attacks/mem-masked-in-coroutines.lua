-- expect: limit:memory
-- why: a generator that is closed because it failed, or that is closed while it waits, hides spent memory as little
local class = {}
class.__close = function(object) if object.grows then return ("x"):rep(1 << 30) end error("masked") end
local function masked(grows) return setmetatable({ grows = grows }, class) end
local waiting = coroutine.create(function()
  local outer <close> = masked(false)
  local inner <close> = masked(true)
  coroutine.yield()
end)
coroutine.resume(waiting)
coroutine.close(waiting)
return "closed"
