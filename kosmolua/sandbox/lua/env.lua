-- The environment of a script: copies of the libraries, by an allow-list. A script has no function that is not named here.
-- What those do that Lua itself lacks is told in `kosmolua/lua/globals.lua`, which editors read.

local host = ...

local bridge, is_taken = host.bridge, host.is_taken
local memory, requests, traceback = host.memory, host.requests, host.traceback
local host_tables = host.registry.host_tables
local error, ipairs, load, next, rawget, rawset, select, setmetatable, tonumber, tostring, type =
  error, ipairs, load, next, rawget, rawset, select, setmetatable, tonumber, tostring, type
local collectgarbage, huge, integer_or_float, tointeger = collectgarbage, math.huge, math.type, math.tointeger
local find, format, gsub, match = string.find, string.format, string.gsub, string.match
local concat, pack = table.concat, table.pack
local close, create, resume = memory.close, coroutine.create, memory.resume
local getinfo, metatable_of, lua_traceback = debug.getinfo, debug.getmetatable, debug.traceback

local function copy(library, without)
  local names = {}
  for name, value in next, library do
    if name ~= without then
      names[name] = value
    end
  end
  return names
end

local env = {
  _VERSION = _VERSION,
  assert = assert,
  error = error,
  getmetatable = getmetatable,
  next = next,
  pairs = pairs,
  rawequal = rawequal,
  rawget = rawget,
  rawlen = rawlen,
  select = select,
  tonumber = tonumber,
  tostring = tostring,
  type = type,
  math = copy(math),
  table = copy(table),
  utf8 = copy(utf8),
  string = copy(string, "dump"), -- Lua does not verify bytecode: altered bytecode can crash the VM
  coroutine = copy(coroutine),
  os = host.clocks.os,
  time = host.clocks.time,
  app = host.readonly.new(
    "app", -- the module `tree` is loaded when a script uses `app` for the first time
    function(key) return host.tree.root.find(key) end,
    function() return host.tree.root.list() end
  ),
  secrets = host.readonly.new(
    "secrets",
    function(key) return host.secrets.find(key) end,
    function() return host.secrets.list() end
  ),
  params = {},
}
env._G = env

---Adds functions to a library whose module is loaded on the first call, since few scripts need it. Each function calls the
---real one by a tail call, so that an error has the script's line.
local function add(library, find_own, ...)
  for _, name in ipairs({ ... }) do
    local own
    library[name] = function(...)
      own = own or find_own()[name]
      return own(...)
    end
  end
  return library
end

env.json = add({ null = host.registry.null }, function() return host.json end, "decode", "encode", "array")
env.parallel = add({}, function() return host.parallel end, "all", "map")
env.regex = add({}, function() return host.regex end, "match", "match_all", "gsub", "split")
env.csv = add({}, function() return host.csv end, "parse", "format")
env.base64 = add({}, function() return host.codecs.base64 end, "encode", "decode")
env.hash = add({}, function() return host.codecs.hash end, "sha256", "sha1", "md5", "hmac_sha256")
env.url = add({}, function() return host.codecs.url end, "encode", "decode", "query")
add(env.time, function() return host.time end, "parse", "format")

-- The wrappers check arguments before Lua's C functions do, whose messages would point at this file, not at the script.

local function bad_argument(position, name, problem)
  error(format("bad argument #%d to '%s' (%s)", position, name, problem), 3)
end

local function need(kind, position, name, value)
  if type(value) ~= kind then
    local spelled = kind == "thread" and "coroutine" or kind
    error(format("bad argument #%d to '%s' (%s expected, got %s)", position, name, spelled, type(value)), 3)
  end
end

---Returns an error in the form that a script catches, with a hint if there is one. Ends the script at the memory limit.
local function explain(problem)
  requests.stop_if_memory(problem)
  return host.hints.explain(traceback.within_script(problem))
end

env.pcall, env.xpcall = memory.protected(explain)

---Returns the results of resuming or closing a coroutine, with the error explained if it failed.
local function caught(ok, value, ...)
  if ok then
    return ok, value, ...
  end
  return ok, explain(value)
end

function env.coroutine.resume(thread, ...)
  need("thread", 1, "resume", thread)
  if requests.branches[thread] then
    return false, "cannot resume a branch of parallel"
  end
  return caught(resume(thread, ...))
end

function env.coroutine.close(thread)
  need("thread", 1, "close", thread)
  if requests.branches[thread] then
    error("cannot close a branch of parallel", 2)
  end
  return caught(close(thread))
end

function env.coroutine.wrap(f)
  need("function", 1, "wrap", f)
  return memory.generator(create(f))
end

---Lua's `ipairs`, but refuses a text, which Lua takes for an empty list.
function env.ipairs(...)
  if type((...)) == "string" or select("#", ...) == 0 then
    local kind = select("#", ...) == 0 and "no value" or "string"
    error("bad argument #1 to 'ipairs' (table expected, got " .. kind .. ")", 2)
  end
  return ipairs(...)
