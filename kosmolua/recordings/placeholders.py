"""Placeholders: what a script gets as the result of a planned call, whose real result does not exist yet.

The strings in a placeholder are marks: ``<render2.create_service#2.id>`` stands for the ``id`` in the result of call 2.
If a mark is passed to a later call, that call depends on call 2. Its *head*, ``render2.create_service#2``, tells it
from a text that only looks like a mark: of those, the run has given out none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from kosmolua.schema.types import Choice, List, Map, Record, Scalar, Type, Union

MAX_NESTING = 5
"""How many levels of nesting a placeholder has at most. A type that contains itself has no innermost level."""
_MARK = re.compile(r"<([\w.]+#\d+)((?:\.[^.<>\[\]]+|\[\d+\])*)>", re.ASCII)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


def head_of(path: str, number: int) -> str:
    """Return the head of the marks of a planned call."""
    return f"{path}#{number}"


def heads_in(text: str) -> set[str]:
    """Return the heads of what looks like a mark in a text."""
    return {head for head, _ in _MARK.findall(text)}


def marks_in(value: object, heads: Collection[str]) -> list[int]:
    """Return the numbers of the calls whose marks are in a value, of those with these heads."""
    found = heads_in(json.dumps(value, ensure_ascii=False, default=str)) if heads else ()
    return sorted({int(head.rpartition("#")[2]) for head in found if head in heads})


def placeholder(kind: Type | None, path: str, number: int) -> Any:
    """Return a placeholder for the result of a planned call."""
    return _placeholder(kind, head_of(path, number), "", 0)


def filled(value: Any, results: Mapping[str, object]) -> Any:
    """Return a value in which marks are replaced by what they stand for, as far as it is known.

    ``results`` are those of calls that were made, by the heads of their marks.
    """
    if isinstance(value, Mapping):
        return {key: filled(item, results) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, results) for item in value]
    if not isinstance(value, str):
        return value
    if whole := _MARK.fullmatch(value):
        return _meant(whole, results)
    return _MARK.sub(lambda mark: str(_meant(mark, results)), value)


def assumed(value: Any, key: str, wanted: object) -> Any:
    """Return the result of a read in which an assumption holds; the result itself if it has no such field.

    ``key`` is a field such as ``deploy.status``. It is the one of each item in a list ``deploys``, too.
    """
    first, _, rest = key.partition(".")
    if not isinstance(value, Mapping):
        return value
    if first in value:
        found = assumed(value[first], rest, wanted) if rest else wanted
        return value if found is value[first] else {**value, first: found}
    items = value.get(f"{first}s")
    if not rest or not isinstance(items, list):
        return value
    each = [assumed(item, rest, wanted) for item in items]
    return value if all(new is old for new, old in zip(each, items, strict=True)) else {**value, f"{first}s": each}


def _meant(mark: re.Match[str], results: Mapping[str, object]) -> object:
    """Return the value for which a mark stands, the ``id`` in the result of call 2, or the mark if unknown."""
    value = results.get(mark[1], mark[0])
    for key, index in _STEP.findall(mark[2]):
        if key and isinstance(value, Mapping) and key in value:
            value = value[key]
        elif index and isinstance(value, list) and int(index) <= len(value):
            value = value[int(index) - 1]
        else:
            return mark[0]
    return value


def _placeholder(kind: Type | None, call: str, where: str, depth: int) -> Any:
    """Return a placeholder for a result, or for a part of it."""
    if isinstance(kind, Scalar):
        plain: dict[str, Any] = {"integer": 0, "number": 0.0, "boolean": False, "any": None}
        return plain.get(kind.kind, f"<{call}{where}>")
    if isinstance(kind, Choice):
        return kind.values[0] if kind.values else None
    if isinstance(kind, Union):
        return _placeholder(kind.members[0], call, where, depth)
    if kind is None or depth == MAX_NESTING:
        return None
    if isinstance(kind, List):
        return [_placeholder(kind.item, call, f"{where}[1]", depth + 1)]
    if isinstance(kind, Record):
        return {key: _placeholder(each, call, f"{where}.{key}", depth + 1) for key, each in kind.fields.items()}
    assert isinstance(kind, Map)
    return {}
