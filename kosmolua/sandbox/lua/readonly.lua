-- Tables that only the host fills: what a script finds in them is built when it looks.

local host = ...

local host_tables = host.registry.host_tables
local error, ipairs, next, setmetatable = error, ipairs, next, setmetatable

---Returns a read-only table.
---@param name string what `tostring` gives
---@param find fun(key: any): any
---@param list fun(): string[]
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
