-- parallel.map passes the index too, and to a function of an integration the item only.

print(parallel.map({ "a", "b" }, function(item, index) return item .. index end))
--> ["a1", "b2"]
local library = app.integrations.library
for _, map in ipairs({ library.list_books, library.work.list_books, library.lib_list_books }) do
  print(#parallel.map({ { limit = 1 }, 2, 3 }, map))
end
--> 3
--> 3
--> 3
