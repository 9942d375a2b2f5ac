"""OpenAPI documents: read from JSON or YAML within limits, with references resolved."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any, NoReturn

from kosmolua.errors import ConfigError
from kosmolua.limits import MIB
from kosmolua.openapi.anchors import NAMES_PARTS, pointed
from kosmolua.openapi.bundling import REFERS_ELSEWHERE, Neighbours, bundled, references_in
from kosmolua.openapi.swagger import rewritten
from kosmolua.protocol import Json, is_deeper
from kosmolua.schema.tree import SchemaTree, rows, table, target, text

MAX_BYTES = 64 * MIB
"""The maximum size of a document, in bytes."""
MAX_VALUES = 5_000_000
"""The maximum number of values in a document. The values of a YAML anchor count again for each alias."""
MAX_DEPTH = 200
"""The maximum number of levels of nested values."""

MAX_SUBTYPES = 32
"""If more schemas extend one, it does not list them, as each would be an alternative with its own keys."""
_SCHEMAS = "#/components/schemas/"
_SAYS_WHICH = {"$ref", "allOf", "oneOf", "anyOf", "enum", "const"}
_NULL = re.compile(r"null|Null|NULL|~|")
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def read(data: bytes, name: str, near: Neighbours | None = None) -> dict[str, Any]:
    """Parse JSON or YAML 1.2 in UTF-8; ``name`` is the source, for messages, ``near`` has the files beside it.

    Raises:
        ConfigError: The data is neither JSON nor YAML, too large, nested too deeply, or not an OpenAPI document; or a
            file to which it refers cannot be read.
    """
    root = _parsed(data, name)
    if not isinstance(root, dict) or not isinstance(root.get("paths", {}), dict) or not _version(root):
        raise ConfigError(
            f"{name} is not an OpenAPI document", hint='it needs the key "openapi": "3..." or "swagger": "2.0"'
        )
    if REFERS_ELSEWHERE.search(data.decode("utf-8-sig")):
        bundled(root, near, _parsed, name)
    root = rewritten(root) if "openapi" not in root else root
    schemas = table(table(root.get("components")).get("schemas"))
    _tell_apart(root, schemas)
    _list_subtypes(schemas)
    return root


def _tell_apart(root: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Let each schema that a ``discriminator`` maps say which values of its property stand for it.

    Those of schemas that extend it stand for it, too. What its parents say of the property is not contradicted.
    """
    values: dict[tuple[str, str], list[str]] = {}
    for schema in schemas.values():
        how = table(table(schema).get("discriminator"))
        for value, pointer in table(how.get("mapping")).items():
            name = text(pointer).removeprefix(_SCHEMAS)
            if name in schemas and schemas[name] is not schema:
                values.setdefault((name, text(how.get("propertyName"))), []).append(value)
    tree, choices = SchemaTree(partial(target, root)), {each: [*own] for each, own in values.items()}
    said: dict[tuple[str, str], dict[str, Any]] = {}
    for (name, key), own in values.items():
        followed: dict[str, None] = {}
        whole = tree.whole({"$ref": f"{_SCHEMAS}{name}"}, followed)
        said[name, key] = tree.whole(table(whole.get("properties")).get(key))
        for above in (pointer.removeprefix(_SCHEMAS) for pointer in followed):
            if above != name and (above, key) in choices:
                choices[above, key] += own
    for (name, key), found in choices.items():
        properties, whole = table(table(schemas[name]).get("properties")), said[name, key]
        kept, is_text = table(properties.get(key)), whole.get("type", "string") == "string"
        is_told = _SAYS_WHICH & kept.keys() or {"oneOf", "anyOf", "const"} & whole.keys()
        if is_text and not is_told and all(each in whole.get("enum", found) for each in found):
            kept = {"type": "string", **kept, "enum": found}
            schemas[name] = {**schemas[name], "properties": {**properties, key: kept}}


def _list_subtypes(schemas: dict[str, Any]) -> None:
    """Let each schema with a ``discriminator`` list what its values can be: those that extend it, and itself."""
    extending: dict[str, list[str]] = {}
    for name, schema in schemas.items():
        for each in rows(table(schema).get("allOf")):
            extending.setdefault(str(table(each).get("$ref")), []).append(f"{_SCHEMAS}{name}")
    for name, schema in schemas.items():
        found = dict.fromkeys(extending.get(f"{_SCHEMAS}{name}", ()))
        if "discriminator" in table(schema) and not {"oneOf", "anyOf"} & schema.keys():
            left = [*found]
            while left:
                more = [each for each in extending.get(left.pop(), ()) if each not in found]
                found |= dict.fromkeys(more)
                left += more
            if 0 < len(found) <= MAX_SUBTYPES:
                itself = {"type": "object", "title": name}
                schemas[name] = {**schema, "oneOf": [*({"$ref": each} for each in found), itself]}


def _parsed(data: bytes, name: str) -> Json:
    value = _decoded(data, name)
    return pointed(value) if NAMES_PARTS.search(data) else value


