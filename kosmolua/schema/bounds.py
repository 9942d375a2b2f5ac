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
    """The range of numbers that a type allows.

    Args:
        minimum: The lower end, or None.
        maximum: The upper end, or None.
        exclusive_minimum: True if the lower end itself is not in the range.
        exclusive_maximum: True if the upper end itself is not in the range.
    """

    of = "number"

    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False

    @property
    def words(self) -> str:
        """The range in words, such as ``in 1..100`` or ``of at least 1``."""
        if None not in (self.minimum, self.maximum) and not (self.exclusive_minimum or self.exclusive_maximum):
            return f"in {self.minimum}..{self.maximum}"
        low = "above" if self.exclusive_minimum else "of at least"
        high = "below" if self.exclusive_maximum else "at most" if self.minimum is not None else "of at most"
        ends = [(low, self.minimum), (high, self.maximum)]
        return " and ".join(f"{end} {number}" for end, number in ends if number is not None)

    @property
    def example(self) -> object:
        """An end of the range that is itself in the range, preferably the lower one; None if there is none."""
        return next((end for end in (self.minimum, self.maximum) if end is not None and self.holds(end)), None)

    def holds(self, value: float) -> bool:
        """Return True if a number is in the range."""
        if self.minimum is not None and (value < self.minimum or (self.exclusive_minimum and value == self.minimum)):
            return False
        if self.maximum is None:
            return True
        return value < self.maximum or (value == self.maximum and not self.exclusive_maximum)

    def json_schema(self, kind: str) -> dict[str, object]:
        """Return the ends as ``minimum`` or ``exclusiveMinimum``, and ``maximum`` or ``exclusiveMaximum``."""
        low = "exclusiveMinimum" if self.exclusive_minimum else "minimum"
        high = "exclusiveMaximum" if self.exclusive_maximum else "maximum"
        return {name: end for name, end in ((low, self.minimum), (high, self.maximum)) if end is not None}


@dataclass(frozen=True)
class Length(Bound):
    """The length that a type allows for a string, a list or a table.

    Args:
        minimum: The smallest number of characters, items or keys.
        maximum: The largest number of characters, items or keys, or None.
    """

    of = "string or list"

    minimum: int = 0
    maximum: int | None = None

    @property
    def words(self) -> str:
        """The length in words, such as ``of length 1..5`` or ``of length at least 1``."""
        if self.maximum is None:
            return f"of length at least {self.minimum}"
        return f"of length {self.minimum}..{self.maximum}" if self.minimum else f"of length at most {self.maximum}"

    def holds(self, value: Any) -> bool:
        """Return True if the length of a value is allowed."""
        return len(value) >= self.minimum and (self.maximum is None or len(value) <= self.maximum)

    def json_schema(self, kind: str) -> dict[str, object]:
        """Return the length as ``minLength`` and ``maxLength``, or as the keywords for items or for properties."""
        unit = {"array": "Items", "object": "Properties"}.get(kind, "Length")
        ends = {f"min{unit}": self.minimum or None, f"max{unit}": self.maximum}
        return {name: end for name, end in ends.items() if end is not None}


@dataclass(frozen=True)
class Pattern(Bound):
    """A regular expression that a string has to match.

    Args:
        pattern: The regular expression, in the syntax of Python's ``re``.
        like: An example of a string that matches, for messages and the documentation; empty if none is known.
        whole: True if the whole string has to match. Otherwise a match anywhere in the string is enough, and strings of
            more than :data:`MAX_MATCHED` characters are not checked.
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
        """The pattern in words, such as ``like 'srv-123'`` or, without an example, ``that matches 'srv-.*'``."""
        return f"like {self.like!r}" if self.like else f"that matches {self.pattern!r}"

    @property
    def example(self) -> object:
        """A string that matches the pattern, or None if none is known."""
        return self.like or None

    def holds(self, value: str) -> bool:
        """Return True if a string matches the pattern, or is too long to be checked."""
        if self.whole:
            return self._compiled.fullmatch(value) is not None
        return len(value) > MAX_MATCHED or self._compiled.search(value) is not None

    def json_schema(self, kind: str) -> dict[str, object]:
        """Return the pattern as the keyword ``pattern``. In JSON Schema, it can match anywhere in a string."""
        return {"pattern": f"^(?:{self.pattern})$" if self.whole else self.pattern}


@dataclass(frozen=True)
class Unless:
    """A mark inside ``Annotated`` that names another parameter to pass instead. Create one with :func:`unless`."""

    other: str


def unless(other: str) -> Unless:
    """Return a mark for a required parameter that calls can leave out if they pass ``other``. It is then None.

    Write the mark inside ``Annotated``, as in ``id: Annotated[str | None, unless("name")]``.

    Args:
        other: The name of the parameter to pass instead.
    """
    return Unless(other)


def between(low: float, high: float) -> Range:
    """Return a bound for numbers from ``low`` to ``high``, both included. Write it inside ``Annotated``."""
    if not (isinstance(low, (int, float)) and isinstance(high, (int, float)) and low <= high):
        raise TypeError(f"between() takes two numbers, the lower one first, not {low!r} and {high!r}")
    return Range(low, high)


def matching(pattern: str, example: str) -> Pattern:
    """Return a bound that requires a whole string to match a regular expression. Write it inside ``Annotated``.

    Args:
        pattern: The regular expression, in the syntax of Python's ``re``.
        example: A string that matches, for messages and the documentation.
    """
    re.compile(pattern)  # an invalid pattern fails at the place where it is written
    return Pattern(pattern, example)


def non_empty() -> Length:
    """Return a bound that forbids empty strings or lists. Write it inside ``Annotated``.

    Use this for filters that would match everything if they were empty.
    """
    return Length(minimum=1)
