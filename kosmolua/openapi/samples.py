"""Sample values for a JSON Schema: its examples, or made-up values, the same for the same seed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, TypeAlias

from kosmolua.protocol import Json
from kosmolua.schema.json_schema import SchemaReader, is_clear
from kosmolua.schema.merging import SHAPES
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.tree import table, text
from kosmolua.schema.types import Type

if sys.version_info < (3, 11):
    import sre_parse as _parser
else:
    from re import _parser

MAX_DEPTH = 6
"""At this depth and below, tables get only required keys."""
MAX_NESTED = 24
"""The maximum depth of nested values, even for required keys."""
MAX_LEVELS = 200
"""The maximum number of schemas inside each other, where many at one depth refer to the next or offer it."""
MAX_MADE = 4000
"""The number of values after which a sample gets only required keys."""
MAX_READ = 4096
"""The most schemas of which is known what their samples are."""
MAX_MADE_OF_ITEM = 400
"""The same number for one item of a paged list."""
_NAMES = "amber birch cedar delta ember fjord grove harbor iris juniper krill lotus maple north olive pearl"
_WORDS = _NAMES.split()
_FORMATS: dict[str, Callable[[int], str]] = {
    "date-time": lambda digit: f"2026-01-{digit % 28 + 1:02d}T{digit % 24:02d}:15:00Z",
    "date": lambda digit: f"2026-01-{digit % 28 + 1:02d}",
    "time": lambda _: "12:15:00Z",
    "uuid": lambda digit: f"{digit % 16**8:08x}-1111-4111-8111-{digit % 16**12:012x}",
    "email": lambda digit: f"{_word(digit)}@example.com",
    "uri": lambda digit: f"https://example.com/{_word(digit)}",
    "url": lambda digit: f"https://example.com/{_word(digit)}",
    "ipv4": lambda digit: f"192.0.2.{digit % 250 + 1}",
    "ipv6": lambda digit: f"2001:db8::{digit % 9000 + 1000:x}",
    "hostname": lambda digit: f"{_word(digit)}.example",
    "byte": lambda _: "c2FtcGxl",
    "snowflake": lambda digit: f"{10**17 + digit % 10**17}",
}


class Samples(SchemaReader):
    """Sample values for one document; those of different accounts differ. ``look_up`` resolves a reference."""

    def __init__(self, look_up: Callable[[str], Json], account: str) -> None:
        super().__init__(without="writeOnly", look_up=look_up)
        self._account = account
        self._checked: dict[str, Type] = {}
        self._makers: dict[int, tuple[Json, Maker]] = {}

    def of(self, schema: Json, seed: str) -> Json:
        """Return the first example that fits, or else a value made from the seed."""
        return _Making(self, f"{self._account} {seed}").value(schema, 0)

    def items(self, schema: Json, place: str, seed: str, count: int) -> list[Json]:
        """Return ``count`` samples for the list at ``place``, with seeds made from ``seed``."""
        item = self._item_schema(schema, place)
        seeds = (f"{self._account} {seed} {number}" for number in range(1, count + 1))
        return [_Making(self, each, MAX_MADE_OF_ITEM).value(item, 0) for each in seeds]

    def fits(self, schema: Json, value: Json) -> bool:
        """Return True if a value fits a schema; more keys are allowed."""
        from kosmolua.schema.results import check

        key = json.dumps(schema, sort_keys=True)
        if key not in self._checked:
            self._checked[key] = self.read(schema)
        try:
            check(self._checked[key], value)
        except (Mismatch, RecursionError):
            return False
        return True

    def maker(self, schema: dict[str, Any]) -> Maker:
        """Return what makes the samples of a schema."""
        known = self._makers.get(id(schema))
        if known is None or known[0] is not schema:
            if len(self._makers) >= MAX_READ:
                self._makers.clear()
            known = self._makers[id(schema)] = (schema, self._maker(schema))
        return known[1]

    def _maker(self, schema: dict[str, Any]) -> Maker:
        followed: dict[str, None] = {}
        plain = self.whole(schema, followed)
        fitting = (each for each in _examples(plain) if self.fits(schema, each))
        for example in fitting:
            return lambda making, depth: example
        if plain.get("enum") or "const" in plain:
            values: list[Json] = [plain["const"]] if "const" in plain else plain["enum"]
            return lambda making, depth: values[making.next() % len(values)]
        made = self._of_kind(plain, followed)
        if not plain["nullable"]:
            return made
        is_null = plain.get("enum") == []
        return lambda making, depth: None if is_null or making.is_deep(depth) else made(making, depth)

    def _tagged(self, schema: dict[str, Any], followed: Collection[str]) -> dict[str, Any]:
        """Return a schema whose discriminator has the value for the first of the references that led to it."""
        how = schema.get("discriminator")
        key = text(table(how).get("propertyName")) or text(how)
        names = [pointer.rpartition("/")[2] for pointer in followed]
        known = {text(each).rpartition("/")[2]: value for value, each in table(table(how).get("mapping")).items()}
        tags = [known[name] for name in names if name in known] or names
        properties = table(schema.get("properties"))
        if not key or not tags or not self.fits(properties.get(key, {}), tags[0]):
            return schema
        return {**schema, "properties": {**properties, key: {"const": tags[0]}}}

    def _of_kind(self, schema: dict[str, Any], followed: Collection[str]) -> Maker:
        for word in ("oneOf", "anyOf"):
            if schema.get(word):
                around = {key: each for key, each in schema.items() if key not in ("oneOf", "anyOf", "nullable")}
                return _one_of([(each, {"allOf": [around, each]}) for each in schema[word]])
        kinds = schema.get("type")
        kind = kinds[0] if isinstance(kinds, list) and kinds else kinds
        if kind == "object" or (kind is None and ("properties" in schema or "additionalProperties" in schema)):
            return self._object(self._tagged(schema, followed))
        if kind == "array" or (kind is None and "items" in schema):
            return _list(schema)
        if kind in ("integer", "number"):
            return self._number(schema, kind)
        if kind == "boolean":
            return lambda making, depth: making.next() % 2 == 0
        return _string(schema) if kind == "string" or (kind is None and SHAPES & schema.keys()) else _any

    def _object(self, schema: dict[str, Any]) -> Maker:
        properties, required, _ = self.flat(schema) or ({}, set(), True)
        wanted = [
            (key, each, key in required)
            for key, each in properties.items()
            if each is not False and table(each).get("writeOnly") is not True
        ]
        others = table(schema.get("additionalProperties"))

        def make(making: _Making, depth: int) -> Json:
            is_deep = making.is_deep(depth)
            made = {
                key: making.field(key, each, depth)
                for key, each, must in wanted
                if must or not (is_deep or making.leads_back(each))
            }
            if not made and others and not making.is_deep(depth):
                made["sample"] = making.value(others, depth + 1)
            return made

        return make

    def _number(self, schema: dict[str, Any], kind: str) -> Maker:
        low, is_above = self._end(schema, "minimum", "exclusiveMinimum", "sample")
        high, is_below = self._end(schema, "maximum", "exclusiveMaximum", "sample")
        most = None if high is None else high - is_below
        least = 1 if most is None or most >= 1 else most
        least = least if low is None else low + is_above
        count = 900 if most is None else min(max(int(most - least), 0) + 1, 900)
        step = schema.get("multipleOf")

        def make(making: _Making, depth: int) -> Json:
            value = least + making.next() % count
            if isinstance(step, (int, float)) and step >= 1:
                value = value - value % step
                value = value if value >= least else value + step
            return int(value) if kind == "integer" else value

        return make

    def _item_schema(self, schema: Json, place: str) -> Json:
        for key in filter(None, place.split(".")):
            schema = self.keys(schema).get(key, {})
        items: Json = self.whole(schema).get("items", {})
        return items


class _Making:
    """One sample in the making; after ``most`` values, only required keys are made."""

    def __init__(self, samples: Samples, seed: str, most: int = MAX_MADE) -> None:
        self._maker = samples.maker
        self._most = most
        self.next = _numbers(seed).__next__
        """Returns the next number."""
        self._made = 0
        self._levels = 0
        self.open: list[object] = []
        """The references to the values being made; None where there is none."""

    def value(self, schema: Json, depth: int, pointer: object = None) -> Json:
        """Return a sample; ``depth`` is 0 for the outermost schema, ``pointer`` the reference to it, if not its own."""
        self._made += 1
        if depth > MAX_NESTED or self._levels > MAX_LEVELS:
            return {}  # the schema of a table that must contain itself
        if not isinstance(schema, dict):
            return None if schema is False else _any(self, depth)
        self._levels += 1
        self.open.append(pointer or schema.get("$ref"))
        made = self._maker(schema)(self, depth)
        self.open.pop()
        self._levels -= 1
        return made

    def field(self, key: str, schema: Json, depth: int) -> Json:
        value = self.value(schema, depth + 1)
        if value == "sample" and key.lower().endswith(("id", "sid")):
            return f"{key.lower()}-{self.next() % 9000 + 1000}"
        return value

    def leads_back(self, schema: Json) -> bool:
        """Return True if a schema refers to a value being made, so that recursion would not end."""
        pointer = table(schema).get("$ref")
        return pointer is not None and pointer in self.open

    def is_deep(self, depth: int) -> bool:
        return depth >= MAX_DEPTH or self._made > self._most


Maker: TypeAlias = Callable[[_Making, int], Json]
"""Makes the samples of one schema at a depth."""


def _any(making: _Making, depth: int) -> Json:
    return "sample" if depth else {}


def _one_of(members: list[tuple[Json, Json]]) -> Maker:
    """Make the first member, with what is around it, that does not refer to a value being made."""

    def make(making: _Making, depth: int) -> Json:
        member, whole = next((each for each in members if not making.leads_back(each[0])), members[0])
        return making.value(whole, depth, table(member).get("$ref"))

    return make


def _list(schema: dict[str, Any]) -> Maker:
    ends = [end if isinstance(end := schema.get(word), int) else None for word in ("minItems", "maxItems")]
    least, most = min(max(ends[0] or 0, 0), 100), ends[1]
    items = schema.get("items", {})
    items = items[0] if isinstance(items, list) and items else items
    first, drops = schema.get("prefixItems"), _drops_equal_items(schema)

    def make(making: _Making, depth: int) -> Json:
        if isinstance(first, list):
            return [making.value(each, depth + 1) for each in first]
        is_short = making.is_deep(depth) or making.leads_back(items)
        count = least if is_short else max(least, 2 if depth < 2 else 1)
        made = [making.value(items, depth + 1) for _ in range(count if most is None else min(count, most))]
        return [each for place, each in enumerate(made) if each not in made[:place]] if drops else made

    return make


def _string(schema: Mapping[str, Any]) -> Maker:
    form = _FORMATS.get(str(schema.get("format")), _usual)
    pattern, least, most = schema.get("pattern"), schema.get("minLength"), schema.get("maxLength")

    def make(making: _Making, depth: int) -> Json:
        digit = making.next()
        text = form(digit)
        if isinstance(pattern, str):
            text = _matching(pattern, text, digit)
        if isinstance(least, int) and len(text) < least < 100_000:
            text += (text[-1:] or "x") * (least - len(text))  # what matches a pattern often goes on so
        return text[:most] if isinstance(most, int) and len(text) > most >= 0 else text

    return make


def _usual(digit: int) -> str:
    return f"{_word(digit)}-{digit % 9000 + 1000}"


def _word(digit: int) -> str:
    return _WORDS[digit % len(_WORDS)]


def _drops_equal_items(schema: Mapping[str, Any]) -> bool:
    """Return True if a list must lose equal items. With ``minItems`` above 1 they stay, else it could be too short."""
    least = schema.get("minItems")
    return schema.get("uniqueItems") is True and not (isinstance(least, int) and least > 1)


def _numbers(seed: str) -> Iterator[int]:
    """Yield pseudorandom numbers that depend only on the seed."""
    state = sha256(seed.encode()).digest()
    while True:
        yield int.from_bytes(state[:6], "big")
        state = sha256(state).digest()


def _examples(schema: Mapping[str, Any]) -> Iterator[Json]:
    if "example" in schema:
        yield schema["example"]
    examples = schema.get("examples")
    yield from (examples if isinstance(examples, list) else ())


def _matching(pattern: str, text: str, digit: int) -> str:
    """Return a text that matches a regular expression; the given one if Python may read that otherwise."""
    parsed = _parsed(pattern)
    if parsed is None or re.search(pattern, text):
        return text
    made = "".join(_of(parsed, digit))
    return made if re.search(pattern, made) else text


@lru_cache
def _parsed(pattern: str) -> Any:
    """Return a regular expression's parts; None if Python may read it otherwise."""
    try:
        return _parser.parse(pattern) if is_clear(pattern) else None  # type: ignore[no-untyped-call, unused-ignore]
    except (re.error, RecursionError, OverflowError):
        return None


def _of(parsed: Any, digit: int) -> Iterator[str]:
    """Yield the pieces of a text that matches a parsed regular expression."""
    for operator, value in parsed:
        name = str(operator)
        if name == "LITERAL":
            yield chr(value)
        elif name == "IN":
            yield _of_class(value, digit)
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, inner = value
            for _ in range(min(max(least, 1 if most else 0), 200)):
                yield from _of(inner, digit)
        elif name == "SUBPATTERN":
            yield from _of(value[-1], digit)
        elif name == "BRANCH":
            yield from _of(value[1][0], digit)
        elif name == "ANY":
            yield "a"


def _of_class(members: Any, digit: int) -> str:
    if str(members[0][0]) == "NEGATE":
        return "a"
    for operator, value in members:
        name = str(operator)
        if name == "LITERAL":
            return chr(value)
        if name == "RANGE":
            return chr(value[0] + digit % (value[1] - value[0] + 1))
        if name == "CATEGORY":
            kind = str(value)
            return "a" if "_NOT_" in kind else "1" if "DIGIT" in kind else " " if "SPACE" in kind else "a"
    return "a"
