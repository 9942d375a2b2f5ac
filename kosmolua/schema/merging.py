"""Merges several JSON Schemas into one, for ``allOf`` and for references that have other keywords beside them.

The merged schema allows the values that all parts allow. If parts contradict each other, the first part wins.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from kosmolua.protocol import Json

Schema: TypeAlias = "dict[str, Any]"

INFERRED = {
    "object": ("properties", "additionalProperties", "patternProperties", "minProperties", "maxProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "string": ("pattern", "minLength", "maxLength"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}
"""The keywords from which a missing ``type`` is inferred."""
SHAPES = {
    *("type", "enum", "const", "allOf", "oneOf", "anyOf", "format"),
    *(word for each in INFERRED.values() for word in each),
}
"""The keywords that describe a type; ``required`` alone does not."""
MAX_PAIRS = 64
"""The most pairs of members into which two unions are merged; of larger ones, the first wins."""
_HIGHER = ("minimum", "minLength", "minItems", "minProperties")
_LOWER = ("maximum", "maxLength", "maxItems", "maxProperties")


def normal(schema: Schema) -> Schema:
    """Return an equivalent schema in which only ``nullable`` allows null, without keywords that have malformed values.

    Documents also allow null by ``x-nullable``, or by ``null`` in ``type``, ``enum``, ``oneOf`` or ``anyOf``. Members
    of the last two that describe no type, such as ``{required: [a]}``, are left to the service.
    """
    plain = dict(schema)
    nullable = bool(schema.get("nullable") is True or schema.get("x-nullable") is True)
    kinds = schema.get("type")
    if kinds == "null" or (isinstance(kinds, list) and "null" in kinds):
        nullable = True
        left = [kind for kind in kinds if kind != "null"] if isinstance(kinds, list) else []
        plain["type"] = left[0] if len(left) == 1 else left
        if not left:
            plain = {"enum": []}
    for word in ("oneOf", "anyOf"):
        if isinstance(members := schema.get(word), list):
            nullable = nullable or any(map(_is_null, members))
            plain[word] = [member for member in members if not (_is_null(member) or _is_shapeless(member))]
            if len(plain[word]) < 2:
                plain["allOf"] = [*plain.get("allOf", ()), *plain.pop(word)]
    if isinstance(values := schema.get("enum"), list):
        plain["enum"] = [value for value in values if value is not None]
        nullable = nullable or None in values
        if not values and not nullable:
            del plain["enum"]
    if "const" in schema and schema["const"] is None:
        nullable, plain = True, {"enum": []}
    for word in ("allOf", "oneOf", "anyOf", "enum"):
        if word in plain and not isinstance(plain[word], list):
            del plain[word]
    items, values = plain.get("items"), plain.get("enum")
    if plain.get("type") == "array" and isinstance(items, dict) and values and not any(map(_is_list, values)):
        plain["items"] = {**items, "enum": plain.pop("enum")}  # they are the items', which real documents mean
    return plain | {"nullable": nullable}


def _is_list(value: Json) -> bool:
    return isinstance(value, list)


def _is_shapeless(schema: Json) -> bool:
    return isinstance(schema, dict) and bool(schema) and "$ref" not in schema and not SHAPES & schema.keys()


def _is_null(schema: Json) -> bool:
    return isinstance(schema, dict) and (
        schema.get("type") in ("null", ["null"]) or schema.get("enum") == [None] or schema.get("const", ...) is None
    )


def merged(one: Schema, other: Schema) -> Schema:
    """Return a schema that allows what both allow; where they contradict each other, ``one`` wins."""
    whole = other | one
    for word in one.keys() & other.keys():
        whole[word] = _merged_keyword(word, one[word], other[word])
    return whole


def _merged_keyword(word: str, one: Any, other: Any) -> Any:
    if one == other:
        return one
    if word == "properties" and isinstance(one, dict) and isinstance(other, dict):
        shared = {key: {"allOf": [one[key], other[key]]} for key in one if key in other and one[key] != other[key]}
        return one | other | {key: one[key] for key in one} | shared
    if word == "required" and isinstance(one, list) and isinstance(other, list):
        return [*one, *(key for key in other if key not in one)]
    if word in ("oneOf", "anyOf") and 0 < len(one) * len(other) <= MAX_PAIRS:
        return [{"allOf": [each, another]} for each in one for another in other]
    if word == "enum":
        return [value for value in one if value in other] or one
    if word == "type":
        kinds, others = (each if isinstance(each, list) else [each] for each in (one, other))
        left = [kind for kind in kinds if kind in others]
        return (left[0] if len(left) == 1 else left) if left else "integer" if "integer" in (one, other) else one
    if word in ("items", "additionalProperties"):
        return False if False in (one, other) else {"allOf": [one, other]}
    numbers = isinstance(one, (int, float)) and isinstance(other, (int, float))
    return max(one, other) if numbers and word in _HIGHER else min(one, other) if numbers and word in _LOWER else one
