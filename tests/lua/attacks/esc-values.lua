-- expect: ok
-- why: everything that can be reached is plain Lua: no userdata, no light userdata, no metatable of the host's
local seen = {}
local function visit(value)
  if type(value) == "userdata" then error("a userdata") end
  if type(value) ~= "table" or seen[value] then return end
  seen[value] = true
  local meta = getmetatable(value)
  if meta then visit(meta) end
  for key, item in next, value do visit(key) visit(item) end
end
visit(_G)
visit(getmetatable(""))
visit({ getmetatable(print), getmetatable(1), getmetatable(nil), getmetatable(coroutine.create(print)), getmetatable(true) })
local ok, problem = pcall(app.integrations.render.production.get_service, {})
assert(not ok)
visit(problem)
for _, item in pairs(problem) do visit(item) end
return "ok"
