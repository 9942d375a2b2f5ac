-- parallel.all and parallel.map: while one branch waits for a call, the others continue.

local host = ...

local arrays = host.registry.arrays
local inspect, requests, traceback = host.inspect, host.requests, host.traceback
local error, next, rawequal, type = error, next, rawequal, type
local close, create, resume, status = host.memory.close, coroutine.create, host.memory.resume, coroutine.status
local integer_or_float = math.type
local pack = table.pack

local DEFAULT_LIMIT = 8

---Ends a branch for good, and closes its variables that are to be closed.
local function abandon(branch)
  local ok, problem = close(branch.coroutine)
  if not ok then
    requests.stop_if_memory(problem)
  end
end

local function step(branch, ...)
  local outer = requests.branch
  requests.branch = branch
  local results = pack(resume(branch.coroutine, ...))
  requests.branch = outer
  return results
end

local function finish(group, branch, ok, value)
  group.active = group.active - 1
  if ok then
    group.results[branch.index] = value
    return
  end
  requests.stop_if_memory(value)
  if not group.failed or branch.index < group.failed then
    group.failed, group.place = branch.index, traceback.place(value, branch.coroutine)
  end
end

---Runs a branch until it ends or waits, and notes which replies it waits for.
local function advance(group, branch, ...)
  local results = step(branch, ...)
  if status(branch.coroutine) == "dead" then
    return finish(group, branch, results[1], results[2])
  elseif not rawequal(results[2], requests.WAIT) then
    abandon(branch)
    return finish(group, branch, false, "attempt to yield from a branch of parallel")
  elseif results[3] == nil then
    abandon(branch)
    group.active = group.active - 1
    return
  end
  for number in next, results[3] do
    group.waiting[number] = branch
  end
  branch.waits_for = results[3]
end

local function start(group, index)
  group.active = group.active + 1
  local branch = { index = index, group = group, coroutine = create(group.task) }
  requests.branches[branch.coroutine] = true
  advance(group, branch, index)
end

local function continue(group)
  local reply = requests.await(group.waiting)
  local branch = group.waiting[reply.id]
  for number in next, branch.waits_for do
    group.waiting[number] = nil
  end
  advance(group, branch, reply)
end

---Runs `task(index)` for 1..count, at most `limit` at once, and returns the results in order.
local function run(count, limit, task)
  local group = { results = {}, waiting = {}, active = 0, task = task, outer = requests.branch }
  group.number = requests.count_group()
  local index = 0
  repeat
    while index < count and group.active < limit and not group.failed do
      index = index + 1
      start(group, index)
    end
    if group.active > 0 and next(group.waiting) ~= nil then
      continue(group)
    end
  until group.active == 0 and (index == count or group.failed)
  if group.failed then
    traceback.pass_on(group.place)
  end
  requests.abandon_if_failed()
  arrays[group.results] = true
  return group.results
end

local function limit_of(name, options)
  for key in next, type(options) == "table" and options or {} do
    if key ~= "limit" then
      error(name .. " has no option " .. inspect.safely(key) .. "; it has limit", 3)
    end
  end
  local limit = options == nil and DEFAULT_LIMIT or type(options) == "table" and (options.limit or DEFAULT_LIMIT)
  if integer_or_float(limit) ~= "integer" or limit < 1 then
    error(name .. ": limit must be a positive integer, as in { limit = 8 }", 3)
  end
  return limit
end

---Raises an error if a table has keys that are not part of its list, since their values would be ignored.
local function need_list(name, list, count)
  if integer_or_float(count) ~= "integer" then
    error(name .. " needs a list, and the length of this one is not an integer", 4)
  end
  for key in next, list do
    if integer_or_float(key) ~= "integer" or key < 1 or key > count then
      error(name .. " needs a list such as { a, b }, not a table with the key " .. inspect.safely(key), 4)
    end
  end
end

---Returns a copy of a list, and its length.
local function items_of(name, list)
  local count, items = #list, {}
  need_list(name, list, count)
  for index = 1, count do
    items[index] = list[index]
  end
  return items, count
end

local parallel = {}

function parallel.all(functions, options)
  if type(functions) ~= "table" then
    error("parallel.all needs a list of functions, not a " .. type(functions), 2)
  end
  local limit = limit_of("parallel.all", options)
  local items, count = items_of("parallel.all", functions)
  for index = 1, count do
    if type(items[index]) ~= "function" then
      error("parallel.all needs functions, but number " .. index .. " is a " .. type(items[index]), 2)
    end
  end
  return run(count, limit, function(index) return items[index]() end)
end

function parallel.map(list, f, options)
  if type(list) ~= "table" or type(f) ~= "function" then
    error("parallel.map needs a list and a function", 2)
  end
  local limit = limit_of("parallel.map", options)
  local items, count = items_of("parallel.map", list)
  if inspect.paths[f] then
    return run(count, limit, function(index) return f(items[index]) end)
  end
  return run(count, limit, function(index) return f(items[index], index) end)
end

return parallel
