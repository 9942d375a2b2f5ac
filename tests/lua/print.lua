-- print and dump show tables with their content.

print()
-->
print("text", 1, 1.0, -0.0, nil, true, 2^53, 1e100, math.mininteger)
--> text	1	1.0	-0.0	nil	true	9.007199254741e+15	1e+100	-9223372036854775808
print({}, json.array(), { 1, 2, 3 }, { "a", { "b" } })
--> {}	[]	[1, 2, 3]	["a", ["b"]]
print({ b = 1, a = "x\ny\0\"\\", ["with space"] = true, ["end"] = 0, [10] = 1, [2.5] = 2, [true] = 3 })
--> {[2.5] = 2, [10] = 1, a = "x\ny\000\"\\", b = 1, ["end"] = 0, ["with space"] = true, [true] = 3}
print({ 1, 2, named = 3 }, { 1, nil, 3 }, { json.null })
--> {1, 2, named = 3}	[1, nil, 3]	[null]

local shared = { 1 }
print({ shared, shared })
--> [[1], [1]]
local cycle = { name = "me" }
cycle.self = cycle
print(cycle)
--> {name = "me", self = <cycle>}

print(setmetatable({}, { __tostring = function() return "spoken" end }), { setmetatable({}, { __tostring = function() return "within" end }) })
--> spoken	[within]
print((tostring(setmetatable({}, { __name = "Named" })):gsub("0x%x+", "ADDRESS")))
--> Named: ADDRESS
print(pcall(print, setmetatable({}, { __tostring = function() error("mute", 0) end })))
--> false	mute
print(setmetatable({ 1 }, { __metatable = "locked" }), setmetatable({ 2 }, { __pairs = error, __len = error, __index = error }))
--> [1]	[2]
print(app, app.integrations.library, json.null)
--> app	app.integrations.library	null
print(app.integrations.library.list_books, { app.integrations.library.work.lib_lend })
--> function: app.integrations.library.list_books	[function: app.integrations.library.work.lend]

local wide = {}
for index = 1, 40 do wide[index] = 1000 + index end
print({ wide = { wide[1], wide[2] }, long = ("x"):rep(90) })
--> {
-->   long = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
-->   wide = [1001, 1002]
--> }
local deep = "end"
for _ = 1, 200 do deep = { deep } end
print(select(2, tostring(json.array({ 1 })):gsub("table: 0x%x+", "")))
--> 1

local value = dump({ a = 1 })
--> {a = 1}
print(value.a, dump("text"))
--> text
--> 1	text
print(dump(nil), select("#", dump(nil)))
--> nil
--> nil
--> nil	1

-- Without a newline, and without tabs.
write("a", 1, { 2 }, "\n")
--> a1[2]
write("one ") write() write("line\n")
--> one line
print(select("#", write("")))
--> 0
