-- expect: ok
-- why: whatever function of the sandbox handles an error, xpcall comes back with a failure
local handlers = {
  error, pcall, print, tostring, xpcall, load, coroutine.yield, coroutine.wrap, coroutine.close,
  debug.traceback, parallel.all, lua_read_doc, json.encode, regex.match,
}
for _, handler in ipairs(handlers) do
  assert(xpcall(error, handler, "boom") == false)
end
return "ok"
