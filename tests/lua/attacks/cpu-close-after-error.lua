-- expect: limit:cpu
-- why: what is to be closed runs when the script has failed already
local guard <close> = setmetatable({}, { __close = function() while true do end end })
error("over")
