-- The environment of a script: an allow-list of copies. What is not named here does not exist for it.

local letterbox, json, text, app, parallel, regex, write = ...

local error, load, next, pcall, rawget, select, setmetatable, tostring, type, xpcall =
  error, load, next, pcall, rawget, select, setmetatable, tostring, type, xpcall
local collectgarbage = collectgarbage
local find, gsub = string.find, string.gsub
local concat, pack = table.concat, table.pack
local close, resume = coroutine.close, coroutine.resume
local traceback = debug.traceback

local MEMORY = "not enough memory"

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
  ipairs = ipairs,
  next = next,
  pairs = pairs,
  rawequal = rawequal,
  rawget = rawget,
  rawlen = rawlen,
  rawset = rawset,
  select = select,
  tonumber = tonumber,
  tostring = tostring,
  type = type,
  math = copy(math),
  table = copy(table),
  utf8 = copy(utf8),
  string = copy(string, "dump"), -- bytecode has no verifier: a changed copy of it crashes the VM
  coroutine = copy(coroutine),
  os = { time = os.time, date = os.date, clock = os.clock, difftime = os.difftime },
  app = app,
  json = json.public,
  parallel = parallel,
  regex = regex,
}
env._G = env

-- Memory is a limit, and no limit can be caught: whatever catches errors lets this one end the script.

local function final(ok, value, ...)
  if not ok and value == MEMORY then
    letterbox.stop("memory")
  end
  return ok, value, ...
end

function env.pcall(...)
  return final(pcall(...))
end

function env.xpcall(...)
  return final(xpcall(...))
end

function env.coroutine.resume(...)
  return final(resume(...))
end

function env.coroutine.close(...)
  return final(close(...))
end

---Compiles text, never bytecode, with the script's globals unless an environment is given.
function env.load(chunk, name, mode, ...)
  if mode ~= nil and (type(mode) ~= "string" or not find(mode, "t", 1, true)) then
    return nil, "attempt to load a text chunk (mode is '" .. tostring(mode) .. "')"
  end
  local compiled, problem
  if select("#", ...) > 0 then
    compiled, problem = load(chunk, name, "t", (...))
  else
    compiled, problem = load(chunk, name, "t", env)
  end
  if not compiled and problem == MEMORY then
    letterbox.stop("memory")
  end
  return compiled, problem
end

---Refuses finalizers: they run when no limit but a kill could stop them.
function env.setmetatable(value, meta)
  if type(meta) == "table" and rawget(meta, "__gc") ~= nil then
    error("setmetatable: __gc is not available in the sandbox", 2)
  end
  return setmetatable(value, meta)
end

-- The collector may be asked, not steered: a script that stops it would only run into its memory limit.
local STEERING = { stop = 0, restart = 0, setpause = 200, setstepmul = 100, generational = "incremental", incremental = "incremental" }

function env.collectgarbage(option, ...)
  option = option == nil and "collect" or option
  if STEERING[option] ~= nil then
    return STEERING[option]
  elseif option == "isrunning" then
    return true
  end
  return collectgarbage(option, ...)
end

local function without_host(trace)
  trace = gsub(trace, "\n\t%[host%]:[^\n]*", "")
  trace = gsub(trace, "\n\t%[C%]: in %w+ 'xpcall'$", "")
  return trace
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
  local trace = threaded and traceback(first, message, level or 0) or traceback(message, (level or 1) + 1)
  return without_host(trace)
end

-- Output --------------------------------------------------------------------------------------------------------------

---Prints values, joined by tabs. Tables are shown with their content.
function env.print(...)
  local parts = pack(...)
  for index = 1, parts.n do
    parts[index] = text.of(parts[index])
  end
  write(concat(parts, "\t", 1, parts.n) .. "\n")
end

---Prints a value like `print` and returns it.
---@generic T
---@param value T
---@return T
function env.dump(value)
  write(text.of(value) .. "\n")
  return value
end

-- Documentation -------------------------------------------------------------------------------------------------------

local function documentation(verb)
  local field = ',"verb":"' .. verb .. '"'
  return function(...)
    return letterbox.ask_with("doc", field, ...)
  end
end

env.lua_list_docs = documentation("list")
env.lua_search_docs = documentation("search")
env.lua_read_doc = documentation("read")

-- Strings share one metatable in the whole VM: their methods are the script's copy, and no script can reach it.
local strings = getmetatable("")
strings.__index = env.string
strings.__metatable = false

return env, without_host
