"""Reading GitHub's replies: large nested objects, in which many values can be null."""

from __future__ import annotations

from typing import Any, TypeAlias

from kosmolua.plugin import NetworkError

Thing: TypeAlias = dict[str, Any]
"""One object of the API, such as a repository."""


def thing_of(reply: object) -> Thing:
    """Return a decoded reply that must be one object, or raise a NetworkError."""
    if not isinstance(reply, dict):
        raise _unreadable(reply, "an object")
    return reply


def things_of(reply: object) -> list[Thing]:
    """Return a decoded reply that must be a list of objects, or raise a NetworkError."""
    if not isinstance(reply, list):
        raise _unreadable(reply, "a list")
    return [thing_of(item) for item in reply]


def inner(thing: Thing, *keys: str) -> Any:
    """Follow a path of keys into nested objects. Return the value there, or None if a key is missing or null."""
    value: Any = thing
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text(thing: Thing, *keys: str) -> str:
    """Follow a path of keys into nested objects. Return the value there as text, or ``""`` if it is missing or null."""
    value = inner(thing, *keys)
    return "" if value is None else str(value)


def number(thing: Thing, name: str) -> int:
    """Return the integer in a field of an object, or 0 if the field is missing or holds no integer."""
    value = thing.get(name)
    return value if isinstance(value, int) else 0


def texts(thing: Thing, name: str, key: str) -> list[str]:
    """Return the field ``key`` of every item of the list in the field ``name``, or the items that are texts."""
    given = thing.get(name)
    items = given if isinstance(given, list) else []
    return [text(item, key) if isinstance(item, dict) else str(item) for item in items]


def _unreadable(reply: object, expected: str) -> NetworkError:
    given = "nothing" if reply is None else f"a {type(reply).__name__}"
    return NetworkError(f"GitHub answered with {given} instead of {expected}", retryable=False)
