"""Converts JSON Schema to types: the schemas in OpenAPI 3.0 and 3.1, and of the tools of MCP servers.

Many documents have mistakes, so schemas are read leniently. A schema that cannot be read becomes the type ``any``, with
a note for the user. Keywords such as ``not``, ``if``, ``uniqueItems`` and ``multipleOf`` are ignored, since the service
checks them. The keys of a record are read on first use, so unused parts of a document take no time, and a schema can
contain itself.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import unquote

from kosmolua.expressions import regex
from kosmolua.protocol import LARGEST_INTEGER, SMALLEST_INTEGER, Json
from kosmolua.schema.bounds import Bound, Length, Pattern, Range
from kosmolua.schema.merging import INFERRED, SHAPES, Schema, normal
from kosmolua.schema.tree import SchemaTree, target, text
from kosmolua.schema.types import ANY, SECRET, Choice, List, Map, Record, Scalar, Type, Union

MAX_DEPTH = 64
"""The largest depth of nested schemas, counted from the enclosing record."""
MAX_SPREAD = 2
"""The largest depth of nested alternatives to merge with the schema around them. The work grows exponentially."""
_STEP, _SPREAD = "", "+"
"""Marks in a trail, the list of references that lead to a schema: for a step inwards, and for merged alternatives."""
NOTHING = Choice(())
"""The type that allows no value."""

_CREDENTIAL_KEY = regex("(?:access|refresh|id)_?token|api_?key|secret|password", re.IGNORECASE)
_NESTED = regex(r"([*+?]|,\d*\}).*\)[*+{]")
"""Matches a repetition inside a repeated group, for which Python's ``re`` can take exponential time."""
_UNCLEAR = regex(r"\[\[|--|&&|~~|\|\||\\[1-9]")
"""Matches syntax that Python's ``re`` warns about, and references to groups."""


