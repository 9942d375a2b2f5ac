"""The shapes of GitHub's replies: large objects with objects inside, many of which may be null."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from kosmolua.plugin import NetworkError

Thing: TypeAlias = dict[str, Any]
"""One object of the API, such as a repository."""


def thing_of(reply: object) -> Thing:
    """Return a reply that is one object.

    Raises:
        NetworkError: The reply is something else.
    """
    if not isinstance(reply, dict):
        raise NetworkError(f"GitHub answered with a {type(reply).__name__} where an object belongs", retryable=False)
    return reply


def things_of(reply: object) -> list[Thing]:
    """Return a reply that is a list of objects; an empty answer is an empty list.

    Raises:
        NetworkError: The reply is something else.
    """
    if reply is None:
        return []
    if not isinstance(reply, list):
        raise NetworkError(f"GitHub answered with a {type(reply).__name__} where a list belongs", retryable=False)
    return [thing_of(item) for item in reply]


def inner(thing: Thing, *keys: str) -> Any:
    """Return what is inside nested objects, or None where one on the way is missing or null."""
    value: Any = thing
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text(thing: Thing, *keys: str) -> str:
    """Return the text inside nested objects, or ``""`` where there is none, so that scripts can join it to others."""
    value = inner(thing, *keys)
    return "" if value is None else str(value)


def texts(things: Iterable[Any] | None, key: str) -> list[str]:
    """Return one text of each thing of a list; GitHub gives some lists as plain strings too."""
    return [text(thing, key) if isinstance(thing, dict) else str(thing) for thing in things or ()]
