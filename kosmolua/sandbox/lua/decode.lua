-- Decodes JSON.

local host = ...

local arrays, null = host.registry.arrays, host.registry.null
local error, next, setmetatable, tonumber = error, next, setmetatable, tonumber
local byte, find, gsub, match, sub = string.byte, string.find, string.gsub, string.match, string.sub
local concat = table.concat
local integer_or_float, utf8_char = math.type, utf8.char

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }
local WORDS = { ["true"] = true, ["false"] = false, null = null }
local REPLACEMENT = utf8_char(0xFFFD)
local MIN_TO_LEARN = 16 * 1024 -- bytes of a text from which shapes are learned

---Marks an escape that JSON does not have, while the escapes of a string are replaced. A JSON string cannot contain it raw.
local UNKNOWN = "\1"
local SHORT = setmetatable({}, { __index = function() return UNKNOWN end })
for letter, sign in next, ESCAPES do
  SHORT[letter] = sign
end

---The characters of \u escapes, by their digits. Halves of surrogate pairs have none, and only short characters are cached.
local SPELLED = setmetatable({}, {
  __index = function(spelled, digits)
    local code = tonumber(digits, 16)
    if code >= 0xD800 and code <= 0xDFFF then
      return nil
    end
    local sign = utf8_char(code)
    if code < 0x800 then
      spelled[digits] = sign
    end
    return sign
  end,
})

local decode_value

---The learned shapes of the text that is being decoded; nil if shapes are not learned from it.
local shapes

---Whether a null in an object is `json.null`; otherwise its key is absent.
local keeps_nulls = false

---The shapes of all short texts, once they have enough bytes together: a script that repeats a call gets similar replies.
local shapes_of_short, bytes_of_short = nil, 0

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

---Decodes a string escape by escape, from the position after its quote. Raises an error if it is malformed.
local function decode_one_by_one(text, position)
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

local function spell_pair(high, low)
  return utf8_char(0x10000 + ((tonumber(high, 16) - 0xD800) << 10) + (tonumber(low, 16) - 0xDC00))
end

---Returns a string with its escapes replaced, or nil if it has escapes that `decode_one_by_one` has to decode.
local function unescape(raw)
  if find(raw, "%c") then
    return
  elseif not find(raw, "\\u", 1, true) then
    raw = gsub(raw, "\\(.)", SHORT)
    return not find(raw, UNKNOWN, 1, true) and raw or nil
  elseif find(raw, "\\\\", 1, true) or find(raw, "\\u0000", 1, true) then
    return
  end
  raw = gsub(raw, "\\([^u])", SHORT)
  raw = gsub(raw, "\\u([dD][89abAB]%x%x)\\u([dD][c-fC-F]%x%x)", spell_pair)
  raw = gsub(raw, "\\u(%x%x%x%x)", SPELLED)
  return not find(raw, "[\\\1]") and raw or nil
end

local function decode_escaped(text, position)
  local stop, _ = find(text, '"', position, true)
  if stop and byte(text, stop - 1) == 92 then
    _, stop = find(text, '[^\\]"', stop)
  end
  local raw = stop and sub(text, position, stop - 1)
  if raw and not find(raw, '\\\\"', 1, true) then -- else a quote after two backslashes may be the end
    raw = unescape(raw)
    if raw then
      return raw, stop + 1
    end
  end
  return decode_one_by_one(text, position)
end

local function decode_string(text, position)
  local plain, after = match(text, '^([^"\\\0-\31]*)"()', position)
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

---Returns the value of a JSON number, true, false or null, or nil if the word is none of these or needs the full decoder.
---@param word? string
local function scalar(word)
  local value = WORDS[word or ""]
  if value ~= nil or not word then
    return value
  elseif find(word, "^-?[1-9]%d*$") then
    local number = tonumber(word)
    return integer_or_float(number) == "integer" and number or word
  elseif find(word, "^-?[1-9]%d*%.%d+$") or find(word, "^-?0%.%d+$") then
    return tonumber(word)
  end
end

