-- Hints that are added to Lua's own errors: names that the sandbox lacks, and habits of other languages.

local ipairs, next, type = ipairs, next, type
local find, match = string.find, string.match

local MODULES = "there are no modules to load; json, regex, csv, base64, hash, url and time are already available"
local FILES = "there are no files; print and write make output, arg has the arguments, and load takes text"
local PROCESSES = "there are no processes and no environment; os has time, date, clock and difftime"
local WAITING = "sleep(seconds) waits"
local AWAITING = "a call waits for its result; parallel.all runs several at once"
local TIMES = "time.now() is now, and time.parse and time.format read and write times"
local SELF = "a function without a colon has no self: name the value"
local TRYING = "Lua has pcall: local ok, err = pcall(f), and error(text)"
local TEXT = "join text with .., or use string.format"
local SERVICES = "services are reached through app.integrations only"
local WRITING = "print writes output"
local JSON = "JSON is read with json.decode and written with json.encode"
local DECODE, ENCODE = "JSON is read with json.decode", "JSON is written with json.encode"
local SPLIT = "texts are split with regex.split"
local TRIM = 'the space around a text is left out with text:match("^%s*(.-)%s*$")'
local STARTS, ENDS = "compare text:sub(1, #start) with the start", "compare text:sub(-#ending) with the ending"
local CONTAINS = "text:find(part, 1, true) finds a part"
local LENGTH = "the length of a list is #list"
local APPEND = "write list[#list + 1] = item, or table.insert(list, item)"
local SORT = "table.sort(list, function(a, b) return a.name < b.name end) sorts in place"
local LOOP = "go through the list with for _, item in ipairs(list) do"
local REGEX = "regex has match, match_all, gsub and split"
local PARALLEL = "parallel has all and map"
local LIST = "a result's list has a name, such as result.services"
local MAKE_LIST = "json.decode, csv.parse and regex.split make a list from a text"

local globals = {
  require = MODULES, package = MODULES,
  io = FILES, dofile = FILES, loadfile = FILES,
  await = AWAITING, asyncio = AWAITING,
  input = "input is nil, since the run was given none", enumerate = LOOP, puts = WRITING,
  wait = WAITING, setTimeout = WAITING, re = REGEX,
  http = SERVICES, fetch = SERVICES, integrations = "integrations are under app.integrations",
  async = AWAITING, Promise = AWAITING,
  Date = TIMES, datetime = TIMES, moment = TIMES,
  None = "Lua's word is nil", null = "Lua's word is nil", undefined = "Lua's word is nil",
  True = "Lua writes true", False = "Lua writes false",
  this = SELF, self = SELF,
  try = TRYING, catch = TRYING, throw = TRYING, raise = TRYING,
  switch = "Lua writes if, elseif and else for a switch", Math = "Lua writes math",
  len = LENGTH, range = "count with for i = 1, n do", str = "tostring(value) makes text", f = TEXT,
  int = "math.tointeger(value) or tonumber(text)", requests = SERVICES, axios = SERVICES,
  process = PROCESSES, Object = LOOP, Array = LOOP, echo = WRITING,
  console = WRITING, log = WRITING, printf = "print(string.format(...)) writes",
  cjson = JSON, JSON = JSON,
  loadstring = "text is compiled with load", unpack = "lists are unpacked with table.unpack",
}

---Functions that the libraries lack. Each name is listed once, since Lua's error has the name of the field only.
local TO_NUMBER = "tonumber(text) makes a number of a text, and time.parse(text) one of a time"
local fields = {
  os = {
    getenv = PROCESSES, execute = PROCESSES,
    remove = FILES, rename = FILES, tmpname = FILES,
    exit = "exit(status) ends a script",
    sleep = WAITING,
  },
  json = { parse = DECODE, loads = DECODE, stringify = ENCODE, dumps = ENCODE },
  string = {
    split = SPLIT, trim = TRIM, contains = CONTAINS,
    startswith = STARTS, startsWith = STARTS, starts_with = STARTS,
    endswith = ENDS, endsWith = ENDS, ends_with = ENDS,
    includes = CONTAINS, indexOf = CONTAINS, gfind = "string.gmatch goes through matches",
    replace = "text:gsub(pattern, replacement) replaces text",
  },
  table = {
    length = LENGTH, getn = LENGTH, map = LOOP, filter = LOOP, forEach = LOOP,
    push = APPEND, append = APPEND, add = APPEND,
  },
  math = { round = "math.floor(x + 0.5) rounds", pow = "Lua writes x ^ y" },
  regex = { test = REGEX, find = REGEX, gmatch = REGEX },
  parallel = { each = PARALLEL },
  debug = { getinfo = "debug has only traceback" },
}

