-- JSON, written with raw access only, so that no metatable and no global of a script can bend it.

local weak = { __mode = "k" }
local error, next, pcall, rawequal, rawget, rawlen, setmetatable, tonumber, type =
  error, next, pcall, rawequal, rawget, rawlen, setmetatable, tonumber, type
local byte, char, find, format, gsub, match, rep, sub =
  string.byte, string.char, string.find, string.format, string.gsub, string.match, string.rep, string.sub
local concat, sort = table.concat, table.sort
local huge, integer_or_float = math.huge, math.type
local utf8_char, utf8_len = utf8.char, utf8.len

local LONGEST_NAME = 100

---Stands for null where a missing value would leave a hole: inside arrays.
local null = setmetatable({}, {
  __metatable = false,
  __name = "null",
  __tostring = function() return "null" end,
  __newindex = function() error("json.null cannot be changed", 2) end,
})

---Tables that are lists even while they are empty.
local arrays = setmetatable({}, weak)

---The tables that are the host's own, which no script may write into, each with what is encoded in its place.
local host_tables = setmetatable({ [null] = {} }, weak)

-- Decoding ------------------------------------------------------------------------------------------------------------

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }
local REPLACEMENT = utf8_char(0xFFFD)

local decode_value

local function fail(position, what)
  error({ position = position, what = what }, 0)
end

local function skip(text, position)
  local code = byte(text, position)
  if code == 32 or code == 10 or code == 13 or code == 9 then
    return match(text, "^[ \n\r\t]*()", position)
  end
  return position
end

local function decode_unicode(text, position)
  local digits = match(text, "^%x%x%x%x", position) or fail(position, "an escape \\u needs four hexadecimal digits")
  local code = tonumber(digits, 16)
  if code < 0xD800 or code > 0xDFFF then
    return utf8_char(code), position + 4
  end
  local low = code < 0xDC00 and match(text, "^\\u(%x%x%x%x)", position + 4)
  low = low and tonumber(low, 16)
  if not low or low < 0xDC00 or low > 0xDFFF then
    return REPLACEMENT, position + 4
  end
  return utf8_char(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)), position + 10
end

local function decode_escaped(text, position)
  local pieces, count, start = {}, 0, position
  while true do
    local piece, stop = match(text, '^([^"\\\0-\31]*)()', position)
    count = count + 1
    pieces[count] = piece
    local code = byte(text, stop)
    if code == 34 then
      return concat(pieces, "", 1, count), stop + 1
    elseif code ~= 92 then
      fail(stop, code and "a control character inside a string" or "a string that does not end (it began at " .. start .. ")")
    end
    local escape = sub(text, stop + 1, stop + 1)
    count = count + 1
    if escape == "u" then
      pieces[count], position = decode_unicode(text, stop + 2)
    else
      pieces[count], position = ESCAPES[escape] or fail(stop, "an unknown escape"), stop + 2
    end
  end
end

local function decode_string(text, position)
  local plain, after = match(text, '^([^"\\%c]*)"()', position)
  if plain then
    return plain, after
  end
  return decode_escaped(text, position)
end

local function decode_fraction(text, position)
  local number, after = match(text, "^(-?%d+%.%d+)()", position)
  local code = byte(text, after)
  if not number or code == 101 or code == 69 then
    number, after = match(text, "^(-?%d+%.?%d*[eE][+-]?%d+)()", position)
  end
  if not number or find(number, ".", 1, true) and not find(number, "%.%d") then
    fail(position, "a malformed number")
  end
  return tonumber(number), after
end

local function decode_number(text, position)
  local digits, after = match(text, "^(-?%d+)()", position)
  if not digits then
    fail(position, "a value was expected")
  elseif find(digits, "^-?0%d") then
    fail(position, "a number cannot begin with 0")
  end
  local code = byte(text, after)
  if code == 46 or code == 101 or code == 69 then
    return decode_fraction(text, position)
  end
  local number = tonumber(digits)
  return integer_or_float(number) == "integer" and number or digits, after