def _decoded(data: bytes, name: str) -> Json:
    if len(data) > MAX_BYTES:
        raise ConfigError(
            f"{name} is larger than {MAX_BYTES // MIB} MiB", hint="remove parts of the document that you do not need"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{name} is not UTF-8 text, as an OpenAPI document must be") from None
    value = _json(text, name) if text.lstrip()[:1] in ("{", "[") else None
    return parsed_yaml(text, name) if value is None else value


def _version(root: dict[str, Any]) -> bool:
    return str(root.get("openapi", "")).startswith("3") or str(root.get("swagger", "")).startswith("2")


def _json(text: str, name: str) -> Json:
    """Parse JSON; None if the text can still be YAML."""
    if sum(map(text.count, ",{[")) > MAX_VALUES:
        _refuse(name, f"it has more than {MAX_VALUES:,} values")
    try:
        value: Json = json.loads(text)
    except RecursionError:
        _refuse(name, "it is nested too deeply")
    except ValueError as error:
        if text.lstrip()[:2] in ('{"', "[{"):
            _refuse(name, f"it is not JSON: {error}")
        return None
    if is_deeper(value, MAX_DEPTH):
        _refuse(name, "it is nested too deeply")
    return value


def _refuse(name: str, why: str) -> NoReturn:
    raise ConfigError(f"{name} cannot be read: {why}")


def parsed_yaml(text: str, name: str) -> Json:
    """Parse the first document of YAML 1.2; ``name`` is the source, for messages.

    Raises:
        ConfigError: It is not YAML, too large or nested too deeply, or PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError:
        hint = "run: pip install 'kosmolua[openapi]'"
        raise ConfigError(f"{name} is YAML, which can be read only if PyYAML is installed", hint=hint) from None
    parser = (yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)(text)
    try:
        return _Builder(parser, yaml).build()
    except yaml.YAMLError as error:
        _refuse(name, f"it is not YAML: {' '.join(str(error).split())[:300]}")
    except (ValueError, RecursionError) as error:
        _refuse(name, str(error) if isinstance(error, ValueError) else "it is nested too deeply")
    finally:
        parser.dispose()


class _Builder:
    """Builds values from the events of a YAML parser, with scalars as in the core schema of YAML 1.2.

    An alias is the same object as its anchor, so aliases of aliases take no memory; yet its values count again, and a
    document with too many is refused.
    """

    def __init__(self, parser: Any, yaml: Any) -> None:
        self._parser = parser
        self._yaml = yaml
        self._anchors: dict[str, tuple[Json, int]] = {}
        self._open: set[str] = set()

    def build(self) -> Json:
        """Return the first document's value, or None."""
        event = self._parser.get_event()
        while not isinstance(event, self._yaml.NodeEvent):
            if isinstance(event, self._yaml.StreamEndEvent):
                return None
            event = self._parser.get_event()
        return self._value(event, 0)[0]

    def _value(self, event: Any, depth: int) -> tuple[Json, int]:
        """Read the value that begins with this event."""
        yaml = self._yaml
        if depth > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self._open or event.anchor not in self._anchors:
                raise ValueError(f"the alias *{event.anchor} refers to a value that contains it, or to nothing")
            return self._anchors[event.anchor]
        if event.anchor:
            self._open.add(event.anchor)
        if isinstance(event, yaml.ScalarEvent):
            built: tuple[Json, int] = (_scalar(event.value) if event.implicit[0] else event.value, 1)
        elif isinstance(event, yaml.SequenceStartEvent):
            built = self._sequence(depth)
        else:
            built = self._mapping(depth)
        if built[1] > MAX_VALUES:
            raise ValueError(
                f"the document has more than {MAX_VALUES:,} values, counting those of an anchor for each alias"
            )
        if event.anchor:
            self._open.discard(event.anchor)
            self._anchors[event.anchor] = built
        return built

    def _sequence(self, depth: int) -> tuple[Json, int]:
        values, count = [], 1
        while not isinstance(event := self._parser.get_event(), self._yaml.SequenceEndEvent):
            value, size = self._value(event, depth + 1)
            values.append(value)
            count += size
        return values, count

    def _mapping(self, depth: int) -> tuple[Json, int]:
        mapping: dict[str, Json] = {}
        merged: dict[str, Json] = {}
        count = 1
        while not isinstance(event := self._parser.get_event(), self._yaml.MappingEndEvent):
            key = event.value if isinstance(event, self._yaml.ScalarEvent) else None
            if key is None:
                raise ValueError("the document has a key that is a list or a table, but all keys must be strings")
            value, size = self._value(self._parser.get_event(), depth + 1)
            count += size
            if key == "<<" and event.implicit[0]:
                for each in value if isinstance(value, list) else [value]:
                    merged = {**each, **merged} if isinstance(each, dict) else merged
            else:
                mapping[key] = value
        return ({**merged, **mapping} if merged else mapping), count


def _scalar(text: str) -> Json:
    if _NULL.fullmatch(text):
        return None
    if _BOOLEAN.fullmatch(text):
        return text.lower() == "true"
    if _INTEGER.fullmatch(text) and len(text) < 400:
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


class Document(SchemaTree):
    """A document whose references, except to other documents, can be resolved."""

    def __init__(self, root: dict[str, Any]) -> None:
        super().__init__(lru_cache(None)(partial(target, root)))
        self.root = root
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> list[str]:
        return list(self._notes)

    def note(self, sentence: str) -> None:
        self._notes[sentence[:300]] = None

    def miss(self, pointer: str, problem: str) -> None:
        self.note(f"the reference {pointer} {problem}")

    def references(self, node: Json) -> Iterator[str]:
        """Yield each ``$ref`` in a schema, except in values such as examples and defaults."""
        return (each["$ref"] for each in references_in(node))
