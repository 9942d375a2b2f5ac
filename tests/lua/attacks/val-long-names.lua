-- expect: blocked
-- why: very long names in a path or in the words of a refusal
local long = ("x"):rep(100000)
local render = app.integrations.render
local attempts = {
  function() return app[long] end,
  function() return app.integrations[long] end,
  function() return render[long] end,
  function() return render.production[long] end,
  function() return render.production.list_services({ [long] = print }) end,
  function() return render.production.list_services({ [long] = { [long] = { [long] = print } } }) end,
  function() return lua_read_doc(long) end,
}
for _, attempt in ipairs(attempts) do
  local ok, problem = pcall(attempt)
  if ok or #tostring(problem) > 4000 then return "PWNED" end
end
return "blocked"
