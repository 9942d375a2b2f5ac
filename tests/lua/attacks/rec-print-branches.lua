-- expect: contained
-- why: parallel inside parallel, two hundred deep
local function deeper(level)
  if level == 0 then return 0 end
  return parallel.all({ function() return deeper(level - 1) end })[1]
end
return pcall(deeper, 200) and "done" or "refused"
