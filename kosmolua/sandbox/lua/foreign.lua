-- What other languages write and Lua does not: its error about the syntax says besides how Lua has it.

local ipairs, tonumber = ipairs, tonumber
local find, gmatch, gsub, match = string.find, string.gmatch, string.gsub, string.match

local ASSIGN = "Lua writes x = x + 1 for x += 1 and for x++"
local COMMENT = "a comment begins with --"
local NAMED = "Lua writes { name = value } for { name: value }"
local LOCAL = "Lua writes local for const, let and var"

---Each has a pattern of Lua's message, one of the text at fault, with a newline before each line, and what to do.
local habits = {
  { "near '`'$", "```", "the lines with ``` have to go" },
  { "near '!'$", "!", "Lua writes ~= for != and not for !" },
  { "near '='$", "===", "Lua writes == for ===" },
  { "near '='$", "%f[%w_]if%f[^%w_][^=]*[^=~<>]=[^=]", "Lua compares with ==" },
  { "near '&'$", "&&", "Lua writes and for &&" },
  { "near '|'$", "||", "Lua writes or for ||" },
  { "near '%?'$", "%?", "Lua writes c and a or b for c ? a : b, and a or b for a ?? b" },
  { "near '[-+*/%%.]+'$", "[-+*/%%.]=", ASSIGN },
  { "near '%+'$", "%+%+", ASSIGN },
  { "near '#'$", "#", COMMENT },
  { "near '//?'$", "/[/*]", COMMENT },
  { "syntax error near", "\n[^\n]*//[ \t]+%a", COMMENT },
  { "syntax error near", "\n[ \t]*const[ \t]", LOCAL },
  { "syntax error near", "\n[ \t]*let[ \t]", LOCAL },
  { "syntax error near", "\n[ \t]*var[ \t]", LOCAL },
  { "syntax error near", "%f[%w_]continue%f[^%w_]", "Lua writes goto continue, and ::continue:: at the end of the loop" },
  { "syntax error near", "%f[%w_]els?if%f[^%w_]", "Lua writes elseif" },
  { "'end' expected", "%f[%w_]else[ \t]+if%f[^%w_]", "else if begins an if that needs an end of its own; elseif does not" },
  { "unexpected symbol near '%['$", "%[", "Lua writes { a, b } for [a, b]" },
  { "'}' expected near ':'$", ":", NAMED },
  { "<name> expected near ", "[{,][ \t]*[%a_][%w_]*[ \t]*:", NAMED },
  { "function arguments expected near ", "[{,][ \t]*[%a_][%w_]*[ \t]*:", NAMED },
  { "'%)' expected near '='$", "[%w_]%(.-[%a_][%w_]*[ \t]*=", "arguments by name stand in a table, as in f({ name = value })" },
  { "invalid escape sequence", "\\", "in [[...]] a backslash stands for itself, in quotes it is doubled" },
}

---Returns a line of a text, and before it the one that it may be the end of.
local function lines_to(source, number)
  local previous, line, count = "", "", 0
  for each in gmatch(source, "[^\n]*") do
    previous, line, count = line, each, count + 1
    if count == number then
      break
    end
  end
  return previous .. "\n" .. line
end

---Returns what may be at fault, without comments. What the end of a script lacks may be missing anywhere.
local function text_at_fault(problem, source)
  local number = not find(problem, "near <eof>$") and match(problem, ":(%d+):")
  local text = number and lines_to(source, tonumber(number)) or "\n" .. source
  return (gsub(text, "%-%-[^\n]*", ""))
end

---Returns Lua's message about the syntax of a text, with what to do where a habit is known.
---@param problem string
---@param source string
local function explain(problem, source)
  local text = text_at_fault(problem, source)
  for _, habit in ipairs(habits) do
    if find(problem, habit[1]) and find(text, habit[2]) then
      return problem .. ": " .. habit[3]
    end
  end
  return problem
end

return { explain = explain }
