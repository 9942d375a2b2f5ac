-- Errors that only the host mints: a proxy without content, which is kept where no script can reach it.

local getmetatable, next, select, setmetatable, tostring, type = getmetatable, next, select, setmetatable, tostring, type
local error = error

local methods = {}
for name, method in next, string do
  methods[name] = method
end
methods.dump = nil

local contents = setmetatable({}, { __mode = "k" })

local function message_of(value)
  local content = contents[value]
  return content and content.message or value
end

local meta = { __metatable = false, __name = "CallError" }

function meta.__index(self, key)
  local content = contents[self]
  local value = content[key]
  if value ~= nil then
    return value
  end
  local method = methods[key]
  return method and function(subject, ...) return method(message_of(subject), ...) end
end

function meta.__newindex()
  error("an error of a call cannot be changed", 2)
end

function meta.__tostring(self)
  return contents[self].message
end

function meta.__concat(left, right)
  return message_of(left) .. message_of(right)
end

function meta.__len(self)
  return #contents[self].message
end

function meta.__pairs(self)
  local copy = {}
  for key, value in next, contents[self] do
    copy[key] = value
  end
  copy.call = nil
  return next, copy, nil
end

---Returns an error value for a refusal that came from the host.
---@param fields table what the host said
---@param call integer the number of the request that failed
local function mint(fields, call)
  fields.call = call
  local proxy = setmetatable({}, meta)
  contents[proxy] = fields
  return proxy
end

---Returns the number of the request that failed, or nil where the host did not mint this value.
local function call_of(value)
  local content = contents[value]
  return content and content.call
end

return { mint = mint, call_of = call_of }
