-- expect: limit:memory
-- why: Python finds no room for the copy of an argument, and what it raises must reach neither pcall nor what is closed
local class = { __close = function(_, problem) Seen = type(problem) error("masked") end }
local function copy_out()
  local guard <close> = setmetatable({}, class)
  local text = ("x"):rep(45e6)
  return regex.match(text .. text, "y")
end
pcall(xpcall, copy_out, function(problem) Seen = type(problem) return problem end)
return Seen == "userdata" and "PWNED" or "survived"
