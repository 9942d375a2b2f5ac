"""Nested values in queries and forms: keys in brackets, as in ``address[city]`` and ``expand[0]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def nested(name: str, value: Any) -> dict[str, Any]:
    """Return a nested value as the fields of a query or a form. List items are numbered, and None is left out.

    ``nested("created", {"gte": 1})`` is ``{"created[gte]": 1}``, ``nested("expand", ["a"])`` is ``{"expand[0]": "a"}``.

    Args:
        name: The name of the parameter, as the service calls it.
        value: A dict, a list, or a plain value. A plain value becomes a single field called ``name``.
    """
    return dict(nested_pairs(name, value))


def nested_pairs(name: str, value: Any, of_list: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of a nested value as :func:`nested` writes them; ``of_list``, such as ``[]``, stands for
    numbers.
    """
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from nested_pairs(f"{name}[{key}]", each, of_list)
    elif isinstance(value, (list, tuple)):
        for number, each in enumerate(value):
            yield from nested_pairs(f"{name}{of_list or f'[{number}]'}", each, of_list)
    elif value is not None:
        yield name, value
