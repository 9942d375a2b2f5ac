-- expect: ok
-- why: a comparator without any order, one that fails, and one that calls the host
local list = {}
for index = 1, 200 do list[index] = index * 7919 % 211 end
pcall(table.sort, list, function() return true end)
pcall(table.sort, list, function() return math.random() < 0.5 end)
assert(not pcall(table.sort, list, function() error("no") end))
local render = app.integrations.render.production
table.sort({ 3, 1, 2 }, function(a, b) render.get_service({ service_id = "srv-1" }) return a < b end)
return "ok"
