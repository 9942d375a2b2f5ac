"""Types that Lua can carry: how one takes a value, and how Lua spells it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kosmolua.protocol import LARGEST_INTEGER, SMALLEST_INTEGER

LONGEST_QUOTED_VALUE = 60


class Mismatch(Exception):
    """A value does not fit its type.

    Args:
        problem: What is wrong with it, as in ``must be an integer, not 1.5``.
        where: The place inside the value, such as ``.env[2]``, or nothing.
    """

    def __init__(self, problem: str, where: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = where


def must_be(article: str, value: object) -> Mismatch:
    """Return the mismatch of a value that is not what ``article`` says."""
    return Mismatch(f"must be {article}, not {quoted(value)}")


def quoted(value: object) -> str:
    """Return a value as a message shows it, cut and with its kind: ``"5" (a string)``."""
    if isinstance(value, str):
        text = value if len(value) <= LONGEST_QUOTED_VALUE else value[:LONGEST_QUOTED_VALUE] + "..."
        return f"{json.dumps(text, ensure_ascii=False)} (a string)"
    if isinstance(value, (dict, list)) and not value:
        return "an empty table"
    if isinstance(value, (dict, list)):
        return "a list" if isinstance(value, list) else "a table"
    if value is None:
        return "nil"
    return str(value).lower() if isinstance(value, bool) else str(value)


_MAY_BE_WIDE = re.compile(r"-?[1-9][0-9]{18,99}")
"""The digits of an integer that Lua may have got, and gives back, as a string, since it has none beyond 64 bits."""


@dataclass(frozen=True)
class Record:
    """The keys of a ``TypedDict``.

    Args:
        name: The name of its class.
        fields: Each key with its type, in order.
        about: The sentence of each key that has one.
        required: The keys that are never absent. In Lua a key that may be None is one that may be absent.
        filled: The keys that are None where Lua leaves them out.
    """

    name: str
    fields: Mapping[str, Type]
    about: Mapping[str, str]
    required: frozenset[str]
    filled: frozenset[str]


@dataclass(frozen=True)
class Type:
    """A type that Lua can carry.

    Args:
        label: The word in a reference table, such as ``integer``.
        lua: The LuaCATS spelling, such as ``table<string, string>``.
        article: The words of a message, such as ``an integer``.
        accept: Returns the value to hand to the function, or raises :class:`Mismatch`.
        parts: The types inside, for lists, maps and unions.
        choices: The only strings that fit, where they can be listed.
        record: The keys of the ``TypedDict`` this came from, if it did.
        bounds: The restrictions on a value beside its choices, as in ``in 1..100``.
        example: A value that fits its bounds, where it has any.
    """

    label: str
    lua: str
    article: str
    accept: Callable[[object], object]
    parts: tuple[Type, ...] = ()
    choices: tuple[str, ...] = ()
    record: Record | None = None
    bounds: tuple[str, ...] = ()
    example: object = None

    def read(self, text: str) -> object:
        """Return the value that a command-line argument stands for; where a string fits, the text itself.

        Lists and tables are JSON. Text that is no JSON stays text, which :attr:`accept` may refuse in its own words.
        """
        if self.label == "string":
            return text
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text
        may_be_text = self.label == "any" and any(part.label == "string" for part in self.parts)
        return text if may_be_text and not isinstance(value, (dict, list)) else value


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _accept_integer(value: object) -> object:
    if (
        isinstance(value, str)
        and _MAY_BE_WIDE.fullmatch(value)
        and not SMALLEST_INTEGER <= int(value) <= LARGEST_INTEGER
    ):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if not _is_integer(value):
        raise must_be("an integer", value)
    return value


def _accept_number(value: object) -> object:
    if not _is_integer(value) and not (isinstance(value, float) and math.isfinite(value)):
        raise must_be("a number", value)
    return value


def _accept_string(value: object) -> object:
    if not isinstance(value, str):
        raise must_be("a string", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Mismatch("is a string that is not UTF-8") from None
    return value


def _accept_boolean(value: object) -> object:
    if not isinstance(value, bool):
        raise must_be("a boolean", value)
    return value


ANY = Type("any", "any", "anything", lambda value: value)
INTEGER = Type("integer", "integer", "an integer", _accept_integer)
NUMBER = Type("number", "number", "a number", _accept_number)
STRING = Type("string", "string", "a string", _accept_string)
BOOLEAN = Type("boolean", "boolean", "a boolean", _accept_boolean)


@dataclass(frozen=True)
class Bound:
    """A restriction on a value, written inside ``Annotated``.

    Args:
        expected: What would fit, as in ``in 1..100``.
        holds: Says whether a value fits.
        of: What it restricts, such as ``number`` or ``string or list``.
        choices: The only values that fit, where they can be listed.
        example: A value that fits, where one is known.
    """

    expected: str
    holds: Callable[[Any], bool]
    of: str
    choices: tuple[str, ...] = ()
    example: object = None

    def suits(self, kind: Type) -> bool:
        """Say whether it restricts values of a type."""
        return {"integer": "number", "array": "list"}.get(kind.label, kind.label) in self.of.split(" or ")


@dataclass(frozen=True)
class Unless:
    """The name of the parameter that may be given in place of a required one, written inside ``Annotated``."""

    other: str


def unless(other: str) -> Unless:
    """Let a required parameter be left out, and be None, when another one is given instead."""
    return Unless(other)


def between(low: float, high: float) -> Bound:
    """Bound a number: both ends are allowed."""
    if not (isinstance(low, (int, float)) and isinstance(high, (int, float)) and low <= high):
        raise TypeError(f"between takes two numbers, the lower one first, not {low!r} and {high!r}")
    return Bound(f"in {low}..{high}", lambda value: low <= value <= high, "number", example=low)


def one_of(*choices: str) -> Bound:
    """Bound a string to a list of choices."""
    if not choices or not all(isinstance(choice, str) for choice in choices):
        raise TypeError(f"one_of takes strings, not {', '.join(map(repr, choices)) or 'nothing'}")
    return Bound("one of " + ", ".join(map(repr, choices)), lambda value: value in choices, "string", choices)


def matching(pattern: str, example: str) -> Bound:
    """Bound a string to a regular expression that has to match all of it.

    Args:
        pattern: In the syntax of Python's ``re``.
        example: A value that fits, for the message and the reference page.
    """
    compiled = re.compile(pattern)
    return Bound(f"like {example!r}", lambda value: compiled.fullmatch(value) is not None, "string", example=example)


def non_empty() -> Bound:
    """Bound a string or a list: it has something in it, as a filter needs that would otherwise let everything pass."""
    return Bound("with something in it", bool, "string or list")


def check(kind: Type, result: object) -> None:
    """Hold a result against a type; a table may have more keys than its ``TypedDict`` names.

    Raises:
        Mismatch: It does not fit.
    """
    kind.accept(_without_more(kind, result))


def _without_more(kind: Type, value: object) -> object:
    """Return a value without the keys that are not declared."""
    if kind.label == "any":
        candidates = [_without_more(part, value) for part in kind.parts]
        return next((left for part, left in zip(kind.parts, candidates, strict=True) if _fits(part, left)), value)
    if kind.label == "array" and isinstance(value, (list, tuple)):
        return [_without_more(kind.parts[0], item) for item in value]
    if kind.label == "object" and isinstance(value, dict):
        kinds = kind.record.fields if kind.record else dict.fromkeys(value, kind.parts[0])
        return {key: _without_more(kinds[key], item) for key, item in value.items() if key in kinds}
    return value


def _fits(kind: Type, value: object) -> bool:
    try:
        kind.accept(value)
    except Mismatch:
        return False
    return True
