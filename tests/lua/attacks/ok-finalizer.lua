-- expect: ok
-- why: a finalizer that is added later never runs
local meta = {}
local object = setmetatable({}, meta)
meta.__gc = function() error("PWNED") end
assert(not pcall(setmetatable, {}, meta))
object = nil
collectgarbage()
collectgarbage()
return "ok"
