"""Idioms of other languages, and how to write each of them in Lua."""

from __future__ import annotations

import re
from collections import defaultdict
from pkgutil import get_data

NAMES = "sandbox/lua/idioms.lua"
"""The file of foreign names, which the sandbox reads too."""


def _read() -> dict[str, dict[str, str]]:
    """Return the hints of each section of the file, by name."""
    text = get_data("kosmolua", NAMES)
    assert text is not None, f"{NAMES} is not in the package"
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    section = ""
    for line in text.decode().partition("[==[\n")[2].splitlines():
        names, colon, hint = line.partition(": ")
        section = section if colon else line
        found[section].update(dict.fromkeys(names.split(), hint) if colon else {})
    return found


_HINTS = _read()
GLOBALS = _HINTS["globals"]
"""Global names of other languages, each with a hint."""
FIELDS = {name.partition(".")[2]: hint for name, hint in _HINTS["fields"].items()}
"""Fields and methods of other languages, each with a hint."""
OF_LIBRARIES = _HINTS["only"]
"""Functions that one library lacks, such as ``table.contains``, each with a hint that holds only there."""
OF_LISTS = _HINTS["lists"]
"""Methods of lists in other languages, each with a hint. In Lua, the same names can also mean something else."""
_WAIT, _MODULES, _LOOP = GLOBALS["await"], GLOBALS["require"], FIELDS["map"]

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