end

---Returns a `load` that compiles text, never bytecode.
---@param default table the globals of chunks for which no environment is given
local function loader(default)
  return function(chunk, name, mode, ...)
    if type(chunk) ~= "string" and type(chunk) ~= "number" then
      need("function", 1, "load", chunk)
    end
    if name ~= nil and type(name) ~= "number" then
      need("string", 2, "load", name)
      if is_taken(name) then
        bad_argument(2, "load", "the name '" .. name .. "' is taken")
      end
    end
    if mode ~= nil and (type(mode) ~= "string" or not find(mode, "t", 1, true)) then
      return nil, "attempt to load a text chunk (mode is '" .. tostring(mode) .. "')"
    end
    -- In a pcall, since the error handler of an outer xpcall would otherwise see an error that load only returns.
    local globals = default
    if select("#", ...) > 0 then
      globals = (...)
    end
    local _, compiled, problem = memory.pcall(load, chunk, name, "t", globals)
    if compiled then
      return compiled
    end
    requests.stop_if_memory(problem)
    return nil, traceback.within_script(problem)
  end
end

env.load = loader(env)

---Lua's `setmetatable`, but refuses finalizers: they run at moments when only a kill could stop them.
function env.setmetatable(value, meta)
  need("table", 1, "setmetatable", value)
  if type(meta) == "table" and rawget(meta, "__gc") ~= nil then
    error("setmetatable: __gc is not available in the sandbox", 2)
  elseif type(meta) ~= "table" and meta ~= nil then
    bad_argument(2, "setmetatable", "nil or table expected")
  end
  local current = metatable_of(value)
  if current and rawget(current, "__metatable") ~= nil then
    error("cannot change a protected metatable", 2)
  end
  return setmetatable(value, meta)
end

---Lua's `rawset`, but refuses the tables of the host, which are read-only.
function env.rawset(value, key, item)
  need("table", 1, "rawset", value)
  if host_tables[value] then
    error("a table of the host is read-only", 2)
  end
  return rawset(value, key, item)
end

-- A script can query the garbage collector and run it, but not configure it: without it, the script would only reach its
-- memory limit. Each option returns the value that Lua would return.
local STEERING = { stop = 0, restart = 0, setpause = 400, setstepmul = 100, generational = "incremental", incremental = "incremental" }

function env.collectgarbage(option, argument)
  option = option == nil and "collect" or option
  if STEERING[option] ~= nil then
    return STEERING[option]
  elseif option == "isrunning" then
    return true
  elseif option == "step" then
    collectgarbage("step", integer_or_float(argument) == "integer" and argument or 0)
    return true -- a step of the generational collector ends a cycle, which Lua does not say
  elseif option ~= "collect" and option ~= "count" then
    bad_argument(1, "collectgarbage", "invalid option '" .. tostring(option) .. "'")
  end
  return collectgarbage(option)
end

---The lines of the wrappers that replace Lua's C functions.
local PCALL, XPCALL = getinfo(env.pcall, "S"), getinfo(env.xpcall, "S")
local GENERATOR = getinfo(memory.generator(create(error)), "S")

local function lies_in(place, line)
  return place.linedefined <= tointeger(line) and tointeger(line) <= place.lastlinedefined
end

---Returns true if a frame is the function through which `xpcall` calls a script's handler.
local function is_watching(frame)
  return frame ~= nil and frame.source == XPCALL.source and frame.func ~= env.xpcall and lies_in(XPCALL, frame.linedefined)
end

---Returns a traceback without the host's frames, as Lua writes it for functions without wrappers.
local function without_host(trace)
  trace = gsub(trace, "'xpcall'(\n\t%[host%]:(%d+):)", function(rest, line)
    return lies_in(PCALL, line) and "'pcall'" .. rest
  end)
  trace = gsub(trace, "\n\t%[host%]:(%d+): in ([^\n]*)", function(line, name)
    return lies_in(GENERATOR, line) and "\n\t[C]: in " .. (find(name, "<", 1, true) and "?" or name)
  end)
  trace = gsub(trace, "\n\t%[C%]: in %w+ 'error'(\n\t%[host%]:)", "%1")
  trace = gsub(trace, "(\n\t%[host%]:[^\n]*)\n\t%(%.%.%.tail calls%.%.%.%)", "%1")
  trace = gsub(trace, "\n\t%[host%]:[^\n]*", "")
  trace = gsub(trace, "\n\t%[C%]: in %w+ 'xpcall'$", "")
  trace = gsub(trace, "(\n\t%[C%]: in )%l+ '", "%1function '") -- as Lua writes it for functions without wrappers
  return trace
end

