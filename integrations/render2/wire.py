"""The shapes of Render's replies: bare arrays of ``{thing, cursor}``, bare objects, and fields that may be missing."""

from __future__ import annotations

from typing import Any, TypeAlias

from kosmolua.plugin import NetworkError

Thing: TypeAlias = dict[str, Any]
"""One object of the API, such as a service, with every field that Render sent."""


def page_of(reply: object, key: str) -> tuple[list[Thing], str | None]:
    """Return the things of a list's page, and the cursor of the last of them.

    Render lists have no envelope (https://api-docs.render.com/reference/pagination).

    Args:
        reply: ``[{"service": {...}, "cursor": "..."}, ...]``, or None for an empty answer.
        key: What each thing is under, such as ``service``.

    Raises:
        NetworkError: The reply is something else.
    """
    rows = [] if reply is None else reply
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _unreadable(rows, f"a list of {key} objects")
    things = [thing_of(row.get(key)) for row in rows]
    return things, (rows[-1].get("cursor") or None) if rows else None


def thing_of(reply: object) -> Thing:
    """Return a reply that is one object.

    Raises:
        NetworkError: The reply is something else.
    """
    if not isinstance(reply, dict):
        raise _unreadable(reply, "an object")
    return reply


def filled(thing: Thing, **defaults: object) -> Thing:
    """Return a thing with a default for each of these fields that is missing or null, so that scripts can use it."""
    missing = {name: default for name, default in defaults.items() if thing.get(name) is None}
    return thing | missing


def _unreadable(reply: object, expected: str) -> NetworkError:
    return NetworkError(f"Render answered with a {type(reply).__name__} where {expected} belongs", retryable=False)
