-- Builds the sandbox inside a fresh VM, and returns the function that runs a script in it.
--
-- Everything the prelude needs is captured in locals while the real globals are whole; then they are emptied, and the
-- script gets an environment of copies.

local python_bridge, sources = ...

local bridge = python.as_function(python_bridge)
local load, next, type, xpcall = load, next, type, xpcall
local find, format, gsub, match, sub = string.find, string.format, string.gsub, string.match, string.sub
local getinfo, traceback = debug.getinfo, debug.traceback
local pcall, pack, unpack = pcall, table.pack, string.unpack
local randomseed, tointeger = math.randomseed, math.tointeger

local LONGEST_MESSAGE = 16 * 1024
local FARTHEST_FRAME = 1000

---Set anew for each run, by the host.
local limits = {}
local script_name

---Says of the name of a chunk whether only the prelude and the script itself may have it, or whether it could pass for
---more than a name.
local function is_taken(name)
  local is_named = find(name, "^[=@]")
  return is_named and (sub(name, 2) == sub(script_name, 2) or find(name, "^.%[host%]") or find(name, "%c"))
end

local function module(name, ...)
  return load(sources[name], "=[host]", "t")(...)
end

local json = module("json")
local errors = module("errors", json)
local letterbox = module("letterbox", bridge, json, errors, limits)
local text = module("text", json, letterbox)
local absent = module("absent")
local foreign = module("foreign")
local app, forget = module("app", letterbox, json, text)
local parallel = module("parallel", letterbox, text)
local regex = module("regex", bridge, json)
local env, without_host = module("env", letterbox, json, text, absent, app, parallel, regex, is_taken, function(output)
  bridge("print", output)
end)

---What a session can do with a chunk; scripts do without.
local session = sources.session and module("session", env, json, text)

-- lupa looks for this name before each call from Python; nothing else is left of the real globals.
local globals = _G
for name in next, globals do
  globals[name] = nil
end
globals.debug = false

local function cut(message)
  local shown = json.head(message, LONGEST_MESSAGE)
  return json.quote(json.valid(shown) .. (#shown < #message and "... (cut)" or ""))
end

local function line_of_script(chunk)
  for level = 3, FARTHEST_FRAME do
    local info = getinfo(level, "Sl")
    if not info then
      return nil
    elseif info.source == chunk and info.currentline > 0 then
      return info.currentline
    end
  end
end

---Sends what ended the script: an error value, and where it was raised as far as that is known.
local function fail(value, line, trace)
  letterbox.stop_if_memory(value)
  local call, message = errors.call_of(value), gsub(text.safely(absent.explain(value)), "^%[host%]:%d+: ", "")
  local fields = '"error":{"message":' .. cut(message)
  fields = fields .. (call and format(',"call":%d', call) or "")
  fields = fields .. (line and format(',"line":%d', line) or "")
  bridge("end", fields .. (trace and ',"traceback":' .. cut(trace) or "") .. "}")
end

---Sends what the script returned.
local function succeed(...)
  local ok, encoded = pcall(json.encode_each, limits.max_result, limits.max_depth, pack(...))
  if ok then
    return bridge("end", '"result":' .. encoded)
  elseif type(encoded) ~= "table" then
    return fail(encoded)
  elseif encoded.too_big then
    letterbox.stop("result")
  elseif encoded.problem == "is nested too deeply" then
    letterbox.stop("depth")
  end
  local where = encoded.where ~= "" and encoded.where or "it"
  fail("the returned value cannot leave the sandbox: " .. where .. " " .. encoded.problem)
end

local function finish(ok, ...)
  if ok then
    return succeed(...)
  end
  local caught = ...
  if type(caught) == "table" then
    return fail(caught.value, caught.line, caught.traceback)
  end
  fail(caught) -- the error handler itself found no room
end

local function prepare(chunk, new_limits)
  script_name = chunk
  forget()
  for name, value in next, json.decode(new_limits, 2) do
    limits[name] = value
  end
  bridge("rearm")
end

local function reject(problem, source)
  local line = match(problem, ":(%d+):")
  fail(foreign.explain(problem, source), line and tointeger(line))
end

local function guarded(script, chunk, ...)
  local function describe(value)
    return { value = value, line = line_of_script(chunk), traceback = sub(without_host(traceback("", 2)), 2) }
  end
  return xpcall(script, describe, ...)
end

---Runs a script to its end and sends what became of it. Does not return where a limit ends it.
---@param source string
---@param chunk string its name, as `load` takes it
---@param new_limits string as JSON
---@param seed string sixteen random bytes, since a fork of a warm VM would repeat its parent's numbers
---@param ... string the script's arguments
local function run(source, chunk, new_limits, seed, ...)
  randomseed(unpack("<i8i8", seed))
  prepare(chunk, new_limits)
  env.arg = { [0] = sub(chunk, 2), ... }
  local script, problem = load(source, chunk, "t", env)
  if not script then
    return reject(problem, source)
  end
  finish(guarded(script, chunk, ...))
end

local function present(show, chunk, ok, ...)
  if ok and show then
    return guarded(show, chunk, ...)
  end
  return ok, ...
end

---Does something with a chunk of a session and sends what came of it. The next chunk finds what this one left.
---@param source string
---@param chunk string its name, as `load` takes it
---@param new_limits string as JSON
---@param verb string a name in the module `session`
local function converse(source, chunk, new_limits, verb)
  prepare(chunk, new_limits)
  local script, show = session[verb](source, chunk)
  if not script then
    return reject(show, source)
  end
  finish(present(show, chunk, guarded(script, chunk)))
end

return run, converse
