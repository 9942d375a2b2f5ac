-- The global `app`. Its module, `tree`, is loaded when a script uses `app` for the first time.

local host = ...

local function root()
  return host.tree.root
end

local app = host.readonly.new("app", function(key) return root().find(key) end, function() return root().list() end)

return { app = app }