local function decode_array(text, position, depth)
  local list, count = {}, 0
  position = skip(text, position)
  if byte(text, position) == 93 then
    arrays[list] = true
    return list, position + 1
  end
  while true do
    -- Most items need a single match: an integer, a string without escapes, true, false, null, or another number.
    local value, ends, after = match(text, "^ ?(-?[1-9]%d*)([],])()", position)
    if value then
      local number = tonumber(value)
      value = integer_or_float(number) == "integer" and number or value
    else
      local code = byte(text, position)
      code = code == 32 and byte(text, position + 1) or code
      if code == 34 then
        value, ends, after = match(text, '^ ?"([^"\\\0-\31]*)"([],])()', position)
      elseif code == 116 or code == 102 or code == 110 then
        value, ends, after = match(text, "^ ?(%l+)([],])()", position)
        value = WORDS[value]
      elseif code ~= 123 and code ~= 91 then
        value, ends, after = match(text, "^ ?([%w.+-]+)([],])()", position)
        value = scalar(value)
      end
    end
    if value ~= nil then
      position = after
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

---Decodes the members of an object one by one, from `position` on, into `map`.
---@param note? fun(key: string, from: integer, to: integer) called with each member's key, and where its value is
local function decode_members(text, position, depth, map, note)
  while true do
    -- Most members need a single match: a key and a string without escapes, with at most one space between.
    local key, value, ends, after = match(text, '^ ?"([^"\\\0-\31]*)": ?"([^"\\\0-\31]*)"([,}])()', position)
    if key and not note then
      map[key], position = value, after
    else
      local from
      key, from = match(text, '^[ \n\r\t]*"([^"\\\0-\31]*)"[ \n\r\t]*:[ \n\r\t]*()', position)
      if not key then
        key, from = decode_key(text, position)
      end
      value, position = decode_value(text, from, depth)
      if note then
        note(key, from, position)
      end
      if value ~= null or keeps_nulls then
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

local function decode_object(text, position, depth)
  local first = shapes and match(text, '^[ \n\r\t]*"([^"\\\0-\31]*)"', position)
  if not first then
    position = skip(text, position)
    if byte(text, position) == 125 then
      return {}, position + 1
    end
    return decode_members(text, position, depth, {})
  end
  local map, after, is_part = shapes.decode(first, text, position, depth)
  if map and not is_part then
    return map, after
  elseif map then
    after = skip(text, after)
    local ends = sub(text, after, after)
    if ends == "}" then
      return map, after + 1
    elseif ends ~= "," then
      fail(after, "a comma or } was expected")
    end
    return decode_members(text, after + 1, depth, map)
  end
  local note, finish = after, is_part
  map, position = decode_members(text, position, depth, {}, note)
  if finish then
    finish(position)
  end
  return map, position
end

local function decode_word(text, position)
  local word, after = match(text, "^(%l+)()", position)
  local value = WORDS[word]
  if value == nil then
    fail(position, "a value was expected")
  end
  return value, after
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
    return decode_word(text, position)
  elseif code == nil then
    fail(position, "the text ends where a value was expected")
  end
  return decode_number(text, position)
end

---Decodes the JSON value that begins at a position. A null at the top is `json.null`.
---Raises `{ position, what }` if the text is not JSON, or has more than `depth` levels.
---@return any value
---@return integer after the position after the value
local function decode_at(text, position, depth)
  keeps_nulls = false
  if #text >= MIN_TO_LEARN then
    shapes = host.shapes.new(decode_value, scalar)
  else
    bytes_of_short = bytes_of_short + #text
    if bytes_of_short >= MIN_TO_LEARN then
      shapes_of_short = shapes_of_short or host.shapes.new(decode_value, scalar)
    end
    shapes = shapes_of_short
  end
  return decode_value(text, skip(text, position), depth)
end

---Decodes a text that is one JSON value. Otherwise it is like `decode_at`.
---@param keeping? boolean whether a null in an object is `json.null`, rather than an absent key
local function decode(text, depth, keeping)
  keeps_nulls = keeping and find(text, "null", 1, true) ~= nil or false
  local value, position
  if keeps_nulls then
    shapes = nil -- they leave nulls out
    value, position = decode_value(text, skip(text, 1), depth)
  else
    value, position = decode_at(text, 1, depth)
  end
  position = skip(text, position)
  if position <= #text then
    fail(position, "there is text after the value")
  end
  return value
end

return { decode = decode, decode_at = decode_at }
