"""The JSON Schemas of one document as a tree: references are followed, and combined schemas are joined.

Documents have mistakes, so what should be an object, a list or a text is read as an empty one if it is something else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeAlias
from urllib.parse import unquote

from kosmolua.limits import whole_number
from kosmolua.protocol import Json
from kosmolua.schema.merging import SHAPES, merged, normal

MAX_FOLLOWED = 50
"""The maximum length of a chain of references, each leading to the next."""
MAX_MERGED = 1000
"""The largest number of references that are merged into one schema."""
MAX_NESTED = 100
"""The maximum depth of references, of ``allOf`` and of unions in each other that are read as parts of one schema."""
MAX_MEMBERS = 4000
"""The maximum number of schemas from which the keys of one object are collected."""
Flat: TypeAlias = tuple[dict[str, Json], set[str], bool]
"""The schemas of an object's properties, the required names, and whether others are allowed."""


def table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def rows(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def target(document: Json, pointer: str) -> Json:
    """Return what a reference such as ``#/components/schemas/Pet`` leads to.

    Raises:
        LookupError: It leads out of the document, or nowhere, as the message says.
    """
    if not (pointer == "#" or pointer.startswith("#/")):
        raise LookupError("leads out of the document")
    node = document
    for word in pointer.split("/")[1:]:
        key = unquote(word).replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and key in node:
            node = node[key]
        elif isinstance(node, list) and (place := whole_number(key)) is not None and place < len(node):
            node = node[place]
        else:
            raise LookupError("leads nowhere")
    return node


class SchemaTree:
    """Schemas that ``find`` returns for references such as ``#/components/schemas/Pet``, or raises LookupError."""

    def __init__(self, find: Callable[[str], Json]) -> None:
        self._find = find

    def look_up(self, pointer: str) -> Json:
        """Return what a reference leads to; an empty object, of which :meth:`miss` is told, if it leads nowhere."""
        try:
            return self._find(pointer)
        except LookupError as error:
            self.miss(pointer, str(error))
            return {}

    def miss(self, pointer: str, problem: str) -> None:
        """Do what is to be done about a reference that leads nowhere; by default, nothing."""

    def resolve(self, node: Json) -> dict[str, Any]:
        """Return ``node``, or the object that its ``$ref`` leads to; an empty one if that is no object."""
        for _ in range(MAX_FOLLOWED):
            if not isinstance(node, dict):
                return {}
            pointer = node.get("$ref")
            if not isinstance(pointer, str):
                return node
            node = self.look_up(pointer)
        return {}

    def whole(self, schema: Json, followed: dict[str, None] | None = None, depth: int = 0) -> dict[str, Any]:
        """Return a schema, in normal form, merged with what its reference leads to and the members of its ``allOf``.

        Of ``xml``, the outer words win, and it is always there. ``followed`` gets the references on the way, of which
        none is followed twice.
        """
        followed = {} if followed is None else followed
        schema = normal(table(schema))
        whole = {key: each for key, each in schema.items() if key not in ("$ref", "allOf")}
        xml, pointer = table(schema.get("xml")), schema.get("$ref")
        inner = [table(each) for each in schema.get("allOf", ())]
        if isinstance(pointer, str) and pointer not in followed and len(followed) < MAX_MERGED:
            followed[pointer] = None
            inner.insert(0, _without_descendants(normal(table(self.look_up(pointer))), followed))
        others = []
        for part in (self.whole(each, followed, depth + 1) for each in inner if depth < MAX_NESTED):
            xml, whole = part["xml"] | xml, merged(whole, part)
            others += [part["nullable"]] if SHAPES & part.keys() else []
        return {**whole, "nullable": schema["nullable"] or (bool(others) and all(others)), "xml": xml}

    def types(self, schema: Json, followed: dict[str, None] | None = None, depth: int = 0) -> set[str]:
        """Return the JSON types that a schema names, also in its unions, but null; none if it names none."""
        followed = {} if followed is None else followed
        whole = self.whole(schema, followed)
        named = whole.get("type")
        own = {text(each) for each in rows(named) or [named]} - {""}
        members = [each for word in ("oneOf", "anyOf") for each in whole.get(word, ()) if depth < MAX_NESTED]
        return own.union(*(self.types(each, followed, depth + 1) for each in members))

    def keys(self, schema: Json) -> dict[str, Json]:
        """Return the schemas of an object's properties, as :meth:`flat` collects them; none of any other schema."""
        flat = self.flat(schema)
        return flat[0] if flat else {}

    def flat(self, schema: Json) -> Flat | None:
        """Collect the properties of a schema for objects, including those behind references and in ``allOf``.

        Of a union, the result has the properties of all members; required is what all require. It is None if the schema
        is not for objects, is nested too deeply, or consists of more than :data:`MAX_MEMBERS` schemas.
        """
        return self._flattened(schema, (), iter(range(MAX_MEMBERS)), 0)

    def _flattened(self, schema: Json, seen: tuple[str, ...], left: Iterator[int], depth: int) -> Flat | None:
        if not isinstance(schema, dict) or depth > MAX_NESTED or next(left, None) is None:
            return None
        if schema.get("$ref") in seen:
            return {}, set(), True
        followed = dict.fromkeys(seen)
        schema = self.whole(schema, followed)
        if schema.get("type") == "array":
            return None  # what generators write beside it describes no object
        properties = dict(table(schema.get("properties")))
        required = {each for each in rows(schema.get("required")) if each and isinstance(each, str)}
        is_open = bool(schema.get("additionalProperties", True)) or bool(schema.get("patternProperties"))
        is_object = bool(properties) or schema.get("type") == "object"
        for word in ("oneOf", "anyOf"):
            parts = [self._flattened(each, tuple(followed), left, depth + 1) for each in schema.get(word, ())]
            if any(part is None for part in parts):
                return None
            if parts:
                is_object = True
                found = [part for part in parts if part]
                required |= set.intersection(*(part[1] for part in found))
                properties = _united([part[0] for part in found], properties)
        if not is_object:
            return None
        return properties, required & properties.keys(), is_open


def _without_descendants(schema: dict[str, Any], followed: Collection[str]) -> dict[str, Any]:
    """Return a schema without its list of subtypes if one of them is being read.

    Some subtypes refer to their parent in ``allOf``, while the parent lists all subtypes in ``oneOf``.
    """
    for word in ("oneOf", "anyOf"):
        pointers = [text(table(each).get("$ref")) for each in schema.get(word, ())]
        if any(pointer and pointer in followed for pointer in pointers):
            schema = {key: value for key, value in schema.items() if key != word}
    return schema


def _united(members: list[dict[str, Json]], around: dict[str, Json]) -> dict[str, Json]:
    """Merge the properties of a union's members; several schemas of one become a union."""
    schemas: dict[str, list[Json]] = {}
    for member in members:
        for key, schema in member.items():
            known = schemas.setdefault(key, [])
            if schema not in known:
                known.append(schema)
    found = {key: each[0] if len(each) == 1 else {"anyOf": each} for key, each in schemas.items()}
    return {**around, **{key: each for key, each in found.items() if key not in around}}
