-- Errors point at the script, never into the host.

print(pcall(error, "x", 2))
--> false	places.lua:3: x
local function check() error("need a name", 3) end
print(pcall(check))
--> false	places.lua:6: need a name
print(pcall(coroutine.close, coroutine.running()))
--> false	places.lua:8: cannot close a running coroutine
print(pcall(regex.gsub, "a", "a", function() error("bad", 2) end))
--> false	places.lua:10: bad
print(coroutine.resume(coroutine.create(function() error("bad", 2) end)))
--> false	bad
print(load(function() error("bad", 2) end))
--> nil	bad
local function deeper() return parallel.map({ 1 }, deeper) end
print(pcall(deeper))
--> false	places.lua:17: C stack overflow
print(pcall(coroutine.wrap(function() regex.gsub("a", "a", function() error("bad", 2) end) end)))
--> false	places.lua:19: bad

-- What a script says of the host itself stays as it is.
print(pcall(error, "see [host]:7: there", 0))
--> false	see [host]:7: there

-- An error handler that returns a traceback begins where the error is.
local function field_of(value) return value.x.y end
local function fail() local field = field_of({}) return field end
print(select(2, xpcall(fail, function(problem) return debug.traceback(problem, 2) end)):match("(.-)\n.-\n(.-)\n"))
--> places.lua:27: attempt to index a nil value (field 'x')		places.lua:27: in upvalue 'field_of'
print(select(2, xpcall(fail, function(problem) return (debug.traceback(problem, 2)) end)):match("(.-)\n.-\n(.-)\n"))
--> places.lua:27: attempt to index a nil value (field 'x')		places.lua:27: in upvalue 'field_of'
print(select(2, xpcall(fail, function(problem) return debug.traceback(problem) end)):match("(.-)\n.-\n(.-)\n"))
--> places.lua:27: attempt to index a nil value (field 'x')		places.lua:27: in upvalue 'field_of'

-- Functions that are called by pcall say their names.
for _, f in ipairs({ tonumber, ipairs, select, rawget, assert, string.rep, math.floor }) do
  print((select(2, pcall(f)):match("to '(.-)'")))
end
--> tonumber
--> ipairs
--> select
--> rawget
--> assert
--> string.rep
--> math.floor

print(select("#", load("return 1")))
--> 1

-- A key of many lines is told of on one.
print(select(2, pcall(function() return app["a\nb"] end)):match("^app has no '.-'"))
--> app has no 'a b'
