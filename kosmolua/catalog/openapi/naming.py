"""Names: the names of a document's functions and arguments, and the file that keeps names once they are given.

A name is the operation's own id in snake_case. Without an id, the name is made from method and path, as in
``list_pets``. Equal names are made different by adding more of their paths, never by a number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kosmolua.schema.names import KEYWORDS

VERBS = {"get": "get", "head": "check", "put": "replace", "patch": "update", "delete": "delete", "post": "create"}
"""The verb for each method, for operations without an id. A GET that returns many is ``list``."""
_SIGNS = {"<=": "_lte", ">=": "_gte", "<": "_lt", ">": "_gt", "!": "_not", "+": "_plus"}
_SIGN = re.compile("|".join(map(re.escape, _SIGNS)))
_HUMPS = re.compile(r"(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z0-9])(?=[A-Z])")
_SLOT = re.compile(r"\{[^{}]*\}")
_DULL = re.compile(r"v\d+(\.\d+)*([a-z]+\d*)?|\d{4}-\d\d-\d\d|\d+(\.\d+)+|api|rest|latest", re.IGNORECASE)
"""Meaningless segments of a path: versions, ``api``."""
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
    """The template of an operation's path, by which a simulator recognizes requests of the document."""

    __slots__ = ()


class Named(NamedTuple):
    """The parts of an operation that its name depends on.

    Args:
        id: The operationId, or empty.
        method: The HTTP method, in lower case.
        path: The path's template.
        lists: True if it returns many.
    """

    id: str
    method: str
    path: str
    lists: bool = False

    @property
    def key(self) -> str:
        """The key of the operation in the file of names, such as ``GET /pets/{id}``."""
        return f"{self.method.upper()} {self.path}"


def snake(name: str) -> str:
    """Return a name in snake_case: ``repos/get-content`` is ``repos_get_content``, ``StartTime<`` ``start_time_lt``."""
    words = _HUMPS.sub("_", _SIGN.sub(lambda sign: _SIGNS[sign[0]], name))
    return re.sub(r"[^a-zA-Z0-9]+", "_", words).strip("_").lower()


def usable(name: str, beginning: str = "_") -> str:
    """Return a name that Lua can write after a dot: not a keyword, and not beginning with a digit."""
    if name in KEYWORDS:
        return f"{name}_"
    return f"{beginning}{name}" if name[:1].isdigit() else name


def function_names(operations: Sequence[Named], kept: Mapping[str, str] | None = None) -> list[str]:
    """Return the name of each operation, all different.

    Args:
        operations: The operations, in the order of the document.
        kept: Names given earlier, by :attr:`Named.key`. They are kept, and no other operation gets one of them.
    """
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
    """Return names made unique. Where even method and path give equal names, their characters are written out.

    Two templates may differ only in punctuation, such as ``/a-b`` and ``/a_b``.
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
    """Return the fixed segments of a path that have a meaning."""
    segments = [_SLOT.sub("", each) for each in re.split(r"[?#]", path)[0].split("/")]
    kept = [snake(each) for each in segments if each and not _DULL.fullmatch(each)]
    return [each for each in kept if each]


def _made(operation: Named) -> str:
    """Return a name made from method and path: ``list_pets``, ``get_pet``, ``send_message``, ``reboot_server``."""
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
    """Return the singular of a noun."""
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3 else word


def _with_parents(operation: Named, name: str) -> str:
    """Return a name with the path segment before the last one added."""
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
    """Return the name of each argument of a function, all different.

    Args:
        wires: For each argument its place (``path``, ``query``, ``header``, ``cookie``, ``body``) and its name on the
            wire. If two names clash, the earlier argument keeps its name.
    """
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
    """Return the names that a ``names.lock`` keeps, by operation."""
    lines = (line.partition(" ") for line in text.splitlines() if line[:1].isalpha() or line[:1] == "_")
    return {operation: name for name, _, operation in lines}


def write_lock(names: Mapping[str, str]) -> str:
    """Return the text of a ``names.lock``: a sorted line for each name and its operation."""
    head = "# The names of functions, kept when the document changes. Change a name in openapi.toml, not here.\n"
    return head + "".join(sorted(f"{name} {operation}\n" for operation, name in names.items()))
