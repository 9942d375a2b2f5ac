-- The global `json`: decoding and encoding for scripts.

local host = ...

local arrays = host.registry.arrays
local error, pcall, rawget, type = error, pcall, rawget, type
local format, huge = string.format, math.huge

local MAX_DEPTH = 1000
local json = {}

local function raise(prefix, caught)
  if type(caught) ~= "table" or not (caught.position or caught.problem) then
    error(caught, 0)
  elseif caught.position then
    error(prefix .. caught.what .. " at position " .. format("%d", caught.position), 3)
  end
  error(prefix .. (caught.where ~= "" and caught.where or "the value") .. " " .. caught.problem, 3)
end

function json.decode(text)
  if type(text) ~= "string" then
    error("json.decode needs a string, not a " .. type(text), 2)
  end
  local ok, value = pcall(host.decode.decode, text, MAX_DEPTH, true)
  if not ok then
    raise("json.decode: ", value)
  end
  return value
end

function json.encode(value, options)
  local pretty = type(options) == "table" and rawget(options, "pretty")
  local ok, text = pcall(host.encode.encode, value, huge, MAX_DEPTH, pretty and "  " or nil)
  if not ok then
    raise("json.encode: ", text)
  end
  return text
end

function json.array(list)
  list = list or {}
  if type(list) ~= "table" then
    error("json.array needs a table, not a " .. type(list), 2)
  end
  arrays[list] = true
  return list
end

return json