end

local function decode_array(text, position, depth)
  local list, count = {}, 0
  position = skip(text, position)
  if byte(text, position) == 93 then
    arrays[list] = true
    return list, position + 1
  end
  while true do
    -- The usual integer in a single match.
    local value, ends, after = match(text, "^ ?(-?[1-9]%d*)([],])()", position)
    if value then
      local number = tonumber(value)
      value, position = integer_or_float(number) == "integer" and number or value, after
    else
      value, position = decode_value(text, skip(text, position), depth)
      position = skip(text, position)
      ends = sub(text, position, position)
      position = position + 1
    end
    count = count + 1
    list[count] = value
    if ends == "]" then
      return list, position
    elseif ends ~= "," then
      fail(position - 1, "a comma or ] was expected")
    end
  end
end

local function decode_key(text, position)
  position = skip(text, position)
  if byte(text, position) ~= 34 then
    fail(position, "a key in quotes was expected")
  end
  local key
  key, position = decode_string(text, position + 1)
  position = skip(text, position)
  if byte(text, position) ~= 58 then
    fail(position, "a colon was expected")
  end
  return key, skip(text, position + 1)
end

local function decode_object(text, position, depth)
  local map = {}
  position = skip(text, position)
  if byte(text, position) == 125 then
    return map, position + 1
  end
  while true do
    -- The usual member, a plain key and a plain string without wide spaces, in a single match.
    local key, value, ends, after = match(text, '^ ?"([^"\\%c]*)": ?"([^"\\%c]*)"([,}])()', position)
    if key then
      map[key], position = value, after
    else
      key, after = match(text, '^[ \n\r\t]*"([^"\\%c]*)"[ \n\r\t]*:[ \n\r\t]*()', position)
      if not key then
        key, after = decode_key(text, position)
      end
      value, position = decode_value(text, after, depth)
      if value ~= null then
        map[key] = value
      else
        map[key] = nil
      end
      position = skip(text, position)
      ends = sub(text, position, position)
      position = position + 1
    end
    if ends == "}" then
      return map, position
    elseif ends ~= "," then
      fail(position - 1, "a comma or } was expected")
    end
  end
end

local function decode_word(text, position, code)
  if code == 116 and sub(text, position, position + 3) == "true" then
    return true, position + 4
  elseif code == 110 and sub(text, position, position + 3) == "null" then
    return null, position + 4
  elseif code == 102 and sub(text, position, position + 4) == "false" then
    return false, position + 5
  end
  fail(position, "a value was expected")
end

function decode_value(text, position, depth)
  local code = byte(text, position)
  if code == 34 then
    return decode_string(text, position + 1)
  elseif code == 123 or code == 91 then
    if depth == 0 then
      fail(position, "nested too deeply")
    end
    return (code == 123 and decode_object or decode_array)(text, position + 1, depth - 1)
  elseif code == 116 or code == 102 or code == 110 then
    return decode_word(text, position, code)
  elseif code == nil then
    fail(position, "it ends where a value was expected")
  end
  return decode_number(text, position)
end

---Decodes one JSON value that fills a text. A null at the top is `json.null`.
---Raises `{ position, what }` where it is not JSON or deeper than `depth` levels.
local function decode(text, depth)
  local value, position = decode_value(text, skip(text, 1), depth)
  position = skip(text, position)
  if position <= #text then
    fail(position, "something follows the value")
  end
  return value
end

-- Encoding ------------------------------------------------------------------------------------------------------------

local QUOTED = {}
for code = 0, 31 do
  QUOTED[char(code)] = format("\\u%04x", code)
end
QUOTED['"'], QUOTED["\\"], QUOTED["\127"] = '\\"', "\\\\", "\127"
QUOTED["\n"], QUOTED["\r"], QUOTED["\t"], QUOTED["\b"], QUOTED["\f"] = "\\n", "\\r", "\\t", "\\b", "\\f"

