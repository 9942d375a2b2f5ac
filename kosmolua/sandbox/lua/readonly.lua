-- Read-only tables, whose values are found on access.

local host = ...

local host_tables = host.registry.host_tables
local error, ipairs, next, setmetatable = error, ipairs, next, setmetatable

---Returns a read-only table.
---@param name string the text that `tostring` returns
---@param find fun(key: any): any returns the value of a key
---@param list fun(): string[] returns the keys for `pairs`
local function new(name, find, list)
  local made = setmetatable({}, {
    __metatable = false,
    __name = name,
    __index = function(_, key) return find(key) end,
    __newindex = function() error(name .. " is read-only", 2) end,
    __tostring = function() return name end,
    __pairs = function()
      local copy = {}
      for _, key in ipairs(list()) do
        copy[key] = find(key)
      end
      return next, copy, nil
    end,
  })
  host_tables[made] = {}
  return made
end

return { new = new }
