-- What differs in a run that is recorded or replayed: its behavior must not depend on the process that it runs in.

local host = ...

local env, requests = host.env.globals, host.requests
local before, RANK = host.inspect.before, host.inspect.RANK
local error, next, pairs, rawget, select, type = error, next, pairs, rawget, select, type
local getmetatable = debug.getmetatable -- the real one, whatever `__metatable` is
local random, randomseed = math.random, math.randomseed
local sort = table.sort

---Returns the keys of a table: first numbers, strings and booleans, sorted; then the others in the order of `next`, since
---tables and functions have no order.
local function keys_of(list)
  local keys, count, others = {}, 0, {}
  for key in next, list do
    if RANK[type(key)] then
      count = count + 1
      keys[count] = key
    else
      others[#others + 1] = key
    end
  end
  sort(keys, before)
  for index = 1, #others do
    keys[count + index] = others[index]
  end
  return keys
end

---Returns an iterator over a table, sorted by key. During the iteration fields may be changed and cleared, as with `next`.
local function in_order(list)
  local keys, index = keys_of(list), 0
  return function()
    local key, value
    repeat
      index = index + 1
      key = keys[index]
      value = nil
      if key ~= nil then
        value = rawget(list, key)
      end
    until value ~= nil or key == nil
    return key, value
  end, list, nil
end

---Lua's `pairs` in a fixed order: the order of Lua's own `pairs` differs from process to process.
local function ordered_pairs(...)
  if select("#", ...) == 0 then
    error("bad argument #1 to 'pairs' (value expected)", 2)
  end
  local list = ...
  local meta = getmetatable(list)
  local custom = type(meta) == "table" and rawget(meta, "__pairs")
  if custom then
    local step, state, first = pairs(list)
    if step == next and first == nil and type(state) == "table" then
      return in_order(state)
    end
    return step, state, first
  elseif type(list) ~= "table" then
    return pairs(list) -- raises Lua's own error
  end
  return in_order(list)
end

---Lua's `math.randomseed`, but without arguments the seed comes from the random numbers so far, not from the clock.
local function seed(...)
  if select("#", ...) == 0 then
    return randomseed(random(0), random(0))
  end
  return randomseed(...)
end

local function swap(list, name, present, other)
  if rawget(list, name) == present then -- not one that a chunk of the session has assigned
    list[name] = other
  end
end

local plain_pairs, plain_seed = pairs, randomseed

---Turns recording on or off, for a run or for a chunk of a session.
local function set(is_recorded)
  if requests.is_recorded == is_recorded then
    return
  end
  requests.is_recorded = is_recorded
  for _, globals in next, { env, host.env.pristine } do
    local functions = type(globals.math) == "table" and globals.math or {}
    if is_recorded then
      swap(globals, "pairs", plain_pairs, ordered_pairs)
      swap(functions, "randomseed", plain_seed, seed)
    else
      swap(globals, "pairs", ordered_pairs, plain_pairs)
      swap(functions, "randomseed", seed, plain_seed)
    end
  end
end

return { set = set }
