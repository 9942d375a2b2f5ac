-- app: lazy, read-only, and precise about what it has not.

local library = app.integrations.library
print(library.list_books().ok, library.work.list_books({ limit = 5 }).ok, library.default.lib_list_books().ok)
--> true	true	true
print(app.integrations["library"]["work"]["list_books"]({}).ok)
--> true

local function names_of(branch)
  local names = {}
  for name in pairs(branch) do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, " ")
end
print(names_of(app), names_of(app.integrations))
--> integrations mcp scripts	library
print(names_of(library))
--> broken default fails home lend list_books locked returns work
print(names_of(library.work))
--> fails lend list_books returns

local function say(attempt)
  local ok, problem = pcall(attempt)
  print(problem.code or "", (tostring(problem):gsub("^app.lua:%d+: ", "")))
end
say(function() return app.integration end)
--> unknown_path	app has no 'integration' (did you mean 'integrations'?); lua_list_docs() lists what there is
say(function() return app.integrations.libary end)
--> unknown_path	app.integrations has no 'libary' (did you mean 'library'?); lua_list_docs() lists what there is
say(function() return library.list_book end)
--> unknown_path	app.integrations.library has no 'list_book' (did you mean 'list_books'?); lua_list_docs("library") lists what there is
say(function() return library.work.list_book end)
--> unknown_path	app.integrations.library.work has no 'list_book' (did you mean 'list_books'?); lua_list_docs("library") lists what there is
say(function() return app.library end)
--> unknown_path	app has no 'library' (it is app.integrations.library); lua_list_docs() lists what there is
say(function() return app.zzz end)
--> unknown_path	app has no 'zzz' (lua_list_docs() lists what there is)
say(function() return app.integrations.zzz end)
--> unknown_path	app.integrations has no 'zzz' (it has library); lua_list_docs() lists what there is
say(function() return library.zzz end)
--> unknown_path	app.integrations.library has no 'zzz' (neither a function nor one of the accounts broken, home, locked, work); lua_list_docs("library") lists what there is
say(function() return library.work.zzz end)
--> unknown_path	app.integrations.library.work has no 'zzz' (library has no function for that: lua_list_docs('library') lists its 4)
print(pcall(function() app.x = 1 end))
--> false	app.lua:46: app is read-only
print(pcall(function() library.list_books = print end))
--> false	app.lua:48: app.integrations.library is read-only
for _, key in ipairs({ 1, 1.5, true, "library.work", "" }) do
  local ok, problem = pcall(function() return app.integrations[key] end)
  assert(not ok and problem.code == "unknown_path", tostring(key))
end
assert(not pcall(function() return app.integrations[nil] end))

-- A colon passes the branch itself, which is no argument.
say(function() library:list_books() end)
--> bad_arguments	library.list_books: an argument is app.integrations.library, as a colon passes it; call it with a dot: app.integrations.library.list_books(...). Nothing was sent.
say(function() library.work:lib_lend({ book = "b-1" }) end)
--> bad_arguments	library.lend: an argument is app.integrations.library.work, as a colon passes it; call it with a dot: app.integrations.library.work.lend(...). Nothing was sent.
print(library.list_books(nil).ok, library.list_books(json.null).ok)
--> true	true
