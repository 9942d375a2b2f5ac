-- expect: limit:memory
-- why: print sorts keys under a pcall of its own, and asks keys for their text there
local function greedy() return setmetatable({}, { __tostring = function() return ("x"):rep(60000000) .. "y" end }) end
pcall(print, { [greedy()] = 1, [greedy()] = 2 })
return "PWNED"
