-- The tree under `app`. It is read-only, and each part is built on first use, as the host describes it.

local host = ...

local inspect, requests, strings, traceback = host.inspect, host.requests, host.strings, host.traceback
local readonly = host.readonly

local error, ipairs, next, pcall, rawget, setmetatable, type = error, ipairs, next, pcall, rawget, setmetatable, type
local concat, format, gsub = table.concat, string.format, string.gsub

local MAX_NAME = 200
local DOT = "\u{2024}"
local COLON = "is %s, as a colon passes it; call it with a dot: app.%s(...)"

---The tables of this tree, each with its name.
local branches = setmetatable({}, { __mode = "k" })

---The errors of unknown paths, so that the host is asked about each only once in a run.
local refused = {}

---Forgets which paths were unknown, at the start of a run.
local function begin()
  refused = {}
end

---Returns a key as one name of a path, on one line. A dot inside it is replaced by a character that looks like a dot.
local function spell(key)
  local name = strings.valid(strings.head(type(key) == "string" and key or inspect.safely(key), MAX_NAME))
  name = gsub(name, "%c", " ")
  return name == "" and "''" or (gsub(name, "%.", DOT))
end

---Asks the host what is at a path. Raises the host's error, with suggestions, if nothing is there.
local function describe(path)
  if refused[path] then
    traceback.note(refused[path])
    error(refused[path], 0)
  end
  local ok, answer = pcall(requests.ask, "describe", ',"path":' .. strings.quote(path))
  if ok then
    return answer
  end
  refused[path] = type(answer) == "table" and answer or nil
  error(answer, 0)
end

---Raises the host's error for a path that it does not know.
local function refuse(path)
  describe(path)
  error("app." .. path .. " does not exist", 0)
end

---Returns a read-only table.
---@param name string the text that `tostring` returns
---@param find fun(key: any): any
---@param list fun(): string[]
local function branch(name, find, list)
  local tree = readonly.new(name, find, list)
  branches[tree] = name
  return tree
end

---Returns the root of a tree under `app`: a function that finds a member, and one that lists the members.
---@param through string[] the scripts through which its calls are made, the outermost first
local function root_of(through)

local passage = #through > 0 and ',"through":["' .. concat(through, '","') .. '"]' or ""

---Returns a function that calls a function of the host, or runs another script.
---@param kind "call"|"script"
---@param finish? fun(answer: any): any makes the result of the answer, as the branch of a session of its name
local function leaf(kind, path, finish)
  local field = ',"path":' .. strings.quote(path) .. passage
  local function call(...)
    local passed = branches[(...)]
    if passed then
      return (requests.ask_amiss(kind, field, "", format(COLON, passed, path)))
    end
    local answer = requests.ask_with(kind, field, ...) -- no tail call: this frame tells whether the script makes one
    if finish then
      return finish(answer)
    end
    return answer
  end
  inspect.paths[call] = "app." .. path
  return call
end

local function script(path)
  return leaf("script", path, host.scripts.run)
end

---Returns a function that finds the leaf of a name or an alias, or nil.
---@param names table<string, string> each name and alias, with the function's name; the caller may add others later
---@param session? string the name of the function that begins sessions
---@param account fun(name: string): any returns the branch of an account
local function leaves_of(names, path, session, account)
  local leaves = {}
  return function(key)
    local name = rawget(names, key)
    if name and not leaves[name] then
      leaves[name] = leaf("call", path .. "." .. name, name == session and account)
    end
    return leaves[name or ""]
  end
end

local function names_of(description)
  local names = {}
  for _, name in ipairs(description.functions) do
    names[name] = name
  end
  for alias, name in next, description.aliases or {} do -- in recordings that an earlier version has made
    names[alias] = name
  end
  return names
end

---Returns the branch of an integration, or of another member of a root that has functions and accounts.
---@param path string
---@param description? table the host's description; if absent, the host is asked on first use
local function integration(path, description)
  local names, leaf_of, account
  local accounts = {}

  local function open()
    description = description or describe(path)
    names = names_of(description)
    leaf_of = leaves_of(names, path, description.session, account)
    for _, name in ipairs(description.accounts) do
      accounts[name] = false
    end
    accounts.default = accounts.default or false
  end

  ---Returns the names of all functions. The host may list only some of them at first, and the others on request.
  local function every_function()
    if description.others then
      description.functions, description.others = describe(path .. ".*").functions, nil
      for _, name in ipairs(description.functions) do
        names[name] = name
      end
    end
    return description.functions
  end

  ---Asks the host what a name below a path is, and notes it if it is a function. Raises the host's error if it is unknown.
  local function ask(below, key)
    local name = spell(key)
    local answer = describe(below .. "." .. name)
    if name ~= key or not (answer["function"] or answer.account) then
      error("app." .. below .. "." .. name .. " does not exist", 0)
    end
    names[key] = answer["function"]
    return answer
  end

  function account(name)
    local below = path .. "." .. name
    local find = leaves_of(names, below, description.session, account)
    return branch("app." .. below, function(key)
      return find(key) or (ask(below, key)["function"] and find(key)) or refuse(below .. "." .. spell(key))
    end, every_function)
  end

  local function find(key)
    if not names then
      open()
    end
    local found = leaf_of(key) or rawget(accounts, key)
    if found then
      return found
    end
    if found == nil and ask(path, key)["function"] then
      return leaf_of(key)
    end
    accounts[key] = account(key)
    return accounts[key]
  end

  local function list()
    if not names then
      open()
    end
    local all = {}
    for _, name in ipairs(every_function()) do
      all[#all + 1] = name
    end
    for _, name in ipairs(description.more and describe(path .. ".*").accounts or description.accounts) do
      accounts[name] = rawget(accounts, name) or false
      all[#all + 1] = name
    end
    return all
  end

  return branch("app." .. path, find, list)
end

---Returns the branch of a root, such as `app.integrations`.
local function root(path)
  local members = {}

  local function find(key)
    local found = rawget(members, key)
    if not found then
      local below = path .. "." .. spell(key)
      local description = describe(below)
      found = description.script and script(below) or integration(below, description)
      members[key] = found
    end
    return found
  end

  local function list()
    local description = describe(path)
    local member = description.scripts and script or integration
    for _, name in ipairs(description.names) do
      members[name] = rawget(members, name) or member(path .. "." .. name)
    end
    return description.names
  end

  return branch("app." .. path, find, list)
end

---The names of the roots once the host was asked, and each root that is known. Scripts mostly need `integrations` alone,
---which is always there: the host is only asked about others.
local names
local roots = { integrations = root("integrations") }

local function open()
  names = describe("").names
  for _, name in ipairs(names) do
    roots[name] = rawget(roots, name) or root(name)
  end
end

local function find(key)
  if not rawget(roots, key) and not names then
    open()
  end
  return rawget(roots, key) or refuse(spell(key))
end

local function list()
  if not names then
    open()
  end
  return names
end

return { find = find, list = list }

end

---Returns a tree under `app`.
local function tree(through)
  local its = root_of(through)
  return branch("app", its.find, its.list)
end

branches[host.env.pristine.app] = "app"

return { root = root_of({}), tree = tree, begin = begin }
