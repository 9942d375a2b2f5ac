-- expect: blocked
-- why: whatever is not a string must not cross into Python: it could come back as an object of Python's
for _, bad in ipairs({ {}, print, coroutine.create(print), setmetatable({}, { __index = error }), 1.5, "1", -1, true }) do
  for _, attempt in ipairs({
    function() return regex.gsub("a", "a", "b", bad) end,
    function() return regex.match("a", "a", bad) end,
    function() return regex.match(bad, "a") end,
    function() return regex.split("a", bad) end,
    function() return parallel.map({ 1 }, print, { limit = bad }) end,
    function() return json.decode(bad) end,
  }) do
    local ok, problem = pcall(attempt)
    if ok and bad ~= "1" or type(problem) == "userdata" then return "PWNED" end
  end
end
return "blocked"
