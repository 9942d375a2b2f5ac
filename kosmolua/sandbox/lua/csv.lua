-- The global `csv`: tables as comma-separated values (RFC 4180).

local host = ...

local inspect, null = host.inspect, host.registry.null
local error, next, rawequal, rawget, rawlen, type = error, next, rawequal, rawget, rawlen, type
local byte, find, gsub, match, sub = string.byte, string.find, string.gsub, string.match, string.sub
local concat, sort = table.concat, table.sort

local QUOTE, CARRIAGE_RETURN, NEWLINE = 34, 13, 10
local MARK = "\u{FEFF}"

local csv = {}

---Returns whether there is a header, and the separator.
local function read_options(name, options)
  if options == nil then
    return true, ","
  elseif type(options) ~= "table" then
    error(name .. " takes a table of options, such as { header = false }", 3)
  end
  for key in next, options do
    if key ~= "header" and key ~= "separator" then
      error(name .. " has no option " .. inspect.safely(key) .. "; it has header and separator", 3)
    end
  end
  local separator = rawget(options, "separator") or ","
  if type(separator) ~= "string" or #separator ~= 1 or find(separator, '["\r\n]') then
    error(name .. ": the separator must be one character, such as a semicolon", 3)
  end
  local header = rawget(options, "header")
  return header == nil or header, separator
end

---Raises an error with the line of a position in a text.
local function fail(text, position, problem)
  local _, lines = gsub(sub(text, 1, position - 1), "\n", "")
  error("csv.parse: line " .. lines + 1 .. ": " .. problem, 4)
end

---Returns the quoted cell that starts at a position, and the position after it.
local function read_quoted(text, position)
  local pieces, start = {}, position + 1
  while true do
    local close = find(text, '"', start, true)
    if not close then
      fail(text, position, "a quoted cell does not end")
    end
    pieces[#pieces + 1] = sub(text, start, close - 1)
    if byte(text, close + 1) ~= QUOTE then
      return concat(pieces, '"'), close + 1
    end
    start = close + 2
  end
end

---Returns the lines of a text, each as a list of cells. Empty lines are left out.
local function read_lines(text, separator)
  local lines, cells, count = {}, {}, 0
  local plain, comma = '^([^"\r\n%' .. separator .. "]*)()", byte(separator)
  local position, last = find(text, "^" .. MARK) and #MARK + 1 or 1, #text
  while position <= last or count > 0 do
    local was_quoted, cell = byte(text, position) == QUOTE, nil
    if was_quoted then
      cell, position = read_quoted(text, position)
    else
      cell, position = match(text, plain, position)
    end
    count = count + 1
    cells[count] = cell
    local code = byte(text, position)
    position = position + 1
    if code ~= comma then
      if code == CARRIAGE_RETURN and byte(text, position) == NEWLINE then
        position = position + 1
      elseif code and code ~= NEWLINE and code ~= CARRIAGE_RETURN then
        fail(text, position, was_quoted and "text after a quoted cell" or "a quote inside a cell without quotes")
      end
      if count > 1 or cell ~= "" or was_quoted then
        lines[#lines + 1] = cells
      end
      cells, count = {}, 0
    end
  end
  return lines
end

function csv.parse(text, options)
  if type(text) ~= "string" then
    error("csv.parse needs a string, not " .. inspect.safely(text), 2)
  end
  local has_header, separator = read_options("csv.parse", options)
  local lines = read_lines(text, separator)
  if not has_header then
    return lines
  end
  local names, seen, rows = lines[1] or {}, {}, {}
  for _, name in next, names do
    if seen[name] then
      error("csv.parse: two columns are called " .. inspect.safely(name) .. "; read it with { header = false }", 2)
    end
    seen[name] = true
  end
  for index = 2, #lines do
    local row, cells = {}, lines[index]
    if #cells > #names then
      error("csv.parse: row " .. index - 1 .. " has " .. #cells .. " cells, but the header has " .. #names, 2)
    end
    for column = 1, #cells do
      row[names[column]] = cells[column]
    end
    rows[index - 1] = row
  end
  return rows
end

local PLAIN = { string = true, number = true, boolean = true }

local function write_cell(value, separator)
  if value == nil or rawequal(value, null) then
    return ""
  elseif not PLAIN[type(value)] then
    error("csv.format: a cell must be a string, a number or a boolean, not " .. inspect.safely(value), 4)
  end
  local cell = host.encode.exact(value)
  if find(cell, '["\r\n]') or find(cell, separator, 1, true) then
    return '"' .. gsub(cell, '"', '""') .. '"'
  end
  return cell
end

---Returns a row as a line. A single empty cell is quoted, since `csv.parse` leaves out empty lines.
local function write_line(row, keys, separator)
  local cells = {}
  for column = 1, #keys do
    cells[column] = write_cell(rawget(row, keys[column]), separator)
  end
  local line = concat(cells, separator)
  return (line == "" and '""' or line) .. "\n"
end

---Returns the names of the columns: all keys of the rows, sorted.
local function names_in(rows)
  local names, seen = {}, {}
  for index = 1, #rows do
    for name in next, rows[index] do
      if type(name) ~= "string" then
        error("csv.format: the rows must all be lists, or all be tables with named keys", 3)
      elseif not seen[name] then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  sort(names)
  return names
end

local function numbers_to(count)
  local numbers = {}
  for number = 1, count do
    numbers[number] = number
  end
  return numbers
end

function csv.format(rows, options)
  if type(rows) ~= "table" then
    error("csv.format needs a list of rows, not " .. inspect.safely(rows), 2)
  end
  local header, separator = read_options("csv.format", options)
  local longest = 0
  for index = 1, #rows do
    if type(rows[index]) ~= "table" then
      error("csv.format: row " .. index .. " is not a table", 2)
    end
    longest = rawlen(rows[index]) > longest and rawlen(rows[index]) or longest
  end
  local has_lists = longest > 0
  local names = type(header) == "table" and header or not has_lists and names_in(rows) or {}
  local keys = has_lists and numbers_to(longest) or names
  local lines = {}
  if header and #names > 0 then
    lines[1] = write_line(names, numbers_to(#names), separator)
  end
  for index = 1, #rows do
    local width = has_lists and numbers_to(rawlen(rows[index])) or keys
    lines[#lines + 1] = write_line(rows[index], width, separator)
  end
  return concat(lines)
end

return csv
