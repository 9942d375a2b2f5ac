"""Reading GitHub's replies: large nested objects, in which many values can be null."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias, TypeVar, cast, get_args, get_origin

from kosmolua.plugin import NetworkError

T = TypeVar("T")
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


def number(thing: Thing, *keys: str) -> int:
    """Follow a path of keys into nested objects. Return the integer there, or 0 if it is missing or something else."""
    value = inner(thing, *keys)
    return value if isinstance(value, int) else 0


def texts(thing: Thing, name: str, *keys: str) -> list[str]:
    """Return what is at a path in each item of the list in a field, or the items that are texts."""
    given = thing.get(name)
    items = given if isinstance(given, list) else []
    return [text(item, *keys) if isinstance(item, dict) else str(item) for item in items]


def flag(thing: Thing, *keys: str) -> bool:
    """Follow a path of keys into nested objects. Return whether the value there is true."""
    return bool(inner(thing, *keys))


_READERS: dict[object, Callable[..., object]] = {str: text, int: number, bool: flag, list: texts}


def shaper(kind: type[T], **places: str) -> Callable[[Thing], T]:
    """Return a function that converts an object from GitHub's JSON to the flat form ``kind`` that scripts get.

    A key has the value of the field with its name, or the value at its path in ``places``, such as ``user.login``. The
    type of the key says what it has if the value is missing: ``""``, 0, false or no items, and None if that is allowed.
    """
    fields = [(name, _reader(form), places.get(name, name).split(".")) for name, form in kind.__annotations__.items()]
    return lambda thing: cast(T, {name: read(thing, *path) for name, read, path in fields})


def _reader(form: Any) -> Callable[..., object]:
    """Return the function that reads values of a type; those of a Literal are texts, and any can be None in a union."""
    while get_origin(form) is Annotated:
        form = get_args(form)[0]
    if type(None) in get_args(form):
        return inner
    return _READERS.get(get_origin(form) or form, text)


def _unreadable(reply: object, expected: str) -> NetworkError:
    given = "nothing" if reply is None else f"a {type(reply).__name__}"
    return NetworkError(f"GitHub answered with {given} instead of {expected}", retryable=False)
