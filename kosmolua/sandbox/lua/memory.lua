-- The memory limit. It ends the script, whatever is closed on the way out of the failure.
--
-- Lua tells no message handler about this error. It closes variables first, and what a `__close` raises then takes the
-- error's place; one may yield as well, and never come back. But meanwhile Lua keeps the error on the stack, among the
-- values of the protected call that it ends at. So all protected calls are made here, by `xpcall`, and before anything
-- that a script can do while it closes, the stack is searched for the error. `load` is such a call too.

local host = ...

local bridge = host.bridge
local error, load, next, select, setmetatable, type, xpcall = error, load, next, select, setmetatable, type, xpcall
local close, resume, running, status = coroutine.close, coroutine.resume, coroutine.running, coroutine.status
local getinfo, getlocal, sethook = debug.getinfo, debug.getlocal, debug.sethook
local find = string.find

local ERROR = "not enough memory"

---The first value of a protected call that is not its own, which are its arguments and what it returns.
local FIRST = 4

---How many frames are searched from the top. What is deeper costs time by the square of it.
local MAX_FRAMES = 1000

---How many are searched from the bottom if the stack is deeper: where a protected call is, as a rule, in which a recursion
---has no end.
local BOTTOM = 32
local NEAR_BOTTOM = 24

local memory = {}

---The protected calls that the thread is in which runs now.
local depth = 0

---The same of threads that wait inside one.
local depths = setmetatable({}, { __mode = "k" })

---Threads that are in a protected call, each of which waits for the next one, or for the running one.
local outer = {}

---Threads that failed too far up to be searched, and so may hide the error.
local unsearched = setmetatable({}, { __mode = "k" })

---True once the error is found.
local is_spent = false

---Ends the script. Does not return.
function memory.stop()
  is_spent = true
  bridge("limit", "memory")
end

---Searches some frames of a thread for the error.
---@param innermost? boolean whether the protected call that is left first is enough
---@return boolean? found nil if the frames end before the stack does, and nothing is found
local function search(thread, first, last, innermost)
  for level = first, last do
    local frame = getinfo(thread, level, "f")
    if not frame then
      return false
    elseif frame.func == xpcall or frame.func == load then
      local index = FIRST
      local name, value = getlocal(thread, level, index)
      while name do
        if value == ERROR then
          return true
        end
        index = index + 1
        name, value = getlocal(thread, level, index)
      end
      if innermost then
        return false
      end
    end
  end
end

---Returns about how many frames the running thread has, and not fewer.
local function count_frames()
  local least, most = 1, 2 * MAX_FRAMES
  while getinfo(most, "l") do
    least, most = most, 2 * most
  end
  while most - least > BOTTOM - NEAR_BOTTOM do
    local middle = (least + most) // 2
    if getinfo(middle, "l") then
      least = middle
    else
      most = middle
    end
  end
  return most
end

---The message handler of every protected call.
local function watch(problem)
  local thread = running()
  local found = search(thread, 3, MAX_FRAMES, true)
  if found == nil then
    local count = count_frames()
    found = search(thread, count - BOTTOM, count)
    unsearched[thread] = true
  end
  if found then
    memory.stop()
  end
  return problem
end

---Ends the script if the error was found, or may be hidden by one that was raised too far up. Goes after what failed.
local function after_failure()
  if is_spent then
    memory.stop()
  elseif next(unsearched) then
    local thread = running()
    if unsearched[thread] and getinfo(NEAR_BOTTOM, "l") then
      memory.stop()
    end
    unsearched[thread] = nil
  end
end

memory.watch, memory.after_failure = watch, after_failure

