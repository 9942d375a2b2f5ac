"""Converts arguments on the command line to the types that a function or a script declares."""

from __future__ import annotations

from collections.abc import Sequence

from kosmolua.errors import UsageError
from kosmolua.schema.types import List, Type, Union


def value_of(name: str, kind: Type, texts: Sequence[str]) -> object:
    """Return the value of an argument that occurs once or more, converted to its declared type.

    If the type is a list, each text is an item of it, except for a single text that is a whole list in JSON. ``null``
    is None where the type allows it. A text that cannot be converted stays a text, which the call or the run refuses.

    Raises:
        UsageError: The argument occurs several times, but is not a list.
    """
    item, first = _item_of(kind), texts[0]
    if len(texts) > 1 and item is None:
        raise UsageError(f"{name} is given {len(texts)} times, but takes only one value")
    value = None if first == "null" and kind.nullable else kind.read(first)
    is_bare = isinstance(kind, List) and not isinstance(value, (list, type(None))) and not first.startswith("[")
    return [item.read(text) for text in texts] if item and (is_bare or len(texts) > 1) else value


def _item_of(kind: Type) -> Type | None:
    """Return the type of the items of a list, or of a list in a union of types; None if the type includes no list."""
    allowed = kind.members if isinstance(kind, Union) else (kind,)
    return next((each.item for each in allowed if isinstance(each, List)), None)
