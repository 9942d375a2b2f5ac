-- Builds the sandbox in a fresh VM, and returns the functions that run a script in it.
--
-- The prelude captures all functions that it needs in locals. Then the real globals are emptied, and the script gets an
-- environment of copies.

local python_bridge = ...

local error, load, next, rawget, rawset, setmetatable, type = error, load, next, rawget, rawset, setmetatable, type
local find, format, match, sub = string.find, string.format, string.match, string.sub
local ipairs, pcall, pack, unpack = ipairs, pcall, table.pack, string.unpack
local running = coroutine.running
local randomseed, tointeger = math.randomseed, math.tointeger
local collectgarbage = collectgarbage

local MAX_MESSAGE = 16 * 1024
local MAX_INPUT_DEPTH = 1000
---The modules with state of a run, which has to be reset if they are loaded.
local OF_ONE_RUN = { "requests", "tree", "secrets" }
local ASKS_TIME, IS_RECORDED, IS_PLANNED = 1, 2, 4

---Is put before a script's source. A function with a variable to close makes no tail calls, so that the line of a
---`return f()` is known.
local OPENING = "local __kosmolua_script <close> = nil; "

-- No script can get a Python object. In case one does, the metatable of Python objects is locked.
debug.getmetatable(python_bridge).__metatable = false
local call_python = python.as_function(python_bridge)

---Returns Python's answer. If Python raised, lupa had no memory for an argument or for the answer. Its exception is a
---Python object, which no script must get, and the script must not continue. So the loop tries until the process exits.
---An error that is a string is Lua's own: so many C functions call each other that Python could not be called.
local function answer(ok, ...)
  if ok then
    return ...
  elseif type((...)) == "string" and (...) ~= "not enough memory" then
    error((...), 0)
  end
  while true do
    collectgarbage()
    pcall(call_python, "limit", "memory")
  end
end

---The KiB from which on Lua's memory is collected more often.
local MUCH = 8 * 1024

collectgarbage("stop") -- until the prelude is loaded

---The limits that the host sets for each run.
local limits = {}
local script_name

---The globals of the prelude's modules. No script can reach this table.
local natives = {}
for name, value in next, _G do
  natives[name] = value
end
natives.python = nil

---The table that the modules of the prelude share, with the modules by their names. A module is loaded on first access.
---Few scripts need all modules, and a module that is not loaded costs no time in boot, garbage collections or forks.
local host = setmetatable({ limits = limits, OPENING = OPENING }, {
  __index = function(host, name)
    local source = host.bridge("module", name)
    host.bridge("rearm")
    local module, problem = load(source, "=[host]", "bt", natives)
    if not module then
      error(problem, 0)
    end
    local made = module(host)
    rawset(host, name, made)
    return made
  end,
})

---Calls a verb of the process, see `Verbs` in `vm.py`, and returns its answer.
---@param verb string
---@param ... string|integer
---@return string?
function host.bridge(verb, ...)
  if collectgarbage("count") > MUCH then
    collectgarbage("generational", 100, 300)
    collectgarbage("setpause", 400)
  end
  return answer(pcall(call_python, verb, ...))
end

---Returns true if a chunk of `load` must not have this name: it belongs to the prelude or to the script, or has control
---characters, with which a traceback could be forged.
function host.is_taken(name)
  local is_named = find(name, "^[=@]")
  return is_named and (sub(name, 2) == sub(script_name, 2) or find(name, "^.%[host%]") or find(name, "%c"))
end

---Compiles the script, or a chunk of a session. Bytecode is refused; nothing is put before it, so that the error says why.
function host.compile(source, chunk)
  local opening = sub(source, 1, 1) == "\27" and "" or OPENING
  return load(opening .. source, chunk, "t", host.env.globals)
end

local bridge, compile = host.bridge, host.compile
local clocks, memory, requests, traceback = host.clocks, host.memory, host.requests, host.traceback
local env, without_host = host.env.globals, host.env.without_host

-- lupa looks for this name before each call from Python; nothing else is left of the real globals. For the names of
-- functions in messages, Lua itself searches the registry, which no script can reach.
local globals, names = _G, {}
package.loaded._G = names
for name, value in next, globals do
  names[name] = type(value) == "function" and value or nil
  globals[name] = nil
end
globals.debug = false

