"""Chooses the names of functions and arguments for an OpenAPI document, and keeps the functions' names in a file.

The name of a function is the operationId in snake_case. Without an operationId, the name is made from the HTTP method
and the path, as in ``list_pets``. If names are equal, more of the path is added to them, never a number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from kosmolua.expressions import regex
from kosmolua.schema.names import KEYWORDS

VERBS = {"get": "get", "head": "check", "put": "replace", "patch": "update", "delete": "delete", "post": "create"}
"""The verb for each HTTP method, for operations without operationId. The verb for a GET of a list is ``list``."""
_SIGNS = {"<=": "_lte", ">=": "_gte", "<": "_lt", ">": "_gt", "!": "_not", "+": "_plus"}
_SIGN = regex("|".join(map(re.escape, _SIGNS)))
_HUMPS = regex(r"(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z0-9])(?=[A-Z])")
_REPEATED = regex(r"(?<![a-z])([a-z]+)(?:_\1)+(?![a-z0-9])")
_ENDING = regex(r"\.(json|php|txt|xml)$", re.IGNORECASE)
_SLOT = regex(r"\{[^{}]*\}")
_OF_GRAPHQL = ("/#Query.", "/#Mutation.")
_DULL = regex(r"v\d+(\.\d+)*([a-z]+\d*)?|\d{4}-\d\d-\d\d|\d+(\.\d+)+|api|rest|latest", re.IGNORECASE)
"""Matches path segments that say nothing about an operation, such as ``v1`` and ``api``."""
_ACTING = """
abort accept acknowledge activate add analyze answer apply approve archive assign attach authenticate authorize ban
block build calculate cancel capture charge check classify clear clone close compare complete confirm connect convert
copy create deactivate decline decrypt delete demote deny deploy detach detect disable discard disconnect dismiss
download drain duplicate edit enable encrypt end evaluate exec execute expire export extend fetch find finish flush
follow forward freeze generate get grant halt hide ignore import init install invalidate invite invoke join kick kill
launch leave link list lock login logout lookup mark merge migrate move mute open parse pause pin ping post promote
provision publish pull purge push query read reboot rebuild recalculate recover redeem refresh refund register reindex
reject release reload remind remove rename render renew reopen reorder replace replay request resend reset resize
resolve restart restore resume retry reverse revoke rollback rotate run save scale scan search send set share shorten
sign simulate skip snooze start stop submit subscribe suggest suspend swap switch sync terminate test touch transfer
translate trigger unarchive unassign unban unblock undo unfollow unhide unlink unlock unmute unpause unpin unpublish
unregister unsnooze unsubscribe update upgrade upload validate verify wait wake withdraw
"""
_ACTS = frozenset(_ACTING.split())
_ACTS_OF_TWO_WORDS = regex(
    r"(check_(in|out)|log_(in|on|out|off)|opt_(in|out)|power_(on|off)|roll_back|(set|sign)_up|"
    r"sign_(in|out|off)|shut_down|turn_(on|off))(?=_|$)"
)
_READS_WORDS = "check download export fetch find get list lookup ping query read search validate verify"
_READS = frozenset(_READS_WORDS.split())
_ENDS_WORDS = "cancel flush invalidate logout reboot rebuild refresh reindex reload reset restart revoke"
_ENDS = frozenset(_ENDS_WORDS.split())
"""Verbs of a GET: other ones can be nouns there, such as the build of an item."""
_LONGEST = 50


class Named(NamedTuple):
    """What determines the name of an operation's function; ``lists``: it returns a list."""

    id: str
    method: str
    path: str
    lists: bool = False

    @property
    def key(self) -> str:
        return f"{self.method.upper()} {self.path}"


@lru_cache(10_000)
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
    for lengthen in (_as_spelled, _with_parents, _with_path, _with_method):
        count = Counter(names)
        for place, each in enumerate(operations):
            is_clash = count[names[place]] > 1 or names[place] in taken
            if each.key not in kept and is_clash:
                names[place] = lengthen(each, names[place])
    distinct = _distinct(names, operations, kept)
    fields = {name for name, each in zip(distinct, operations, strict=True) if each.path.startswith(_OF_GRAPHQL)}
    return _shortened(distinct, taken | fields)


