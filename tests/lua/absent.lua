-- What the sandbox has not is nil, and Lua's error about it says what to do.

local function say(attempt)
  local _, problem = pcall(attempt)
  print((problem:gsub("^absent.lua:%d+: attempt to ", "")))
end

print(require, io, package, dofile, loadfile, os.getenv, os.execute, os.exit, os.sleep, json.parse, ("").split)
--> nil	nil	nil	nil	nil	nil	nil	nil	nil	nil	nil
say(function() require("json") end)
--> call a nil value (global 'require'): there are no modules to load; json, regex, csv, base64, hash, url and time are already available
say(function() io.write("x") end)
--> index a nil value (global 'io'): there are no files; print and write make output, and arg has the arguments
say(function() os.sleep(1) end)
--> call a nil value (field 'sleep'): if os.sleep was meant, sleep(seconds) waits
say(function() os.getenv("HOME") end)
--> call a nil value (field 'getenv'): if os.getenv was meant, there are no processes and no environment; os has time, date, clock and difftime
say(function() os.exit() end)
--> call a nil value (field 'exit'): if os.exit was meant, exit(status) ends a script
say(function() json.parse("1") end)
--> call a nil value (field 'parse'): if json.parse was meant, JSON is read with json.decode
say(function() json.stringify({}) end)
--> call a nil value (field 'stringify'): if json.stringify was meant, JSON is written with json.encode
say(function() return ("a,b"):split(",") .. "" end)
--> call a nil value (method 'split'): regex.split(text, pattern) splits a text
say(function() library.list_books() end)
--> index a nil value (global 'library'): if an integration was meant, it is under app.integrations

-- Whatever catches an error gets it, once; of other names, and of other values, nothing is said.
local function load_module() require("json") end
print(coroutine.resume(coroutine.create(load_module)))
--> false	absent.lua:30: attempt to call a nil value (global 'require'): there are no modules to load; json, regex, csv, base64, hash, url and time are already available
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

-- What other languages have, and where Lua has it.
say(function() integrations.library.list_books() end)
--> index a nil value (global 'integrations'): integrations are under app.integrations
say(function() cjson.encode({}) end)
--> index a nil value (global 'cjson'): JSON is read with json.decode and written with json.encode
say(function() console.log("x") end)
--> index a nil value (global 'console'): print writes output
say(function() printf("%d", 1) end)
--> call a nil value (global 'printf'): print(string.format(...)) writes
say(function() await(1) end)
--> call a nil value (global 'await'): a call waits for its result: leave the word out; parallel.all runs several at once
say(function() string.startswith("ab", "a") end)
--> call a nil value (field 'startswith'): if string.startswith was meant, compare text:sub(1, #start) with the start
say(function() return (" a "):trim() .. "" end)
--> call a nil value (method 'trim'): text:match("^%s*(.-)%s*$") removes the space around a text
say(function() table.map({}, print) end)
--> call a nil value (field 'map'): if table.map was meant, go through a list with for _, item in ipairs(list) do
say(function() return table.length({}) + 1 end)
--> call a nil value (field 'length'): if table.length was meant, the length of a list is #list
say(function() math.round(1) end)
--> call a nil value (field 'round'): if math.round was meant, math.floor(x + 0.5) rounds
say(function() regex.test("a", "a") end)
--> call a nil value (field 'test'): if regex.test was meant, regex has match, match_all, gsub and split

-- What is there, and is taken for something else. Lua says of ipairs and pcall neither name nor place.
local result = { services = {} }
say(function() for _ in ipairs(result.data) do end end)
--> attempt to index a nil value: ipairs got nil, not a list; a result's list has a name, such as result.services
say(function() for _ in pairs(result.data) do end end)
--> absent.lua:74: bad argument #1 to 'for iterator' (table expected, got nil): pairs got nil, not a table; a result's list has a name, such as result.services
say(function() return #result.data + 1 end)
--> get length of a nil value (field 'data'): a result's list has a name, such as result.services
say(function() table.sort(result.data) end)
--> absent.lua:78: bad argument #1 to 'sort' (table expected, got nil): a result's list has a name, such as result.services
say(function() for i = 1, result.length do end end)
--> absent.lua:80: bad 'for' limit (number expected, got nil): the length of a list is #list
say(function() for found in regex.match_all("a", "a") do end end)
--> call a table value (for iterator 'for iterator'): go through a list with for _, item in ipairs(list) do
say(function() parallel({}) end)
--> call a table value (global 'parallel'): parallel has all and map
print(pcall({}))
--> false	attempt to call a table value: pcall takes the function itself, as in pcall(f, x), not pcall(f(x))
local _, refusal = pcall(app.integrations.library.lend, { book = "b-404" })
say(function() string.find(refusal, "404") end)
--> absent.lua:89: bad argument #1 to 'find' (string expected, got CallError): a failed call raises a table; err.message is its text, err.status the HTTP status
say(function() return os.date("%Y", 1.5) end)
--> absent.lua:91: bad argument #2 to 'date' (number has no integer representation): os.date takes whole seconds: os.time(), or math.floor(time.now())
say(function() return os.difftime(1.5, 0) end)
--> absent.lua:93: bad argument #1 to 'difftime' (number has no integer representation): times are seconds: subtract them

-- Nothing that a script does to its libraries changes that.
string.find, string.match, string.gsub = nil, nil, nil
print(pcall(function() require("json") end))
--> false	absent.lua:98: attempt to call a nil value (global 'require'): there are no modules to load; json, regex, csv, base64, hash, url and time are already available
