-- Tracebacks show the script's own frames.

local function inner() local text = debug.traceback("told") return text end
local function outer() local text = inner() return text end
print(outer())
--> told
--> stack traceback:
--> 	traceback.lua:3: in upvalue 'inner'
--> 	traceback.lua:4: in local 'outer'
--> 	traceback.lua:5: in main chunk
print(debug.traceback({}) ~= nil, debug.traceback(nil):sub(1, 5))
--> true	stack
local thread = coroutine.create(function() coroutine.yield() end)
coroutine.resume(thread)
print((debug.traceback(thread):gsub("%[C%]: in function 'coroutine.yield'\n%s*", "")))
--> stack traceback:
--> 	traceback.lua:13: in function <traceback.lua:13>
print(xpcall(function() error("boo") end, debug.traceback))
--> false	traceback.lua:18: boo
--> stack traceback:
--> 	[C]: in function 'error'
--> 	traceback.lua:18: in function <traceback.lua:18>
--> 	[C]: in function 'xpcall'
--> 	traceback.lua:18: in main chunk
print(xpcall(function() json.encode({ print }) end, debug.traceback))
--> false	traceback.lua:25: json.encode: [1] is a function
--> stack traceback:
--> 	traceback.lua:25: in function <traceback.lua:25>
--> 	[C]: in function 'xpcall'
--> 	traceback.lua:25: in main chunk
