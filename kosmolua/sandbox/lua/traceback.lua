-- The place of a failure: the line of the script and the script's own frames, also across coroutines.

local error, load, setmetatable, type = error, load, setmetatable, type
local find, format, gsub, match, sub = string.find, string.format, string.gsub, string.match, string.sub
local running = coroutine.running
local getinfo, lua_traceback = debug.getinfo, debug.traceback
local tointeger = math.tointeger

local MAX_FRAMES = 1000
local OWN = "=[host]"
local TOP = 10
local OF_PASSING_ON = "^\n\t%[C%]: in %w+ 'error'\n\t%[host%][^\n]*\n\t%[host%][^\n]*\n\t%(%.%.%.tail calls%.%.%.%)"

local traceback = {}

---Lua's information about the script's chunk: its source, and the name that messages begin with.
local script

---The chunks of the scripts that the script has called, by their sources.
local called = {}

---For each error of the host, the line on which it was last raised.
local lines = setmetatable({}, { __mode = "k" })

---The place of the failure of a branch of `parallel` that is being raised again.
local passed

---Sets which chunk is the script.
---@param chunk string its name, as `load` takes it
function traceback.watch(chunk)
  script = getinfo(load("", chunk), "S")
end

---Notes a script that the script calls.
---@param chunk string its name, as `load` takes it
function traceback.add(chunk)
  called[chunk] = true
end

---Returns the line of the script that a coroutine is on, if any, and whether it raises the failure of a branch again.
local function survey(thread)
  local passes = false
  for level = 0, MAX_FRAMES do
    local info = getinfo(thread, level, "Slf")
    if not info or info.source == script.source and info.currentline > 0 then
      return info and info.currentline, passes
    end
    passes = passes or info.func == traceback.pass_on
  end
  return nil, passes
end

---Returns the line of the script that runs now, if any.
---@return integer?
function traceback.line()
  return (survey(running()))
end

---Returns where the script calls the function at a level of the stack: the line, and if that may not be the line of the call
---itself, what hides it: a tail call (`tail`), or a chunk of `load` (`chunk`).
---@param level integer
---@return integer line 0 if none is known
---@return "tail"|"chunk"|nil hidden
---@return integer? at the line of a called script, if that makes the call and the line is certain
function traceback.caller(level)
  local at
  local hidden = getinfo(level + 1, "t").istailcall and "tail" or nil
  for each = level + 2, MAX_FRAMES do
    local info = getinfo(each, "Slt")
    if not info then
      return 0, hidden or "tail", at
    elseif info.source == script.source and info.currentline > 0 then
      return info.currentline, hidden, at
    elseif info.what ~= "C" and info.source ~= OWN then
      at = not hidden and called[info.source] and info.currentline or at
      hidden = "chunk"
    end
    hidden = hidden or info.istailcall and "tail" or nil
  end
  return 0, "chunk", at
end

---Returns an error value. If its message begins with a place in the prelude, as that of `error(text, 2)` may, the place is
---replaced by the script's current line, or dropped if there is none.
function traceback.within_script(problem)
  if type(problem) ~= "string" or not find(problem, "[host]:", 1, true) then
    return problem
  end
  local before, message = match(problem, "^(.-)%[host%]:%d+: (.*)$")
  if before == "" then
    local line = survey(running())
    return (line and format("%s:%d: ", script.short_src, line) or "") .. message
  end
  return before and find(before, ":%d+: $") and before .. message or problem
end

---Returns the line that a message begins with, or nil. If there are several, the last one counts, since an error in a
---`coroutine.wrap` gets the line of the caller in front of its own.
local function line_in(message)
  local name, line, start = script.short_src .. ":", nil, 1
  while sub(message, start, start + #name - 1) == name do
    local digits, rest = match(message, "^(%d+): ()", start + #name)
    if not digits then
      break
    end
    line, start = tointeger(digits), rest
  end
  return line
end

---Notes the line on which an error of the host is raised, since a `coroutine.wrap` that failed has no stack any more.
function traceback.note(problem)
  lines[problem] = survey(running())
end

---Returns the top of a stack that is so deep that a recursion has probably no end. Each line is there once. Lua's own
---traceback would go through the whole stack many times.
local function top_of(thread, level)
  local trace, shown = "", {}
  for each = level + 1, level + TOP do -- one more for this function
    local info = getinfo(thread, each, "Sln")
    local place = info.currentline > 0 and format("%s:%d", info.short_src, info.currentline) or info.short_src
    local name = info.name and format("%s '%s'", info.namewhat, info.name) or format("function <%s:%d>", info.short_src, info.linedefined)
    local line = format("\n\t%s: in %s", place, name)
    trace, shown[line] = trace .. (shown[line] and "" or line), true
  end
  return trace .. "\n\t...\t(skipping the others)"
end

---Returns where a coroutine failed. For the running one, call it in the error handler.
---@param value any the error value
---@return { value: any, line: integer?, frames: string }
function traceback.place(value, thread)
  local line, passes = survey(thread)
  local level = thread == running() and 2 or 0
  local is_deep = getinfo(thread, level + MAX_FRAMES, "l")
  local frames = is_deep and top_of(thread, level) or match(lua_traceback(thread, "", level), "^\nstack traceback:(.*)$")
  if passes then
    line, frames = passed.line or line, passed.frames .. gsub(frames, OF_PASSING_ON, "")
  end
  line = lines[value] or type(value) == "string" and line_in(value) or line
  return { value = value, line = line, frames = frames }
end

---Raises the error of a branch of `parallel` again. The error keeps its place.
---@param place { value: any, line: integer?, frames: string }
function traceback.pass_on(place)
  passed = place
  error(place.value, 0)
end

return traceback
