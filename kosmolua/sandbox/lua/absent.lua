-- What scripts reach for and the sandbox has not: Lua's error about it says besides what to do.

local type = type
local match = string.match

local MODULES = "there are no modules to load; json, regex and parallel are there already"
local FILES = "there are no files; print writes, arg has the arguments, and load takes text"
local PROCESSES = "there are no processes and no environment; os has time, date, clock and difftime"
local WAITING = "a script cannot sleep; the host waits where a service wants it"
local SERVICES = "services are reached through app.integrations only"
local DECODE, ENCODE = "JSON is read with json.decode", "JSON is written with json.encode"
local SPLIT = "texts are split with regex.split"

---Which table of the sandbox a field is looked for in; a table of the script's own may have it and be without it.
local owners = {
  getenv = "os", execute = "os", remove = "os", rename = "os", tmpname = "os", exit = "os", sleep = "os",
  parse = "json", loads = "json", stringify = "json", dumps = "json",
  split = "string", each = "parallel", getinfo = "debug",
}

local hints = {
  global = {
    require = MODULES, package = MODULES,
    io = FILES, dofile = FILES, loadfile = FILES,
    sleep = WAITING,
    http = SERVICES, fetch = SERVICES,
    loadstring = "text is compiled with load", unpack = "lists are unpacked with table.unpack",
  },
  field = {
    getenv = PROCESSES, execute = PROCESSES,
    remove = FILES, rename = FILES, tmpname = FILES,
    exit = "return ends a script, error lets it fail",
    sleep = WAITING,
    parse = DECODE, loads = DECODE, stringify = ENCODE, dumps = ENCODE,
    split = SPLIT,
    each = "parallel has all and map",
    getinfo = "debug has only traceback",
  },
  method = { split = SPLIT },
}

---Returns what to do about a nil, or nil where nothing is known of it.
---@param kind? string what Lua says that it is: a global, a field, a method
local function hint(verb, kind, name)
  local known = kind and hints[kind] and hints[kind][name]
  if known and kind == "field" then
    return "if " .. owners[name] .. "." .. name .. " was meant, " .. known
  elseif known or kind ~= "global" or verb ~= "index" then
    return known
  end
  return "if an integration was meant, it would be app.integrations." .. name
end

---Returns an error value; where it is Lua's own message about something that the sandbox has not, with what to do.
local function explain(problem)
  if type(problem) ~= "string" then
    return problem
  end
  local advice = hint(match(problem, "attempt to (%a+) a nil value %((%a+) '([%w_]+)'%)$"))
  return advice and problem .. ": " .. advice or problem
end

return { explain = explain }