class SchemaReader(SchemaTree):
    """Converts the JSON Schemas of one document to types. Thread-safe.

    Args:
        document: Where references such as ``#/components/schemas/Pet`` are looked up.
        without: The keyword of properties to leave out: ``readOnly`` for arguments, ``writeOnly`` for results.
        look_up: Returns the target of a reference, for a document that is read part by part.
        hides: Whether texts that are credentials are read as secrets: see :func:`is_credential_key`.
    """

    def __init__(
        self,
        document: Json = None,
        *,
        without: str = "",
        look_up: Callable[[str], Json] | None = None,
        hides: bool = False,
    ) -> None:
        super().__init__(look_up or partial(target, document))
        self.hides = hides
        self._without = without
        self._types: dict[str, Type] = {}
        self._named: dict[str, Schema] = {}
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> list[str]:
        """Notes on schemas that are unsupported or have mistakes."""
        return list(self._notes)

    def read(self, schema: Json, name: str = "value") -> Type:
        """Return the type of a schema, which may be a boolean: ``true`` allows any value, ``false`` none.

        ``name`` is the name of its record; names of records inside begin with it, as in ``Issue.user``.
        """
        try:
            return self._read(schema, name, ())
        except RecursionError:
            self.note(name, "nested too deeply")
            return ANY

    def miss(self, pointer: str, problem: str) -> None:
        self.note(pointer, f"the reference {problem}")

    def note(self, name: str, problem: str) -> None:
        """Note that the schema ``name`` is not supported or has a mistake."""
        self._notes[f"{name[:200]}: {problem}"] = None

    def _read(self, schema: Json, name: str, trail: tuple[str, ...]) -> Type:
        if isinstance(schema, bool):
            return ANY if schema else NOTHING
        if not isinstance(schema, dict) or trail.count(_STEP) > MAX_DEPTH:
            self.note(
                name, "nested too deeply" if isinstance(schema, dict) else f"a {type(schema).__name__} is not a schema"
            )
            return ANY
        schema = normal(schema)
        shapes = SHAPES & schema.keys()
        if not shapes and isinstance(schema.get("$ref"), str):
            kind = self._referred(schema["$ref"], trail)
        elif shapes == {"allOf"} and len(schema["allOf"]) == 1 and not schema.keys() & {"$ref", "required"}:
            kind = self._read(schema["allOf"][0], name, (*trail, _STEP))
        else:
            followed = dict.fromkeys(trail)
            whole = self.whole(schema, followed)
            return self._read_merged(whole, name, (*trail, *[each for each in followed if each not in trail], _STEP))
        return _or_null(kind) if schema["nullable"] else kind

    def _referred(self, pointer: str, trail: tuple[str, ...]) -> Type:
        if pointer in trail:
            return ANY  # a list, a map or a union that contains itself
        if pointer not in self._types:
            schema = self.look_up(pointer)
            self._types[pointer] = self._read(schema, _name_of({"$ref": pointer}), (*trail, pointer))
        return self._types[pointer]

    def _read_merged(self, schema: Schema, name: str, trail: tuple[str, ...]) -> Type:
        alternatives = "oneOf" if "oneOf" in schema else "anyOf"
        members = schema.get(alternatives, ())
        if members and trail.count(_SPREAD) < MAX_SPREAD:
            kind = self._any_of(schema, members, name, trail)
        elif "enum" in schema or "const" in schema:
            kind = _choice(schema)
        else:
            named = schema.get("type") or _inferred(schema)
            if isinstance(named, list):
                kind = union([self._of_type(schema, each, name, trail) for each in named])
            else:
                kind = self._of_type(schema, named, name, trail)
        return _or_null(kind) if schema["nullable"] else kind

    def _any_of(self, schema: Schema, members: Sequence[Json], name: str, trail: tuple[str, ...]) -> Type:
        """Return the union of the types in ``oneOf`` or ``anyOf``, each merged with the schema around them."""
        around = {key: value for key, value in schema.items() if key not in ("oneOf", "anyOf", "title", "nullable")}
        says_more = bool(SHAPES & around.keys() - {"type", "format"})
        wholes: list[Json] = [{"allOf": [around, member]} if says_more else member for member in members]
        trail = (*trail, _SPREAD) if says_more else trail
        names = [_name_of(member) or f"option{number}" for number, member in enumerate(members, start=1)]
        return union([self._read(each, f"{name}.{called}", trail) for each, called in zip(wholes, names, strict=True)])

    def _of_type(self, schema: Schema, kind: object, name: str, trail: tuple[str, ...]) -> Type:
        if kind == "object":
            return self._table(schema, name, trail)
        if kind == "array":
            return List(self._items(schema, name, trail), _length(schema, "Items"))
        if kind in ("integer", "number"):
            return Scalar(kind, self._range(schema, name), text(schema.get("format")))
        if kind == "string":
            if self.hides and schema.get("format") == "password":
                return SECRET
            bounds = (*_length(schema, "Length"), *self._pattern(schema, name))
            return Scalar("string", bounds, text(schema.get("format")))
        if kind == "boolean":
            return Scalar("boolean")
        if kind != "any":
            self.note(name, f"{str(kind)[:40]!r} is not a type")
        return ANY

    def _items(self, schema: Schema, name: str, trail: tuple[str, ...]) -> Type:
        items, first = schema.get("items", True), schema.get("prefixItems")
        several = items if isinstance(items, list) else [*first, items] if isinstance(first, list) else None
        return self._read(items if several is None else {"anyOf": several}, f"{name}.item", trail)

    def _table(self, schema: Schema, name: str, trail: tuple[str, ...]) -> Type:
        others = schema.get("additionalProperties", True)
        if schema.get("patternProperties") and others is False:
            others = True
        properties = schema.get("properties")
        if not isinstance(properties, dict) or (not properties and others is not False):
            return Map(self._read(others, f"{name}.value", trail), _length(schema, "Properties"))
        kept = {
            key: each
            for key, each in properties.items()
            if each is not False and not (isinstance(each, dict) and each.get(self._without) is True)
        }
        required = schema.get("required")
        must = {key for key in kept if key in required} if isinstance(required, list) else set()
        filled = frozenset(key for key in must if isinstance(kept[key], dict) and normal(kept[key])["nullable"])
        name = self._unique(name, schema)
        return Record(
            name,
            _Fields(self, name, kept),
            about={key: text for key, each in kept.items() if (text := _about(each))},
            required=frozenset(must - filled),
            filled=filled,
            extra=None if others is False else self._read(others, f"{name}.value", trail),
            defaults={
                key: each["default"] for key, each in kept.items() if isinstance(each, dict) and "default" in each
            },
        )

    def _unique(self, name: str, schema: Schema) -> str:
        """Return a unique name for a record; one inside another is named after its ``title`` if that is valid."""
        title = text(schema.get("title"))
        wanted = title if title.isidentifier() and title.isascii() and "." in name else name
        number, name = 1, wanted
        while self._named.setdefault(name, schema) != schema:
            number += 1
            name = f"{wanted}_{number}"
        return name

    def _range(self, schema: Schema, name: str) -> tuple[Bound, ...]:
        low, low_excluded = self._end(schema, "minimum", "exclusiveMinimum", name)
        high, high_excluded = self._end(schema, "maximum", "exclusiveMaximum", name)
        if low is None and high is None:
            return ()
        if low is not None and high is not None and low > high:
            self.note(name, f"no number is in {low}..{high}")
            return ()
        return (Range(low, high, low_excluded, high_excluded),)

    def _end(self, schema: Schema, plain: str, exclusive: str, name: str) -> tuple[float | None, bool]:
        """Return one end of a range, or None, and whether it is exclusive."""
        end, excluded = schema.get(plain), schema.get(exclusive)
        if excluded is not None and not isinstance(excluded, bool):
            end, excluded = excluded, True
        if end is None:
            return None, False
        if (
            not isinstance(end, (int, float))
            or not math.isfinite(end)
            or not SMALLEST_INTEGER <= end <= LARGEST_INTEGER
        ):
            self.note(name, f"{plain} {str(end)[:40]} does not fit into 64 bits")
            return None, False
        return end, bool(excluded)

    def _pattern(self, schema: Schema, name: str) -> tuple[Bound, ...]:
        pattern = schema.get("pattern")
        if pattern is None:
            return ()
        try:
            if is_clear(pattern):
                re.compile(pattern)
                return (Pattern(pattern, whole=False),)
        except (re.error, TypeError, RecursionError, OverflowError):
            pass
        self.note(name, f"the pattern {str(pattern)[:80]!r} is not checked")
        return ()


