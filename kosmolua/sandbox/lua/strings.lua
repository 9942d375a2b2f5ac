-- Strings for frames: quoting for JSON, replacing invalid UTF-8, and cutting.

local byte, char, find, format, gsub, sub = string.byte, string.char, string.find, string.format, string.gsub, string.sub
local concat = table.concat
local utf8_char, utf8_len = utf8.char, utf8.len

local REPLACEMENT = utf8_char(0xFFFD)

local QUOTED = {}
for code = 0, 31 do
  QUOTED[char(code)] = format("\\u%04x", code)
end
QUOTED['"'], QUOTED["\\"], QUOTED["\127"] = '\\"', "\\\\", "\127"
QUOTED["\n"], QUOTED["\r"], QUOTED["\t"], QUOTED["\b"], QUOTED["\f"] = "\\n", "\\r", "\\t", "\\b", "\\f"

---Returns a string as a JSON string. Bytes that are not UTF-8 stay as they are.
local function quote(text)
  if find(text, '[%c"\\]') then
    text = gsub(text, '[%c"\\]', QUOTED)
  end
  return '"' .. text .. '"'
end

---Returns a text as valid UTF-8: U+FFFD replaces each byte that is not UTF-8.
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

---Returns at most the first `most` bytes of a text, without breaking a character.
local function head(text, most)
  local after = byte(text, most + 1)
  while most > 0 and after and after >= 128 and after < 192 do
    most = most - 1
    after = byte(text, most + 1)
  end
  return sub(text, 1, most)
end

return { quote = quote, valid = valid, head = head }
