-- Requests to the host. Each has a number, and its reply has the same number.

local host = ...

local bridge, limits = host.bridge, host.limits
local memory, traceback = host.memory, host.traceback
local null = host.registry.null
-- Lua's own pcall: nothing of the script's runs while a frame is encoded or decoded, so the memory limit cannot be hidden.
local error, next, pcall, select, setmetatable, type = error, next, pcall, select, setmetatable, type
local format, match, tointeger = string.format, string.match, math.tointeger
local concat, pack = table.concat, table.pack
local running, isyieldable, yield = coroutine.running, coroutine.isyieldable, coroutine.yield

local requests = {}

---The coroutines of the branches of `parallel`. Only its scheduler may resume them.
requests.branches = setmetatable({}, { __mode = "k" })
local last = 0
local arrived = {}

---The value that a branch of `parallel` yields to wait, followed by the numbers of the requests whose replies it waits for.
requests.WAIT = {}

---The branch of `parallel` that is running, or nil.
requests.branch = nil

---True if the run is recorded. Then each request names its branch, and the host is told whenever the script waits, so that
---it can send replies one at a time, in the same order when the run is replayed.
requests.is_recorded = false
local host_knows_of_waiting = false

---True if the run is planned: its writes are only noted, and placeholders are the answers.
requests.is_planned = false

---How many calls of `parallel` were made outside of any branch.
local groups = 0

---Returns the number of a call of `parallel`, counted in the branch that makes it.
function requests.count_group()
  local branch = requests.branch
  if branch then
    branch.groups = (branch.groups or 0) + 1
    return branch.groups
  end
  groups = groups + 1
  return groups
end

---Returns the name of a branch, such as `2.1` for the first branch of the second `parallel`. It is the same in every run.
local function name_of(branch)
  if not branch then
    return ""
  elseif not branch.name then
    local outer = name_of(branch.group.outer)
    branch.name = (outer == "" and "" or outer .. "/") .. branch.group.number .. "." .. branch.index
  end
  return branch.name
end

---Resets the state at the start of a script, or of a chunk of a session.
function requests.begin()
  requests.exit_fields = nil
  groups = 0
end

---Ends the script because a limit is reached. Does not return.
function requests.stop(limit)
  bridge("limit", limit)
end

---The error that is raised to leave a session's chunk when it calls `exit`. The session's process keeps running.
local LEAVING = setmetatable({}, { __metatable = false, __name = "exit" })

---The exit that a script asked for, as fields of the last frame, while the script is being left.
requests.exit_fields = nil

---Ends the script with an exit status. Does not return.
---@param status integer
function requests.exit(status)
  memory.check()
  requests.exit_fields = format('"exit":%d,"result":[]', status)
  bridge("exit", requests.exit_fields)
  error(LEAVING, 0)
end

---Ends the script if an error means that the memory limit is reached. Lua's own error has this text; lupa's is a userdata.
---
---A script cannot catch a limit, so all code that catches errors calls this first. A script that raises exactly this text
---also ends, since the two cannot be told apart. An exit cannot be caught either.
function requests.stop_if_memory(problem)
  if problem == "not enough memory" or type(problem) == "userdata" then
    requests.stop("memory")
  elseif requests.exit_fields then
    error(LEAVING, 0)
  end
end

---Returns the reply in a line. Most replies have only a value, which is the last field, and are decoded faster.
local function reply_of(line)
  local number, position = match(line, '^{"kind":"reply","id":(%d+),"ok":true,"value":()')
  if not number then
    return host.decode.decode(line, limits.max_depth + 1)
  end
  local value = host.decode.decode_at(line, position, limits.max_depth)
  if value == null then
    value = nil
  end
  return { id = tointeger(number), ok = true, value = value }
end

---Returns the next reply.
---@param request? string a frame to send first
local function receive(request)
  if requests.is_recorded and not host_knows_of_waiting then
    bridge("send", '{"kind":"wait"}')
  end
  host_knows_of_waiting = false
  local line = request and bridge("exchange", request) or bridge("receive")
  bridge("rearm")
  local ok, reply = pcall(reply_of, line)
  if ok then
    return reply
  end
  requests.stop_if_memory(reply)
  requests.stop("depth")
end

local function in_branch()
  local branch = requests.branch
  return branch and running() == branch.coroutine and isyieldable()
end

