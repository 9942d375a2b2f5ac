-- Encodes JSON. It accesses tables raw, so that no metatable and no global of a script can change the result.

local host = ...

local arrays, contents, handles = host.registry.arrays, host.registry.contents, host.registry.handles
local host_tables, null = host.registry.host_tables, host.registry.null
local head, quote = host.strings.head, host.strings.quote
local error, next, rawequal, rawget, rawlen, tonumber, type = error, next, rawequal, rawget, rawlen, tonumber, type
local find, format, rep = string.find, string.format, string.rep
local concat, sort = table.concat, table.sort
local huge, integer_or_float, utf8_len = math.huge, math.type, utf8.len

local MAX_NAME = 100
local MASK = '"***"'

local function encode_float(number)
  for digits = 15, 17 do
    local text = format("%." .. digits .. "g", number)
    if tonumber(text) == number then
      return find(text, "[%.e]") and text or text .. ".0"
    end
  end
end

---Returns the length of a list, or nil for a map. If JSON cannot represent the table, the second value says why.
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
      key = head(key, MAX_NAME)
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

---Returns true if a table is a binary result whose bytes only the host has.
local function is_binary(map)
  return contents[map] ~= nil and rawget(map, "base64") == nil
end

---Returns the position of the value that is being encoded, as a JSON list of keys.
local function place_of(state)
  local place = { state.index }
  for depth = 1, state.depth do
    local key = state.keys[depth]
    place[depth + 1] = type(key) == "string" and quote(key) or key
  end
  return "[" .. concat(place, ",") .. "]"
end

---Encodes the base64 of a binary result. In a request to the host it is only a mask, and the name of the bytes is noted.
local function encode_content(state, map)
  if not state.contents then
    return encode_value(state, host.contents.text_of(map))
  end
  emit(state, MASK)
  state.contents[#state.contents + 1] = "[" .. place_of(state) .. "," .. quote(contents[map].name) .. "]"
end

local function encode_map(state, map)
  open(state, map, "{")
  local keys, count = {}, 0
  for key in next, map do
    count = count + 1
    keys[count] = key
  end
  local binary = is_binary(map)
  if binary then
    count = count + 1
    keys[count] = "base64"
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
    if binary and key == "base64" then
      encode_content(state, map)
    else
      encode_value(state, rawget(map, key))
    end
  end
  close(state, map, "}", count == 0)
end

local function encode_number(state, number)
  if integer_or_float(number) == "integer" then
    return format("%d", number)
  elseif number ~= number then
    problem(state, "is NaN, which JSON cannot represent")
  elseif number == huge or number == -huge then
    problem(state, "is infinite, which JSON cannot represent")
  end
  return encode_float(number)
end

---Encodes the handle of a secret as a mask, and notes its position. Only a request to the host may hold a handle.
local function encode_handle(state, name)
  if not state.handles then
    problem(state, "is a secret, which cannot be read")
  end
  emit(state, MASK)
  state.handles[#state.handles + 1] = "[" .. place_of(state) .. "," .. quote(name) .. "]"
end

local function encode_table(state, value)
  if handles[value] then
    return encode_handle(state, handles[value])
  end
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

---Encodes a value as JSON. Raises `{ problem, where }` if JSON cannot represent it, and `{ too_big }` if the text is longer
---than `most` bytes.
local function encode(value, most, deepest, indent)
  local state = new_state(most, deepest, indent)
  encode_value(state, value)
  return concat(state.pieces, "", 1, state.count)
end

---Encodes packed values as one array, with null for nil. The places in errors are relative to the items of the array.
---@param found string[] receives the position and the name of each secret's handle, as JSON
---@param binaries? string[] receives the same for each binary result; if absent, the base64 itself is encoded
local function encode_each(most, deepest, values, found, binaries)
  local pieces, size = {}, 0
  for index = 1, values.n do
    local state = new_state(most - size, deepest)
    state.handles, state.contents, state.index = found, binaries, index
    encode_value(state, values[index])
    pieces[index] = concat(state.pieces, "", 1, state.count)
    size = size + #pieces[index]
  end
  return "[" .. concat(pieces, ",") .. "]"
end

return { encode = encode, encode_each = encode_each }
