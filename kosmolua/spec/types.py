"""Types that Lua can carry: how one takes a value, and how Lua spells it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kosmolua.spec.mismatch import Mismatch, must_be
from kosmolua.values import LARGEST_INTEGER, SMALLEST_INTEGER

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
