"""Places: where a handle stands for a secret or for bytes in the arguments or the result of a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kosmolua.secret import MASK

Place = tuple[Any, ...]
"""The keys that lead to a nested value. Lists are counted from 1, as in Lua."""
MAX_PLACES = 10_000
"""How many handles of one kind the arguments of one call can contain at most."""


def reach(inside: Any, place: Sequence[Any]) -> tuple[Any, Any]:
    """Return the list or mapping that contains the item at a place, and the item's index or key in it.

    Raises:
        LookupError: There is no item at this place.
    """
    for step in place[:-1]:
        inside = inside[_key(inside, step)]
    key = _key(inside, place[-1])
    inside[key]
    return inside, key


def handle_at(inside: Any, entry: Any) -> tuple[Any, Any, str]:
    """Return the list or mapping that contains a handle, the handle's index or key in it, and the handle's name.

    ``entry`` is the place and the name of the handle, as the sandboxed process sent them.

    Raises:
        LookupError: There is no handle at this place.
    """
    try:
        place, name = entry
        holder, key = reach(inside, place)
        if holder[key] == MASK and isinstance(name, str):
            return holder, key, name
    except (TypeError, ValueError) as error:
        raise LookupError from error
    raise LookupError


def spelled(place: Place) -> str:
    """Return a place as Lua writes it after the name of a table, such as ``.env_vars[1].value``."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place)


def plain(value: Any) -> Any:
    """Return a copy of a value with tuples as lists, so that every list and mapping in it can be changed."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _key(holder: Any, step: Any) -> Any:
    if isinstance(holder, list) and isinstance(step, int) and step > 0:
        return step - 1
    if isinstance(holder, dict) and isinstance(step, str):
        return step
    raise LookupError