local function cut(message)
  local strings = host.strings
  local shown = strings.head(message, MAX_MESSAGE)
  return strings.quote(strings.valid(shown) .. (#shown < #message and "... (cut)" or ""))
end

---Sends the error that ended the script, and where it was raised if that is known.
local function fail(value, line, frames, is_syntax)
  requests.stop_if_memory(value)
  local call, code, message = host.errors.call_of(value), host.errors.own(value)
  if value == nil then
    message = "error was called without a message"
  end
  message = message or traceback.within_script(host.inspect.safely(host.hints.explain(value)))
  local fields = '"error":{"message":' .. cut(message) .. (code and ',"code":' .. cut(code) or "")
  fields = fields .. (call and format(',"call":%d', call) or "")
  fields = fields .. (line and format(',"line":%d', line) or "") .. (is_syntax and ',"is_syntax":true' or "")
  bridge("end", fields .. (frames and ',"traceback":' .. cut("stack traceback:" .. without_host(frames)) or "") .. "}")
end

---Sends the values that the script returned.
local function succeed(...)
  local losses = {}
  local ok, encoded = pcall(host.encode.encode_each, limits.max_result, limits.max_depth, pack(...), {}, nil, losses)
  if ok then
    local lost = #losses > 0 and ',"losses":' .. host.encode.encode(losses, limits.max_result, 2) or ""
    return bridge("end", '"result":' .. encoded .. lost)
  elseif type(encoded) == "table" and encoded.too_big then
    requests.stop("result")
  end
  fail(encoded)
end

local function finish(ok, ...)
  if requests.exit_fields then
    return bridge("end", requests.exit_fields)
  elseif ok then
    return succeed(...)
  end
  local caught = ...
  if type(caught) == "table" then
    return fail(caught.value, caught.line, caught.frames)
  end
  fail(caught) -- there was no memory for the error handler
end

---Sets the secrets and the input of a script, and returns its parameters.
local function receive(given)
  host.secrets.set_names(given.secrets)
  if given.input ~= nil then
    rawset(env, "input", given.input)
  end
  return given.params
end

---Prepares the VM for a script, or for a chunk of a session.
---@param settings string the limits that the prelude enforces and the flags, packed; then, if there are any, `input`,
---`params` and `secrets` as JSON
---@return table params
local function prepare(chunk, settings)
  script_name = chunk
  traceback.watch(chunk)
  for _, name in ipairs(OF_ONE_RUN) do
    if rawget(host, name) then
      host[name].begin()
    end
  end
  memory.begin()
  bridge("rearm")
  local flags, position
  limits.max_result, limits.max_arguments, limits.max_depth, flags, position = unpack("<i8i8i8B", settings)
  clocks.set(flags & ASKS_TIME ~= 0)
  local is_recorded = flags & IS_RECORDED ~= 0
  if is_recorded ~= requests.is_recorded then
    host.recorded.set(is_recorded)
  end
  requests.is_planned = flags & IS_PLANNED ~= 0
  if position <= #settings then
    return receive(host.decode.decode(sub(settings, position), MAX_INPUT_DEPTH))
  end
  return {}
end

local function reject(problem)
  local line = match(problem, ":(%d+):")
  fail(problem, line and tointeger(line), nil, true)
end

local function describe(value)
  return traceback.place(memory.watch(value), running())
end

local function guarded(script, ...)
  return memory.call(script, describe, ...)
end

---Runs a script to its end and sends its outcome. Does not return if a limit ends it.
---@param source string
---@param chunk string its name, as `load` takes it
---@param settings string as `prepare` takes them
---@param seed string sixteen random bytes, since forks of one VM would otherwise have the same random numbers
---@param ... string the script's arguments
local function run(source, chunk, settings, seed, ...)
  randomseed(unpack("<i8i8", seed))
  env.params = prepare(chunk, settings)
  env.arg = { [0] = sub(chunk, 2), ... }
  local script, problem = compile(source, chunk)
  if not script then
    return reject(problem)
  end
  finish(guarded(script, ...))
end

local function present(show, ok, ...)
  if ok and show then
    return guarded(show, ...)
  end
  return ok, ...
end

---Runs a chunk of a session and sends the outcome. The state is kept for the next chunk.
---@param source string
---@param chunk string its name, as `load` takes it
---@param settings string as `prepare` takes them
---@param verb string the name of a function in the module `session`
---@param seed string sixteen bytes to seed the random numbers with; empty to leave the generator as it is
local function converse(source, chunk, settings, verb, seed)
  prepare(chunk, settings)
  if seed ~= "" then
    randomseed(unpack("<i8i8", seed))
  end
  local script, show = host.session[verb](source, chunk)
  if not script then
    return reject(show)
  end
  local ok, problem = pcall(finish, present(show, guarded(script)))
  if not ok and requests.exit_fields then -- `__tostring` of a value that the script returned or raised called `exit`
    return bridge("end", requests.exit_fields)
  elseif not ok then
    error(problem, 0)
  end
end

---So many strings double the size of Lua's table of strings, which then has room for those of a script.
local MANY_STRINGS = 1024

---Loads modules in advance, and does here what would write to nearly all of Lua's memory in each fork, for which the system would
---copy it: to enlarge the table of strings, Lua writes to each string; to make the modules old, its collector visits them.
local function preload(...)
  for _, name in ipairs({ ... }) do
    local _ = host[name]
  end
  for number = 1, MANY_STRINGS do
    local _ = number .. ""
  end
  collectgarbage()
end

-- The collector is generational: it does not walk the prelude again and again while a script makes garbage, and what is
-- freed early is still in the processor's cache when it is used again. Young objects are collected when Lua holds three
-- times as much as after the last time, and all when it holds eleven times as much. The pause is for when that frees too
-- little, which it does not while a script keeps most of what it makes.
collectgarbage("restart")
collectgarbage("generational", 200, 1000)
collectgarbage("setpause", 1000)

return run, converse, preload