---Returns a string in JSON's quotes, whatever its bytes.
local function quote(text)
  if find(text, '[%c"\\]') then
    text = gsub(text, '[%c"\\]', QUOTED)
  end
  return '"' .. text .. '"'
end

---Returns a text that JSON can hold: each byte that is not UTF-8 becomes U+FFFD.
local function valid(text)
  local length, wrong = utf8_len(text)
  local pieces, count, start = {}, 0, 1
  while not length do
    count = count + 1
    pieces[count] = sub(text, start, wrong - 1)
    start = wrong + 1
    length, wrong = utf8_len(text, start)
  end
  pieces[count + 1] = sub(text, start)
  return concat(pieces, REPLACEMENT)
end

---Returns the beginning of a text, of so many bytes at most, without breaking a character.
local function head(text, most)
  local after = byte(text, most + 1)
  while most > 0 and after and after >= 128 and after < 192 do
    most = most - 1
    after = byte(text, most + 1)
  end
  return sub(text, 1, most)
end

local function encode_float(number)
  for digits = 15, 17 do
    local text = format("%." .. digits .. "g", number)
    if tonumber(text) == number then
      return find(text, "[%.e]") and text or text .. ".0"
    end
  end
end

---Returns the length of a list, or nil for a map; `problem` says what else it is.
local function shape(value)
  local length, keys = rawlen(value), 0
  for key in next, value do
    keys = keys + 1
    if type(key) ~= "string" then
      if integer_or_float(key) ~= "integer" then
        return nil, "has a key that is " .. (type(key) == "number" and "not an integer" or "a " .. type(key))
      elseif key < 1 or key > length then
        return nil, "is a list with holes"
      end
    elseif length > 0 then
      return nil, "mixes a list with named keys"
    end
  end
  if keys < length then
    return nil, "is a list with holes"
  end
  if keys == 0 then
    return arrays[value] and 0 or nil
  end
  return length > 0 and length or nil
end

local encode_value

local function problem(state, what)
  local names = {}
  for depth = 1, state.depth do
    local key = state.keys[depth]
    if type(key) == "string" then
      key = head(key, LONGEST_NAME)
      names[depth] = depth > 1 and "." .. key or key
    else
      names[depth] = "[" .. key .. "]"
    end
  end
  error({ problem = what, where = concat(names), }, 0)
end

local function emit(state, text)
  local count = state.count + 1
  state.count = count
  state.pieces[count] = text
  state.size = state.size + #text
  if state.size > state.most then
    error({ too_big = true }, 0)
  end
end

local function open(state, value, bracket)
  if state.open[value] then
    problem(state, "contains itself")
  elseif state.depth >= state.deepest then
    problem(state, "is nested too deeply")
  end
  state.open[value] = true
  state.depth = state.depth + 1
  emit(state, bracket)
end

local function close(state, value, bracket, empty)
  state.depth = state.depth - 1
  state.open[value] = nil
  if state.indent and not empty then
    emit(state, "\n" .. rep(state.indent, state.depth))
  end
  emit(state, bracket)
end

local function separate(state, first)
  local comma = first and "" or ","
  emit(state, state.indent and comma .. "\n" .. rep(state.indent, state.depth) or comma)
end

local function encode_list(state, list, length)
  open(state, list, "[")
  for index = 1, length do
    state.keys[state.depth] = index
    separate(state, index == 1)
    encode_value(state, rawget(list, index))
  end
  close(state, list, "]", length == 0)
end

local function encode_map(state, map)
  open(state, map, "{")
  local keys, count = {}, 0
  for key in next, map do
    count = count + 1
    keys[count] = key
  end
  sort(keys)
  for index = 1, count do
    local key = keys[index]
    state.keys[state.depth] = key
    if not utf8_len(key) then
      problem(state, "has a key that is not UTF-8")
    end
    separate(state, index == 1)
    emit(state, quote(key) .. (state.indent and ": " or ":"))
    encode_value(state, rawget(map, key))
  end
  close(state, map, "}", count == 0)
