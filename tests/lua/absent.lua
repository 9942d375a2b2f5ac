-- What the sandbox has not is nil, and Lua's error about it says what to do.

local function say(attempt)
  local _, problem = pcall(attempt)
  print((problem:gsub("^absent.lua:%d+: attempt to ", "")))
end

print(require, io, package, dofile, loadfile, sleep, os.getenv, os.execute, os.exit, os.sleep, json.parse, ("").split)
--> nil	nil	nil	nil	nil	nil	nil	nil	nil	nil	nil	nil
say(function() require("json") end)
--> call a nil value (global 'require'): there are no modules to load; json, regex and parallel are there already
say(function() io.write("x") end)
--> index a nil value (global 'io'): there are no files; print writes, arg has the arguments, and load takes text
say(function() os.sleep(1) end)
--> call a nil value (field 'sleep'): if os.sleep was meant, a script cannot sleep; the host waits where a service wants it
say(function() os.getenv("HOME") end)
--> call a nil value (field 'getenv'): if os.getenv was meant, there are no processes and no environment; os has time, date, clock and difftime
say(function() os.exit() end)
--> call a nil value (field 'exit'): if os.exit was meant, return ends a script, error lets it fail
say(function() json.parse("1") end)
--> call a nil value (field 'parse'): if json.parse was meant, JSON is read with json.decode
say(function() json.stringify({}) end)
--> call a nil value (field 'stringify'): if json.stringify was meant, JSON is written with json.encode
say(function() return ("a,b"):split(",") .. "" end)
--> call a nil value (method 'split'): texts are split with regex.split
say(function() library.list_books() end)
--> index a nil value (global 'library'): if an integration was meant, it would be app.integrations.library

-- Whatever catches an error gets it, once; of other names, and of other values, nothing is said.
local function load_module() require("json") end
print(coroutine.resume(coroutine.create(load_module)))
--> false	absent.lua:30: attempt to call a nil value (global 'require'): there are no modules to load; json, regex and parallel are there already
local _, once = pcall(load_module)
print(select(2, pcall(error, once, 0)) == once, select(2, xpcall(load_module, function(problem) return problem end)) == once)
--> true	true
say(function() frobnicate() end)
--> call a nil value (global 'frobnicate')
say(function() json.frobnicate() end)
--> call a nil value (field 'frobnicate')
local split
say(function() split() end)
--> call a nil value (upvalue 'split')
print(pcall(error, { 1 }))
--> false	[1]
