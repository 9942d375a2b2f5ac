"""The names that a script has, as far as its text says, for completion in editors."""

from __future__ import annotations

import re

from kosmolua.lua.environment import GLOBALS, LIBRARIES
from kosmolua.runs.session import Names
from kosmolua.schema.names import APP

_ALIAS = re.compile(rf"\blocal\s+(\w+)\s*=\s*({APP}\.[\w.]+|\w+\.[\w.]+)\s*$", re.MULTILINE)
_LOCAL = re.compile(r"\b(?:local|function|for)\s+(?:function\s+)?(\w+)")
_PATH = re.compile(r"[A-Za-z_][\w.]*")


def names_in(source: str, base: str) -> Names:
    """Return the names in a table of a script, as far as the text says: what runs is not known here."""
    if base:
        path = _resolved(source, base)
        fields = dict.fromkeys(LIBRARIES.get(base, ()), "function")
        return Names(fields, path if path.startswith(f"{APP}.") else None)
    return Names(dict.fromkeys(GLOBALS, "global") | dict.fromkeys(_LOCAL.findall(source), "local"), None)


def path_at(source: str, offset: int) -> str:
    """Return the path that the name at a place means, such as ``app.integrations.render2.list_services``."""
    for found in _PATH.finditer(source):
        if found.start() <= offset <= found.end():
            word = re.match(r"\w*", source[offset : found.end()])
            return _resolved(source, source[found.start() : offset + (word.end() if word else 0)])
    return ""


def _resolved(source: str, path: str) -> str:
    """Return a path with the path of an integration in place of a local variable that stands for it."""
    aliases = dict(_ALIAS.findall(source))
    seen: set[str] = set()
    while (name := path.partition(".")[0]) in aliases and name not in seen:
        seen.add(name)
        path = aliases[name] + path[len(name) :]
    return path
