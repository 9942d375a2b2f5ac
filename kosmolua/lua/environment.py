"""The environment of a script: the globals and the libraries that every script has."""

from __future__ import annotations

_BASE = """
_G _VERSION arg assert collectgarbage dump error exit getmetatable input ipairs load lua_list_docs lua_read_doc
lua_search_docs next pairs params pcall print rawequal rawget rawlen rawset secrets select setmetatable sleep tonumber
tostring
type warn xpcall
"""

_LIBRARIES = """
app: integrations
base64: decode encode
coroutine: close create isyieldable resume running status wrap yield
csv: format parse
debug: traceback
hash: hmac_sha256 md5 sha1 sha256
json: array decode encode null
math: abs acos asin atan ceil cos deg exp floor fmod huge log max maxinteger min mininteger modf pi
math: rad random randomseed sin sqrt tan tointeger type ult
os: clock date difftime time
parallel: all map
regex: gsub match match_all split
string: byte char find format gmatch gsub len lower match pack packsize rep reverse sub unpack upper
table: concat insert move pack remove sort unpack
time: format now parse
url: decode encode query
utf8: char charpattern codepoint codes len offset
"""


def _read() -> dict[str, frozenset[str]]:
    libraries: dict[str, frozenset[str]] = {}
    for line in _LIBRARIES.strip().splitlines():
        name, _, fields = line.partition(": ")
        libraries[name] = libraries.get(name, frozenset()) | frozenset(fields.split())
    return libraries


LIBRARIES = _read()
"""The fields of each library."""
GLOBALS = frozenset(_BASE.split()) | LIBRARIES.keys()
"""Every global name."""
STRING_METHODS = LIBRARIES["string"]
