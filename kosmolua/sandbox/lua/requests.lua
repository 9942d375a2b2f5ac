-- Requests to the host: each goes out with a number, and its reply comes back with the same.

local host = ...

local bridge, limits = host.bridge, host.limits
local traceback = host.traceback
local error, next, pcall, setmetatable, type = error, next, pcall, setmetatable, type
local format = string.format
local concat, pack = table.concat, table.pack
local running, isyieldable, yield = coroutine.running, coroutine.isyieldable, coroutine.yield

local requests = {}

---The coroutines of branches of `parallel`, which its scheduler alone may resume.
requests.branches = setmetatable({}, { __mode = "k" })
local last = 0
local arrived = {}

---What a branch of `parallel` yields, with the numbers of the replies that it waits for.
requests.WAIT = {}

---The branch of `parallel` that runs now, or nil.
requests.branch = nil

---True if the run is recorded: requests say which branch makes them, and the host is told whenever the script waits, so
---that it can hand out replies one at a time, in the same order when the run is repeated.
requests.is_recorded = false
local host_knows_of_waiting = false

---True if the writes of the run are only noted, and answered by placeholders.
requests.is_planned = false

---How many calls of `parallel` were made outside of its branches.
local groups = 0

---Returns the number of a call of `parallel` among those of the branch that makes it.
function requests.count_group()
  local branch = requests.branch
  if branch then
    branch.groups = (branch.groups or 0) + 1
    return branch.groups
  end
  groups = groups + 1
  return groups
end

---Returns the name of a branch, the same whenever the script runs; such as `2.1` for the first of the second `parallel`.
local function name_of(branch)
  if not branch then
    return ""
  elseif not branch.name then
    local outer = name_of(branch.group.outer)
    branch.name = (outer == "" and "" or outer .. "/") .. branch.group.number .. "." .. branch.index
  end
  return branch.name
end

---Makes everything ready for a script, or for a chunk of a session.
function requests.begin()
  requests.exit_fields = nil
  groups = 0
end

---Ends the script because a limit is reached. Does not return.
function requests.stop(limit)
  bridge("limit", limit)
end

---What is raised where a session's chunk exits, whose process lives on.
local LEAVING = setmetatable({}, { __metatable = false, __name = "exit" })

---The ending that a script asked for, while it is being left.
requests.exit_fields = nil

---Ends the script with an exit status. Does not return.
---@param status integer
function requests.exit(status)
  requests.exit_fields = format('"exit":%d,"result":[]', status)
  bridge("exit", requests.exit_fields)
  error(LEAVING, 0)
end

---Ends the script if an error means that the memory limit is reached: Lua's own has this text, lupa's is a userdata.
---
---Memory is a limit, and no limit can be caught, so whatever catches errors asks this first. A script that raises
---exactly this text ends likewise: the two cannot be told apart. Nor can an exit be caught.
function requests.stop_if_memory(problem)
  if problem == "not enough memory" or type(problem) == "userdata" then
    requests.stop("memory")
  elseif requests.exit_fields then
    error(LEAVING, 0)
  end
end

---Returns the next reply.
---@param request? string a frame to send before
local function receive(request)
  if requests.is_recorded and not host_knows_of_waiting then
    bridge("send", '{"kind":"wait"}')
  end
  host_knows_of_waiting = false
  local line = request and bridge("exchange", request) or bridge("receive")
  bridge("rearm")
  local ok, frame = pcall(host.decode.decode, line, limits.max_depth + 1)
  if ok then
    return frame
  end
  requests.stop_if_memory(frame)
  requests.stop("depth")
end

local function in_branch()
  local branch = requests.branch
  return branch and running() == branch.coroutine and isyieldable()
end

---Returns the reply to one of some requests.
---@param waiting table<integer, any> the numbers of the requests
---@param request? string a frame to send before
local function receive_one_of(waiting, request)
  local reply = receive(request)
  while waiting[reply.id] == nil do
    arrived[reply.id] = reply
    reply = receive()
  end
  return reply
end

---Waits until one of some requests is answered.
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
  return receive_one_of(waiting)
end

---Leaves a branch of `parallel` for good, because another one failed: no call starts after that.
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
  if requests.is_recorded or requests.is_planned then
    more = format('%s,"line":%d', more, traceback.line() or 0)
  end
  local request = format('{"kind":"%s","id":%d%s%s}', kind, number, more, fields)
  local waiting, reply = { [number] = true }, nil
  if is_branch then
    bridge("send", request)
    reply = yield(requests.WAIT, waiting)
  else
    reply = receive_one_of(waiting, request)
  end
  if reply.ok then
    local value = requests.is_planned and host.placeholders.unpack(reply.value) or reply.value
    if reply.contents then
      host.contents.mark(value, reply.contents)
    elseif reply.truncated then
      setmetatable(value, { __index = { truncated = true } }) -- a key would make it a mixed table, which JSON lacks
    end
    return reply.secrets and host.secrets.put(value, reply.secrets) or value
  end
  local problem = host.errors.mint(reply.error, number)
  traceback.note(problem)
  error(problem, 0)
end

---Sends a request that the host has to refuse: it knows what to call things.
---@param where string the place in the arguments; empty for all of one
---@param problem string what is wrong there
function requests.ask_amiss(kind, fields, where, problem)
  local strings = host.strings
  local fault = format(',"fault":{"where":%s,"problem":%s}', strings.quote(strings.valid(where)), strings.quote(problem))
  return requests.ask(kind, fields .. fault)
end

---Sends a request whose arguments may have to be refused, and waits for its answer.
---@param ... any what Lua passed
---@return any value
function requests.ask_with(kind, fields, ...)
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
