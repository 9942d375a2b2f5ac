-- expect: ok
-- why: a wrong argument of a documentation function is an error like any other, and never the end of the script
local cycle = {}
cycle.limit = cycle
for _, wrong in ipairs({ print, "\xff", cycle, { limit = 0 / 0 } }) do
  local read, problem = pcall(lua_read_doc, "overview", wrong)
  assert(not read and problem.code == "bad_arguments", tostring(problem))
  local found, trouble = pcall(lua_search_docs, wrong)
  assert(not found and trouble.code == "bad_arguments", tostring(trouble))
end
return "ok"
