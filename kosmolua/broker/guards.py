"""Guards of a run: they refuse a write that only a nil key, or a list of which a part is missing, has led to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from kosmolua.calls.places import spelled
from kosmolua.errors import BadArguments
from kosmolua.schema.function import OF_PARTS

if TYPE_CHECKING:
    from kosmolua.calls.facts import Facts
    from kosmolua.calls.records import Call, Returned
    from kosmolua.lua.site import Key, Site


_Where = tuple[str, int, str]
"""The script that makes a call, the line there, which is 0 for a tail call, and the path of the function."""


class _Place(NamedTuple):
    """What holds at each site where a call can stand; ``line`` is 0 if there are several."""

    line: int
    keys: tuple[Key, ...]
    decides: bool
    walked: frozenset[int]
    within: frozenset[int]


class Guards:
    """The guards of one run, which the check of the script has set. Any thread may use this object.

    The line of a call, or that it is a tail call, leads to the places in the script where it can stand. If there are
    several, a guard holds only if it holds at each of them. ``facts`` receives the keys that are nil.
    """

    def __init__(self, sites: Iterable[Site], facts: Facts) -> None:
        self._facts = facts
        self._sites: dict[_Where, list[Site]] = {}
        self._places: dict[_Where, _Place | None] = {}
        self._lock = Lock()
        self._parts: dict[tuple[str, int], Returned] = {}
        self._scripts: set[str] = set()
        self.add("", sites)

    def add(self, script: str, sites: Iterable[Site]) -> None:
        """Guard the calls of a script that the main script, whose name is empty, calls."""
        with self._lock:
            for site in sites if script not in self._scripts else ():
                self._sites.setdefault((script, 0 if site.is_tail else site.line, site.path), []).append(site)
            self._scripts.add(script)

    def check(self, call: Call, given: Sequence[object]) -> None:
        """Note as facts the keys of a call's arguments that are nil although the script gives them a value.

        Raises:
            BadArguments: The call writes, or a write depends on its result, and a key is nil. Or the call writes in a
                loop over a list of which the script got only a part.
        """
        place = self._at(call)
        if not place:
            return
        if call.hidden and place.line and not call.at:
            call.line = place.line
        if call.effect != "read" and place.within:
            self._refuse_in_part(call, place)
        absent = _absent(place, given) if place.keys else ()
        if absent and call.effect != "read":
            what = f"{call.path}: {absent[0]} is nil, and the call would be made without it"
        elif absent and place.decides:
            what = f"{call.path}: {absent[0]} is nil, so nothing limits the result, on which a write depends"
        else:
            self._facts.absent.extend((call.line, call.path, key) for key in absent)
            return
        hint = f"give {absent[0]} a value; json.null says that it is left out on purpose"
        raise BadArguments(what, param=absent[0], hint=hint)

    def note(self, call: Call, returned: Returned) -> None:
        """Note whether a list through which a loop of the script will go is whole."""
        place = self._at(call)
        if not place or not place.walked:
            return
        is_part = returned.has_more and OF_PARTS.isdisjoint(call.arguments or ())
        with self._lock:
            for loop in place.walked:
                if is_part:
                    self._parts[_script_of(call), loop] = returned
                else:
                    self._parts.pop((_script_of(call), loop), None)

    def _at(self, call: Call) -> _Place | None:
        if call.hidden == "chunk" and not call.at:
            return None
        where = _script_of(call), call.at or (0 if call.hidden else call.line), call.path
        if where not in self._places:
            sites = [*self._sites.get(where, ()), *self._sites.get((*where[:2], ""), ())]
            self._places[where] = _place(sites) if sites else None
        return self._places[where]

    def _refuse_in_part(self, call: Call, place: _Place) -> None:
        with self._lock:
            loops = ((_script_of(call), loop) for loop in place.within)
            part = next((self._parts[loop] for loop in loops if loop in self._parts), None)
        if part:
            there = f"{part.path} returned {part.items or 0:,} items of it in line {part.line}, and there are more"
            hint = "pass all = true there, or a limit if only these are meant"
            raise BadArguments(f"{call.path} is called for each item of a list, but {there}", hint=hint)


def _script_of(call: Call) -> str:
    """Return the name of the called script that makes a call; empty for the main script."""
    return call.through[-1] if call.through else ""


def _place(sites: Sequence[Site]) -> _Place:
    return _Place(
        sites[0].line if len(sites) == 1 else 0,
        tuple(key for key in sites[0].keys if all(key in site.keys for site in sites)),
        all(site.decides for site in sites),
        frozenset.intersection(*(site.walked for site in sites)),
        frozenset.intersection(*(site.within for site in sites)),
    )


def _absent(place: _Place, given: Sequence[object]) -> list[str]:
    """Return the keys that the script writes at a place, and that are not in the arguments."""
    if len(given) != 1:
        return []
    return [spelled(key).removeprefix(".") for key in place.keys if _is_absent(given[0], key)]


def _is_absent(table: object, key: Key) -> bool:
    for name in key[:-1]:
        if isinstance(name, int) and isinstance(table, list) and name <= len(table):
            table = table[name - 1]
        elif isinstance(table, Mapping) and name in table:
            table = table[name]
        else:
            return False
    return isinstance(table, Mapping) and key[-1] not in table
