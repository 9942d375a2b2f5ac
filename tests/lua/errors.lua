-- An error of a call is a table with fields, and reads like a sentence.

local library = app.integrations.library
local ok, problem = pcall(library.lend, { book = "b-404" })
print(ok, type(problem), problem.code, problem.status, problem.request_id, problem.retryable, problem.path, problem.account)
--> false	table	api_error	404	req-7	false	library.lend	work
print(problem.call, problem.nothing, rawget(problem, "code"))
--> nil	nil	nil
print(tostring(problem) == problem.message, problem .. "!" == problem.message .. "!", "!" .. problem == "!" .. problem.message)
--> true	true	true
print(problem:find("404") ~= nil, problem:upper() == problem.message:upper(), #problem == #problem.message, problem:match("^%w+") ~= nil)
--> true	true	true	true
print(pcall(function() problem.code = "mine" end))
--> false	errors.lua:13: an error of a call cannot be changed
print(pcall(function() return problem .. nil end))
--> false	errors.lua:15: attempt to concatenate a nil value
local names = {}
for name in pairs(problem) do names[#names + 1] = name end
table.sort(names)
print(table.concat(names, " "))
--> account body code message path request_id retryable status

ok, problem = pcall(library.list_books, { limit = "many" })
print(problem.code, problem.param, problem.message:sub(-18))
--> bad_arguments	limit	 Nothing was sent.

-- A text is no list.
print(pcall(ipairs, "text"))
--> false	bad argument #1 to 'ipairs' (table expected, got string): ipairs got a text, not a list; json.decode, csv.parse and regex.split make a list from a text
print(select(2, pcall(function() for _ in pairs("text") do end end)):match("%(.*"))
--> (table expected, got string): pairs got a text, not a table; json.decode, csv.parse and regex.split make a list from a text
print(pcall(ipairs))
--> false	bad argument #1 to 'ipairs' (table expected, got no value)
for _, value in ipairs(setmetatable({}, { __index = function(_, index) return index < 3 and index or nil end })) do print(value) end
--> 1
--> 2
