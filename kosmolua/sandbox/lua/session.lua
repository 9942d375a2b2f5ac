-- The verbs of a session. Each function returns a function to run and, if the values are to be shown, one that converts
-- them; or nil and a message, if the chunk cannot be compiled.
--
-- All chunks of a session run in one environment. As in Lua's own interactive mode, an expression is a chunk too.

local host = ...

local compile_chunk, env, head, inspect = host.compile, host.env.globals, host.strings.head, host.inspect
local array = host.json.array
local getmetatable, next, rawget, rawset, select, tostring, type =
  getmetatable, next, rawget, rawset, select, tostring, type
local byte, find, gmatch, gsub, match = string.byte, string.find, string.gmatch, string.gsub, string.match
local concat, pack = table.concat, table.pack
local utf8_char, utf8_len = utf8.char, utf8.len

local MAX_TEXT = 1024 * 1024
local MAX_NAMES = 1000
local MAX_INHERITANCE = 8
local NAME = "^[%a_][%w_]*$"

---The documentation page that the chunk read last, so that it can be shown as a page.
local page

local read = env.lua_read_doc

function env.lua_read_doc(...)
  page = read(...)
  return page
end

local function compile(source, chunk)
  local script = compile_chunk("return " .. source, chunk)
  if script then
    return script
  end
  return compile_chunk(source, chunk)
end

---Returns a text in a form that JSON can carry. The second value is true if the text is not UTF-8, so that each character
---stands for a byte.
local function carried(whole)
  if utf8_len(whole) then
    return whole, false
  end
  local bytes = gsub(whole, "[\128-\255]", function(each) return utf8_char(byte(each)) end)
  return bytes, true
end

---Returns the values of a chunk as text, and assigns the first of them to the global `_`.
---@return { text: string, bytes: boolean, size: integer, page: boolean }?
local function shown(...)
  local count = select("#", ...)
  if count == 0 then
    return
  end
  local parts = pack(...)
  rawset(env, "_", parts[1])
  local is_page = count == 1 and page ~= nil and parts[1] == page
  for index = 1, count do
    parts[index] = inspect.display(parts[index])
  end
  local whole = concat(parts, "\t", 1, count)
  local head, bytes = carried(head(whole, MAX_TEXT))
  return { text = head, bytes = bytes, size = #whole, page = is_page }
end

local session = {}

---Runs a chunk. Its values are returned as text.
function session.evaluate(source, chunk)
  page = nil
  local script, problem = compile(source, chunk)
  return script, script and shown or problem
end

---Runs a chunk. Its values are returned as they are.
session.value = compile

---Returns true if a chunk is complete, or has an error that no further line can correct.
---@return fun(): boolean script
function session.check(source, chunk)
  local _, problem = compile(source .. "\n", chunk)
  return function() return not (problem and find(problem, "<eof>", -5, true)) end
end

local function collect(names, value)
  for key, item in next, value do
    if type(key) == "string" and match(key, NAME) and #names < MAX_NAMES then
      names[#names + 1] = { key, type(item) }
    end
  end
end

local function follow(path)
  local value = env
  for name in gmatch(path, "[^.]+") do
    value = type(value) == "table" and rawget(value, name)
  end
  return value
end

---Lists the names in the table at a path such as `inventory.books`. An empty path stands for the globals.
---@return fun(): { names: string[][], path: string? } script `path` is set if the table is a part of `app`
function session.names(path)
  return function()
    local value, names = follow(path), {}
    local meta = getmetatable(value)
    if meta == false and type(value) == "table" then
      return { names = names, path = match(tostring(value), "^app[%w_.]*$") }
    elseif type(value) == "string" then
      value = env.string
    end
    for _ = 1, MAX_INHERITANCE do
      if type(value) ~= "table" then
        break
      end
      collect(names, value)
      meta = getmetatable(value)
      value = type(meta) == "table" and rawget(meta, "__index")
    end
    return { names = array(names), path = nil }
  end
end

return session
