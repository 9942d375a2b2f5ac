"""Results: whether what a function returned is of the type that it declares."""

from __future__ import annotations

from kosmolua.spec.mismatch import Mismatch
from kosmolua.spec.types import Type


def check(kind: Type, result: object) -> None:
    """Hold a result against a type; a table may have more keys than its ``TypedDict`` names.

    Raises:
        Mismatch: It does not fit.
    """
    kind.accept(_without_more(kind, result))


def _without_more(kind: Type, value: object) -> object:
    """Return a value without the keys that are not declared."""
    if kind.label == "any":
        candidates = [_without_more(part, value) for part in kind.parts]
        return next((left for part, left in zip(kind.parts, candidates, strict=True) if _fits(part, left)), value)
    if kind.label == "array" and isinstance(value, (list, tuple)):
        return [_without_more(kind.parts[0], item) for item in value]
    if kind.label == "object" and isinstance(value, dict):
        kinds = kind.record.fields if kind.record else dict.fromkeys(value, kind.parts[0])
        return {key: _without_more(kinds[key], item) for key, item in value.items() if key in kinds}
    return value


def _fits(kind: Type, value: object) -> bool:
    try:
        kind.accept(value)
    except Mismatch:
        return False
    return True