---Returns a `pcall` and an `xpcall`.
---@param explain? fun(problem: any): any gives what they return for what was raised
---@return function pcall, function xpcall
function memory.protected(explain)
  local function left(ok, ...)
    depth = depth - 1
    if ok then
      return ok, ...
    end
    after_failure()
    if explain then
      return false, explain((...))
    end
    return false, (...)
  end

  local function protect(...)
    if (...) == nil and select("#", ...) == 0 then
      error("bad argument #1 to 'pcall' (value expected)", 2)
    end
    depth = depth + 1
    return left(xpcall((...), watch, select(2, ...)))
  end

  local function protect_with(f, handler, ...)
    if type(handler) ~= "function" then
      error("bad argument #2 to 'xpcall' (function expected, got " .. type(handler) .. ")", 2)
    end
    depth = depth + 1
    return left(xpcall(f, function(problem)
      local answer = (select(1, handler))(watch(problem)) -- so that a traceback has no name for it, as Lua has none
      return answer
    end, ...))
  end

  return protect, protect_with
end

memory.pcall = memory.protected()

---Ends the script if it closes something because of the limit, in any of its threads that are under way. Goes before what
---cannot be undone.
function memory.check()
  local thread = running()
  local found = is_spent or search(thread, 2, MAX_FRAMES)
  for index = 1, #outer do
    found = found or outer[index] ~= thread and search(outer[index], 0, MAX_FRAMES)
  end
  if found then
    memory.stop()
  end
end

---Makes everything ready for a script, or for a chunk of a session.
function memory.begin()
  depth, outer = 0, { (running()) }
end

---Goes after a thread was resumed: one that waits inside a protected call may be closing something.
local function settle(thread, before)
  depths[thread] = depth > 0 and depth or nil
  if depth > 0 and status(thread) == "suspended" and search(thread, 0, MAX_FRAMES) then
    memory.stop()
  end
  if before > 0 then
    outer[#outer] = nil
  end
  depth = before
end

local function resumed(thread, before, ...)
  if depth > 0 or before > 0 or depths[thread] then
    settle(thread, before)
  end
  return ...
end

---Resumes a thread as Lua's `coroutine.resume` does.
function memory.resume(thread, ...)
  local before = depth
  if before > 0 then
    outer[#outer + 1] = running()
  end
  depth = depths[thread] or 0
  return resumed(thread, before, resume(thread, ...))
end

---The variable that `close` closes and that has not returned: whether there is one.
local is_closing = false

---Ends the script if a variable is closed because of the limit. Lua calls this within a thread that is closed: no
---protected call is there, but the error is what the variable's `__close` gets.
local function watch_closing(event)
  if getinfo(3, "l") then
    return
  end
  is_closing = event ~= "return"
  for step = 1, is_closing and -1 or 1, -2 do -- first the arguments that have a name, then the others
    local index = step
    local name, value = getlocal(2, index)
    while name do
      if value == ERROR then
        memory.stop()
      end
      index = index + step
      name, value = getlocal(2, index)
    end
  end
end

---Closes a thread as Lua's `coroutine.close` does.
function memory.close(thread)
  local current = status(thread)
  if current ~= "suspended" and current ~= "dead" then
    return close(thread) -- which refuses
  end
  local before = is_closing
  is_closing = false
  sethook(thread, watch_closing, "cr")
  local ok, problem = close(thread)
  sethook(thread)
  if is_closing and type(problem) == "string" and find(problem, "^attempt to call a ") then
    memory.stop() -- what cannot be called was to be closed after one that failed
  end
  is_closing = before
  depths[thread] = nil
  return ok, problem
end

---Passes on what a generator failed with, as an error of the function that asked it.
local function fail(thread, problem)
  if problem == ERROR then
    memory.stop()
  elseif status(thread) == "dead" then
    local closed, later = memory.close(thread)
    problem = closed and problem or later
  end
  error(problem, 4)
end

local function generated(thread, before, ok, ...)
  if depth > 0 or before > 0 or depths[thread] then
    settle(thread, before)
  end
  if ok then
    return ...
  end
  fail(thread, (...))
end

---Returns a function that resumes a thread, as the one that Lua's `coroutine.wrap` returns.
function memory.generator(thread)
  return function(...)
    local _ <close> = nil -- so that the next line is no tail call, and a traceback has a name for this frame
    local before = depth
    if before > 0 then
      outer[#outer + 1] = running()
    end
    depth = depths[thread] or 0
    return generated(thread, before, resume(thread, ...))
  end
end

return memory
