-- expect: ok
-- why: sixty keys, the largest of them a border at 2^60, which a naive loop would walk up to
local t = {}
for power = 0, 60 do t[1 << power] = power end
print(t)
local ok, problem = pcall(json.encode, t)
assert(not ok and tostring(problem):find("numbers as keys"), problem)
return "ok"
