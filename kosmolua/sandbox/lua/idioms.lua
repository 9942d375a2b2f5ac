-- Names of other languages, and how to write in Lua what they mean: lines of NAMES: HINT. Lua's own errors get the hints
-- of globals and fields here in the sandbox; `kosmolua/lua/idioms.py` reads this file for the check of scripts.
--
-- Fields stand under a library that could have them. In the check, they are fields and methods of any value; `only` are
-- those of one library, `lists` those of lists, which mean something else elsewhere.

return [==[
globals
None null undefined NULL Nil NaN: Lua's word is nil
True: Lua writes true
False: Lua writes false
await async Promise asyncio gather: a call waits for its result: leave the word out; parallel.all runs several at once
this self: a function without a colon has no self: name the value
JSON cjson dkjson: JSON is read with json.decode and written with json.encode
console echo puts log logger logging pprint: print writes output
printf: print(string.format(...)) writes
require package import: there are no modules to load; json, regex, csv, base64, hash, url and time are already available
io dofile loadfile open: there are no files; print and write make output, and arg has the arguments
http fetch requests axios socket: services are reached through app.integrations
Date datetime moment: time.now() is now, and time.parse and time.format read and write times
try catch throw raise: Lua has pcall: local ok, err = pcall(f), and error(text)
switch match case: Lua has no switch: write if, elseif, else
wait delay setTimeout setInterval task: sleep(seconds) waits
enumerate map filter foreach each zip sum Object: go through a list with for _, item in ipairs(list) do
len Array: the length of a list is #list
sorted sort: table.sort(list, function(a, b) return a.name < b.name end) sorts in place
typeof isinstance: type(value) returns the type
parseInt parseFloat Number float: tonumber(text) converts text to a number
String repr str: tostring(value) converts a value to text
int: math.tointeger(value) or tonumber(text)
quit die: exit(status) ends a script
bit bit32: Lua writes &, |, ~, << and >> between integers
Counter defaultdict: count in a table: n[key] = (n[key] or 0) + 1
call_tool callTool call_function: a call is app.integrations.NAME.FUNCTION({ ... })
sprintf format: string.format formats text
f: join text with .., or use string.format
re: regex has match, match_all, gsub and split, each with the text first
new: there is no new: call a function that makes the table
__name__: a script runs from its first line
unpack: lists are unpacked with table.unpack
loadstring: text is compiled with load
range: count with for i = 1, n do
not_: Lua writes not
integrations: integrations are under app.integrations
input: input is nil, since the run was given none
process: there are no processes and no environment; os has time, date, clock and difftime
Math: Lua writes math

fields
table.length table.len table.size table.count table.getn: the length of a list is #list
table.push table.append table.add table.insert: write list[#list + 1] = item, or table.insert(list, item)
table.map table.filter table.forEach table.reduce table.each: go through a list with for _, item in ipairs(list) do
table.find table.some table.every: go through a list with for _, item in ipairs(list) do
table.sort table.sorted: table.sort(list, function(a, b) return a.name < b.name end) sorts in place
table.join table.concat: table.concat(list, ", ") joins texts
table.slice string.substring string.substr: text:sub(first, last) cuts a text; table.move copies a part
table.keys: for key in pairs(map) do goes through keys
table.values: for _, value in pairs(map) do goes through values
table.items: for key, value in pairs(map) do goes through a map
table.then: a call waits for its result: leave the word out; parallel.all runs several at once
string.includes string.contains string.indexOf: text:find(part, 1, true) finds a part
string.startswith string.startsWith string.starts_with: compare text:sub(1, #start) with the start
string.endswith string.endsWith string.ends_with: compare text:sub(-#ending) with the ending
string.split string.splitlines: regex.split(text, pattern) splits a text
string.trim string.strip: text:match("^%s*(.-)%s*$") removes the space around a text
string.toUpperCase string.toLowerCase: text:upper() and text:lower()
string.replace: text:gsub(pattern, replacement) replaces text
string.format: time.format(seconds) writes a time, and ("%.1f"):format(number) a number
string.gfind: string.gmatch goes through matches
json.parse json.loads json.load: JSON is read with json.decode
json.stringify json.dumps json.dump: JSON is written with json.encode
math.pow: Lua writes x ^ y
math.round: math.floor(x + 0.5) rounds
os.getenv os.execute: there are no processes and no environment; os has time, date, clock and difftime
os.remove os.rename os.tmpname: there are no files; print and write make output, and arg has the arguments
os.exit: exit(status) ends a script
os.sleep: sleep(seconds) waits

only
regex.test regex.find regex.gmatch: regex has match, match_all, gsub and split
parallel.each: parallel has all and map
debug.getinfo: debug has only traceback
table.contains table.includes table.find table.indexOf table.has: keep a set, and test set[value]
table.copy table.clone table.slice: table.move(list, 1, #list, 1, {}) copies a list
table.isempty: next(t) == nil is true if a table is empty

lists
items values: it is the list itself: for _, item in ipairs(list) do goes through it
keys: for i in ipairs(list) do goes through the positions of a list
remove pop shift: table.remove(list, index) removes an item
unpack: table.unpack(list) gives the items
first: the first item is list[1]
last: the last item is list[#list]
]==]
