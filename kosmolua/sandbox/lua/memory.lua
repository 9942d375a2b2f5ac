-- The memory limit. It ends the script, even if closing a variable raises another error or yields.
--
-- Lua calls no message handler for a memory error. It closes variables first, and an error of a `__close` replaces the
-- memory error; a `__close` may also yield and never continue. But meanwhile the memory error is still on the stack, among
-- the values of the protected call that will return it. So this module makes all protected calls, by `xpcall`, and it
-- searches the stack for the error before everything that a script can do while variables are closed. `load` is a
-- protected call too.

local host = ...

local bridge = host.bridge
local error, load, next, select, setmetatable, type, xpcall = error, load, next, select, setmetatable, type, xpcall
local close, resume, running, status = coroutine.close, coroutine.resume, coroutine.running, coroutine.status
local getinfo, getlocal, sethook = debug.getinfo, debug.getlocal, debug.sethook
local find = string.find

local ERROR = "not enough memory"

---The index of the first value on a protected call's stack after its own: its arguments, and the values that it returns.
local FIRST = 4

---How many frames are searched from the top. The time to search grows with the square of the depth.
local MAX_FRAMES = 1000

---How many frames are searched from the bottom if the stack is deeper. If a recursion has no end, its protected call is
---usually there.
local BOTTOM = 32
local NEAR_BOTTOM = 24

local memory = {}

---How many protected calls the running coroutine is in.
local depth = 0

---The same number for coroutines that were suspended inside a protected call.
local depths = setmetatable({}, { __mode = "k" })

---The coroutines that are in a protected call. Each one has resumed the next, and the last one has resumed the running one.
local outer = {}

---Coroutines that failed at a depth that is not searched, so that their stack may hide the error.
local unsearched = setmetatable({}, { __mode = "k" })

---True once the memory error was found.
local is_spent = false

---Ends the script because of the memory limit. Does not return.
function memory.stop()
  is_spent = true
  bridge("limit", "memory")
end

---Searches some frames of a coroutine for the memory error.
---@param innermost? boolean whether to stop after the innermost protected call
---@return boolean? found nil if it is not in these frames, but the stack has more frames
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

---Returns an upper bound of the number of frames of the running coroutine, which is nearly exact.
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

---Ends the script if the memory error was found, or may be hidden in frames that were not searched. Call it after a failure.
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

---Returns a `pcall` and an `xpcall` that do not catch the memory error.
---@param explain? fun(problem: any): any converts the error that `pcall` returns
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
      local answer = (select(1, handler))(watch(problem)) -- so a traceback has no name for it, as in Lua
      return answer
    end, ...))
  end

  return protect, protect_with
end

memory.pcall = memory.protected()

---Ends the script if one of its active coroutines is closing variables because of the memory limit. Call it before an
---effect that cannot be undone.
function memory.check()
  local thread = running()
  local found = is_spent or search(thread, 4, MAX_FRAMES) -- this function and the one that calls it are the host's
  for index = 1, #outer do
    found = found or outer[index] ~= thread and search(outer[index], 0, MAX_FRAMES)
  end
  if found then
    memory.stop()
  end
end

---Resets the state at the start of a script, or of a chunk of a session.
function memory.begin()
  depth, outer = 0, { (running()) }
end

---Is called after a coroutine was resumed. If it has yielded inside a protected call, it may be closing a variable.
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

---Resumes a coroutine, like Lua's `coroutine.resume`.
function memory.resume(thread, ...)
  local before = depth
  if before > 0 then
    outer[#outer + 1] = running()
  end
  depth = depths[thread] or 0
  return resumed(thread, before, resume(thread, ...))
end

---True while `close` is calling a `__close` that has not returned.
local is_closing = false

---Ends the script if a variable is closed because of the memory limit. It is the hook of a coroutine that is being closed,
---in which there is no protected call; but the variable's `__close` gets the error as an argument.
local function watch_closing(event)
  if getinfo(3, "l") then
    return
  end
  is_closing = event ~= "return"
  for step = 1, is_closing and -1 or 1, -2 do -- first the named arguments, then the others
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

---Closes a coroutine, like Lua's `coroutine.close`.
function memory.close(thread)
  local current = status(thread)
  if current ~= "suspended" and current ~= "dead" then
    return close(thread) -- raises Lua's error
  end
  local before = is_closing
  is_closing = false
  sethook(thread, watch_closing, "cr")
  local ok, problem = close(thread)
  sethook(thread)
  if is_closing and type(problem) == "string" and find(problem, "^attempt to call a ") then
    memory.stop() -- a value without a callable `__close` was to be closed after an error
  end
  is_closing = before
  depths[thread] = nil
  return ok, problem
end

---Raises the error of a coroutine of `coroutine.wrap` in the function that called it.
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

---Returns a function that resumes a coroutine, like the one that Lua's `coroutine.wrap` returns.
function memory.generator(thread)
  return function(...)
    local _ <close> = nil -- prevents a tail call below, so that a traceback has a name for this frame
    local before = depth
    if before > 0 then
      outer[#outer + 1] = running()
    end
    depth = depths[thread] or 0
    return generated(thread, before, resume(thread, ...))
  end
end

return memory
