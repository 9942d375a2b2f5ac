"""Checks the results of functions against the types that the functions declare."""

from __future__ import annotations

from kosmolua.schema.types import List, Map, Record, Type, Union


def check(kind: Type, result: object) -> None:
    """Check that a result fits the declared type; its tables can have more keys.

    Raises:
        Mismatch: The result does not fit.
    """
    kind.accept(_without_more(kind, result))


def _without_more(kind: Type, value: object) -> object:
    """Return a copy without the keys that the type does not declare."""
    if isinstance(kind, Union):
        candidates = [(member, _without_more(member, value)) for member in kind.members]
        return next((left for member, left in candidates if member.takes(left)), value)
    if isinstance(kind, List) and isinstance(value, (list, tuple)):
        return [_without_more(kind.item, item) for item in value]
    if isinstance(kind, Map) and isinstance(value, dict):
        return {key: _without_more(kind.value, item) for key, item in value.items()}
    if isinstance(kind, Record) and isinstance(value, dict):
        return {key: _without_more(kind.fields[key], value[key]) for key in value if key in kind.fields}
    return value
