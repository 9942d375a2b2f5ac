-- The tables that mean more than their content. Security rests on this: no script can reach it.

local error, setmetatable = error, setmetatable

---Stands for null where a missing value would leave a hole: inside arrays.
local null = setmetatable({}, {
  __metatable = false,
  __name = "null",
  __tostring = function() return "null" end,
  __newindex = function() error("json.null cannot be changed", 2) end,
})

local weak = { __mode = "k" }

return {
  null = null,

  ---The handles of secrets, each with what the host knows it by.
  ---@type table<table, string>
  handles = setmetatable({}, weak),

  ---The tables of binary results, each with `name`, what the host knows the bytes by, and `text` once it was asked for.
  ---@type table<table, { name: string, text: string? }>
  contents = setmetatable({}, weak),

  ---Tables that are lists even while they are empty.
  ---@type table<table, true>
  arrays = setmetatable({}, weak),

  ---The tables that are the host's own, which no script may write into, each with what is encoded in its place.
  ---@type table<table, table>
  host_tables = setmetatable({ [null] = {} }, weak),
}
