"""Chooses the names of functions and arguments for an OpenAPI document, and keeps the functions' names in a file.

The name of a function is the operationId in snake_case. Without an operationId, the name is made from the HTTP method
and the path, as in ``list_pets``. If names are equal, more of the path is added to them, never a number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kosmolua.schema.names import KEYWORDS

VERBS = {"get": "get", "head": "check", "put": "replace", "patch": "update", "delete": "delete", "post": "create"}
"""The verb for each HTTP method, for operations without operationId. The verb for a GET of a list is ``list``."""
_SIGNS = {"<=": "_lte", ">=": "_gte", "<": "_lt", ">": "_gt", "!": "_not", "+": "_plus"}
_SIGN = re.compile("|".join(map(re.escape, _SIGNS)))
_HUMPS = re.compile(r"(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z0-9])(?=[A-Z])")
_SLOT = re.compile(r"\{[^{}]*\}")
_DULL = re.compile(r"v\d+(\.\d+)*([a-z]+\d*)?|\d{4}-\d\d-\d\d|\d+(\.\d+)+|api|rest|latest", re.IGNORECASE)
"""Matches path segments that say nothing about an operation, such as ``v1`` and ``api``."""
_ACTING = """
accept activate add apply approve archive assign attach authorize block build cancel check clear clone close
complete confirm connect convert copy create deactivate delete deny deploy detach disable disconnect download
duplicate edit enable execute exec export fetch find finish forward generate get import init install invite join
kick kill leave link list lock login logout mark merge move open pause pin ping post promote publish pull push query
read rebuild refresh register reject release remove rename reopen replace request resend reset resize resolve
restart restore resume retry revoke rollback run save search send set share sign start stop submit subscribe suspend
sync test transfer trigger unarchive unassign unblock undo unlink unlock unpause unpin unpublish unsubscribe update
upgrade upload validate verify wait
"""
_ACTS = frozenset(_ACTING.split())


class Route(str):
    """A path template of a document, which lets a simulator tell its requests from a plugin's own."""

    __slots__ = ()


class Named(NamedTuple):
    """What determines the name of an operation's function; ``lists``: it returns a list."""

    id: str
    method: str
    path: str
    lists: bool = False

    @property
    def key(self) -> str:
        return f"{self.method.upper()} {self.path}"


def snake(name: str) -> str:
    """Convert a name to snake_case: ``repos/getContent`` becomes ``repos_get_content``, and ``Start<`` ``start_lt``."""
    words = _HUMPS.sub("_", _SIGN.sub(lambda sign: _SIGNS[sign[0]], name))
    return re.sub(r"[^a-zA-Z0-9]+", "_", words).strip("_").lower()


def usable(name: str, beginning: str = "_") -> str:
    """Convert a name so that it can follow a dot in Lua: ``_`` after a keyword, ``beginning`` before a digit."""
    if name in KEYWORDS:
        return f"{name}_"
    return f"{beginning}{name}" if name[:1].isdigit() else name


def function_names(operations: Sequence[Named], kept: Mapping[str, str] | None = None) -> list[str]:
    """Return a distinct name for each operation, in order; kept names neither change nor go to others."""
    kept = kept or {}
    taken = set(kept.values())
    names = [kept.get(each.key) or _usual(each) for each in operations]
    for lengthen in (_with_parents, _with_path, _with_method):
        count = Counter(names)
        for place, each in enumerate(operations):
            is_clash = count[names[place]] > 1 or names[place] in taken
            if each.key not in kept and is_clash:
                names[place] = lengthen(each, names[place])
    return _distinct(names, operations, kept)


