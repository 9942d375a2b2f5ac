"""Facts about a run that make silent mistakes visible, such as how many items a list had, and what was nil."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from kosmolua.protocol import Truncated

if TYPE_CHECKING:
    from kosmolua.calls.records import Call
    from kosmolua.schema.function import Function

POINTERS = {"cursor": "cursor", "next_page": "page"}
"""The keys of a result whose values lead to the next page. Each is paired with the parameter that takes its value."""
OF_PAGES = frozenset({"all", "cursor", "limit", "page", "per_page", "most"})
"""The usual parameters that say which part of a list is meant. The other arguments of a call are filters."""
NEXT = frozenset({"next", "next_cursor", "next_page_token", "next_token", "has_more", "truncated"})
"""Further keys of a result that have a value while a list goes on."""
MAX_FACTS = 20
MAX_REMEMBERED = 10_000
MAX_REPEATS = 10
"""A call with equal arguments and an equal answer is a fact if it was made more often than this."""
MAX_WARNINGS = 3


@dataclass(frozen=True)
class Fact:
    """A sentence about a run.

    Args:
        line: The line of the script; 0 if it is not known.
        text: The sentence, such as ``render2.list_services: 20 items, and there are more``.
        count: How many calls it is about.
    """

    line: int
    text: str
    count: int = 1

    def __str__(self) -> str:
        times = f" ({self.count:,} times)" if self.count > 1 else ""
        return f"line {self.line}: {self.text}{times}" if self.line else f"{self.text}{times}"


class _Rest(NamedTuple):
    """The part of a list that a script did not get."""

    line: int
    path: str
    items: int
    parameter: str
    takes_all: bool
    is_wanted: bool


@dataclass(slots=True)
class _Made:
    """The calls of one function in one line."""

    is_list: bool
    calls: int = 0
    lists: int = 0
    items: int = 0
    repeats: int = 0
    empty: Counter[str] = field(default_factory=Counter)
    last: Sequence[object] | None = None
    last_text: int = 0


class Facts:
    """The facts about one run. Any thread may use this object."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._made: dict[tuple[int, str], _Made] = {}
        self._rests: dict[tuple[str, str], _Rest] = {}
        self._absent: Counter[tuple[int, str]] = Counter()

    def note_absent(self, call: Call, keys: Sequence[str]) -> None:
        """Note the keys of a call's arguments that were nil."""
        with self._lock:
            self._absent.update((call.line, f"{call.path}: {key} was nil") for key in keys)

    def note(self, call: Call, function: Function, given: Sequence[object], value: object, text: str) -> None:
        """Note a call that has returned.

        Args:
            call: The call.
            function: The description of the function.
            given: The arguments, as the script passed them.
            value: The result of the call.
            text: The result as JSON.
        """
        key = call.line, call.path
        with self._lock:
            made = self._made.get(key)
            if made is None:
                if len(self._made) >= MAX_REMEMBERED:
                    return
                made = self._made[key] = _Made(not OF_PAGES.isdisjoint(each.name for each in function.parameters))
            made.calls += 1
            digest = hash(text)
            made.repeats += given == made.last and digest == made.last_text
            made.last, made.last_text = given, digest
            if made.is_list:
                self._note_list(call, function, made, value)

    def _note_list(self, call: Call, function: Function, made: _Made, value: object) -> None:
        items, arguments = items_of(value), call.arguments or {}
        if items is None:
            return
        made.lists += 1
        made.items += items
        filters = [name for name, each in arguments.items() if each is not None and name not in OF_PAGES]
        if not items and filters:
            made.empty[" and ".join(filters)] += 1
        names = {parameter.name for parameter in function.parameters}
        pointers = {key: parameter for key, parameter in POINTERS.items() if parameter in names}
        for parameter in pointers.values():
            self._rests.pop((call.path, str(arguments.get(parameter))), None)
        if has_more(value) and len(self._rests) < MAX_REMEMBERED:
            key = next((key for key in pointers if isinstance(value, Mapping) and value.get(key)), "")
            place = str(value[key]) if key and isinstance(value, Mapping) else f"call {call.number}"
            is_wanted = "limit" not in arguments and bool(key)
            self._rests[call.path, place] = _Rest(
                call.line, call.path, items, pointers.get(key, ""), "all" in names, is_wanted
            )

    def found(self) -> list[Fact]:
        """Return the facts, in the order of the first calls; at most ``MAX_FACTS``."""
        with self._lock:
            facts = [Fact(line, text, count) for (line, text), count in self._absent.items()]
            more = Counter((rest.line, rest.path) for rest in self._rests.values())
            for (line, path), made in self._made.items():
                facts += [Fact(line, f"{path}: no items with {names}", count) for names, count in made.empty.items()]
                if made.lists > made.empty.total():
                    facts.append(Fact(line, _items_in(path, made, more[line, path])))
                if made.repeats >= MAX_REPEATS:
                    text = f"{path}: the same arguments and the same answer"
                    facts.append(Fact(line, text, made.repeats + 1))
        return facts[:MAX_FACTS]

    def warnings(self, dropped: Collection[str] = ()) -> list[str]:
        """Return a sentence for each function whose list the script fetched only in part, without having said so.

        Args:
            dropped: The functions whose results the script does not use; they are left out.
        """
        with self._lock:
            wanted = (rest for rest in self._rests.values() if rest.is_wanted and rest.path not in dropped)
            rests = list({rest.path: rest for rest in wanted}.values())
        return [_warning(rest) for rest in rests[:MAX_WARNINGS]]


def items_of(value: object) -> int | None:
    """Return the number of items of a list, or of the one list in a table; None if there is none."""
    if isinstance(value, Mapping):
        lists = [each for each in value.values() if isinstance(each, list)]
        value = lists[0] if len(lists) == 1 else None
    return len(value) if isinstance(value, list) else None


def has_more(value: object) -> bool:
    """Return True if the service has more items than a list with which it answered."""
    if isinstance(value, Mapping):
        return any(value.get(key) for key in (*POINTERS, *NEXT))
    return isinstance(value, Truncated)


def _items_in(path: str, made: _Made, more: int) -> str:
    items = f"{path}: {made.items:,} item{'' if made.items == 1 else 's'}"
    if made.lists > 1:
        items += f" in {made.lists:,} calls"
    if not more:
        return items
    return f"{items}, and there are more" + (f" after {more:,} of them" if made.lists > 1 else "")


def _warning(rest: _Rest) -> str:
    way = "all = true gets all" if rest.takes_all else f"pass its {rest.parameter} to get the next page"
    return f"{rest.path} returned {rest.items:,} items and there are more, which the script did not get ({way})"