def _shortened(names: list[str], taken: Collection[str]) -> list[str]:
    """Return the names, where this leaves them distinct with at most :data:`_LONGEST` characters: the end of a long
    one, behind as many of its first words as it takes.
    """
    found = list(names)
    for first in range(4):
        known = {*found, *taken}
        shorter = {name: _ending(name, first) for name in found if len(name) > _LONGEST and name not in taken}
        count = Counter(shorter.values())
        found = [
            short if (short := shorter.get(name, "")) and count[short] == 1 and short not in known else name
            for name in found
        ]
    return found


def _ending(name: str, first: int) -> str:
    """Return the first words of a name, of which a verb is the least, and as many of its last ones as there is room
    for; empty if there is none.
    """
    words = name.split("_")
    first = max(first, words[0] in _ACTS or words[0] in VERBS)
    room = _LONGEST - sum(len(word) + 1 for word in words[:first])
    kept = ""
    for word in reversed(words[first:]):
        if len(word) + 1 + len(kept) > room + (not first):
            break
        kept = f"_{word}{kept}"
    return usable("_".join(words[:first]) + kept if first else kept[1:], "op_") if kept else ""


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
    name = _REPEATED.sub(r"\1", _spelled(operation) or _made(operation))
    name = usable(name, "op_")
    return f"{name}_" if name == "default" else name


def _spelled(operation: Named) -> str:
    """Return the id in snake_case, without the tail of FastAPI's ids."""
    name = snake(operation.id)
    tail = "_" + "_".join(filter(None, [snake(operation.path), operation.method]))
    return name.removesuffix(tail) or name


def _as_spelled(operation: Named, name: str) -> str:
    """Return the id with the words that it repeats, which tell it from another."""
    return usable(_spelled(operation), "op_") or name


def fixed_segments(path: str) -> list[str]:
    """Return a path's segments in snake_case, without parameters and the like of ``v1``."""
    segments = [_ENDING.sub("", _SLOT.sub("", each)) for each in re.split(r"[?#]", path)[0].split("/")]
    kept = [snake(each) for each in segments if each and not _DULL.fullmatch(each)]
    return [each for each in kept if each]


def _made(operation: Named) -> str:
    """Make a name from a key, such as ``list_pets`` or ``reboot_server``."""
    fixed = fixed_segments(operation.path)
    if not fixed:
        return VERBS.get(operation.method, operation.method) + "_root"
    noun = fixed[-1]
    ends_in_slot = operation.path.rstrip("/").endswith("}")
    if not ends_in_slot and (action := _action(operation, fixed)):
        return action
    verb = VERBS.get(operation.method, operation.method)
    is_many = noun != singular(noun) or operation.lists
    if operation.method == "get" and not ends_in_slot and is_many:
        return f"list_{noun}"
    return f"{verb}_{singular(noun) if ends_in_slot or operation.method == 'post' else noun}"


def _action(operation: Named, fixed: Sequence[str]) -> str:
    """Return what a path that ends in a verb does, such as ``reboot_server`` and ``get_me``; empty for another path."""
    last = fixed[-1]
    first, _, rest = last.partition("_")
    whole = _ACTS_OF_TWO_WORDS.match(last)
    if not whole and first not in (_ACTS if operation.method == "post" or rest else _READS | _ENDS):
        return ""
    is_alone = last == (whole[0] if whole else first)
    owners = [each for each in fixed[:-1] if each not in ("actions", "action")]
    if not is_alone or not owners:
        return last
    of_one = re.search(r"\}/(actions?/)?[^/{}]*$", operation.path.rstrip("/"))
    return f"{last}_{singular(owners[-1]) if of_one else owners[-1]}"


def singular(word: str) -> str:
    """Return an English noun's singular, by simple rules: ``boxes`` becomes ``box``."""
    if word.endswith("ies") and len(word) > 4 and word != "series":
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
