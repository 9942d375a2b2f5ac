-- The values of the global `secrets`. They are handles: a handle stands for a secret, which a script can pass to functions
-- but not read.

local host = ...

local inspect, handles = host.inspect, host.registry.handles
local host_tables = host.registry.host_tables
local error, ipairs, setmetatable, type = error, ipairs, setmetatable, type
local concat = table.concat

local MASK = "***"
local READING = "a secret cannot be read: it can only be passed whole to a function"

local meta = {
  __metatable = false,
  __name = "Secret",
  __tostring = function() return MASK end,
  __index = function() error(READING, 2) end,
  __newindex = function() error("a secret cannot be changed", 2) end,
  __len = function() error(READING, 2) end,
  __pairs = function() error(READING, 2) end,
  __eq = function() error("secrets cannot be compared", 2) end,
  __concat = function() error("a secret cannot be joined with other text: it can only be passed whole to a function", 2) end,
}

---Returns a new handle.
---@param name string the name by which the host knows the secret
local function mint(name)
  local handle = setmetatable({}, meta)
  handles[handle] = name
  host_tables[handle] = {}
  return handle
end

---The names of the user's secrets, in order; and the handle of each, by its name.
local names, named = {}, {}

---Sets the names of the user's secrets.
---@param given string[]
local function set_names(given)
  names = given
  for _, name in ipairs(given) do
    named[name] = named[name] or mint(name)
  end
end

---Returns the handle of a secret by its name.
local function find(key)
  local handle = named[key]
  if handle then
    return handle
  end
  local there = #names > 0 and "there are " .. concat(names, ", ") or "the run was given none"
  error("there is no secret called " .. inspect.safely(key) .. " (" .. there .. ")", 2)
end

---Returns the names of the user's secrets.
local function list()
  return names
end

---Forgets the names of the secrets, at the start of a run.
local function begin()
  names = {}
end

---Puts handles of secrets into a value that came from the host, and returns the value.
---@param value any
---@param places table[] for each handle its position as a list of keys, and its name
local function put(value, places)
  for _, entry in ipairs(places) do
    local place, handle = entry[1], mint(entry[2])
    local holder = value
    for depth = 1, #place - 1 do
      holder = holder[place[depth]]
    end
    if type(holder) == "table" and #place > 0 then
      holder[place[#place]] = handle
    else
      value = handle
    end
  end
  return value
end

return { find = find, list = list, begin = begin, set_names = set_names, put = put }
