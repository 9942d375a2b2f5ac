-- expect: blocked
-- why: the host's memory and environment are in /proc, if any function could open a file there
local names = { "/proc/self/environ", "/proc/self/mem", "/proc/1/environ", "/proc/self/fd/3" }
for _, name in ipairs(names) do
  for _, open in ipairs({ io and io.open, dofile, loadfile, require, os.rename, os.remove, os.getenv, os.tmpname, os.execute }) do
    if open then return "PWNED" end
  end
  local chunk = load(function() return nil end, "@" .. name)
  if chunk and chunk() then return "PWNED" end
end
return "blocked"
