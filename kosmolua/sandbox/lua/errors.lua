-- The errors of calls: empty proxies, whose content is kept where no script can reach it.

local host = ...

local error, ipairs, next, rawget, setmetatable, type = error, ipairs, next, rawget, setmetatable, type

local methods = {}
for name, method in next, string do
  methods[name] = method
end
methods.dump = nil

local contents = host.registry.host_tables
local calls = setmetatable({}, { __mode = "k" })

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

local JOINABLE = { string = true, number = true, table = true }

function meta.__concat(left, right)
  left, right = message_of(left), message_of(right)
  for _, side in ipairs({ type(left), type(right) }) do
    if not JOINABLE[side] then
      error("attempt to concatenate a " .. side .. " value", 2)
    end
  end
  return left .. right
end

function meta.__len(self)
  return #contents[self].message
end

function meta.__pairs(self)
  local copy = {}
  for key, value in next, contents[self] do
    copy[key] = value
  end
  return next, copy, nil
end

---Returns an error value for an error that came from the host, or for one of the sandbox itself.
---@param fields table the fields of the error, such as `message`
---@param call? integer the number of the request that failed
local function mint(fields, call)
  local proxy = setmetatable({}, meta)
  contents[proxy] = fields
  calls[proxy] = call
  return proxy
end

---Returns the number of the request that failed with this error, or nil if the error did not come from the host.
local function call_of(value)
  return calls[value]
end

---Returns the code and the message of an error that the sandbox or the script raised, if it has both, else nil.
local function own(value)
  if calls[value] == nil and contents[value] then
    return contents[value].code, contents[value].message
  elseif type(value) ~= "table" or contents[value] then
    return
  end
  local code, message = rawget(value, "code"), rawget(value, "message")
  if type(code) == "string" and type(message) == "string" then
    return code, message
  end
end

return { mint = mint, call_of = call_of, own = own }
