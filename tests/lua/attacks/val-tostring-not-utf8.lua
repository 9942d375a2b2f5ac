-- expect: blocked
-- why: a key whose text is not UTF-8 would make the guest send a frame that the host takes for nonsense
local key = setmetatable({}, { __tostring = function() return "\xff\xfe" end })
local ok, problem = pcall(function() return app.integrations[key] end)
if ok then return "PWNED" end
return problem.code == "unknown_path" and "blocked" or "PWNED"
