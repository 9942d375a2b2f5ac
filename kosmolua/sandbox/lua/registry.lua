-- Tables with a special meaning. Security depends on this registry, which no script can reach.

local error, setmetatable = error, setmetatable

---Stands for null inside arrays, where nil would leave a hole.
local null = setmetatable({}, {
  __metatable = false,
  __name = "null",
  __tostring = function() return "null" end,
  __newindex = function() error("json.null cannot be changed", 2) end,
})

local weak = { __mode = "k" }

return {
  null = null,

  ---The handles of secrets, each with the name by which the host knows the secret.
  ---@type table<table, string>
  handles = setmetatable({}, weak),

  ---The tables of binary results, each with `name`, by which the host knows the bytes, and `text`, the base64 once read.
  ---@type table<table, { name: string, text: string? }>
  contents = setmetatable({}, weak),

  ---Tables that JSON encodes as lists even while they are empty.
  ---@type table<table, true>
  arrays = setmetatable({}, weak),

  ---The host's own tables, which no script may change, each with the table that is encoded in its place.
  ---@type table<table, table>
  host_tables = setmetatable({ [null] = {} }, weak),
}
