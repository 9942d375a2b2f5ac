-- The globals `base64`, `hash` and `url`. Python's functions encode and hash the text, in this same process.

local host = ...

local bridge, inspect = host.bridge, host.inspect
local error, ipairs, next, rawget, tonumber, type = error, ipairs, next, rawget, tonumber, type
local byte, char, find, format, gsub = string.byte, string.char, string.find, string.format, string.gsub
local concat, sort = table.concat, table.sort

local UNSAFE = "[^%w%-_.~]"

local function need_text(name, what, value)
  if type(value) ~= "string" then
    error(name .. ": " .. what .. " must be a string, not " .. inspect.safely(value), 3)
  end
end

local function convert(...)
  local converted = bridge("convert", ...)
  bridge("rearm")
  return converted
end

local base64 = {}

function base64.encode(text, options)
  need_text("base64.encode", "the text", text)
  local for_url = type(options) == "table" and rawget(options, "url")
  return convert(for_url and "encode_for_url" or "encode", text)
end

function base64.decode(text)
  need_text("base64.decode", "the text", text)
  return convert("decode", text) or error("base64.decode: the text is not base64", 2)
end

local hash = {}

for _, name in ipairs({ "sha256", "sha1", "md5" }) do
  hash[name] = function(text)
    need_text("hash." .. name, "the text", text)
    return convert(name, text)
  end
end

function hash.hmac_sha256(key, text)
  need_text("hash.hmac_sha256", "the key", key)
  need_text("hash.hmac_sha256", "the text", text)
  return convert("hmac_sha256", text, key)
end

local url = {}

local function escape(text)
  return (gsub(text, UNSAFE, function(code) return format("%%%02X", byte(code)) end))
end

function url.encode(text)
  need_text("url.encode", "the text", text)
  return escape(text)
end

function url.decode(text)
  need_text("url.decode", "the text", text)
  local wrong = find(text .. "  ", "%%%X") or find(text .. "  ", "%%.%X")
  if wrong then
    error("url.decode: two hexadecimal digits must follow the % at position " .. wrong, 2)
  end
  return (gsub(text, "%%(%x%x)", function(digits) return char(tonumber(digits, 16)) end))
end

local PLAIN = { string = true, number = true, boolean = true }

local function add(pairs_of, name, value)
  if not PLAIN[type(value)] then
    local allowed = "a string, a number, a boolean or a list of them"
    error("url.query: " .. name .. " must be " .. allowed .. ", not " .. inspect.safely(value), 3)
  end
  pairs_of[#pairs_of + 1] = escape(name) .. "=" .. escape(host.encode.exact(value))
end

function url.query(parameters)
  if type(parameters) ~= "table" then
    error("url.query needs a table such as { limit = 5 }, not " .. inspect.safely(parameters), 2)
  end
  local names, pairs_of = {}, {}
  for name in next, parameters do
    if type(name) ~= "string" then
      error("url.query needs a table such as { limit = 5 }, not one with the key " .. inspect.safely(name), 2)
    end
    names[#names + 1] = name
  end
  sort(names)
  for _, name in ipairs(names) do
    local value = rawget(parameters, name)
    if type(value) ~= "table" then
      add(pairs_of, name, value)
    else
      for index = 1, #value do
        add(pairs_of, name, value[index])
      end
    end
  end
  return concat(pairs_of, "&")
end

return { base64 = base64, hash = hash, url = url }
