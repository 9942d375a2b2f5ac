-- Encodes JSON. It accesses tables raw, so that no metatable and no global of a script can change the result.

local host = ...

local arrays, contents, handles = host.registry.arrays, host.registry.contents, host.registry.handles
local host_tables, null = host.registry.host_tables, host.registry.null
local head, quote = host.strings.head, host.strings.quote
local valid = host.strings.valid
local error, next, rawequal, rawget, rawlen, tonumber, tostring, type =
  error, next, rawequal, rawget, rawlen, tonumber, tostring, type
local find, format, rep = string.find, string.format, string.rep
local concat, sort = table.concat, table.sort
local huge, integer_or_float, utf8_len = math.huge, math.type, utf8.len

local MAX_NAME, MAX_PLACE, MAX_LOSSES = 100, 200, 20
local MASK = '"***"'
local REPLACED = "U+FFFD stands for each wrong byte"
local AS_NULL = "it is null here"
local HOLES = "is a list with holes"

local function encode_float(number)
  for digits = 15, 17 do
    local text = format("%." .. digits .. "g", number)
    if tonumber(text) == number then
      return find(text, "[%.e]") and text or text .. ".0"
    end
  end
end

---Returns a string, a number with all its digits, or a boolean as text.
local function exact(value)
  local is_finite = integer_or_float(value) == "float" and value - value == 0
  return is_finite and encode_float(value) or tostring(value)
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
        return nil, HOLES
      end
    elseif length > 0 then
      return nil, "mixes a list with named keys"
    end
  end
  if keys < length then
    return nil, HOLES
  end
  if keys == 0 then
    return arrays[value] and 0 or nil
  end
  return length > 0 and length or nil
end

local encode_value

---Returns the place of the value that is being encoded, such as `tags[2]`.
local function where(state)
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
  return concat(names)
end

local function problem(state, what)
  error({ problem = what, where = where(state) }, 0)
end

---Notes what a value cannot keep in JSON. Raises an error instead if the value must be kept whole.
local function lose(state, what, instead)
  if not state.losses then
    problem(state, what)
  elseif #state.losses < MAX_LOSSES then
    local place = head(valid(where(state)), MAX_PLACE)
    local subject = place == "" and state.name or place .. " of " .. state.name
    state.losses[#state.losses + 1] = subject .. " " .. what .. ": " .. instead
  end
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

local function open(state, bracket)
  state.depth = state.depth + 1
  emit(state, bracket)
end

local function close(state, bracket, empty)
  state.depth = state.depth - 1
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
  open(state, "[")
  for index = 1, length do
    state.keys[state.depth] = index
    separate(state, index == 1)
    encode_value(state, rawget(list, index))
  end
  close(state, "]", length == 0)
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

---Returns the length of a list whose holes can be null, since at least half of its items are there; else nil.
local function length_with_holes(value)
  local length, keys = 0, 0
  for key in next, value do
    if integer_or_float(key) ~= "integer" or key < 1 then
      return nil
    end
    length, keys = key > length and key or length, keys + 1
  end
  return keys > 0 and length <= 2 * keys and length or nil
end

---Returns a copy of a table with texts as keys. If two keys have the same text, the one that is a text itself counts.
local function with_texts_as_keys(value)
  local copy = {}
  for key, item in next, value do
    if type(key) ~= "string" then
      copy[valid(host.inspect.safely(key))] = item
    end
  end
  for key, item in next, value do
    if type(key) == "string" then
      copy[key] = item
    end
  end
  return copy
end

local function encode_map(state, map)
  open(state, "{")
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
      lose(state, "has a key that is not UTF-8", REPLACED)
    end
    separate(state, index == 1)
    emit(state, quote(valid(key)) .. (state.indent and ": " or ":"))
    if binary and key == "base64" then
      encode_content(state, map)
    else
      encode_value(state, rawget(map, key))
    end
  end
  close(state, "}", count == 0)
end

local function encode_number(state, number)
  if integer_or_float(number) == "integer" then
    return format("%d", number)
  elseif number ~= number then
    lose(state, "is NaN, which JSON cannot represent", AS_NULL)
    return "null"
  elseif number == huge or number == -huge then
    lose(state, "is infinite, which JSON cannot represent", AS_NULL)
    return "null"
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

---Encodes the text of a value that JSON cannot represent.
local function encode_text(state, text, wrong)
  lose(state, wrong, "its text is here")
  emit(state, quote(valid(text)))
end

local function encode_fields(state, value)
  local length, wrong = shape(value)
  if wrong then
    length = length_with_holes(value)
    wrong = not length and wrong == HOLES and "has numbers as keys" or wrong
    lose(state, wrong, length and "null is in the holes" or "its keys are texts here")
    value = length and value or with_texts_as_keys(value)
  end
  if length then
    return encode_list(state, value, length)
  end
  return encode_map(state, value)
end

local function encode_table(state, value)
  if handles[value] then
    return encode_handle(state, handles[value])
  end
  value = host_tables[value] or value
  if state.open[value] then
    return encode_text(state, "<cycle>", "contains itself")
  elseif state.depth >= state.deepest then
    return encode_text(state, "<deeper>", "is nested too deeply")
  end
  state.open[value] = true
  encode_fields(state, value)
  state.open[value] = nil
end

function encode_value(state, value)
  local kind = type(value)
  if value == nil or rawequal(value, null) then
    emit(state, "null")
  elseif kind == "string" then
    if not utf8_len(value) then
      lose(state, "is a string that is not UTF-8", REPLACED)
      value = valid(value)
    end
    emit(state, quote(value))
  elseif kind == "number" then
    emit(state, encode_number(state, value))
  elseif kind == "boolean" then
    emit(state, value and "true" or "false")
  elseif kind == "table" then
    encode_table(state, value)
  else
    encode_text(state, host.inspect.safely(value), "is a " .. (kind == "thread" and "coroutine" or kind))
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
---@param losses? string[] receives what the values cannot keep in JSON; if absent, an error is raised instead
local function encode_each(most, deepest, values, found, binaries, losses)
  local pieces, size = {}, 0
  for index = 1, values.n do
    local state = new_state(most - size, deepest)
    state.handles, state.contents, state.index = found, binaries, index
    state.losses, state.name = losses, values.n > 1 and "result " .. index or "the result"
    encode_value(state, values[index])
    pieces[index] = concat(state.pieces, "", 1, state.count)
    size = size + #pieces[index]
  end
  return "[" .. concat(pieces, ",") .. "]"
end

return { encode = encode, encode_each = encode_each, exact = exact }
