-- expect: ok
-- why: what a script replaces in its own libraries must not be what the prelude calls
local spoil = function() error("PWNED") end
for _, library in ipairs({ string, table, math, utf8, coroutine, os, json, regex, parallel, debug }) do
  if library ~= json and library ~= regex and library ~= parallel then
    for name in next, library do library[name] = spoil end
  end
end
local keep = { assert = assert, pcall = pcall, print = print, type = type }
local j, r, p, a = json, regex, parallel, app
local globals = _G
for name in next, globals do
  if not keep[name] then globals[name] = spoil end
end
print({ 1, { "two" }, three = 3 })
assert(j.encode({ 1, 2, { x = "y" } }) == '[1,2,{"x":"y"}]')
assert(j.decode('{"a":[1,null]}').a[2] == j.null)
assert(r.gsub("a-b", "-", "+") == "a+b")
local found = p.map({ "srv-1", "srv-2" }, function(id)
  return a.integrations.render.production.get_service({ service_id = id }).name
end)
assert(found[1] == "web" and found[2] == "db")
local ok, problem = pcall(a.integrations.render.production.get_service, { service_id = "srv-9" })
assert(not ok and problem.status == 404)
local missing, why = pcall(function() return a.integrations.rendr end)
assert(not missing and why.code == "unknown_path")
return "ok"
