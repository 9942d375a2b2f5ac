-- Scripts that a script calls. Each runs as a function with globals of its own, in the same VM and under the same limits.

local host = ...

local env, traceback, tree = host.env, host.traceback, host.tree
local error, load, select = error, load, select

---Runs a script, and returns what it returns. Its calls carry the names of the scripts that lead to it.
---@param call { source: string, name: string, params: table, through: string[] } the host's answer
local function run(call)
  local globals = env.fresh()
  globals.app = tree.tree(call.through)
  globals.params = call.params
  globals.arg = { [0] = call.name }
  traceback.add("@" .. call.name)
  local script, problem = load(host.OPENING .. call.source, "@" .. call.name, "t", globals)
  if not script then
    error(problem, 0)
  end
  return script()
end

return { run = run }
