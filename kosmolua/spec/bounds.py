"""Bounds: what ``Annotated`` may say of a value besides its type."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kosmolua.spec.types import Type


@dataclass(frozen=True)
class Bound:
    """A restriction on a value, written inside ``Annotated``.

    Args:
        expected: What would fit, as in ``in 1..100``.
        holds: Says whether a value fits.
        of: What it restricts, such as ``number`` or ``string or list``.
        choices: The only values that fit, where they can be listed.
        example: A value that fits, where one is known.
    """

    expected: str
    holds: Callable[[Any], bool]
    of: str
    choices: tuple[str, ...] = ()
    example: object = None

    def suits(self, kind: Type) -> bool:
        """Say whether it restricts values of a type."""
        return {"integer": "number", "array": "list"}.get(kind.label, kind.label) in self.of.split(" or ")


@dataclass(frozen=True)
class Unless:
    """The name of the parameter that may be given in place of a required one, written inside ``Annotated``."""

    other: str


def unless(other: str) -> Unless:
    """Let a required parameter be left out, and be None, when another one is given instead."""
    return Unless(other)


def between(low: float, high: float) -> Bound:
    """Bound a number: both ends are allowed."""
    if not (isinstance(low, (int, float)) and isinstance(high, (int, float)) and low <= high):
        raise TypeError(f"between takes two numbers, the lower one first, not {low!r} and {high!r}")
    return Bound(f"in {low}..{high}", lambda value: low <= value <= high, "number", example=low)


def one_of(*choices: str) -> Bound:
    """Bound a string to a list of choices."""
    if not choices or not all(isinstance(choice, str) for choice in choices):
        raise TypeError(f"one_of takes strings, not {', '.join(map(repr, choices)) or 'nothing'}")
    return Bound("one of " + ", ".join(map(repr, choices)), lambda value: value in choices, "string", choices)


def matching(pattern: str, example: str) -> Bound:
    """Bound a string to a regular expression that has to match all of it.

    Args:
        pattern: In the syntax of Python's ``re``.
        example: A value that fits, for the message and the reference page.
    """
    compiled = re.compile(pattern)
    return Bound(f"like {example!r}", lambda value: compiled.fullmatch(value) is not None, "string", example=example)


def non_empty() -> Bound:
    """Bound a string or a list: it has something in it, as a filter needs that would otherwise let everything pass."""
    return Bound("with something in it", bool, "string or list")
