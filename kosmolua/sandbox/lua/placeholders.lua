-- Placeholders: the results of planned calls. A placeholder is used like any table, but the host is told of each field
-- that the script reads.

local host = ...

local bridge, inspect, strings, traceback = host.bridge, host.inspect, host.strings, host.traceback
local host_tables = host.registry.host_tables
local next, rawequal, setmetatable, type = next, rawequal, setmetatable, type
local find, format = string.find, string.format

local MARK = "^<[%w_.]+#%d+"

---Tells the host that the script reads a value that the real call may return differently.
local function tell(number, key)
  local shown = strings.quote(strings.valid(strings.head(inspect.safely(key), 100)))
  bridge("send", format('{"kind":"peek","call":%d,"key":%s,"line":%d}', number, shown, traceback.line() or 0))
end

---Returns a value of a placeholder for the script: a proxy if it is a table, else the value itself.
local function wrap(value, number)
  if type(value) ~= "table" or rawequal(value, host.registry.null) then
    return value
  end
  local parts = {}
  local proxy = setmetatable({}, {
    __metatable = false,
    __index = function(_, key)
      local item = value[key]
      if type(item) ~= "table" then
        if type(item) ~= "string" or not find(item, MARK) then
          tell(number, key)
        end
        return item
      end
      parts[key] = parts[key] or wrap(item, number)
      return parts[key]
    end,
    __newindex = function(_, key, item)
      value[key], parts[key] = item, nil
    end,
    __len = function()
      tell(number, "#")
      return #value
    end,
    __pairs = function(proxy)
      tell(number, "pairs")
      return function(_, key)
        local following = next(value, key)
        if following ~= nil then
          return following, proxy[following]
        end
      end, proxy, nil
    end,
    __tostring = function() return inspect.display(value) end,
  })
  host_tables[proxy] = value
  return proxy
end

---Returns the value of a reply, as a placeholder if the call was only planned.
local function unpack(value)
  local number = type(value) == "table" and value["$planned"]
  if number then
    return wrap(value.value, number)
  end
  return value
end

return { unpack = unpack }
