-- expect: ok
-- why: read-only means also for rawset, table.insert, table.move and next
local render = app.integrations.render
local _, problem = pcall(render.production.get_service, {})
for _, target in ipairs({ app, app.integrations, render, render.production, json.null, problem }) do
  assert(not pcall(rawset, target, "x", 1), "rawset")
  assert(not pcall(rawset, target, 1, 1), "rawset")
  assert(not pcall(function() target.x = 1 end), "assignment")
  assert(not pcall(table.insert, target, 1), "insert")
  assert(not pcall(table.move, { 1, 2 }, 1, 2, 1, target), "move")
  assert(not pcall(setmetatable, target, {}), "setmetatable")
  assert(getmetatable(target) == false, "getmetatable")
  assert(next(target) == nil, "it has content of its own")
end
return "ok"