def is_clear(pattern: str) -> bool:
    """Return True if a pattern means the same to Python as to others, and if matching it cannot take long."""
    return not _UNCLEAR.search(pattern) and not _NESTED.search(pattern.replace("(?", "("))


def is_credential_key(key: str) -> bool:
    """Return True if a text under this key of a result is a credential."""
    return _CREDENTIAL_KEY.fullmatch(key) is not None


def _hidden(kind: Type) -> Type:
    """Return a type in which texts are secrets."""
    if isinstance(kind, Union):
        return replace(kind, members=tuple(map(_hidden, kind.members)))
    is_text = isinstance(kind, Scalar) and kind.kind in ("string", "any")
    return replace(SECRET, nullable=kind.nullable) if is_text else kind


class _Fields(Mapping[str, Type]):
    """The types of a record's keys, each read on first use."""

    def __init__(self, reader: SchemaReader, name: str, properties: Mapping[str, Json]) -> None:
        self._reader = reader
        self._name = name
        self._properties = properties
        self._types: dict[str, Type] = {}

    def __getitem__(self, key: str) -> Type:
        if key not in self._types:
            kind = self._reader.read(self._properties[key], f"{self._name}.{_cleaned(key)}")
            self._types[key] = _hidden(kind) if self._reader.hides and is_credential_key(key) else kind
        return self._types[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._properties)

    def __len__(self) -> int:
        return len(self._properties)

    def __contains__(self, key: object) -> bool:
        return key in self._properties

    def __reduce__(self) -> tuple[object, ...]:
        return dict, (), None, None, iter(self.items())


def _or_null(kind: Type) -> Type:
    return kind if kind.nullable else replace(kind, nullable=True)


def _inferred(schema: Schema) -> str:
    """Return the JSON type that the keywords of a schema without ``type`` imply, or ``any``."""
    return next((kind for kind, words in INFERRED.items() if any(word in schema for word in words)), "any")


def _choice(schema: Schema) -> Type:
    values = [schema["const"]] if "const" in schema else schema["enum"]
    if schema.get("type") == "string":
        values = [
            str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value for value in values
        ]
    texts = dict.fromkeys(json.dumps(value, default=str) for value in values)  # YAML has dates
    return Choice(tuple(map(json.loads, texts)))


def union(kinds: Sequence[Type]) -> Type:
    """Return the simplest union: flat, each type once, choices combined into one."""
    flat = [member for kind in kinds for member in (kind.members if isinstance(kind, Union) else (kind,))]
    nullable = any(kind.nullable for kind in [*kinds, *flat])
    members = [replace(member, nullable=False) if member.nullable else member for member in flat]
    members = [member for number, member in enumerate(members) if member not in members[:number]]
    if ANY in members:
        return ANY
    members = [member for member in members if member != NOTHING] or [NOTHING]
    choices = [member for member in members if isinstance(member, Choice)]
    if len(choices) > 1:
        joined = _choice({"enum": [value for choice in choices for value in choice.values]})
        members = [joined, *(member for member in members if not isinstance(member, Choice))]
    kind = members[0] if len(members) == 1 else Union(tuple(members))
    return _or_null(kind) if nullable else kind


def _length(schema: Schema, unit: str) -> tuple[Bound, ...]:
    low, high = (schema.get(f"{end}{unit}") for end in ("min", "max"))
    low = low if isinstance(low, int) and low > 0 else 0
    high = high if isinstance(high, int) and high >= low else None
    return (Length(low, high),) if low or high is not None else ()


def _about(schema: Json) -> str:
    return (text(schema.get("description")) or text(schema.get("title"))) if isinstance(schema, dict) else ""


def _name_of(schema: Json) -> str:
    """Return the name of what a reference leads to; empty for any other schema."""
    pointer = schema.get("$ref") if isinstance(schema, dict) else None
    return _cleaned(unquote(pointer).rpartition("/")[2]) if isinstance(pointer, str) else ""


def _cleaned(name: str) -> str:
    """Replace the characters that LuaCATS does not allow by underscores."""
    cleaned = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "value"
    return f"_{cleaned}" if cleaned[0].isdigit() else cleaned