---Waits until one of the given requests is answered, and returns its reply.
---@param waiting table<integer, any> the numbers of the requests
---@return table reply
function requests.await(waiting)
  for number, reply in next, arrived do
    if waiting[number] ~= nil then
      arrived[number] = nil
      return reply
    end
  end
  if in_branch() then
    return yield(requests.WAIT, waiting)
  end
  local reply = receive()
  while waiting[reply.id] == nil do
    arrived[reply.id] = reply
    reply = receive()
  end
  return reply
end

---Sends a request, and returns its reply. Replies to requests of branches that come first are kept.
local function exchange(number, request)
  local reply = receive(request)
  while reply.id ~= number do
    arrived[reply.id] = reply
    reply = receive()
  end
  return reply
end

---Leaves the running branch of `parallel` for good if another branch has failed. It starts no further call then.
local function abandon_if_failed()
  local branch = requests.branch
  local failed = false
  while branch and not failed do
    failed = branch.group.failed ~= nil
    branch = branch.group.outer
  end
  if failed and in_branch() then
    yield(requests.WAIT, nil)
  elseif failed then
    error("stopped, because another branch of parallel failed", 0)
  end
end

requests.abandon_if_failed = abandon_if_failed

---Sends a request and waits for its answer.
---@param kind string
---@param fields string the other fields as JSON, each after a comma
---@return any value
function requests.ask(kind, fields)
  memory.check()
  if requests.branch then
    abandon_if_failed()
  end
  last = last + 1
  local number = last
  local is_branch = in_branch()
  local more = is_branch and ',"branch":true' or ""
  if requests.is_recorded then
    host_knows_of_waiting = not is_branch
    more = format('%s%s,"of":"%s"', more, is_branch and "" or ',"waits":true', name_of(requests.branch))
  end
  if kind == "call" or kind == "script" then
    local line, hidden, at = traceback.caller(2) -- the function that the script calls: it called `ask` through `ask_with`
    more = format(hidden and '%s,"line":%d,"hidden":"%s"' or '%s,"line":%d', more, line, hidden)
    more = at and format('%s,"at":%d', more, at) or more
  elseif requests.is_recorded or requests.is_planned then
    more = format('%s,"line":%d', more, traceback.line() or 0)
  end
  local request = format('{"kind":"%s","id":%d%s%s}', kind, number, more, fields)
  local reply
  if is_branch then
    bridge("send", request)
    reply = yield(requests.WAIT, { [number] = true })
  else
    reply = exchange(number, request)
  end
  if reply.ok then
    local value = requests.is_planned and host.placeholders.unpack(reply.value) or reply.value
    if reply.contents then
      host.contents.mark(value, reply.contents)
    elseif reply.truncated then
      setmetatable(value, { __index = { truncated = true } }) -- JSON cannot represent a list with a key of its own
    end
    return reply.secrets and host.secrets.put(value, reply.secrets) or value
  end
  local problem = host.errors.mint(reply.error, number)
  traceback.note(problem)
  error(problem, 0)
end

---Sends a request that the host has to refuse, since the host knows the names of the parameters for the message.
---@param where string the place in the arguments; empty for a whole argument
---@param problem string what is wrong there
function requests.ask_amiss(kind, fields, where, problem)
  local strings = host.strings
  local fault = format(',"fault":{"where":%s,"problem":%s}', strings.quote(strings.valid(where)), strings.quote(problem))
  return requests.ask(kind, fields .. fault)
end

---Sends a request with arguments, and waits for its answer. The host refuses arguments that cannot be encoded.
---@param ... any the arguments
---@return any value
function requests.ask_with(kind, fields, ...)
  if select("#", ...) == 0 then
    return requests.ask(kind, fields .. ',"args":[]')
  end
  local secrets, contents = {}, kind == "call" and {} or nil
  local ok, text = pcall(host.encode.encode_each, limits.max_arguments, limits.max_depth, pack(...), secrets, contents)
  if ok then
    local handles = #secrets > 0 and ',"secrets":[' .. concat(secrets, ",") .. "]" or ""
    handles = handles .. (contents and #contents > 0 and ',"contents":[' .. concat(contents, ",") .. "]" or "")
    return requests.ask(kind, fields .. ',"args":' .. text .. handles)
  elseif type(text) ~= "table" or not (text.problem or text.too_big) then
    error(text, 0)
  elseif text.too_big then
    requests.stop("arguments")
  end
  return requests.ask_amiss(kind, fields, text.where, text.problem)
end

return requests
