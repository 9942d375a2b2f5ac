-- The global `regex`: regular expressions. Python's `re` does the matching, in this same process.

local host = ...

local bridge, decode = host.bridge, host.decode.decode
local error, ipairs, type = error, ipairs, type
local gsub, match = string.gsub, string.match
local concat, integer_or_float, tointeger = table.concat, math.type, math.tointeger

local MAX_DEPTH = 8

---Returns the matches, each with the text before it, and the text after the last match.
local function scan(name, subject, pattern, flags, most)
  if type(subject) ~= "string" or type(pattern) ~= "string" then
    error("regex." .. name .. " needs a text and a pattern, both strings", 3)
  elseif flags ~= nil and type(flags) ~= "string" then
    error("regex." .. name .. ": flags must be a string of i, m, s, x or a", 3)
  end
  local line = bridge("regex", subject, pattern, flags or "", most)
  bridge("rearm")
  local answer = decode(line, MAX_DEPTH)
  if answer.problem then
    error("regex." .. name .. ": " .. answer.problem, 3)
  end
  return answer
end

---Returns one match as a table for scripts: the whole match at 0, the groups at 1..n, and named groups by name.
local function captures(answer, entry)
  local result = { [0] = entry.whole }
  for index = 1, #entry.groups do
    result[index] = entry.groups[index]
  end
  for index = 1, #answer.names do
    local named = answer.names[index]
    result[named[1]] = entry.groups[named[2]]
  end
  return result
end

local regex = {}

function regex.match(text, pattern, flags)
  local answer = scan("match", text, pattern, flags, 1)
  local first = answer.matches[1]
  return first and captures(answer, first)
end

function regex.match_all(text, pattern, flags)
  local answer = scan("match_all", text, pattern, flags, 0)
  local all = {}
  for index, entry in ipairs(answer.matches) do
    all[index] = captures(answer, entry)
  end
  return all
end

---Returns a replacement with its references filled in. A reference to an unknown group stays as it is.
local function fill(template, found)
  local text = gsub(template, "%$(%$?)({?[%w_]*}?)", function(dollar, reference)
    if dollar ~= "" then
      return dollar .. reference
    end
    local name, rest = match(reference, "^(%d+)(.*)$")
    name = name or match(reference, "^{([%w_]+)}$")
    local value = found[tointeger(name) or name]
    return value ~= nil and (value or "") .. (rest or "") or nil
  end)
  return text
end

---Returns the text that replaces a match. If the replacement function returns nil or false, the match stays as it is.
local function replace(replacement, whole, found)
  local new = type(replacement) == "string" and fill(replacement, found) or replacement(found)
  if type(new) ~= "string" and type(new) ~= "number" and new then
    error("regex.gsub: the replacement must be a string, not a " .. type(new), 3)
  end
  return new or whole
end

function regex.gsub(text, pattern, replacement, limit)
  local kind = type(replacement)
  if kind ~= "string" and kind ~= "function" then
    error("regex.gsub: the replacement must be a string or a function, not a " .. kind, 2)
  end
  if limit ~= nil and (integer_or_float(limit) ~= "integer" or limit < 0) then
    error("regex.gsub: the limit must be an integer of at least 0", 2)
  elseif limit == 0 then
    return text, 0
  end
  local answer = scan("gsub", text, pattern, nil, limit or 0)
  local pieces = {}
  for _, entry in ipairs(answer.matches) do
    pieces[#pieces + 1] = entry.before
    pieces[#pieces + 1] = replace(replacement, entry.whole, captures(answer, entry))
  end
  pieces[#pieces + 1] = answer.after
  return concat(pieces), #answer.matches
end

function regex.split(text, pattern, flags)
  local answer = scan("split", text, pattern, flags, 0)
  local pieces = {}
  for index, entry in ipairs(answer.matches) do
    pieces[index] = entry.before
  end
  pieces[#pieces + 1] = answer.after
  return pieces
end

return regex
