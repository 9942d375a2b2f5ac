"""The types of arguments and results. They check and convert values, and can be written in LuaCATS and JSON Schema.

    Type            accept, lua, words, json_schema, read; nullable
    ├── Scalar      an integer, a number, a string, a boolean, or anything
    ├── Choice      one of some values
    ├── List        a list of values of one type
    ├── Map         a table with string keys and values of one type
    ├── Record      a table with named keys, each with its own type; a record can contain itself
    └── Union       any of several types

Types are immutable and can be compared and pickled. A value that does not fit raises
:class:`~kosmolua.schema.mismatch.Mismatch`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

from kosmolua.expressions import regex
from kosmolua.protocol import LARGEST_INTEGER, SMALLEST_INTEGER, Json
from kosmolua.schema.bounds import Bound
from kosmolua.schema.mismatch import MAX_QUOTED, Mismatch, must_be
from kosmolua.secret import Secret
from kosmolua.suggestions import did_you_mean, listed

Kind: TypeAlias = Literal["any", "integer", "number", "string", "boolean", "secret"]

_WIDE = regex(r"-?[1-9][0-9]{18,99}")
"""Matches the digits of an integer of more than 64 bits. Scripts hold such integers as strings."""
_found: ContextVar[dict[tuple[int, int], object] | None] = ContextVar("found", default=None)
"""The results of checking tables against unions, by the ids of union and table: a converted value or a mismatch.

