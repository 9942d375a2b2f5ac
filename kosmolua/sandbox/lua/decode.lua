-- Decodes JSON.

local host = ...

local arrays, null = host.registry.arrays, host.registry.null
local error, tonumber = error, tonumber
local byte, find, match, sub = string.byte, string.find, string.match, string.sub
local concat = table.concat
local integer_or_float, utf8_char = math.type, utf8.char

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
---Raises `{ position, what }` if it is not JSON or deeper than `depth` levels.
local function decode(text, depth)
  local value, position = decode_value(text, skip(text, 1), depth)
  position = skip(text, position)
  if position <= #text then
    fail(position, "something follows the value")
  end
  return value
end

return { decode = decode }
