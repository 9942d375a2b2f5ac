-- expect: blocked
-- why: an error whose text is that of a limit is the script's own, whatever its type
error(setmetatable({}, { __tostring = function() return "not enough memory" end }))
