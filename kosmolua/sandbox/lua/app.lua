-- The global `app`: a tree that is built when a script looks into it.

local host = ...

local function root()
  return host.tree.root
end

local app = host.readonly.new("app", function(key) return root().find(key) end, function() return root().list() end)

return { app = app }
