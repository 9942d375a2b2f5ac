"""Reading Render's replies: an object, or an array of ``{thing, cursor}``, in which fields can be missing or null."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from kosmolua.plugin import BadArguments, NetworkError

Thing: TypeAlias = dict[str, Any]
"""One object of the API, such as a service, with every field that Render sent."""

_PERHAPS_BARE = frozenset({"envGroup"})
"""The keys of items that, in Render's OpenAPI document, are the rows of the list themselves, without a cursor.

Both forms are accepted.
"""


def page_of(reply: object, key: str) -> tuple[list[Thing], str | None]:
    """Return the items of a page of a list, which rows have under ``key``, and the cursor of the last item.

    A page is an array without an object around it (https://api-docs.render.com/reference/pagination).
    """
    rows = things_of(reply)
    things = [thing_of(row if key in _PERHAPS_BARE and key not in row else row.get(key)) for row in rows]
    return things, (rows[-1].get("cursor") or None) if rows else None


def things_of(reply: object) -> list[Thing]:
    """Return a decoded reply that must be a list of objects, or raise a NetworkError."""
    if not isinstance(reply, list):
        raise _unreadable(reply, "a list")
    return [thing_of(item) for item in reply]


def thing_of(reply: object) -> Thing:
    """Return a decoded reply that must be one object, or raise a NetworkError."""
    if not isinstance(reply, dict):
        raise _unreadable(reply, "an object")
    return reply


def inner(thing: Thing, key: str) -> Thing:
    """Return the object in a field of another object, or an empty object if the field is missing or null."""
    return thing_of(thing.get(key) or {})


def filled(thing: Thing, **defaults: object) -> Thing:
    """Return an object with defaults for fields that are missing or null, so that scripts need not check for nil."""
    missing = {name: default for name, default in defaults.items() if thing.get(name) is None}
    return thing | missing


def without(arguments: Mapping[str, Any], *names: str) -> Thing:
    """Return the arguments of a function, which are its ``locals()`` at first, without the account and those named."""
    return {name: value for name, value in arguments.items() if name not in ("render", *names)}


def refuse_nothing(changes: Thing, function: str, hint: str) -> None:
    """Refuse a call that changes nothing, since each of its changes is left out."""
    if all(value is None for value in changes.values()):
        raise BadArguments(f"{function} was given nothing to change", hint=hint)


def _unreadable(reply: object, expected: str) -> NetworkError:
    given = "nothing" if reply is None else f"a {type(reply).__name__}"
    return NetworkError(f"Render answered with {given} instead of {expected}", retryable=False)
