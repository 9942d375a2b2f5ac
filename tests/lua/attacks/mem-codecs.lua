-- expect: limit:memory
-- why: what Python encodes counts as the script's memory, also where the script catches errors.
local text, kept = ("x"):rep(4000000), {}
while true do pcall(function() kept[#kept + 1] = base64.encode(text) .. csv.format({ { text } }) .. url.encode(text) end) end
