"""Idioms of other languages, and how to write each of them in Lua."""

from __future__ import annotations

import re

_JSON = "JSON is read with json.decode and written with json.encode"
_NIL = "Lua's word is nil"
_WAIT = "a call waits for its result: leave the word out; parallel.all runs several at once"
_LOOP = "go through a list with for _, item in ipairs(list) do"
_LENGTH = "the length of a list is #list"
_APPEND = "write list[#list + 1] = item, or table.insert(list, item)"
_SORT = "table.sort(list, function(a, b) return a.name < b.name end) sorts in place"
_STRINGS = "compare text:sub(1, #start) with the start"
_FIND = "text:find(part, 1, true) finds a part"
_MODULES = "there are no modules to load; json, regex and parallel are already available"
_FILES = "there are no files; print and write make output, and arg has the arguments"
_TIMES = "time.now() is now, and time.parse and time.format read and write times"

GLOBALS = {
    **dict.fromkeys(("None", "null", "undefined", "NULL", "Nil", "NaN"), _NIL),
    "True": "Lua writes true",
    "False": "Lua writes false",
    **dict.fromkeys(("await", "async", "Promise"), _WAIT),
    **dict.fromkeys(("this", "self"), "a function without a colon has no self: name the value"),
    **dict.fromkeys(("JSON", "cjson", "dkjson"), _JSON),
    **dict.fromkeys(("console", "printf", "echo", "puts", "log"), "print writes output"),
    **dict.fromkeys(("require", "package", "import"), _MODULES),
    **dict.fromkeys(("io", "dofile", "loadfile", "open"), _FILES),
    **dict.fromkeys(("http", "fetch", "requests", "axios", "socket"), "services are reached through app.integrations"),
    **dict.fromkeys(("Date", "datetime", "moment"), _TIMES),
    **dict.fromkeys(("try", "catch", "throw", "raise"), "Lua has pcall: local ok, err = pcall(f), and error(text)"),
    **dict.fromkeys(("switch", "match", "case"), "Lua has no switch: write if, elseif, else"),
    **dict.fromkeys(("asyncio", "gather"), _WAIT),
    **dict.fromkeys(("wait", "delay", "setTimeout", "setInterval", "task"), "sleep(seconds) waits"),
    **dict.fromkeys(("enumerate", "map", "filter", "foreach", "each", "zip", "sum"), _LOOP),
    **dict.fromkeys(("sorted", "sort"), _SORT),
    **dict.fromkeys(("typeof", "isinstance"), "type(value) returns the type"),
    **dict.fromkeys(("parseInt", "parseFloat", "Number", "float"), "tonumber(text) converts text to a number"),
    **dict.fromkeys(("String", "repr"), "tostring(value) converts a value to text"),
    **dict.fromkeys(("logger", "logging", "pprint"), "print writes output"),
    **dict.fromkeys(("quit", "die"), "exit(status) ends a script"),
    **dict.fromkeys(("bit", "bit32"), "Lua writes &, |, ~, << and >> between integers"),
    **dict.fromkeys(("Counter", "defaultdict"), "count in a table: n[key] = (n[key] or 0) + 1"),
    **dict.fromkeys(("call_tool", "callTool", "call_function"), "a call is app.integrations.NAME.FUNCTION({ ... })"),
    **dict.fromkeys(("sprintf", "format"), "string.format formats text"),
    "re": "regex has match, match_all, gsub and split, each with the text first",
    "new": "there is no new: call a function that makes the table",
    "__name__": "a script runs from its first line",
    "unpack": "lists are unpacked with table.unpack",
    "loadstring": "text is compiled with load",
    "len": _LENGTH,
    "range": "count with for i = 1, n do",
    "str": "tostring(value) converts a value to text",
    "int": "math.tointeger(value) or tonumber(text)",
    "f": "join text with .., or use string.format",
    "not_": "Lua writes not",
    "integrations": "integrations are under app.integrations",
    "process": "there are no processes and no environment",
    "Math": "Lua writes math",
    "Object": _LOOP,
    "Array": _LENGTH,
}
"""Global names of other languages, each with a hint."""

