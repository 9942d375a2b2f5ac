-- Functions that the sandbox wraps fail as C's do, and point at the script.

local function say(...)
  local ok, problem = pcall(...)
  print(problem)
end

say(function() setmetatable(1, {}) end)
--> wrappers.lua:8: bad argument #1 to 'setmetatable' (table expected, got number)
say(function() setmetatable({}, 1) end)
--> wrappers.lua:10: bad argument #2 to 'setmetatable' (nil or table expected)
say(function() setmetatable(setmetatable({}, { __metatable = 1 }), {}) end)
--> wrappers.lua:12: cannot change a protected metatable
say(function() setmetatable({}, { __gc = print }) end)
--> wrappers.lua:14: setmetatable: __gc is not available in the sandbox
say(function() pcall() end)
--> wrappers.lua:16: bad argument #1 to 'pcall' (value expected)
say(function() xpcall(print) end)
--> wrappers.lua:18: bad argument #2 to 'xpcall' (function expected, got nil)
say(function() coroutine.resume(1) end)
--> wrappers.lua:20: bad argument #1 to 'resume' (coroutine expected, got number)
say(function() load({}) end)
--> wrappers.lua:22: bad argument #1 to 'load' (function expected, got table)
say(function() collectgarbage("everything") end)
--> wrappers.lua:24: bad argument #1 to 'collectgarbage' (invalid option 'everything')
say(function() debug.traceback("x", {}) end)
--> wrappers.lua:26: bad argument #2 to 'traceback' (integer expected, got table)
say(function() rawset(app, "x", 1) end)
--> wrappers.lua:28: a table of the host is read-only
say(function() rawset(1, "x", 1) end)
--> wrappers.lua:30: bad argument #1 to 'rawset' (table expected, got number)

-- And otherwise they do what they always did.
print((pcall(error)), pcall(error, "x", 0))
--> false	false	x
print(xpcall(function(...) return ... end, print, 1, nil, 3))
--> true	1	nil	3
print(xpcall(error, function(problem) return problem .. "!" end, "x"))
--> false	x!
print(pcall(pcall, error, { 1 }))
--> true	false	[1]
print(rawset({}, "x", 1).x, getmetatable(setmetatable({}, { __metatable = "mine" })))
--> 1	mine

local thread = coroutine.create(function(...)
  local got = coroutine.yield(...)
  error("it got " .. got)
end)
print(coroutine.resume(thread, 1, 2))
--> true	1	2
print(coroutine.resume(thread, "this"))
--> false	wrappers.lua:47: it got this
print(coroutine.status(thread), coroutine.resume(thread))
--> dead	false	cannot resume dead coroutine
print(coroutine.close(thread))
--> false	wrappers.lua:47: it got this
