"""Bounds: restrictions on the values of a type, such as a range of numbers.

Plugins write bounds inside ``Annotated``. In a JSON Schema, bounds are keywords such as ``maximum``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

MAX_MATCHED = 256
"""Longer strings are not matched against a document's pattern, since matching could take too long."""


class Bound:
    """A restriction on the values of a type, such as a range or a length."""

    of: ClassVar[str]
    """The kinds of values that the bound can restrict, for messages, such as ``string or list``."""

    @property
    def words(self) -> str:
        """The bound in words that follow the type in a message, such as ``in 1..100`` after ``an integer``."""
        raise NotImplementedError

    @property
    def example(self) -> object:
        """A value that the bound allows, or None if none is known."""
        return None

    def holds(self, value: Any) -> bool:
        """Return True if the bound allows a value. The value must be of a kind that the bound can restrict."""
        raise NotImplementedError

    def json_schema(self, kind: str) -> dict[str, object]:
        """Return the keywords of JSON Schema for the bound, for values of a JSON type such as ``string``."""
        raise NotImplementedError


@dataclass(frozen=True)
class Range(Bound):
    """A range of numbers. ``None`` is no end; an exclusive end is itself not in the range."""

    of = "number"

    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False

    @property
    def words(self) -> str:
        if None not in (self.minimum, self.maximum) and not (self.exclusive_minimum or self.exclusive_maximum):
            return f"in {self.minimum}..{self.maximum}"
        low = "above" if self.exclusive_minimum else "of at least"
        high = "below" if self.exclusive_maximum else "at most" if self.minimum is not None else "of at most"
        ends = [(low, self.minimum), (high, self.maximum)]
        return " and ".join(f"{end} {number}" for end, number in ends if number is not None)

    @property
    def example(self) -> object:
        """An end that is in the range, preferably the lower; None if there is none."""
        return next((end for end in (self.minimum, self.maximum) if end is not None and self.holds(end)), None)

    def holds(self, value: float) -> bool:
        if self.minimum is not None and (value < self.minimum or (self.exclusive_minimum and value == self.minimum)):
            return False
        if self.maximum is None:
            return True
        return value < self.maximum or (value == self.maximum and not self.exclusive_maximum)

    def json_schema(self, kind: str) -> dict[str, object]:
        low = "exclusiveMinimum" if self.exclusive_minimum else "minimum"
        high = "exclusiveMaximum" if self.exclusive_maximum else "maximum"
        return {name: end for name, end in ((low, self.minimum), (high, self.maximum)) if end is not None}


@dataclass(frozen=True)
class Length(Bound):
    """A number of characters, items or keys."""

    of = "string or list"

    minimum: int = 0
    maximum: int | None = None

    @property
    def words(self) -> str:
        if self.maximum is None:
            return f"of length at least {self.minimum}"
        return f"of length {self.minimum}..{self.maximum}" if self.minimum else f"of length at most {self.maximum}"

    def holds(self, value: Any) -> bool:
        return len(value) >= self.minimum and (self.maximum is None or len(value) <= self.maximum)

    def json_schema(self, kind: str) -> dict[str, object]:
        unit = {"array": "Items", "object": "Properties"}.get(kind, "Length")
        ends = {f"min{unit}": self.minimum or None, f"max{unit}": self.maximum}
        return {name: end for name, end in ends.items() if end is not None}


@dataclass(frozen=True)
class Pattern(Bound):
    """A regular expression that a string has to match.

    Args:
        pattern: The regular expression, in the syntax of Python's ``re``.
        like: A string that matches, for messages and the documentation; empty if none is known.
        whole: Whether the whole string has to match. If not, strings of over :data:`MAX_MATCHED` characters are not
            checked.
    """

    of = "string"

    pattern: str
    like: str = ""
    whole: bool = True

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    @property
    def words(self) -> str:
        return f"like {self.like!r}" if self.like else f"that matches {self.pattern!r}"

    @property
    def example(self) -> object:
        return self.like or None

    def holds(self, value: str) -> bool:
        """Return True if a string matches, or is too long to be checked."""
        if self.whole:
            return self._compiled.fullmatch(value) is not None
        return len(value) > MAX_MATCHED or self._compiled.search(value) is not None

    def json_schema(self, kind: str) -> dict[str, object]:
        return {"pattern": f"^(?:{self.pattern})$" if self.whole else self.pattern}


@dataclass(frozen=True)
class Unless:
    """A parameter to pass instead, inside ``Annotated``. :func:`unless` creates it."""

    other: str


def unless(other: str) -> Unless:
    """Mark a parameter, inside ``Annotated``, that calls can leave out if they pass ``other``. It is then None.

    As in ``id: Annotated[str | None, unless("name")]``.
    """
    return Unless(other)


def between(low: float, high: float) -> Range:
    """Bound numbers, inside ``Annotated``, to ``low`` to ``high``, both included."""
    if not (isinstance(low, (int, float)) and isinstance(high, (int, float)) and low <= high):
        raise TypeError(f"between() takes two numbers, the lower one first, not {low!r} and {high!r}")
    return Range(low, high)


def matching(pattern: str, example: str) -> Pattern:
    """Require, inside ``Annotated``, that a whole string matches a regular expression of Python's ``re``.

    ``example`` is a string that matches, for messages and the documentation.
    """
    re.compile(pattern)  # an invalid pattern fails at the place where it is written
    return Pattern(pattern, example)


def non_empty() -> Length:
    """Forbid, inside ``Annotated``, an empty string or list: for filters that would then match everything."""
    return Length(minimum=1)