---Hints for Lua's other messages. The key is a text that the message contains; then the first pattern that matches counts.
---Patterns that begin with ^ are for errors that a C function raised, whose message does not begin with a script's line.
local misuses = {
  ["attempt to "] = {
    { "^attempt to index a nil value$", "ipairs got nil, not a list; " .. LIST },
    { "attempt to get length of a nil value", LIST },
    { "value %(for iterator 'for iterator'%)$", LOOP },
    { "call a table value %(global 'parallel'%)$", PARALLEL },
    { "attempt to add a 'string' with", "texts are joined with .." },
    { "attempt to concatenate a table value", "print shows tables" },
    { "%(field '%?'%)$", "a list begins at 1, and ends at #list; write (map[key] or 0) for a key that a map lacks" },
    { "%(field 'integer index'%)$", "a list begins at 1, and ends at #list" },
    { "attempt to compare two table values", "table.sort(list, function(a, b) return a.name < b.name end) sorts tables" },
    { "attempt to compare number with string", TO_NUMBER },
    { "attempt to compare string with number", TO_NUMBER },
    { "%(local 'self'%)$", "call it with a colon, as in object:method(...)" },
    { "^attempt to call a %a+ value$", "pcall takes the function itself, as in pcall(f, x), not pcall(f(x))" },
  },
  ["bad "] = {
    { "'for iterator' %(table expected, got nil%)$", "pairs got nil, not a table; " .. LIST },
    { "'for iterator' %(table expected, got string%)$", "pairs got a text, not a table; " .. MAKE_LIST },
    { "#1 to 'ipairs' %(table expected, got string%)$", "ipairs got a text, not a list; " .. MAKE_LIST },
    { "#1 to 'insert' %(table expected, got nil%)$", "give it a list first: map[key] = map[key] or {}" },
    { "#1 to '%a+' %(table expected, got nil%)$", LIST },
    { "#1 to '%a+' %(string expected, got no value%)$", "a method of a text is called with a colon, as in text:upper()" },
    { "'format' %(number has no integer representation%)$", "%d takes whole numbers: math.floor(x), or %.1f" },
    { "#1 to 'time' %(table expected, got string%)$", "time.parse reads a text; os.time takes a table such as { year = 2026, month = 3, day = 1 }" },
    { "#%d to 'unpack' %(number expected, got", "pcall returns several values: local ok, result = pcall(f)" },
    { "'for' limit %(number expected, got nil%)$", LENGTH },
    { "%(string expected, got CallError%)$", "a failed call raises a table; err.message is its text, err.status the HTTP status" },
  },
}

---Methods that lists and strings have in other languages, under any variable name.
local members = { sort = SORT, push = APPEND, append = APPEND, length = LENGTH, map = LOOP, filter = LOOP, forEach = LOOP }

local function of_field(name)
  for library, hints in next, fields do
    if hints[name] then
      return "if " .. library .. "." .. name .. " was meant, " .. hints[name]
    end
  end
end

---Returns what to do about a nil that has a name, or nil if there is no hint.
---@param kind? string what Lua's message calls it: global, field or method
local function of_nil(verb, kind, name)
  if kind == "field" then
    return of_field(name)
  elseif kind == "method" then
    return fields.string[name] or members[name]
  elseif kind == "global" then
    return globals[name] or verb == "index" and "if an integration was meant, it is under app.integrations" or nil
  end
end

local function among(patterns, problem)
  for _, misuse in ipairs(patterns) do
    if find(problem, misuse[1]) then
      return misuse[2]
    end
  end
end

local function of_misuse(problem)
  for words, patterns in next, misuses do
    if find(problem, words, 1, true) then
      return among(patterns, problem)
    end
  end
end

---Returns an error value, with a hint added if it is one of Lua's messages above.
local function explain(problem)
  if type(problem) ~= "string" then
    return problem
  end
  local advice = of_nil(match(problem, "attempt to (%a+) a nil value %((%a+) '([%w_]+)'%)$")) or of_misuse(problem)
  return advice and problem .. ": " .. advice or problem
end

return { explain = explain }
