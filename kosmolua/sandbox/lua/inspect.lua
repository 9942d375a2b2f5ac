-- Values as readable text, for `print`, `dump` and messages.

local host = ...

local requests = host.requests
local arrays = host.registry.arrays
local next, pcall, rawget, rawlen, setmetatable, tostring, type =
  next, host.memory.pcall, rawget, rawlen, setmetatable, tostring, type
local getmetatable = debug.getmetatable -- the real one, whatever `__metatable` is
local byte, find, format, gmatch, gsub, match, rep =
  string.byte, string.find, string.format, string.gmatch, string.gsub, string.match, string.rep
local concat, sort = table.concat, table.sort
local integer_or_float = math.type

local WIDTH, MAX_DEPTH = 100, 100
local WORDS = "and break do else elseif end false for function goto if in local nil not or repeat return then true until while"
local KEYWORDS = {}
for word in gmatch(WORDS, "%a+") do
  KEYWORDS[word] = true
end

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function quote(text)
  text = gsub(text, '[%c"\\]', function(code) return ESCAPES[code] or format("\\%03d", byte(code)) end)
  return '"' .. text .. '"'
end

local function own_text(value)
  local meta = getmetatable(value)
  local named = meta and (rawget(meta, "__tostring") ~= nil or type(rawget(meta, "__name")) == "string")
  return named and tostring(value) or nil
end

---The types whose values have an order.
local RANK = { number = 1, string = 2, boolean = 3 }

local function before(a, b)
  local kind_a, kind_b = type(a), type(b)
  if kind_a ~= kind_b then
    return (RANK[kind_a] or 9) < (RANK[kind_b] or 9)
  elseif kind_a == "number" or kind_a == "string" then
    return a < b
  end
  return tostring(a) < tostring(b)
end

---Returns the length of the list in a table, or 0 if most of the list would be holes.
local function length_of(value)
  local length, count = rawlen(value), 0
  for _ in next, value do
    count = count + 1
  end
  return length <= 2 * count and length or 0
end

local function sorted_keys(value, length)
  local keys, count = {}, 0
  for key in next, value do
    local listed = integer_or_float(key) == "integer" and key >= 1 and key <= length
    if not listed then
      count = count + 1
      keys[count] = key
    end
  end
  local ok, problem = pcall(sort, keys, before) -- a key's own `__tostring` may fail, or give no order
  if not ok then
    requests.stop_if_memory(problem)
  end
  return keys, count
end

---The path of each function of an integration.
local paths = setmetatable({}, { __mode = "k" })

local show

local function show_key(key, level, open)
  if type(key) == "string" and match(key, "^[%a_][%w_]*$") and not KEYWORDS[key] then
    return key
  end
  return "[" .. show(key, level + 1, open) .. "]"
end

local function lay_out(parts, count, level, opening, closing)
  local width, broken = 0, false
  for index = 1, count do
    width = width + #parts[index] + 2
    broken = broken or find(parts[index], "\n", 1, true) ~= nil
  end
  if not broken and width + 2 * level <= WIDTH then
    return opening .. concat(parts, ", ", 1, count) .. closing
  end
  local indent = rep("  ", level + 1)
  return opening .. "\n" .. indent .. concat(parts, ",\n" .. indent, 1, count) .. "\n" .. rep("  ", level) .. closing
end

local function show_table(value, level, open)
  local length = length_of(value)
  local keys, others = sorted_keys(value, length)
  local parts, count = {}, length
  for index = 1, length do
    parts[index] = show(rawget(value, index), level + 1, open)
  end
  for index = 1, others do
    local key = keys[index]
    count = count + 1
    parts[count] = show_key(key, level, open) .. " = " .. show(rawget(value, key), level + 1, open)
  end
  if others == 0 and (length > 0 or arrays[value]) then
    return lay_out(parts, count, level, "[", "]")
  end
  return lay_out(parts, count, level, "{", "}")
end

function show(value, level, open)
  local kind = type(value)
  if kind == "string" then
    return level > 0 and quote(value) or value
  elseif paths[value] then
    return "function: " .. paths[value]
  elseif kind ~= "table" then
    return tostring(value)
  end
  local text = own_text(value)
  if text then
    return text
  elseif open[value] then
    return "<cycle>"
  elseif level > MAX_DEPTH then
    return "<deeper>"
  end
  open[value] = true
  text = show_table(value, level, open)
  open[value] = nil
  return text
end

---Returns a value as `print` shows it: a string as it is, a table with its content.
local function display(value)
  if type(value) == "string" then
    return value
  end
  return show(value, 0, {})
end

---Returns any value as a string for an error message, even if its `__tostring` fails.
local function safely(value)
  local ok, text = pcall(display, value)
  if ok and type(text) == "string" then
    return text
  elseif not ok then
    requests.stop_if_memory(text)
  end
  return "(an error value of type " .. type(value) .. " that cannot be shown)"
end

return { display = display, safely = safely, paths = paths, before = before, RANK = RANK }