FIELDS = {
    **dict.fromkeys(("length", "len", "size", "count", "getn"), _LENGTH),
    **dict.fromkeys(("push", "append", "add", "insert"), _APPEND),
    **dict.fromkeys(("map", "filter", "forEach", "reduce", "each", "find", "some", "every"), _LOOP),
    **dict.fromkeys(("sort", "sorted"), _SORT),
    **dict.fromkeys(("join", "concat"), 'table.concat(list, ", ") joins texts'),
    **dict.fromkeys(("includes", "contains", "indexOf"), _FIND),
    **dict.fromkeys(("startswith", "startsWith", "starts_with", "endswith", "endsWith", "ends_with"), _STRINGS),
    **dict.fromkeys(("split", "splitlines"), "regex.split(text, pattern) splits a text"),
    **dict.fromkeys(("trim", "strip"), 'text:match("^%s*(.-)%s*$") removes the space around a text'),
    **dict.fromkeys(("parse", "loads", "load"), "JSON is read with json.decode"),
    **dict.fromkeys(("stringify", "dumps", "dump"), "JSON is written with json.encode"),
    **dict.fromkeys(("slice", "substring", "substr"), "text:sub(first, last) cuts a text; table.move copies a part"),
    **dict.fromkeys(("toUpperCase", "toLowerCase"), "text:upper() and text:lower()"),
    **dict.fromkeys(("getenv", "execute"), "there are no processes and no environment"),
    **dict.fromkeys(("remove", "rename", "tmpname"), _FILES),
    "replace": "text:gsub(pattern, replacement) replaces text",
    "format": 'time.format(seconds) writes a time, and ("%.1f"):format(number) a number',
    "pow": "Lua writes x ^ y",
    "round": "math.floor(x + 0.5) rounds",
    "gfind": "string.gmatch goes through matches",
    "exit": "exit(status) ends a script",
    "sleep": "sleep(seconds) waits",
    "then": _WAIT,
    "keys": "for key in pairs(map) do goes through keys",
    "values": "for _, value in pairs(map) do goes through values",
    "items": "for key, value in pairs(map) do goes through a map",
}
"""Fields and methods of other languages, each with a hint."""

OF_LISTS = {
    **dict.fromkeys(("items", "values"), "it is the list itself: for _, item in ipairs(list) do goes through it"),
    "keys": "for i in ipairs(list) do goes through the positions of a list",
    **dict.fromkeys(("remove", "pop", "shift"), "table.remove(list, index) removes an item"),
    "unpack": "table.unpack(list) gives the items",
}
"""Methods of lists in other languages, each with a hint. In Lua, the same names can also mean something else."""
OF_TABLES = {
    **dict.fromkeys(("contains", "includes", "find", "indexOf", "has"), "keep a set, and test set[value]"),
    **dict.fromkeys(("copy", "clone", "slice"), "table.move(list, 1, #list, 1, {}) copies a list"),
    "isempty": "next(t) == nil is true if a table is empty",
}
"""Functions of other languages that the library ``table`` lacks. Their hints differ from those for texts."""

