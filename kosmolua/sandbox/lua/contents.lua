-- Binary results: the host keeps the bytes, and sends them only when a script reads the field `base64` of the table.

local host = ...

local contents, requests, strings = host.registry.contents, host.requests, host.strings
local ipairs, setmetatable = ipairs, setmetatable

---Returns the base64 of a binary result.
local function text_of(binary)
  local known = contents[binary]
  known.text = known.text or requests.ask("content", ',"name":' .. strings.quote(known.name))
  return known.text
end

local meta = {
  __metatable = false,
  __index = function(binary, key)
    if key == "base64" then
      return text_of(binary)
    end
  end,
}

---Turns tables in a value that came from the host into binary results.
---@param value any
---@param places table[] for each its position as a list of keys, and the name of its bytes
local function mark(value, places)
  for _, entry in ipairs(places) do
    local binary = value
    for _, key in ipairs(entry[1]) do
      binary = binary[key]
    end
    contents[setmetatable(binary, meta)] = { name = entry[2] }
  end
end

return { mark = mark, text_of = text_of }
