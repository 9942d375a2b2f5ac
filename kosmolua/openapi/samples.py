"""Sample values for a JSON Schema: its examples, or made-up values, the same for the same seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from itertools import islice
from typing import Any

from kosmolua.protocol import Json
from kosmolua.schema.json_schema import SchemaReader, is_clear
from kosmolua.schema.merging import normal
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.tree import SchemaTree
from kosmolua.schema.types import Type

MAX_DEPTH = 6
"""At this depth and below, tables get only required keys."""
MAX_NESTED = 24
"""The maximum depth of nested values, even for required keys."""
MAX_MADE = 4000
"""The number of values after which a sample gets only required keys."""
MAX_READ = 4096
"""The most schemas of which is known what their samples are."""
MAX_MADE_OF_ITEM = 400
"""The same number for one item of a paged list."""
_NAMES = "amber birch cedar delta ember fjord grove harbor iris juniper krill lotus maple north olive pearl"
_WORDS = _NAMES.split()
_FORMATS = {
    "date-time": "2026-01-{day:02d}T{hour:02d}:15:00Z",
    "date": "2026-01-{day:02d}",
    "time": "12:15:00Z",
    "uuid": "{eight:08x}-1111-4111-8111-{twelve:012x}",
    "email": "{word}@example.com",
    "uri": "https://example.com/{word}",
    "url": "https://example.com/{word}",
    "ipv4": "192.0.2.{host}",
    "ipv6": "2001:db8::{number:x}",
    "hostname": "{word}.example",
    "byte": "c2FtcGxl",
    "snowflake": "{long}",
}


class Samples(SchemaTree):
    """Sample values for one document; those of different accounts differ. ``look_up`` resolves a reference."""

    def __init__(self, look_up: Callable[[str], Json], account: str) -> None:
        super().__init__(look_up)
        self._account = account
        self._reader = SchemaReader(without="writeOnly", look_up=look_up)
        self._types: dict[str, Type] = {}
        self._read: dict[int, tuple[Json, list[Json], dict[str, Any]]] = {}

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
        if key not in self._types:
            self._types[key] = self._reader.read(schema)
        try:
            check(self._types[key], value)
        except (Mismatch, RecursionError):
            return False
        return True

    def read(self, schema: dict[str, Any]) -> tuple[list[Json], dict[str, Any]]:
        """Return the first example that fits a schema, in a list, and its normal form."""
        found = self._read.get(id(schema))
        if found is None or found[0] is not schema:
            if len(self._read) >= MAX_READ:
                self._read.clear()
            fitting = (each for each in _examples(schema) if self.fits(schema, each))
            found = self._read[id(schema)] = (schema, [*islice(fitting, 1)], normal(schema))
        return found[1], found[2]

    def _item_schema(self, schema: Json, place: str) -> Json:
        for key in filter(None, place.split(".")):
            flat = self.flat(schema)
            schema = flat[0].get(key, {}) if flat else {}
        items: Json = self.resolve(schema).get("items", {})
        return items


class _Making:
    """One sample in the making; after ``most`` values, only required keys are made."""

    def __init__(self, samples: Samples, seed: str, most: int = MAX_MADE) -> None:
        self._samples = samples
        self._most = most
        self._digits = _numbers(seed)
        self._made = 0
        self._open: list[str] = []

    def value(self, schema: Json, depth: int) -> Json:
        """Return a sample; ``depth`` is 0 for the outermost schema."""
        self._made += 1
        if depth > MAX_NESTED:
            return {}  # the schema of a table that must contain itself
        if isinstance(schema, bool) or not isinstance(schema, dict) or not schema:
            return None if schema is False else {} if depth == 0 else "sample"
        pointer = schema.get("$ref")
        if isinstance(pointer, str):
            self._open.append(pointer)
            try:
                made = self.value(self._samples.resolve(schema), depth)
            finally:
                self._open.pop()
            return made
        examples, plain = self._samples.read(schema)
        return examples[0] if examples else self._made_up(plain, depth)

    def _made_up(self, schema: dict[str, Any], depth: int) -> Json:
        if schema.get("enum") or "const" in schema:
            values = [schema["const"]] if "const" in schema else schema["enum"]
            chosen: Json = values[self._next() % len(values)]
            return chosen
        if schema["nullable"] and (self._is_deep(depth) or schema.get("enum") == []):
            return None
        if schema.get("allOf") or (schema.get("properties") and (schema.get("oneOf") or schema.get("anyOf"))):
            return self._object(schema, depth)
        for word in ("oneOf", "anyOf"):
            if schema.get(word):
                return self._one_of(schema[word], depth)
        kinds = schema.get("type")
        kind = kinds[0] if isinstance(kinds, list) and kinds else kinds
        if kind == "object" or (kind is None and ("properties" in schema or "additionalProperties" in schema)):
            return self._object(schema, depth)
        if kind == "array" or (kind is None and "items" in schema):
            return self._list(schema, depth)
        if kind in ("integer", "number"):
            return self._number(schema, kind)
        if kind == "boolean":
            return self._next() % 2 == 0
        return self._string(schema) if kind in ("string", None) else "sample"

    def _one_of(self, members: list[Json], depth: int) -> Json:
        """Return a sample for the first member that does not refer to a value being made."""
        others = [each for each in members if not self._leads_back(each)]
        return self.value((others or members)[0], depth)

    def _object(self, schema: dict[str, Any], depth: int) -> Json:
        flat = self._samples.flat(schema)
        if flat is None:
            members = [each for each in schema.get("allOf", ()) if isinstance(each, dict)]
            return self.value(members[0], depth) if members else {}
        properties, required, _ = flat
        wanted = {
            key: each
            for key, each in properties.items()
            if each is not False and (key in required or not self._is_deep(depth))
            if not (isinstance(each, dict) and each.get("writeOnly") is True)
        }
        made = {
            key: self._field(key, each, depth)
            for key, each in wanted.items()
            if key in required or not self._leads_back(each)
        }
        others = schema.get("additionalProperties")
        if not made and isinstance(others, dict) and others and not self._is_deep(depth):
            made["sample"] = self.value(others, depth + 1)
        return made

    def _leads_back(self, schema: Json) -> bool:
        """Return True if a schema refers to a value being made, so that recursion would not end."""
        return isinstance(schema, dict) and schema.get("$ref") in self._open

    def _field(self, key: str, schema: Json, depth: int) -> Json:
        value = self.value(schema, depth + 1)
        if value == "sample" and key.lower().endswith(("id", "sid")):
            return f"{key.lower()}-{self._next() % 9000 + 1000}"
        return value

    def _list(self, schema: dict[str, Any], depth: int) -> Json:
        ends = [end if isinstance(end := schema.get(word), int) else None for word in ("minItems", "maxItems")]
        least, most = min(max(ends[0] or 0, 0), 100), ends[1]
        items = schema.get("items", {})
        items = items[0] if isinstance(items, list) and items else items
        if isinstance(schema.get("prefixItems"), list):
            return [self.value(each, depth + 1) for each in schema["prefixItems"]]
        count = least if self._is_deep(depth) or self._leads_back(items) else max(least, 2 if depth < 2 else 1)
        made = [self.value(items, depth + 1) for _ in range(count if most is None else min(count, most))]
        return (
            [each for place, each in enumerate(made) if each not in made[:place]]
            if _drops_equal_items(schema)
            else made
        )

    def _number(self, schema: Mapping[str, Any], kind: str) -> Json:
        least, most = _ends(schema)
        value = least + self._next() % min(max(int(most - least), 0) + 1, 900)
        step = schema.get("multipleOf")
        if isinstance(step, (int, float)) and step >= 1:
            value = value - value % step
            value = value if value >= least else value + step
        return int(value) if kind == "integer" else value

    def _string(self, schema: Mapping[str, Any]) -> Json:
        digit = self._next()
        form = _FORMATS.get(str(schema.get("format")), "{word}-{number}")
        word = _WORDS[digit % len(_WORDS)]
        text = form.format(
            word=word,
            number=digit % 9000 + 1000,
            day=digit % 28 + 1,
            hour=digit % 24,
            eight=digit % 16**8,
            twelve=digit % 16**12,
            host=digit % 250 + 1,
            long=10**17 + digit % 10**17,
        )
        pattern = schema.get("pattern")
        if isinstance(pattern, str):
            text = _matching(pattern, text, digit)
        least, most = schema.get("minLength"), schema.get("maxLength")
        if isinstance(least, int) and len(text) < least < 100_000:
            text += (text[-1:] or "x") * (least - len(text))  # what matches a pattern often goes on so
        return text[:most] if isinstance(most, int) and len(text) > most >= 0 else text

    def _next(self) -> int:
        return next(self._digits)

    def _is_deep(self, depth: int) -> bool:
        return depth >= MAX_DEPTH or self._made > self._most


def _drops_equal_items(schema: Mapping[str, Any]) -> bool:
    """Return True if a list must lose equal items. With ``minItems`` above 1 they stay, else it could be too short."""
    least = schema.get("minItems")
    return schema.get("uniqueItems") is True and not (isinstance(least, int) and least > 1)


def _ends(schema: Mapping[str, Any]) -> tuple[float, float]:
    """Return the smallest and largest allowed number, with defaults."""
    low, high = (end if isinstance(end := schema.get(word), (int, float)) else None for word in ("minimum", "maximum"))
    for word, step in (("exclusiveMinimum", 1), ("exclusiveMaximum", -1)):
        end = schema.get(word)
        if end is True:
            low, high = (low + 1 if low is not None else low, high) if step > 0 else (low, high and high - 1)
        elif isinstance(end, (int, float)) and not isinstance(end, bool):
            low, high = (end + 1, high) if step > 0 else (low, end - 1)
    least = low if low is not None else 1 if high is None or high >= 1 else high
    return least, high if high is not None else least + 900


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
    import re

    if not is_clear(pattern):
        return text
    try:
        if re.search(pattern, text):
            return text
        parsed = re._parser.parse(pattern)  # type: ignore[attr-defined]
    except (re.error, RecursionError, OverflowError):
        return text
    except AttributeError:
        import sre_parse

        parsed = sre_parse.parse(pattern)
    made = "".join(_of(parsed, digit))
    return made if re.search(pattern, made) else text


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