function env.sleep(seconds)
  need("number", 1, "sleep", seconds)
  if not (seconds >= 0 and seconds < huge) then
    bad_argument(1, "sleep", "seconds from 0 expected, got " .. tostring(seconds))
  end
  requests.ask("sleep", format(',"seconds":%.17g', seconds))
end

local UNITS = { [""] = 1, s = 1, m = 60, h = 3600, d = 86400 }
local WAIT, NO_OPTIONS = { every = 10, timeout = 1800 }, {}

---Returns an option of `wait_until` in seconds, or nil if it is no duration.
local function seconds_in(options, name)
  local value, unit = options[name], ""
  if value == nil then
    return WAIT[name]
  elseif type(value) == "string" then
    value, unit = match(value, "^(%d+%.?%d*)([smhd]?)$")
    value = tonumber(value)
  end
  return type(value) == "number" and value >= 0 and value < huge and value * UNITS[unit] or nil
end

function env.wait_until(f, options)
  need("function", 1, "wait_until", f)
  if options ~= nil then
    need("table", 2, "wait_until", options)
  end
  options = options or NO_OPTIONS
  local every, timeout = seconds_in(options, "every"), seconds_in(options, "timeout")
  if not every or not timeout then
    local name = every and "timeout" or "every"
    bad_argument(2, "wait_until", name .. ': seconds or a text such as "30s" or "5m" expected')
  elseif every == 0 then
    bad_argument(2, "wait_until", "every: more than 0 seconds expected") -- the timeout would never come
  end
  local fields, waited = format(',"seconds":%.17g,"for":true', every), 0
  while true do
    local value = f()
    if value then
      return value
    elseif waited + every > timeout then
      local message = format("wait_until: nothing came about within %g seconds", timeout)
      error(host.errors.mint({ code = "timeout", message = message }), 2)
    end
    requests.ask("sleep", fields)
    waited = waited + every
  end
end

function env.exit(status)
  status = status == nil and 0 or status
  local whole = type(status) == "number" and tointeger(status)
  if not whole or whole < 0 or whole > 63 then
    bad_argument(1, "exit", "an integer from 0 to 63 expected, got " .. host.inspect.safely(status))
  end
  requests.exit(whole)
end

env.debug = {}

---Returns a traceback of the script's own frames.
function env.debug.traceback(...)
  local first, message, level = ...
  local threaded = type(first) == "thread"
  if not threaded then
    message, level = first, message
  end
  if message ~= nil and type(message) ~= "string" and type(message) ~= "number" then
    return message
  end
  if level ~= nil and integer_or_float(level) ~= "integer" then
    bad_argument(threaded and 3 or 2, "traceback", "integer expected, got " .. type(level))
  end
  if threaded then
    return without_host(lua_traceback(first, message, level or 0))
  end
  -- Add one level for this function, unless it was a tail call and so has replaced its caller's level.
  level = level or 1
  local start = level > 1 and getinfo(1, "t").istailcall and level or level + 1
  for between = 2, start - 1 do
    if is_watching(getinfo(between, "Sf")) then
      start = start + 1
      break
    end
  end
  return without_host(lua_traceback(message, start))
end

-- Output --------------------------------------------------------------------------------------------------------------

local function join(separator, ...)
  local display = host.inspect.display
  if select("#", ...) == 1 then
    return display((...))
  end
  local parts = pack(...)
  for index = 1, parts.n do
    parts[index] = display(parts[index])
  end
  return concat(parts, separator, 1, parts.n)
end

---Prints values, joined by tabs, and a newline. Tables are printed with their content.
function env.print(...)
  bridge("print", join("\t", ...) .. "\n")
end

function env.write(...)
  bridge("print", join("", ...))
end

function env.dump(value)
  bridge("print", host.inspect.display(value) .. "\n")
  return value
end

-- Documentation -------------------------------------------------------------------------------------------------------

local function documentation(verb)
  local field = ',"verb":"' .. verb .. '"'
  return function(...)
    return requests.ask_with("doc", field, ...)
  end
end

env.lua_list_docs = documentation("list")
env.lua_search_docs = documentation("search")
env.lua_read_doc = documentation("read")

-- All strings of the VM share one metatable. Their methods are the script's copy of the library, and no script can reach
-- the metatable.
local strings = getmetatable("")
strings.__index = env.string
strings.__metatable = false

---The globals that every script starts with, even if an earlier script of the VM has changed its own.
local pristine = {}
for name, value in next, env do
  pristine[name] = type(value) == "table" and not host_tables[value] and copy(value) or value
end

---Returns new globals, for a script that another script calls.
local function fresh()
  local globals = {}
  for name, value in next, pristine do
    globals[name] = type(value) == "table" and not host_tables[value] and copy(value) or value
  end
  globals._G = globals
  globals.load = loader(globals)
  return globals
end

return { globals = env, pristine = pristine, fresh = fresh, without_host = without_host }
