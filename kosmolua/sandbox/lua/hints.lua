-- Hints that are added to Lua's own errors: names that the sandbox lacks, and habits of other languages.

local host = ...

local ipairs, next, type = ipairs, next, type
local find, gmatch, match = string.find, string.gmatch, string.match

local LENGTH = "the length of a list is #list"
local LOOP = "go through a list with for _, item in ipairs(list) do"
local LIST = "a result's list has a name, such as result.services"
local MAKE_LIST = "json.decode, csv.parse and regex.split make a list from a text"
local TO_NUMBER = "tonumber(text) makes a number of a text, and time.parse(text) one of a time"

---The hints for globals by name, and for fields, since Lua's error has the name of the field only, with a library that could
---have it.
local globals, fields = {}, {}
local section
for line in gmatch(host.idioms, "[^\n]+") do
  local names, hint = match(line, "^(.-): (.*)$")
  section = names and section or line
  for name in gmatch(names or "", "%S+") do
    local library, field = match(name, "^(%l+)%.(.+)$")
    if section == "globals" then
      globals[name] = hint
    elseif library then
      fields[field] = fields[field] or { library = library, hint = hint }
    end
  end
end

---Hints for Lua's other messages. The key is a text that the message contains; then the first pattern that matches counts.
---Patterns that begin with ^ are for errors that a C function raised, whose message does not begin with a script's line.
local misuses = {
  ["attempt to "] = {
    { "^attempt to index a nil value$", "ipairs got nil, not a list; " .. LIST },
    { "attempt to get length of a nil value", LIST },
    { "value %(for iterator 'for iterator'%)$", LOOP },
    { "call a table value %(global 'parallel'%)$", "parallel has all and map" },
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
    { "'date' %(number has no integer representation%)$", "os.date takes whole seconds: os.time(), or math.floor(time.now())" },
    { "'difftime' %(number has no integer representation%)$", "times are seconds: subtract them" },
    { "#1 to 'time' %(table expected, got string%)$", "time.parse reads a text; os.time takes a table such as { year = 2026, month = 3, day = 1 }" },
    { "#%d to 'unpack' %(number expected, got", "pcall returns several values: local ok, result = pcall(f)" },
    { "'for' limit %(number expected, got nil%)$", LENGTH },
    { "%(string expected, got CallError%)$", "a failed call raises a table; err.message is its text, err.status the HTTP status" },
  },
}

---Returns what to do about a nil that has a name, or nil if there is no hint.
---@param kind? string what Lua's message calls it: global, field or method
local function of_nil(verb, kind, name)
  local known = fields[name]
  if kind == "field" and verb == "call" then
    return known and "if " .. known.library .. "." .. name .. " was meant, " .. known.hint
  elseif kind == "method" then
    return known and (known.library == "string" or known.library == "table") and known.hint
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
