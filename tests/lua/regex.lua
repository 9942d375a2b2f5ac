-- regex: Python's regular expressions, with captures as a list and by name.

local found = regex.match("2024-05-06", [[(?<year>\d+)-(\d+)-(\d+)]])
print(found[0], found[1], found[2], found[3], found.year)
--> 2024-05-06	2024	05	06	2024
print(regex.match("abc", "x"), regex.match("ABC", "b", "i")[0], regex.match("a\nb", "^b$", "m")[0], regex.match("a\nb", "a.b", "s")[0])
--> nil	B	b	a
--> b
print(regex.match("b", "(a)|(b)")[1], regex.match("b", "(a)|(b)")[2])
--> false	b
print(#regex.match_all("a1b22c333", [[\d+]]), regex.match_all("a1b22", [[(\w)(\d+)]])[2][2], #regex.match_all("x", "y"))
--> 3	22	0
print((regex.gsub("a-b-c", "-", "+")), (regex.gsub("a-b-c", "-", "+", 1)), regex.gsub("a-b", "-", "+", 0))
--> a+b+c	a+b-c	a-b	0
print((regex.gsub("john smith", [[(?<first>\w+) (\w+)]], "$2, ${first} ($0) $$1 $9 ${nobody} $first ${first")))
--> smith, john (john smith) $1 $9 ${nobody} $first ${first
print((regex.gsub("a1", [[([a-z])(\d)]], "$2$1x ${1}2")))
--> 1ax a2
print((regex.gsub("$1 ${a}", "(.+)", "<$1> <${1}> $$$1 $${1} ${1x} $1}")))
--> <$1 ${a}> <$1 ${a}> $$1 ${a} ${1} ${1x} $1 ${a}}
print((regex.gsub("abc", "[ac]", function(match) if match[0] == "a" then return "A" end end)))
--> Abc
print(table.concat(regex.split("a, b,c", [[,\s*]]), "|"), #regex.split("abc", "x"))
--> a|b|c	1
print(regex.match("\xff-\xfe", "(.)-(.)")[2] == "\xfe", #regex.match("é", ".")[0], regex.match("日本", "本")[0])
--> true	2	本
print(#regex.match_all("aé", ""), (regex.gsub("ab", "", "-")))
--> 3	-a-b-

local function refuse(...)
  local ok, problem = pcall(...)
  print((problem:gsub("^regex.lua:%d+: ", "")))
end
refuse(regex.match, "a", "(")
--> regex.match: missing ), unterminated subpattern at position 0
refuse(regex.match, "a", "a", "q")
--> regex.match: there is no flag 'q'; the flags are i, m, s, x and a
refuse(regex.match, 1, "a")
--> regex.match needs a text and a pattern, both strings
refuse(regex.gsub, "a", "a", {})
--> regex.gsub: the replacement must be a string or a function, not a table
refuse(regex.gsub, "a", "a", function() return {} end)
--> regex.gsub: the replacement must be a string, not a table
refuse(regex.gsub, "a", "a", "b", 1.5)
--> regex.gsub: the limit must be an integer of at least 0
refuse(regex.match, "a", [[\N{LATIN SMALL LETTER A}]])
--> regex.match: \N needs the names of characters, which the sandbox does not have
refuse(regex.match, "a", ("a"):rep(100000))
--> regex.match: the pattern is longer than 16384 characters

-- A group is named where Python would see a group: not where the parenthesis is escaped or in a class.
print(regex.match("<b>", [[\(?<b>]])[0], regex.match("(<b>", [[\(?<b>]])[0], regex.match([[\x]], [[\\(?<last>.)]]).last)
--> <b>	(<b>	x
print(regex.match("P", "[(?<a]"), regex.match("<", "[(?<a]")[0], regex.match("]x", "[](?<a](?<b>.)").b, regex.match("x<", [[[^\](?<a](?<c><)]]).c)
--> nil	<	x	<
print(regex.match("ab", "a # an [\n(?<b>b)", "x").b)
--> b
print(regex.match("ab", "(?x)a # an [\n(?<b>b)").b)
--> b
refuse(regex.match, "a", "(?<a>.)(?<b>.)(")
--> regex.match: missing ), unterminated subpattern at position 14
refuse(regex.match, "a", "(?<a>.)(?<a>.)")
--> regex.match: redefinition of group name 'a' as group 2; was group 1 at position 10
refuse(regex.match, "a", "[(?<a>")
--> regex.match: unterminated character set at position 0
