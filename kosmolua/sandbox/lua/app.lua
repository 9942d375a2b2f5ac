-- The tree under `app`: read-only, and empty until a script names something.

local letterbox, json, text, failure = ...

local error, ipairs, next, pcall, rawget, setmetatable, type = error, ipairs, next, pcall, rawget, setmetatable, type
local format, gsub = string.format, string.gsub

local LONGEST_NAME = 200
local DOT = "\u{2024}"
local COLON = "is %s, as a colon passes it; call it with a dot: app.%s(...)"

---The tables of this tree, each with its name.
local branches = setmetatable({}, { __mode = "k" })

---The errors of paths that lead nowhere, which the host need not find out twice in a run.
local refused = {}

local function forget()
  refused = {}
end

---Returns a key as one name of a path, on one line. A dot inside it gives way to a sign that looks like one.
local function spell(key)
  local name = json.valid(json.head(type(key) == "string" and key or text.safely(key), LONGEST_NAME))
  name = gsub(name, "%c", " ")
  return name == "" and "''" or (gsub(name, "%.", DOT))
end

---Asks what is at a path; raises the host's error, with suggestions, where nothing is.
local function describe(path)
  if refused[path] then
    failure.note(refused[path])
    error(refused[path], 0)
  end
  local ok, answer = pcall(letterbox.ask, "describe", ',"path":' .. json.quote(path))
  if ok then
    return answer
  end
  refused[path] = type(answer) == "table" and answer or nil
  error(answer, 0)
end

---Raises the host's error for a path that leads nowhere.
local function refuse(path)
  describe(path)
  error("app." .. path .. " is not there", 0)
end

---Returns a read-only table.
---@param name string what `tostring` gives
---@param find fun(key: any): any
---@param list fun(): string[]
local function branch(name, find, list)
  local tree = setmetatable({}, {
    __metatable = false,
    __name = name,
    __index = function(_, key) return find(key) end,
    __newindex = function() error(name .. " is read-only", 2) end,
    __tostring = function() return name end,
    __pairs = function(self)
      local copy = {}
      for _, key in ipairs(list()) do
        copy[key] = find(key)
      end
      return next, copy, nil
    end,
  })
  json.host_tables[tree] = {}
  branches[tree] = name
  return tree
end

local function leaf(path)
  local field = ',"path":' .. json.quote(path)
  local function call(...)
    local passed = branches[(...)]
    if passed then
      return letterbox.ask_amiss("call", field, "", format(COLON, passed, path))
    end
    return letterbox.ask_with("call", field, ...)
  end
  text.paths[call] = "app." .. path
  return call
end

local function leaves_of(description, path)
  local leaves = {}
  for _, name in ipairs(description.functions) do
    leaves[name] = leaf(path .. "." .. name)
  end
  for alias, name in next, description.aliases do
    leaves[alias] = leaves[name]
  end
  return leaves
end

local function account_of(description, path)
  local leaves = leaves_of(description, path)
  return branch("app." .. path, function(key)
    return rawget(leaves, key) or refuse(path .. "." .. spell(key))
  end, function() return description.functions end)
end

---@param name string
---@param description? table what the host said of it; asked for on first use where it is not given
local function integration_of(name, description)
  local path = "integrations." .. name
  local leaves, accounts, names
  local function open()
    description = description or describe(path)
    leaves, accounts, names = leaves_of(description, path), {}, {}
    for _, each in ipairs(description.functions) do
      names[#names + 1] = each
    end
    for _, each in ipairs(description.accounts) do
      accounts[each] = account_of(description, path .. "." .. each)
      names[#names + 1] = each
    end
  end
  return branch("app." .. path, function(key)
    if not leaves then
      open()
    end
    return rawget(leaves, key) or rawget(accounts, key) or refuse(path .. "." .. spell(key))
  end, function()
    if not leaves then
      open()
    end
    return names
  end)
end

local known = {}

local function list_integrations()
  local names = describe("integrations").names
  for _, name in ipairs(names) do
    known[name] = rawget(known, name) or integration_of(name)
  end
  return names
end

local integrations = branch("app.integrations", function(key)
  local found = rawget(known, key)
  if not found then
    local name = spell(key)
    found = integration_of(name, describe("integrations." .. name))
    known[key] = found
  end
  return found
end, list_integrations)

local app = branch("app", function(key)
  return key == "integrations" and integrations or refuse(spell(key))
end, function() return { "integrations" } end)

return app, forget
