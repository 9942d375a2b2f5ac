"""Converts the LuaCATS types that people write in the headers of scripts to types of the schema."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from kosmolua.expressions import regex
from kosmolua.protocol import Json
from kosmolua.schema.types import ANY, BOOLEAN, INTEGER, NUMBER, STRING, Choice, List, Map, Record, Type, Union

TABLE = Union((List(ANY), Map(ANY)))
"""The type for the LuaCATS type ``table``."""
MAX_DEPTH = 20
_NAMES: dict[str, Type] = {
    "any": ANY,
    "boolean": BOOLEAN,
    "integer": INTEGER,
    "number": NUMBER,
    "string": STRING,
    "table": TABLE,
}
_TOKEN = regex(
    r"""\s*(?:(?P<name>[A-Za-z_][\w.]*)|(?P<text>"(?:[^"\\]|\\.)*"|'[^'\\]*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<sign>\[\]|[|?(){}<>\[\],:]))"""
)
_LITERALS: dict[str, Json] = {"true": True, "false": False}


class Spelled(NamedTuple):
    """A type that was read (``any`` for an unknown name), whether it can be nil, and the text after it."""

    type: Type
    is_optional: bool
    rest: str


class NoType(Exception):
    """A text does not begin with a LuaCATS type. The message says why."""


def read_type(text: str, name: str) -> Spelled:
    """Read the type at the beginning of a text such as ``integer How many days``, ``"live"|"failed"`` or ``{ name:
    string }``.

    ``name`` is what records get in a JSON Schema.

    Raises:
        NoType: The text does not begin with a type.
    """
    reader = _SpelledReader(text, name)
    kind, is_optional = reader.union()
    return Spelled(kind, is_optional, text[reader.place :])


class _SpelledReader:
    """Reads a LuaCATS type token by token. ``place`` is behind the last one."""

    def __init__(self, text: str, name: str) -> None:
        self.place = 0
        self._text = text
        self._name = name
        self._depth = 0

    def union(self) -> tuple[Type, bool]:
        """Read types separated by ``|``. Return their union, and whether the value can be nil."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise NoType("it is nested too deeply")
        members: list[Type] = []
        choices: list[Json] = []
        is_optional = False
        while True:
            member, may_be_nil = self._member()
            is_optional = is_optional or may_be_nil
            if isinstance(member, Choice):
                choices += member.values
            elif member is not None:
                members.append(member)
            if not self._take("|"):
                break
        self._depth -= 1
        kinds = [*members, *([Choice(tuple(choices))] if choices else [])]
        return (ANY if not kinds or ANY in kinds else kinds[0] if len(kinds) == 1 else Union(tuple(kinds))), is_optional

    def _member(self) -> tuple[Type | None, bool]:
        kind, is_optional = self._primary()
        while self._take("[]"):
            kind, is_optional = List(ANY if kind is None else kind), False
        return kind, self._take("?") or is_optional

    def _primary(self) -> tuple[Type | None, bool]:
        if self._take("("):
            inner = self.union()
            self._need(")")
            return inner
        if self._take("{"):
            return self._record(), False
        found = _TOKEN.match(self._text, self.place)
        if found is None or found["sign"]:
            raise NoType(f"there is no type at {self._text[self.place :].strip()[:30]!r}")
        self.place = found.end()
        if found["text"] or found["number"]:
            return Choice((_value(found["text"] or found["number"]),)), False
        name = found["name"]
        if name in _LITERALS:
            return Choice((_LITERALS[name],)), False
        if name == "nil":
            return None, True
        if name == "table" and self._take("<"):
            return self._map(), False
        if name == "fun" and self._text[self.place : self.place + 1] == "(":
            raise NoType("a function cannot be an argument")
        return _NAMES.get(name, ANY), False

    def _map(self) -> Type:
        key, _ = self.union()
        self._need(",")
        value, _ = self.union()
        self._need(">")
        return List(value) if key == INTEGER else Map(value)

    def _record(self) -> Type:
        fields: dict[str, Type] = {}
        required = set()
        while not self._take("}"):
            found = re.compile(r"\s*([A-Za-z_]\w*)\s*(\??)\s*:").match(self._text, self.place)
            if found is None:
                raise NoType("write the keys of a table as in { name: string }")
            self.place = found.end()
            fields[found[1]], is_optional = self.union()
            if not (found[2] or is_optional):
                required.add(found[1])
            if not self._take(","):
                self._need("}")
                break
        return Record(self._name, fields, required=frozenset(required))

    def _take(self, sign: str) -> bool:
        """Read a sign such as ``|`` if it comes next; before ``?`` and ``[]``, no spaces are skipped."""
        found = _TOKEN.match(self._text, self.place)
        if found is None or found["sign"] != sign:
            return False
        if sign in ("?", "[]") and found.start("sign") > self.place:
            return False
        self.place = found.end()
        return True

    def _need(self, sign: str) -> None:
        if not self._take(sign):
            raise NoType(f"{sign!r} is missing")


def _value(text: str) -> Json:
    if text.startswith("'"):
        return text[1:-1]
    value: Json = json.loads(text)
    return value