_SYNTAX = [
    (
        r"\\[^abfnrtvxzu0-9\\\"'\s]",
        "in quotes, double the backslash; in [[...]], it stands for itself; patterns use %, as in %. and %d",
    ),
    (r"^\s*```", "remove the lines with ```"),
    (r"^\s*(?:import|from)\s+[\w.{*\"']", _MODULES),
    (r"!=", "Lua writes ~= for !="),
    (r"(?<![=~<>])===?=|!==", "Lua writes == for ==="),
    (r"[\w\])]\s*(?:\+|-|\*|/|%|\.\.)=(?!=)|\+\+|--\s*$(?<=\w--)", "Lua writes x = x + 1 for x += 1 and for x++"),
    (r"&&", "Lua writes and for &&"),
    (r"\|\|", "Lua writes or for ||"),
    (r"(?<![\w\"'])!\s*[\w(]", "Lua writes not for !"),
    (r"^\s*(?:[}\s]*\belif\b)|\belif\b|\belsif\b", "Lua writes elseif"),
    (r"\belse\s+if\b", "else if begins an if that needs an end of its own; write elseif"),
    (r"\*\*", "Lua writes x ^ y for x ** y"),
    (r"^\s*unless\b", "Lua writes if not ... then"),
    (r"\.each\b|\bdo\s*\|", _LOOP),
    (r"(?<![\w\"'])\$[A-Za-z_]", "a name does not begin with $"),
    (r"^\s*local\s+\w+\s*:\s*\w", "a local has no type: local name = value"),
    (r"[\"'][.:]\w+\(", 'put a text in parentheses before a method, as in ("text"):upper()'),
    (r"[\"']\s+%\s+[(\w]", 'Lua writes ("%s is %s"):format(a, b) for "%s is %s" % (a, b)'),
    (r"^\s*(?:try|catch|finally|except)\s*$", "Lua has pcall: local ok, err = pcall(f), and error(text)"),
    (r"\b(?:try|catch|except|finally)\b\s*[{(:]|\bexcept\b|\bcatch\b", "Lua has pcall: local ok, err = pcall(f)"),
    (r"^\s*switch\b|\bcase\b.*:", "Lua has no switch: write if, elseif, else"),
    (r"^\s*for\s*\(?\s*(?:const|let|var)?\s*\w+\s+of\b", "write for _, item in ipairs(list) do"),
    (r"^\s*for\s*\(", "write for i = 1, #list do, or for _, item in ipairs(list) do"),
    (r"^\s*(?:const|let|var)\s", "Lua writes local for const, let and var"),
    (r"\basync\b|\bawait\b", _WAIT),
    (r"\.(?:then|catch|finally)\s*\(", _WAIT),
    (r"\blambda\b|=>", "write a function without a name as function(x) return x end"),
    (r"\bcontinue\b", "write goto continue, and ::continue:: at the end of the loop"),
    (r"\bis\s+not\b|\bis\b", "Lua compares with == and ~="),
    (r"\bnot\s+\S+\s+in\b|\bin\s*\{|\bif\b.*\bin\b", "Lua has no in: keep a set, and test set[key]"),
    (r"\[[^\[\]]*\bfor\b[^\[\]]*\bin\b", "Lua has no comprehensions: fill a table in a loop"),
    (r"\[\s*-?\w*\s*:\s*-?\w*\s*\]", "text:sub(first, last) cuts a text; table.move copies a part of a list"),
    (r"[{,]\s*[\"']?\w+[\"']?\s*:\s*", "Lua writes { name = value } for { name: value }"),
    (r"\w\?\.", "Lua writes a and a.b for a?.b"),
    (r"\?[^?]*:", "Lua writes c and a or b for c ? a : b"),
    (r"\?\?|\?\.", "Lua writes a or b for a ?? b"),
    (r"`", 'text is in quotes, and is joined with .. as in "name: " .. name'),
    (r"^\s*(?:#|//|/\*|\*)", "a comment begins with --"),
    (r"//\s*[A-Za-z]", "a comment begins with --"),
    (r"=\s*\[|\(\s*\[(?!\[|=)|^\s*local\s+\w+\s*=\s*\[", "Lua writes { a, b } for [a, b]"),
    (r"^\s*local\s*[{\[]", "name each value: local name, id = row.name, row.id"),
    (r"\{\s*\.\.\.\w", "table.unpack(list) gives the items of a list"),
    (r"^\s*(?:def|func|fn)\b", "Lua writes function name() ... end"),
    (r"\bfunction\b.*\(.*=.*\)", "a parameter has no default: write x = x or 1 inside the function"),
    (
        r"\b(?!(?:if|elseif|while|until|and|or|not|return)\b)[A-Za-z_]\w*\s*\([^(){}=]*\b\w+\s*=(?!=)",
        "arguments by name are written in a table, as in f({ name = value })",
    ),
    (r"\)\s*\{|\belse\s*\{|^\s*\}", "Lua has no braces around blocks: write then or do, and end"),
    (r"\bif\b(?!.*\bthen\b)", "an if needs then, and an end of its own"),
    (r"\b(?:for|while)\b(?!.*\bdo\b)", "a loop needs do, and an end of its own"),
    (r"\bif\b[^=]*[^=~<>]=[^=]", "Lua compares with =="),
    (
        r"[{,][^{}]*=\s*(?:\"[^\"]*\"|'[^']*'|[\w.]+)\s+[A-Za-z_]\w*\s*=(?!=)",
        "put a comma between the fields",
    ),
    (
        r"^(?:[^\"']|\"[^\"]*\"|'[^']*')*(?:\"[^\"]*|'[^']*)$",
        "a text ends in its line: \\n is a new line, and [[...]] spans lines",
    ),
    (
        r"^\s*(?!(?:end|else|do|then|repeat|return|break)\b)[\w.]+\s*$",
        "a value alone is not a statement: print it, return it, or give it a name",
    ),
    (r"\b(?:then|do|else)\s+[\w.]+\s+end\b", "a value alone is not a statement: write return before it"),
    (r"\bprint\s*['\"].*['\"]\s*\.\.", "put the arguments of print in parentheses"),
]


def hint_for_syntax(line: str) -> str | None:
    """Return a hint on how to write a line in Lua, or None if it has no known syntax of another language."""
    return next((hint for pattern, hint in _SYNTAX if re.search(pattern, line)), None)