def _distinct(names: list[str], operations: Sequence[Named], kept: Mapping[str, str]) -> list[str]:
    """Make all names unique, in place, and return them.

    While a name is taken, the last two bytes of its operation's path are appended in hexadecimal. Here names are equal
    only if their paths differ in punctuation, such as ``/a-b`` and ``/a_b``.
    """
    taken = set(kept.values())
    for place, each in enumerate(operations):
        if each.key in kept:
            continue
        while names[place] in taken:
            names[place] += "_" + each.path.encode()[-2:].hex()
        taken.add(names[place])
    return names


def _usual(operation: Named) -> str:
    name = snake(operation.id)
    tail = "_" + "_".join(filter(None, [snake(operation.path), operation.method]))  # the form of FastAPI's ids
    name = name.removesuffix(tail) or name
    name = usable(name or _made(operation), "op_")
    return f"{name}_" if name == "default" else name


def fixed_segments(path: str) -> list[str]:
    """Return a path's segments in snake_case, without parameters and the like of ``v1``."""
    segments = [_SLOT.sub("", each) for each in re.split(r"[?#]", path)[0].split("/")]
    kept = [snake(each) for each in segments if each and not _DULL.fullmatch(each)]
    return [each for each in kept if each]


def _made(operation: Named) -> str:
    """Make a name from a key, such as ``list_pets`` or ``reboot_server``."""
    fixed = fixed_segments(operation.path)
    if not fixed:
        return VERBS.get(operation.method, operation.method) + "_root"
    noun = fixed[-1]
    ends_in_slot = operation.path.rstrip("/").endswith("}")
    if operation.method == "post" and not ends_in_slot and noun.split("_")[0] in _ACTS:
        if "_" in noun or len(fixed) == 1:
            return noun
        owners = [each for each in fixed[:-1] if each != "actions"]
        return f"{noun}_{singular(owners[-1])}" if owners else noun
    verb = VERBS.get(operation.method, operation.method)
    is_many = noun != singular(noun) or operation.lists
    if operation.method == "get" and not ends_in_slot and is_many:
        return f"list_{noun}"
    return f"{verb}_{singular(noun) if ends_in_slot or operation.method == 'post' else noun}"


def singular(word: str) -> str:
    """Return an English noun's singular, by simple rules: ``boxes`` becomes ``box``."""
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3 else word


def _with_parents(operation: Named, name: str) -> str:
    """Insert the path's second-to-last segment into a name made from the path: ``get_user_key`` for ``get_key``."""
    fixed = fixed_segments(operation.path)
    if operation.id or len(fixed) < 2:
        return name
    verb, _, noun = name.partition("_")
    return f"{verb}_{singular(fixed[-2])}_{noun}" if noun else name


def _with_path(operation: Named, name: str) -> str:
    words = "_".join(snake(part) for part in re.split(r"[/{}?#]", operation.path) if snake(part))
    if operation.id:
        return f"{name}_{words}"
    return usable(f"{VERBS.get(operation.method, operation.method)}_{words}", "op_")


def _with_method(operation: Named, name: str) -> str:
    return f"{name}_{operation.method}"


def argument_names(wires: Sequence[tuple[str, str]]) -> list[str]:
    """Return a distinct snake_case name for each pair of place (``path``, ``query``...) and wire."""
    taken: set[str] = set()
    names = []
    for place, wire in wires:
        name = usable(snake(wire) or "value")
        if name in taken:
            name = f"body_{name}" if place == "body" else f"{name}_{place}"
        while name in taken:
            name += "_"
        taken.add(name)
        names.append(name)
    return names


def read_lock(text: str) -> dict[str, str]:
    """Parse a ``names.lock``: names by key."""
    lines = (line.partition(" ") for line in text.splitlines() if line[:1].isalpha() or line[:1] == "_")
    return {operation: name for name, _, operation in lines}


def write_lock(names: Mapping[str, str]) -> str:
    """Return the text of a ``names.lock``, a sorted line for each function."""
    head = "# The names of functions, kept when the document changes. Change a name in openapi.toml, not here.\n"
    return head + "".join(sorted(f"{name} {operation}\n" for operation, name in names.items()))
