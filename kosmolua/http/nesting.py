"""Nested values in queries and forms: keys in brackets, as in ``address[city]`` and ``expand[0]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def nested(name: str, value: Any) -> dict[str, Any]:
    """Return a value as the fields of a query or a form. List items are numbered, and None is left out.

    ``nested("created", {"gte": 1})`` is ``{"created[gte]": 1}``, ``nested("expand", ["a"])`` is ``{"expand[0]": "a"}``.

    Args:
        name: The service's name of the parameter.
        value: A table, a list, or a plain value, whose field has the parameter's name.
    """
    return dict(nested_pairs(name, value))


def nested_pairs(name: str, value: Any, of_list: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of :func:`nested` as pairs of name and value.

    Args:
        name: The service's name of the parameter.
        value: The value.
        of_list: The text after the name for items of a list, such as ``[]``; empty for their numbers.
    """
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from nested_pairs(f"{name}[{key}]", each, of_list)
    elif isinstance(value, (list, tuple)):
        for number, each in enumerate(value):
            yield from nested_pairs(f"{name}{of_list or f'[{number}]'}", each, of_list)
    elif value is not None:
        yield name, value
