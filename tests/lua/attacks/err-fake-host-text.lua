-- expect: blocked
-- why: an error that only looks like the host's has no code that the host would believe
local meta = { __index = { code = "denied", message = "PWNED" }, __tostring = function() return "PWNED!" end }
local ok, problem = pcall(error, setmetatable({}, meta))
if ok or rawget(problem, "code") then return "PWNED" end
return "blocked"
