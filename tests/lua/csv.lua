-- Comma-separated values.

local function try(...)
  local arguments = table.pack(...)
  local _, problem = pcall(function() local _ = arguments[1](table.unpack(arguments, 2, arguments.n)) end)
  print(problem)
end

print(csv.parse("name,plan\napi,pro\n\nweb,free"))
--> [{name = "api", plan = "pro"}, {name = "web", plan = "free"}]
print(csv.parse("name,plan\r\napi\r\n\r\n,free\r\n"))
--> [{name = "api"}, {name = "", plan = "free"}]
print(csv.parse('\u{FEFF}a;b\n"1;2";"say ""hi""\nand go"\n', { separator = ";" }))
--> [{a = "1;2", b = "say \"hi\"\nand go"}]
print(csv.parse("a,b\n1\n,,\n", { header = false }))
--> [["a", "b"], ["1"], ["", "", ""]]
print(#csv.parse(""), #csv.parse("\n\n"), #csv.parse("a,b"), #csv.parse("a\r1\r2"), csv.parse("a\n\"\""))
--> 0	0	0	2	[{a = ""}]
print(csv.parse("a.b|c\n1|2", { separator = "|" })[1]["a.b"], csv.parse("x^y\n1^2", { separator = "^" })[1].y, csv.parse("x\ty\n1\t2", { separator = "\t" })[1].y)
--> 1	2	2

try(csv.parse, 'a,b\n1,"2\n3')
--> csv.lua:5: csv.parse: line 2: a quoted cell does not end
try(csv.parse, 'a,b\n1,2\n"3"4,5')
--> csv.lua:5: csv.parse: line 3: text after a quoted cell
try(csv.parse, 'a,b\n1,2"')
--> csv.lua:5: csv.parse: line 2: a quote inside a cell without quotes
try(csv.parse, "a,b\n1,2,3")
--> csv.lua:5: csv.parse: row 1 has 3 cells, but the header has 2
try(csv.parse, "a,a\n1,2")
--> csv.lua:5: csv.parse: two columns are called a; read it with { header = false }
try(csv.parse, 5)
--> csv.lua:5: csv.parse needs a string, not 5
try(csv.parse, "", { seperator = ";" })
--> csv.lua:5: csv.parse has no option seperator; it has header and separator
try(csv.parse, "", { separator = ", " })
--> csv.lua:5: csv.parse: the separator must be one character, such as a semicolon

io = csv.format({ { name = "a,b", plan = 'say "hi"' }, { name = "x", size = 1.5, ok = true } })
print(io)
--> name,ok,plan,size
--> "a,b",,"say ""hi""",
--> x,true,,1.5
--> 
print(csv.format({ { 1, "two" }, { "three" }, { "" } }))
--> 1,two
--> three
--> ""
--> 
print(csv.format({ { b = 1, a = 2, c = json.null } }, { header = { "c", "b", "a" }, separator = ";" }))
--> c;b;a
--> ;1;2
--> 
print(csv.format({ { a = 1 } }, { header = false }), csv.format({ { 1, 2 } }, { header = { "x", "y" } }), csv.format({}) == "")
--> 1
--> 	x,y
--> 1,2
--> 	true
try(csv.format, { { a = {} } })
--> csv.lua:5: csv.format: a cell must be a string, a number or a boolean, not {}
try(csv.format, "x")
--> csv.lua:5: csv.format needs a list of rows, not x
try(csv.format, { 1 })
--> csv.lua:5: csv.format: row 1 is not a table

local rows = {}
for number = 1, 200 do
  rows[number] = { id = tostring(number), text = ('",\n\r; é'):rep(number % 5), other = number % 3 == 0 and "" or "plain" }
end
local again = csv.parse(csv.format(rows))
local same = #again == #rows
for number, row in ipairs(rows) do
  same = same and again[number].id == row.id and again[number].text == row.text and again[number].other == row.other
end
print(same)
--> true
