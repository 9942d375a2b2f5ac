-- expect: ok
-- why: a guard before __close changes nothing about what it is called with, and in which order
local seen = {}
local class = { __close = function(object, problem) seen[#seen + 1] = object.name .. ":" .. tostring(problem) end }
local function open(name) return setmetatable({ name = name }, class) end
do
  local first <close> = open("first")
  local second <close> = open("second")
end
pcall(function()
  local third <close> = open("third")
  error("over", 0)
end)
local callable = setmetatable({}, { __call = function(_, object) seen[#seen + 1] = "called for " .. object.name end })
do local fourth <close> = setmetatable({ name = "fourth" }, { __close = callable }) end
for _ in next, { 1 }, nil, open("fifth") do end
assert(table.concat(seen, ", ") == "second:nil, first:nil, third:over, called for fourth, fifth:nil", table.concat(seen, ", "))
local taken, problem = pcall(function() local plain <close> = setmetatable({}, {}) end)
assert(not taken and problem:find("non-closable value", 1, true))
return "ok"