Without this cache, the time for unions inside unions would grow exponentially: for each member of the outer union, all
members of the inner one would be tried again.
"""
_compared: ContextVar[frozenset[tuple[int, int]]] = ContextVar("compared", default=frozenset())
"""The ids of the pairs of records that are being compared. They are needed since a record can contain itself."""


@dataclass(frozen=True)
class Type:
    """A type of values between scripts and Python. ``nullable``: the value can be None, in Lua nil or ``json.null``."""

    nullable: bool = field(default=False, kw_only=True)

    def accept(self, value: object) -> object:
        """Check a value from Lua, and return it converted for a Python function.

        Raises:
            Mismatch: The value does not fit this type.
        """
        return None if value is None and self.nullable else self._fit(value)

    def takes(self, value: object) -> bool:
        """Return True if a value fits this type."""
        try:
            self.accept(value)
        except Mismatch:
            return False
        return True

    def read(self, text: str) -> object:
        """Convert the text of a command-line argument to a value for :meth:`accept`.

        It is decoded as JSON, unless the type allows strings. Text that is not JSON is returned unchanged.
        """
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text

    @property
    def lua(self) -> str:
        """The type in LuaCATS, such as ``table<string, string>``."""
        return self.spell()

    def spell(self, namespace: str = "", choices: str = "") -> str:
        """Return the type in LuaCATS.

        ``namespace`` is the prefix of the names of records, ``choices`` an alias to write in place of the type's
        choices.
        """
        raise NotImplementedError

    @property
    def words(self) -> str:
        """The type in words, such as ``an integer in 1..100``."""
        raise NotImplementedError

    def json_schema(self) -> dict[str, Any]:
        """Return a JSON Schema (draft 2020-12), with the schemas of records in ``$defs``."""
        definitions = _Definitions()
        schema = self._schema(definitions)
        defined = definitions.define()
        return schema | ({"$defs": defined} if defined else {})

    def _fit(self, value: Any) -> object:
        raise NotImplementedError

    def _schema(self, definitions: _Definitions) -> dict[str, Any]:
        schema = self._own_schema(definitions)
        if not self.nullable or not schema:
            return schema
        if "enum" in schema:
            return {"enum": [*schema["enum"], None]}
        if "type" in schema:
            return schema | {"type": [schema["type"], "null"]}
        return {"anyOf": [*schema.get("anyOf", [schema]), {"type": "null"}]}

    def _own_schema(self, definitions: _Definitions) -> dict[str, Any]:
        raise NotImplementedError


class _Definitions:
    """The records that a JSON Schema refers to, each with a unique name."""

    def __init__(self) -> None:
        self._names: dict[Record, str] = {}

    def reference(self, record: Record) -> dict[str, Any]:
        """Return a ``$ref`` to a record, and remember the record for :meth:`define`."""
        record = replace(record, nullable=False) if record.nullable else record
        if record not in self._names:
            same = sum(other.name == record.name for other in self._names)
            self._names[record] = f"{record.name}_{same + 1}" if same else record.name
        return {"$ref": f"#/$defs/{self._names[record]}"}

    def define(self) -> dict[str, dict[str, Any]]:
        """Return the schemas of all records that were referred to, also from inside these."""
        schemas: dict[str, dict[str, Any]] = {}
        while left := [(record, name) for record, name in self._names.items() if name not in schemas]:
            for record, name in left:
                schemas[name] = record.definition(self)
        return schemas


_UNFIT = object()


def _integer(value: object) -> object:
    if isinstance(value, bool):
        return _UNFIT
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    is_wide = isinstance(value, str) and _WIDE.fullmatch(value) and not _fits_64_bits(int(value))
    return int(value) if isinstance(value, str) and is_wide else _UNFIT


def _fits_64_bits(number: int) -> bool:
    return SMALLEST_INTEGER <= number <= LARGEST_INTEGER


def _number(value: object) -> object:
    if isinstance(value, bool):
        return _UNFIT
    return value if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)) else _UNFIT


def _string(value: object) -> object:
    if not isinstance(value, str):
        return _UNFIT
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Mismatch("is a string that is not UTF-8") from None
    return value


def _boolean(value: object) -> object:
    return value if isinstance(value, bool) else _UNFIT


def _anything(value: object) -> object:
    return value


def _secret(value: object) -> object:
    return value if isinstance(value, Secret) else _string(value)


_KINDS: dict[Kind, tuple[str, Callable[[object], object]]] = {
    "any": ("anything", _anything),
    "integer": ("an integer", _integer),
    "number": ("a number", _number),
    "string": ("a string", _string),
    "boolean": ("a boolean", _boolean),
    "secret": ("a secret", _secret),
}
"""For each kind of scalar, its description in words, and a function that converts a value or returns :data:`_UNFIT`."""


@dataclass(frozen=True)
class Scalar(Type):
    """A type of single values; the kind ``any`` is the type of all values.

    An integer type also accepts a float without a fraction, and a string of digits for an integer of more than 64 bits.
    ``format`` is that of JSON Schema, such as ``date-time``; values are not checked against it.
    """

    kind: Kind
    bounds: tuple[Bound, ...] = ()
    format: str = ""

    def read(self, text: str) -> object:
        return text if self.kind in ("string", "secret") else super().read(text)

    def spell(self, namespace: str = "", choices: str = "") -> str:
        return "Secret" if self.kind == "secret" else self.kind

    @cached_property
    def _convert(self) -> Callable[[object], object]:
        return _KINDS[self.kind][1]

    @property
    def words(self) -> str:
        return " ".join([_KINDS[self.kind][0], *(bound.words for bound in self.bounds)])

    def _fit(self, value: Any) -> object:
        fitting = self._convert(value)
        if fitting is _UNFIT:
            raise must_be(self.words, value)
        for bound in self.bounds:
            if not bound.holds(fitting):
                raise must_be(self.words, fitting)
        return fitting

    def _own_schema(self, definitions: _Definitions) -> dict[str, Any]:
        if self.kind == "any":
            return {}
        if self.kind == "secret":
            return {"type": "string", "format": "password"}
        schema: dict[str, Any] = {"type": self.kind}
        for bound in self.bounds:
            schema |= bound.json_schema(self.kind)
        return schema | ({"format": self.format} if self.format else {})


ANY = Scalar("any")
INTEGER = Scalar("integer")
NUMBER = Scalar("number")
STRING = Scalar("string")
BOOLEAN = Scalar("boolean")
SECRET = Scalar("secret")
"""The type of secrets. A script holds a stand-in for a secret, which it can pass to functions but not read."""


def is_text(kind: Type) -> bool:
    """Return True if any string is a value of a type."""
    return isinstance(kind, Scalar) and kind.kind == "string"


def is_secret(kind: Type) -> bool:
    """Return True if values of a type are secrets."""
    return isinstance(kind, Scalar) and kind.kind == "secret"


@dataclass(frozen=True, eq=False)
class Choice(Type):
    """A type that allows only certain values, usually strings; without any, none."""

    values: tuple[Json, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Choice) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @cached_property
    def _key(self) -> tuple[bool, str]:
        """JSON for comparisons, since 1 equals True in Python, and lists have no hash."""
        return self.nullable, json.dumps(self.values, sort_keys=True)

    @cached_property
    def _strings(self) -> frozenset[str]:
        return frozenset(value for value in self.values if isinstance(value, str))

    def read(self, text: str) -> object:
        """Return the text unchanged if it is a choice or all choices are strings; else decode it as JSON."""
        return text if text in self._strings or len(self._strings) == len(self.values) else super().read(text)

    def spell(self, namespace: str = "", choices: str = "") -> str:
        if choices or not self.values:
            return choices or "nil"
        plain = all(isinstance(value, (str, int, float)) for value in self.values)
        return "|".join(json.dumps(value, ensure_ascii=False) for value in self.values) if plain else "any"

    @property
    def words(self) -> str:
        """The type in words, such as ``one of 'live', 'failed'``; of many choices, the first."""
        if not self.values:
            return "nothing"
        return "one of " + listed(
            (repr(each) if isinstance(each, str) else json.dumps(each) for each in self.values), 40
        )

    def _fit(self, value: Any) -> object:
        if isinstance(value, str) and value in self._strings:
            return value
        for choice in self.values:
            if _is_same(choice, value):
                return choice
        raise must_be(self.words, value)

    def _own_schema(self, definitions: _Definitions) -> dict[str, Any]:
        are_strings = self.values and len(self._strings) == len(self.values)
        return ({"type": "string"} if are_strings and not self.nullable else {}) | {"enum": list(self.values)}


def _is_same(choice: Json, value: object) -> bool:
    """Return True if a value from Lua equals a choice: 5.0 is 5, an empty table an empty list, a boolean no number."""
    if isinstance(choice, bool) or isinstance(value, bool):
        return choice is value
    if isinstance(choice, (dict, list)) and value in ([], {}):
        return not choice
    if isinstance(choice, list) and isinstance(value, list):
        return len(choice) == len(value) and all(map(_is_same, choice, value))
    if isinstance(choice, dict) and isinstance(value, dict):
        return choice.keys() == value.keys() and all(_is_same(choice[key], value[key]) for key in choice)
    return choice == value or (isinstance(choice, int) and not _fits_64_bits(choice) and str(choice) == value)


@dataclass(frozen=True)
class List(Type):
    """A type of lists; the bounds are for the number of items."""

    item: Type
    bounds: tuple[Bound, ...] = ()

    def spell(self, namespace: str = "", choices: str = "") -> str:
        item = self.item.spell(namespace, choices)
        return f"({item})[]" if "|" in item else f"{item}[]"

    @property
    def words(self) -> str:
        return " ".join(["a list", *(bound.words for bound in self.bounds)])

    def _fit(self, value: Any) -> object:
        value = [] if value == {} else value
        if not isinstance(value, (list, tuple)):
            raise must_be(self.words, value, self._listed(value) if type(value) is str else "")
        fitting: list[object] = []
        try:
            for item in value:
                fitting.append(self.item.accept(item))
        except Mismatch as mismatch:
            raise mismatch.inside(f"[{len(fitting) + 1}]") from None
        if not all(bound.holds(fitting) for bound in self.bounds):
            raise must_be(self.words, value)
        return fitting

    def _listed(self, text: str) -> str:
        """Return how to write a text, or its parts between commas, as a list; empty if that does not fit or is long."""
        parts = [part.strip() for part in text.split(",")]
        if len(text) > MAX_QUOTED or not (text.isprintable() and all(parts) and self.takes(parts)):
            return ""
        items = json.dumps(parts, ensure_ascii=False)
        return "" if "\\" in items or text[0] in "[{" else f"write {{ {items[1:-1]} }}, or in JSON {items}"

    def _own_schema(self, definitions: _Definitions) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "array", "items": self.item._schema(definitions)}
        for bound in self.bounds:
            schema |= bound.json_schema("array")
        return schema


@dataclass(frozen=True)
class Map(Type):
    """A type of tables with any string keys and values of one type; the bounds are for the number of keys."""

    value: Type
    bounds: tuple[Bound, ...] = ()

    def spell(self, namespace: str = "", choices: str = "") -> str:
        return f"table<string, {self.value.spell(namespace, choices)}>"

    @property
    def words(self) -> str:
        return " ".join(["a table with string keys", *(bound.words for bound in self.bounds)])

    def _fit(self, value: Any) -> object:
        value = {} if value == [] else value
        if not isinstance(value, dict):
            raise must_be(self.words, value)
        if not all(bound.holds(value) for bound in self.bounds):
            raise must_be(self.words, value)
        return {key: _accepted(self.value, item, key) for key, item in value.items()}

    def _own_schema(self, definitions: _Definitions) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "object", "additionalProperties": self.value._schema(definitions)}
        for bound in self.bounds:
            schema |= bound.json_schema("object")
        return schema


@dataclass(frozen=True, eq=False)
class Record(Type):
    """A type of tables with named keys. Records with equal declarations are equal.

    Args:
        name: The name of the class in LuaCATS.
        fields: The type of each key, in order; a mapping can read a type when it is first looked up.
        about: The sentences that describe keys.
        required: The keys that must be present; none that allows None, since Lua has no key with the value nil.
        filled: The keys that get the value None if the script leaves them out.
        extra: The type of all other keys; None if they are not allowed.
        defaults: The service's defaults, which are documented, but not filled in.
    """

    name: str
    fields: Mapping[str, Type]
    about: Mapping[str, str] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    filled: frozenset[str] = frozenset()
    extra: Type | None = None
    defaults: Mapping[str, Json] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        if self is other or not isinstance(other, Record):
            return self is other
        if self.name != other.name or tuple(self.fields) != tuple(other.fields):
            return False  # without reading types, as these may be of the two that are being compared
        pair, compared = (id(self), id(other)), _compared.get()
        if pair in compared:
            return True
        token = _compared.set(compared | {pair})
        try:
            return self._parts() == other._parts()
        finally:
            _compared.reset(token)

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.fields)))

    def __repr__(self) -> str:
        return f"Record({self.name!r}, {list(self.fields)})"

    def _parts(self) -> tuple[object, ...]:
        keys = [self.nullable, self.required, self.filled, *map(dict, (self.about, self.defaults))]
        return *keys, self.extra, tuple(self.fields.values())

    def spell(self, namespace: str = "", choices: str = "") -> str:
        return f"{namespace}.{self.name}" if namespace else self.name

    @property
    def words(self) -> str:
        return "a table"

    def _fit(self, value: Any) -> object:
        value = {} if value == [] else value
        if not isinstance(value, dict):
            raise must_be(f"a table with the keys {listed(self.fields, 40)}" if self.fields else "a table", value)
        if value.keys() - self.fields.keys():
            self._check_unknown(value)
        for key in sorted(self.required - value.keys()):
            raise Mismatch(f"needs the key {key!r}")
        present = [key for key in self.fields if key in value or key in self.filled]
        fitting = {key: _accepted(self.fields[key], value.get(key), key) for key in present}
        if self.extra:
            others = {key: item for key, item in value.items() if key not in self.fields}
            fitting |= {key: _accepted(self.extra, item, key) for key, item in others.items()}
        return fitting

    def _check_unknown(self, value: Mapping[str, object]) -> None:
        if self.extra:
            return
        key = min(map(str, value.keys() - self.fields.keys()))
        known = f"its keys are {listed(self.fields, 40)}" if self.fields else "it has no keys"
        raise Mismatch(f"has no key {key[:80]!r} ({did_you_mean(key, self.fields) or known})")

    def _own_schema(self, definitions: _Definitions) -> dict[str, Any]:
        return definitions.reference(self)

    def definition(self, definitions: _Definitions) -> dict[str, Any]:
        """Return the JSON Schema for ``$defs``; ``definitions`` collects the records inside."""
        properties = {key: kind._schema(definitions) for key, kind in self.fields.items()}
        for key, about in self.about.items():
            properties[key] = properties[key] | {"description": about}
        for key, default in self.defaults.items():
            properties[key] = properties[key] | {"default": default}
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        if self.required:
            schema["required"] = sorted(self.required)
        if self.extra != ANY:
            schema["additionalProperties"] = self.extra._schema(definitions) if self.extra else False
        return schema


def _accepted(kind: Type, value: object, key: str) -> object:
    try:
        return kind.accept(value)
    except Mismatch as mismatch:
        raise mismatch.inside(f".{key[:80]}") from None


@dataclass(frozen=True)
class Union(Type):
    """A type of the values of at least two types. The first member that accepts a value converts it."""

    members: tuple[Type, ...]

    @cached_property
    def _for_text(self) -> tuple[Type, ...]:
        """The members in the order to try for a string: integers last, so that digits stay a string where one is
        allowed.
        """
        return tuple(sorted(self.members, key=lambda member: isinstance(member, Scalar) and member.kind == "integer"))

    @cached_property
    def _takes_text(self) -> bool:
        return any(member.read("0") == "0" for member in self.members)

    def read(self, text: str) -> object:
        """Return the text decoded as JSON; if the union allows strings, only where it is a list or a table."""
        value = super().read(text)
        return text if self._takes_text and not isinstance(value, (dict, list)) else value

    def spell(self, namespace: str = "", choices: str = "") -> str:
        return "|".join(dict.fromkeys(member.spell(namespace, choices) for member in self.members))

    @property
    def words(self) -> str:
        """The members, joined by ``or``, as in ``a string or a list``; of more than three, equal words once."""
        words = [member.words for member in self.members]
        return " or ".join(words if len(words) <= 3 else dict.fromkeys(words))

    def _fit(self, value: Any) -> object:
        if not isinstance(value, (dict, list)):
            return self._tried(value)
        found = _found.get()
        if found is None:
            token = _found.set({})
            try:
                return self._fit(value)
            finally:
                _found.reset(token)
        key = id(self), id(value)
        if key not in found:
            try:
                found[key] = self._tried(value)
            except Mismatch as mismatch:
                found[key] = mismatch
        outcome = found[key]
        if isinstance(outcome, Mismatch):
            raise outcome.inside("")
        return outcome

    def _tried(self, value: Any) -> object:
        """Return a value, converted by the first member that accepts it."""
        members = self._for_text if isinstance(value, str) else self.members
        if value == []:
            members = tuple(sorted(members, key=lambda member: not isinstance(member, List)))
        for member in members:
            try:
                return member.accept(value)
            except Mismatch:
                continue
        if meant := self._meant(value):
            meant.accept(value)  # raises a mismatch with the place inside the value
        names = [member.name for member in self.members if isinstance(member, Record)]
        if isinstance(value, dict) and value and len(names) > 1:
            keys = sorted(str(key)[:MAX_QUOTED] for key in value)
            raise Mismatch(f"must be a table with the keys of one of {listed(names)}, not with {listed(keys)}")
        raise must_be(self.words, value)

    def _meant(self, value: object) -> Type | None:
        """Return the member that a list or table is meant for, to report its mismatch; None if unclear.

        That is the only list type or table type, the only record that a key such as ``type = "card"`` identifies, or
        the only one that has the most of a table's keys.
        """
        if not isinstance(value, (dict, list)) or not value:
            return None
        kinds = List if isinstance(value, list) else (Map, Record)
        meant = [member for member in self.members if isinstance(member, kinds)]
        records = [member for member in meant if isinstance(member, Record)]
        tagged = [record for record in records if _has_tag(record, value)]
        shared = {record: len(record.fields.keys() & value) for record in records} if isinstance(value, dict) else {}
        closest = [record for record in records if 0 < shared[record] == max(shared.values())]
        return next((found[0] for found in (meant, tagged, closest) if len(found) == 1), None)

    def _own_schema(self, definitions: _Definitions) -> dict[str, Any]:
        return {"anyOf": [member._schema(definitions) for member in self.members]}


def _has_tag(record: Record, value: Any) -> bool:
    """Return True if a table identifies a record type by the value of a key, such as ``type = "card"``."""
    tags = [key for key, item in value.items() if isinstance(item, str) and key in record.fields]
    kinds = {key: record.fields[key] for key in tags}
    return any(isinstance(kind, Choice) and value[key] in kind.values for key, kind in kinds.items())


def types_inside(kind: Type) -> tuple[Type, ...]:
    """Return the types that a list, map or union consists of."""
    if isinstance(kind, Union):
        return kind.members
    return (kind.item,) if isinstance(kind, List) else (kind.value,) if isinstance(kind, Map) else ()


def types_of_keys(record: Record) -> tuple[Type, ...]:
    """Return the types of a record's keys, and of all others if it allows them."""
    return (*record.fields.values(), *([record.extra] if record.extra else []))


def has_secrets(kind: Type | None) -> bool:
    """Return True if values of a type can contain secrets."""
    seen: dict[int, Type] = {}
    waiting = [kind] if kind else []
    while waiting:
        each = waiting.pop()
        if is_secret(each):
            return True
        if id(each) not in seen:
            seen[id(each)] = each
            waiting += types_of_keys(each) if isinstance(each, Record) else types_inside(each)
    return False


def one_of(*choices: str) -> Choice:
    """Allow, inside ``Annotated``, only the strings ``choices``."""
    if not choices or not all(isinstance(choice, str) for choice in choices):
        raise TypeError(f"one_of() takes strings, not {', '.join(map(repr, choices)) or 'nothing'}")
    return Choice(choices)
