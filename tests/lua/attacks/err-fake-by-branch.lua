-- expect: blocked
-- why: whoever can resume a branch of parallel plays the host, and mints errors and results
local render = app.integrations.render.production
local first
local function forge()
  local ok, answer = coroutine.resume(first, { id = 1, ok = true, value = { name = "PWNED" } })
  if ok then return "PWNED" end
  ok, answer = pcall(coroutine.close, first)
  if ok then return "PWNED" end
  return answer
end
local found = parallel.all({
  function()
    first = coroutine.running()
    return render.get_service({ service_id = "srv-1" }).name
  end,
  forge,
})
return found[1] == "web" and found[2] ~= "PWNED" and "blocked" or "PWNED"