end

local function encode_number(state, number)
  if integer_or_float(number) == "integer" then
    return format("%d", number)
  elseif number ~= number then
    problem(state, "is NaN, which JSON has no word for")
  elseif number == huge or number == -huge then
    problem(state, "is infinite, which JSON has no word for")
  end
  return encode_float(number)
end

local function encode_table(state, value)
  value = host_tables[value] or value
  local length, wrong = shape(value)
  if wrong then
    problem(state, wrong)
  elseif length then
    encode_list(state, value, length)
  else
    encode_map(state, value)
  end
end

function encode_value(state, value)
  local kind = type(value)
  if value == nil or rawequal(value, null) then
    emit(state, "null")
  elseif kind == "string" then
    if not utf8_len(value) then
      problem(state, "is a string that is not UTF-8")
    end
    emit(state, quote(value))
  elseif kind == "number" then
    emit(state, encode_number(state, value))
  elseif kind == "boolean" then
    emit(state, value and "true" or "false")
  elseif kind == "table" then
    encode_table(state, value)
  else
    problem(state, "is a " .. (kind == "thread" and "coroutine" or kind))
  end
end

local function new_state(most, deepest, indent)
  return { pieces = {}, count = 0, size = 0, most = most, depth = 0, deepest = deepest, keys = {}, open = {}, indent = indent }
end

---Encodes a value. Raises `{ problem, where }` where JSON cannot carry it, `{ too_big }` beyond `most` bytes.
local function encode(value, most, deepest, indent)
  local state = new_state(most, deepest, indent)
  encode_value(state, value)
  return concat(state.pieces, "", 1, state.count)
end

---Encodes packed values as one array; a nil among them is null. The places that errors name begin below the array.
local function encode_each(most, deepest, values)
  local pieces, size = {}, 0
  for index = 1, values.n do
    pieces[index] = encode(values[index], most - size, deepest)
    size = size + #pieces[index]
  end
  return "[" .. concat(pieces, ",") .. "]"
end

-- What scripts see ----------------------------------------------------------------------------------------------------

local DEEPEST, MOST = 1000, huge
local public = { null = null }

local function raise(prefix, caught)
  if type(caught) ~= "table" then
    error(caught, 0)
  elseif caught.position then
    error(prefix .. caught.what .. " at position " .. format("%d", caught.position), 3)
  end
  error(prefix .. (caught.where ~= "" and caught.where or "the value") .. " " .. caught.problem, 3)
end

---Decodes a JSON text. A null inside an array is `json.null`, in an object its key is absent.
---@param text string
---@return any
function public.decode(text)
  if type(text) ~= "string" then
    error("json.decode needs a string, not a " .. type(text), 2)
  end
  local ok, value = pcall(decode, text, DEEPEST)
  if not ok then
    raise("json.decode: ", value)
  end
  return value
end

---Encodes a value as JSON. An empty table is `{}` unless `json.array` marked it.
---@param value any
---@param options? { pretty?: boolean }
---@return string
function public.encode(value, options)
  local pretty = type(options) == "table" and rawget(options, "pretty")
  local ok, text = pcall(encode, value, MOST, DEEPEST, pretty and "  " or nil)
  if not ok then
    raise("json.encode: ", text)
  end
  return text
end

---Marks a table as a list, so that it is `[]` also while it is empty.
---@param list? table
---@return table
function public.array(list)
  list = list or {}
  if type(list) ~= "table" then
    error("json.array needs a table, not a " .. type(list), 2)
  end
  arrays[list] = true
  return list
end

return {
  null = null,
  public = public,
  quote = quote,
  valid = valid,
  head = head,
  host_tables = host_tables,
  decode = decode,
  encode_each = encode_each,
  is_array = function(value) return arrays[value] == true end,
}
