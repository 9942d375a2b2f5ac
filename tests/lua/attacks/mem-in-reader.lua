-- expect: limit:memory
-- why: load catches what its reader raises
load(function()
  local t = {}
  while true do t[#t + 1] = ("x"):rep(1000000) .. #t end
end)
return "PWNED"
