-- expect: limit:cpu
-- why: the host asks for the text of the error that ended the script
error(setmetatable({}, { __tostring = function() while true do end end }))
