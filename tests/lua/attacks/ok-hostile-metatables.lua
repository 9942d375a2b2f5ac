-- expect: ok
-- why: metatables that lie must neither break print and json nor reach into them
local hostile = {
  setmetatable({ 1 }, { __metatable = "locked" }),
  setmetatable({ 1 }, { __metatable = 5, __name = "five" }),
  setmetatable({ 1 }, { __name = {} }),
  setmetatable({ 1 }, { __pairs = error, __len = error, __index = error, __eq = error, __lt = error }),
}
for _, value in ipairs(hostile) do
  print(value)
  assert(json.encode(value) == "[1]")
end
for _, value in ipairs({
  setmetatable({}, { __tostring = function() return {} end }),
  setmetatable({}, { __tostring = error }),
  setmetatable({}, { __tostring = function() error() end }),
}) do
  assert(not pcall(print, value))
  assert(json.encode(value) == "{}")
end
return "ok"
