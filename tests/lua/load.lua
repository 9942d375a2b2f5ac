-- load compiles text, with the script's globals unless it is told otherwise; bytecode never.

x = 5
print(load("return x")(), load("return x", "name", "t", { x = 6 })(), load("return _ENV ~= nil and x == nil", "n", "t", {})())
--> 5	6	true
print(pcall(load("return x", "=name", "t", nil)))
--> false	name:1: attempt to index a nil value (upvalue '_ENV')
load("x = 7")()
print(x)
--> 7
print(load("x = = 1", "=chunk"))
--> nil	chunk:1: unexpected symbol near '='

local pieces = { "return ", "1", " + 2", nil }
local next_piece = 0
print(load(function()
  next_piece = next_piece + 1
  return pieces[next_piece]
end)())
--> 3
print(load(function() error("no more") end))
--> nil	load.lua:21: no more
print(load(function() return {} end))
--> nil	reader function must return a string
print(load("\27Lua"))
--> nil	attempt to load a binary chunk (mode is 't')
print(load(function() return nil end, nil, "b"))
--> nil	attempt to load a text chunk (mode is 'b')
print(load("\27Lua", "x", "bt"))
--> nil	attempt to load a binary chunk (mode is 't')

-- No chunk can pass for the script, nor for the host, whose frames no traceback shows.
for _, name in ipairs({ "=[host]", "@[host]", "@[host]:1", "@load.lua" }) do
  local ok, problem = pcall(load, "return 1", name)
  print(ok, problem)
end
--> false	bad argument #2 to 'load' (the name '=[host]' is taken)
--> false	bad argument #2 to 'load' (the name '@[host]' is taken)
--> false	bad argument #2 to 'load' (the name '@[host]:1' is taken)
--> false	bad argument #2 to 'load' (the name '@load.lua' is taken)
print(load("return 1", "=host")(), load("return 2", "load.lua")(), load("return 3", 4)(), load("return 4", nil)())
--> 1	2	3	4
