-- The memory limit. It ends the script, even if closing a variable raises another error or yields.
--
-- Lua calls no message handler for a memory error. It closes variables first, and an error of a `__close` replaces the
-- memory error; a `__close` may also yield and never continue. So this module makes all protected calls, by `xpcall`, and
-- finds out in two ways whether a memory error is hidden.
--
-- First, whether the message handler was called for the error that ended the protected call. The call's outermost frame has
-- a variable, to which the handler writes through a closure. Before Lua closes anything, it gives the closure a copy of the
-- variable. So a handler that is called for a later error, one of a `__close`, no longer changes the variable itself.
--
-- Second, while variables are closed, the memory error is on the stack, among the values of the protected call that will
-- return it. The stack is searched when the handler is called again, and before everything that a script can do meanwhile.
-- `load` is a protected call too.

local host = ...

local bridge = host.bridge
local error, load, next, select, setmetatable, type, xpcall = error, load, next, select, setmetatable, type, xpcall
local close, resume, running, status = coroutine.close, coroutine.resume, coroutine.running, coroutine.status
local getinfo, getlocal, sethook, setupvalue = debug.getinfo, debug.getlocal, debug.sethook, debug.setupvalue
local find, format, sub = string.find, string.format, string.sub

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

---True after a protected call that has failed without a call of its message handler.
local is_unexplained = false

---The values of a protected call's variable: before its handler was called, and after.
local UNSEEN = setmetatable({}, { __close = function() is_unexplained = true end })
local SEEN = setmetatable({}, { __close = function() is_unexplained = false end })

---Stands for the closure of a protected call that has none yet.
local function BEGINNING() return SEEN end

---The closure that returns the variable of the innermost protected call that the running coroutine is in, if any.
local state

---The same for coroutines that were suspended inside a protected call.
local states = setmetatable({}, { __mode = "k" })

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

---Calls a function as `pcall` does: without a name, and from a frame that no message has to name.
local function invoke(f, ...)
  local _ <close> = nil -- prevents a tail call
  return (f or f)(...)
end

---What Lua puts before messages of errors that it raises at `invoke`. It puts nothing there for `pcall`.
local PLACE = format("[host]:%d: ", getinfo(invoke, "S").linedefined + 2)

---Is the outermost function of every protected call. `load` returns errors of the function that it reads from, though their
---handler is called; so the handler searches the stack for each of them.
local function guarded(f, ...)
  local variable <close> = f == load and SEEN or UNSEEN
  state = function() return variable end
  return invoke(f, ...)
end

---Searches for the memory error after the handler of a protected call was called before.
local function search_again()
  local thread = running()
  local found = search(thread, 4, MAX_FRAMES, true)
  if found == nil then
    local count = count_frames()
    found = search(thread, count - BOTTOM, count)
    unsearched[thread] = true
  end
  if found then
    memory.stop()
  end
end

---The message handler of every protected call.
local function watch(problem)
  if state and state() == UNSEEN then
    setupvalue(state, 1, SEEN)
  else
    search_again()
  end
  if type(problem) == "string" and sub(problem, 1, #PLACE) == PLACE then
    return sub(problem, #PLACE + 1)
  end
  return problem
end

---Ends the script if a protected call failed because of the memory limit, or if that may be hidden in frames that were not
---searched.
local function after_failure()
  if is_spent or is_unexplained then
    memory.stop()
  elseif next(unsearched) then
    local thread = running()
    if unsearched[thread] and getinfo(NEAR_BOTTOM, "l") then
      memory.stop()
    end
    unsearched[thread] = nil
  end
end

memory.watch = watch

---Returns what a protected call returned. Ends the script if the call failed because of the memory limit.
local function left(outer, ok, ...)
  state = outer
  if not ok then
    after_failure()
  end
  return ok, ...
end

---Calls a function like Lua's `xpcall`. Ends the script if the call fails because of the memory limit.
---@param handler function calls `memory.watch` first
function memory.call(f, handler, ...)
  local outer = state
  state, is_unexplained = BEGINNING, false
  return left(outer, xpcall(guarded, handler, f, ...))
end

---Returns a `pcall` and an `xpcall` that do not catch the memory error.
---@param explain? fun(problem: any): any converts the error that `pcall` returns
---@return function pcall, function xpcall
function memory.protected(explain)
  local function left_explained(outer, ok, ...)
    state = outer
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
    local outer = state
    state, is_unexplained = BEGINNING, false
    return left_explained(outer, xpcall(guarded, watch, ...))
  end

  local function protect_with(f, handler, ...)
    if type(handler) ~= "function" then
      error("bad argument #2 to 'xpcall' (function expected, got " .. type(handler) .. ")", 2)
    end
    local outer = state
    state, is_unexplained = BEGINNING, false
    return left_explained(outer, xpcall(guarded, function(problem)
      local answer = (select(1, handler))(watch(problem)) -- so a traceback has no name for it, as in Lua
      return answer
    end, f, ...))
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
  state, outer = nil, { (running()) }
end

---Is called after a coroutine was resumed. If it has yielded inside a protected call, it may be closing a variable.
local function settle(thread, before)
  states[thread] = state
  if state and status(thread) == "suspended" and search(thread, 0, MAX_FRAMES) then
    memory.stop()
  end
  if before then
    outer[#outer] = nil
  end
  state = before
end

local function resumed(thread, before, ...)
  if state or before or states[thread] then
    settle(thread, before)
  end
  return ...
end

---Resumes a coroutine, like Lua's `coroutine.resume`.
function memory.resume(thread, ...)
  local before = state
  if before then
    outer[#outer + 1] = running()
  end
  state = states[thread]
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
  local before, caller = is_closing, state
  is_closing, state = false, nil
  sethook(thread, watch_closing, "cr")
  local ok, problem = close(thread)
  sethook(thread)
  if is_closing and type(problem) == "string" and find(problem, "^attempt to call a ") then
    memory.stop() -- a value without a callable `__close` was to be closed after an error
  end
  is_closing, state = before, caller
  states[thread] = nil
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
  if state or before or states[thread] then
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
    local before = state
    if before then
      outer[#outer + 1] = running()
    end
    state = states[thread]
    return generated(thread, before, resume(thread, ...))
  end
end

return memory
