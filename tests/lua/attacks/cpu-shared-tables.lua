-- expect: contained
-- why: a hundred levels of one table twice are 2^100 lines of print
local t = {}
for _ = 1, 90 do t = { t, t } end
print(t)
return "PWNED"
