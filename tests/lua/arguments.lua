-- Arguments: what JSON has no word for is refused by name before anything is sent.

local library = app.integrations.library
local function say(...)
  local ok, problem = pcall(library.lend, ...)
  print(problem.code, problem.param, problem.message)
end
local cycle = {}
cycle.self = cycle
say({ book = print })
--> bad_arguments	book	library.lend: book is a function. Nothing was sent.
say({ book = "b", note = { cycle } })
--> bad_arguments	note	library.lend: note[1].self contains itself. Nothing was sent.
say({ book = 0 / 0 })
--> bad_arguments	book	library.lend: book is NaN, which JSON cannot represent. Nothing was sent.
say({ book = "\xff" })
--> bad_arguments	book	library.lend: book is a string that is not UTF-8. Nothing was sent.
say({ "b", note = "x" })
--> bad_arguments	nil	library.lend: an argument mixes a list with named keys. Nothing was sent.
print(library.lend("b-1").ok, library.lend({ book = "b-1" }).ok, library.lend({ book = "b-1", note = json.null }).ok)
--> true	true	true
-- Metatables do not count: arguments are read raw.
print(library.lend(setmetatable({ book = "b-1" }, { __index = error, __pairs = error, __len = error })).ok)
--> true
