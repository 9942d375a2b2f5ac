-- json: what goes out comes back.

local function round(text) return json.encode(json.decode(text)) end

for _, text in ipairs({
  "[]", "{}", "[[],{}]", '{"a":[],"b":{}}', "[1,-2,0]", "[1.5,1.0,-0.0,1e+100]", "[null,1,null]", '{"a":null}', '"x"', "null", "true",
  "[9223372036854775807,-9223372036854775808]", [["\"\\\n\t\u0001é€😀"]],
}) do
  assert(round(text) == text, text .. " came back as " .. round(text))
end
print(round([["Aé😀\ud800\/\b\f"]]))
--> "Aé😀�/\b\f"
print(json.decode("[18446744073709551616]")[1], math.type(json.decode("1E2")), json.decode("-0"), json.decode("-0.0"))
--> 18446744073709551616	float	0	-0.0
print(json.decode('{"a":null,"b":1,"b":2}').a == json.null, json.decode('{"a":1,"a":null}').a == json.null)
--> true	true
print(json.decode("[null]")[1] == json.null, json.decode('{"b":1}').a)
--> true	nil
print(json.decode(" \n\r\t{ \"a\" : [ 1 , 2 ] ,\n\"b\" :\t\"c\" } \n").a[2])
--> 2

-- What is not JSON is refused, with the place.
local function refuse(text)
  local ok, problem = pcall(json.decode, text)
  print((problem:gsub("^json.lua:%d+: ", "")))
end
refuse("")
--> json.decode: the text ends where a value was expected at position 1
refuse("[1,]")
--> json.decode: a value was expected at position 4
refuse('{"a":1,}')
--> json.decode: a key in quotes was expected at position 8
refuse("{'a':1}")
--> json.decode: a key in quotes was expected at position 2
refuse('{"a" 1}')
--> json.decode: a colon was expected at position 6
refuse('{"a":1 "b":2}')
--> json.decode: a comma or } was expected at position 8
refuse("[1 2]")
--> json.decode: a comma or ] was expected at position 4
refuse("[1")
--> json.decode: a comma or ] was expected at position 3
refuse('"open')
--> json.decode: a string that does not end (it began at 2) at position 6
refuse('"a\nb"')
--> json.decode: a control character inside a string at position 3
refuse('"\\x"')
--> json.decode: an unknown escape at position 2
refuse('"\\u12g4"')
--> json.decode: an escape \u needs four hexadecimal digits at position 4
refuse("01")
--> json.decode: a number cannot begin with 0 at position 1
refuse("1.")
--> json.decode: a malformed number at position 1
refuse("1.e5")
--> json.decode: a malformed number at position 1
refuse("1e")
--> json.decode: a malformed number at position 1
refuse("-")
--> json.decode: a value was expected at position 1
refuse("+1")
--> json.decode: a value was expected at position 1
refuse("nul")
--> json.decode: a value was expected at position 1
refuse("NaN")
--> json.decode: a value was expected at position 1
refuse("1 2")
--> json.decode: there is text after the value at position 3
refuse(("["):rep(2000))
--> json.decode: nested too deeply at position 1001

-- What JSON has no word for is refused, with the name.
local function mute(value)
  local ok, problem = pcall(json.encode, value)
  print((problem:gsub("^json.lua:%d+: ", "")))
end
mute(print)
--> json.encode: the value is a function
mute({ a = { b = { 1, coroutine.create(print) } } })
--> json.encode: a.b[2] is a coroutine
mute({ 0 / 0 })
--> json.encode: [1] is NaN, which JSON cannot represent
mute({ x = -math.huge })
--> json.encode: x is infinite, which JSON cannot represent
mute({ [1] = 1, [3] = 3 })
--> json.encode: the value is a list with holes
mute({ [1.5] = 1 })
--> json.encode: the value has a key that is not an integer
mute({ [true] = 1 })
--> json.encode: the value has a key that is a boolean
mute({ 1, x = 2 })
--> json.encode: the value mixes a list with named keys
mute({ "\xff" })
--> json.encode: [1] is a string that is not UTF-8
mute({ ["\xff"] = 1 })
--> json.encode: � has a key that is not UTF-8
local cycle = {}
cycle[1] = { cycle }
mute(cycle)
--> json.encode: [1][1] contains itself

-- Marks and options.
print(json.encode(json.array({})), json.encode(json.array()), json.encode({ list = json.array({ 1 }) }), json.encode({ json.null }))
--> []	[]	{"list":[1]}	[null]
print(json.encode({ b = { 1, 2 }, a = {}, c = json.array() }, { pretty = true }))
--> {
-->   "a": {},
-->   "b": [
-->     1,
-->     2
-->   ],
-->   "c": []
--> }
print(json.encode(0.1), json.encode(1 / 3), json.encode(123456789012345680.0), json.encode(5e-324), json.encode(2^63))
--> 0.1	0.3333333333333333	1.2345678901234568e+17	4.94065645841247e-324	9.223372036854776e+18
print(tostring(json.null), json.null == json.decode("null"), pcall(function() json.null.x = 1 end))
--> null	true	false	json.lua:116: json.null cannot be changed

-- An error of a call is encoded with its fields.
local _, problem = pcall(app.integrations.library.lend, { book = "b-404" })
local copy = json.decode(json.encode({ error = problem })).error
print(copy.code, copy.status, copy.request_id)
--> api_error	404	req-7
