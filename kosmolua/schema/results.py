"""Checks the results of functions against the types that the functions declare."""

from __future__ import annotations

from kosmolua.schema.types import List, Map, Record, Type, Union


def check(kind: Type, result: object) -> None:
    """Check that a result fits the declared type; its tables can have more keys.

    Raises:
        Mismatch: The result does not fit.
    """
    kind.accept(_without_more(kind, result, {}))


def _without_more(kind: Type, value: object, known: dict[tuple[int, int], tuple[Type, object]]) -> object:
    """Return a copy without the keys that the type does not declare.

    What a union made of a value is ``known``, since each of its members can hold the union again.
    """
    if isinstance(kind, Union):
        pair = id(kind), id(value)
        if pair not in known:
            candidates = ((member, _without_more(member, value, known)) for member in kind.members)
            known[pair] = kind, next((left for member, left in candidates if member.takes(left)), value)
        return known[pair][1]
    if isinstance(kind, List) and isinstance(value, (list, tuple)):
        return [_without_more(kind.item, item, known) for item in value]
    if isinstance(kind, Map) and isinstance(value, dict):
        return {key: _without_more(kind.value, item, known) for key, item in value.items()}
    if isinstance(kind, Record) and isinstance(value, dict):
        return {key: _without_more(kind.fields[key], value[key], known) for key in value if key in kind.fields}
    return value
