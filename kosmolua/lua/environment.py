"""The environment of a script: the names of the globals and libraries that every script has.

Names that plain Lua does not have are read from ``globals.lua``, which editors read as well.
"""

from __future__ import annotations

import re
from pkgutil import get_data

from kosmolua.expressions import regex

_LUA = """
_G _VERSION arg assert collectgarbage error getmetatable ipairs load next pairs pcall print rawequal rawget rawlen
rawset select setmetatable tonumber tostring type warn xpcall
"""
_LUA_LIBRARIES = """
coroutine: close create isyieldable resume running status wrap yield
debug: traceback
math: abs acos asin atan ceil cos deg exp floor fmod huge log max maxinteger min mininteger modf pi
math: rad random randomseed sin sqrt tan tointeger type ult
os: clock date difftime time
string: byte char find format gmatch gsub len lower match pack packsize rep reverse sub unpack upper
table: concat insert move pack remove sort unpack
utf8: char charpattern codepoint codes len offset
"""
_ERROR = regex(r"^---@class app\.error\n((?:---.*\n)*)", re.MULTILINE)
_LIBRARY = regex(r"^---@class \w+\n((?:---.*\n)*)(\w+) = \{\}$", re.MULTILINE)
_FIELD = regex(r"^---@field (\w+)", re.MULTILINE)
_CODES = regex(r"^---@field code (.*)$", re.MULTILINE)
_GLOBAL = regex(r"^(?:function )?(\w+)(?:\.(\w+))?(?: = |\()", re.MULTILINE)


def definitions() -> str:
    """Return the text that defines the globals that scripts have in addition to Lua's own library.

    The text consists of LuaCATS annotations, which editors read.
    """
    text = get_data("kosmolua.lua", "globals.lua")
    assert text is not None, "globals.lua is not in the package"
    return text.decode().strip()


def _read() -> tuple[frozenset[str], dict[str, frozenset[str]]]:
    """Return the names of all globals, and the fields of the libraries among them."""
    text = definitions()
    fields = {name: set(_FIELD.findall(block)) for block, name in _LIBRARY.findall(text)}
    for line in _LUA_LIBRARIES.strip().splitlines():
        name, _, names = line.partition(": ")
        fields.setdefault(name, set()).update(names.split())
    found = {*_LUA.split(), *fields}
    for name, field in _GLOBAL.findall(text):
        found.add(name)
        if field:
            fields[name].add(field)
    return frozenset(found), {name: frozenset(names) for name, names in fields.items()}


GLOBALS, LIBRARIES = _read()
"""Every global name, and the fields of each library."""
STRING_METHODS = LIBRARIES["string"]
ERROR_KEYS = STRING_METHODS.union(*(_FIELD.findall(block) for block in _ERROR.findall(definitions())))
"""Keys that a script can look up in an error from ``pcall``: fields of an error table, or methods of a string."""
ERROR_CODES = frozenset(re.findall(r'"(\w+)"', "".join(_CODES.findall(definitions()))))
"""The codes of the errors of failed calls, except for those of integrations and of scripts."""
