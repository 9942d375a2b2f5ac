-- expect: blocked
-- why: frames of a chunk that is called like the prelude are in no traceback
for _, name in ipairs({ "=[host]", "@[host]", "=[host]:1" }) do
  local ok, chunk = pcall(load, "local trace = debug.traceback() return trace", name)
  if ok and chunk and not chunk():find("[host]", 1, true) then
    return "PWNED"
  end
end
return "blocked"
