"""What is known about the results of the functions that every script has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from kosmolua.lua.syntax import Node
from kosmolua.lua.values import UNKNOWN, Literal, Missing, Result, Value, decoded, kind_of
from kosmolua.schema.types import BOOLEAN, NUMBER, Choice, List, Record

NOTHING = {
    "table.sort": "it sorts the list that it gets",
    "table.insert": "it changes the list that it gets",
    "print": "it returns nothing",
    "write": "it returns nothing",
}
"""Functions that return nothing, each with a phrase that says what it does instead."""
_KINDS = {
    **dict.fromkeys(("os.time", "os.clock", "os.difftime", "string.len", "rawlen", "time.now", "time.parse"), "number"),
    **dict.fromkeys(("math.floor", "math.ceil", "math.abs", "math.max", "math.min", "math.random"), "number"),
    **dict.fromkeys(("tostring", "type", "string.format", "string.rep", "string.upper", "string.lower"), "string"),
    **dict.fromkeys(
        ("string.sub", "string.reverse", "table.concat", "json.encode", "base64.encode", "time.format"), "string"
    ),
}
"""Functions whose result is never nil and always has the same Lua type, each with that type."""
RETURNING = {*_KINDS, "coroutine.create", "coroutine.wrap", "os.date", "string.gsub", "tonumber"} - {
    *("math.random", "json.encode", "os.time", "table.concat", "time.parse"),
}
"""Functions that only return a value: they change nothing, and are not called to see whether a value is right."""

_DATE = Record(
    "date",
    {
        **dict.fromkeys(("year", "day", "min", "sec", "yday"), NUMBER),
        "month": Choice(tuple(range(1, 13))),
        "wday": Choice(tuple(range(1, 8))),
        "hour": Choice(tuple(range(24))),
        "isdst": BOOLEAN,
    },
    required=frozenset(("year", "month", "day", "hour", "min", "sec", "wday", "yday", "isdst")),
)
"""The table that ``os.date("*t")`` returns."""


class CallSite(NamedTuple):
    """A call of a built-in function, or of a method, with at least one argument."""

    node: Node
    name: str
    given: Sequence[Node]
    values: Sequence[Value]

    def node_at(self, place: int) -> Node | None:
        """Return the expression of an argument, of which the first is at 0; None if the call has fewer."""
        return self.given[place] if place < len(self.given) else None

    def value_at(self, place: int) -> Value:
        """Return what is known about the value of an argument; nothing if the call has fewer."""
        return self.values[place] if place < len(self.values) else UNKNOWN


def result_of(call: CallSite, returned: Callable[[Value], Value]) -> Value:
    """Return what is known about the result of a call of a built-in function.

    ``returned`` says what is known about the result of a function that is passed to it.
    """
    first = call.values[0] if call.values else UNKNOWN
    if call.name == "json.decode" and isinstance(first, Literal):
        return decoded(str(first.value))
    if call.name == "os.date" and isinstance(first, Literal):
        return _date(str(first.value))
    if call.name == "parallel.map" and len(call.values) > 1:
        item = returned(call.values[1])
        if not isinstance(item, Result):
            return UNKNOWN
        return Result(List(item.type), "the result of parallel.map", is_vague=item.is_vague)
    if call.name == "wait_until":
        return returned(first)
    if call.name == "assert" and isinstance(first, Result):
        return first
    if call.name in NOTHING:
        return Missing(f"value that {call.name} returns", NOTHING[call.name])
    return Literal(_KINDS[call.name]) if call.name in _KINDS else UNKNOWN


def result_of_method(value: Value, name: str) -> Value:
    """Return what is known about the result of a method of a value, which is known if the value is a text."""
    kind = _KINDS.get(f"string.{name}")
    return Literal(kind) if kind and kind_of(value) == "string" else UNKNOWN


def in_case(text: str, name: str) -> str:
    """Return what ``lower`` or ``upper`` makes of a text. Lua knows the letters of ASCII alone, so that É stays."""
    changed: bytes = getattr(text.encode("utf-8", "surrogatepass"), name)()
    return changed.decode("utf-8", "surrogatepass")


def _date(form: str) -> Value:
    """Return what is known about the result of ``os.date``: a text, by an example, unless it is a table."""
    if form.startswith(("*", "!*")):
        return Result(_DATE, "the result of os.date")
    if form == "None":
        return UNKNOWN
    return Literal("string", like=datetime(2026, 1, 31, 12).strftime(form.removeprefix("!")))
