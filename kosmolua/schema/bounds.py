"""Bounds: restrictions on the values of a type.

Plugins write bounds inside ``Annotated``; in a JSON Schema they are keywords.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

MAX_MATCHED = 256
"""The most characters of a string that is matched against a document's pattern. With more, a match may never end."""


class Bound:
    """A restriction on a value."""

    of: ClassVar[str]
    """The kinds of values that it restricts, for messages."""

    @property
    def words(self) -> str:
        """The words after the type in a message, such as ``in 1..100``."""
        raise NotImplementedError

    @property
    def example(self) -> object:
        """A value that fits, or None if none is known."""
        return None

    def holds(self, value: Any) -> bool:
        """Return True if a value fits. The value must be of a kind that the bound restricts."""
        raise NotImplementedError

    def json_schema(self, kind: str) -> dict[str, object]:
        """Return the keywords of JSON Schema that express the bound for values of a kind, such as ``string``."""
        raise NotImplementedError


@dataclass(frozen=True)
class Range(Bound):
    """The range of a number.

    Args:
        minimum: The lower end, or None.
        maximum: The upper end, or None.
        exclusive_minimum: True if the lower end itself does not fit.
        exclusive_maximum: True if the upper end itself does not fit.
    """

    of = "number"

    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False

    @property
    def words(self) -> str:
        """The bound in words: both ends, as in ``in 1..100``, or only one, as in ``of at least 1``."""
        if None not in (self.minimum, self.maximum) and not (self.exclusive_minimum or self.exclusive_maximum):
            return f"in {self.minimum}..{self.maximum}"
        low = "above" if self.exclusive_minimum else "of at least"
        high = "below" if self.exclusive_maximum else "at most" if self.minimum is not None else "of at most"
        ends = [(low, self.minimum), (high, self.maximum)]
        return " and ".join(f"{end} {number}" for end, number in ends if number is not None)

    @property
    def example(self) -> object:
        """The lower end if it fits, else the upper end if it fits, else None."""
        return next((end for end in (self.minimum, self.maximum) if end is not None and self.holds(end)), None)

    def holds(self, value: float) -> bool:
        """Return True if a number is in the range."""
        if self.minimum is not None and (value < self.minimum or (self.exclusive_minimum and value == self.minimum)):
            return False
        if self.maximum is None:
            return True
        return value < self.maximum or (value == self.maximum and not self.exclusive_maximum)

    def json_schema(self, kind: str) -> dict[str, object]:
        """Return ``minimum`` and ``maximum``, or their exclusive forms."""
        low = "exclusiveMinimum" if self.exclusive_minimum else "minimum"
        high = "exclusiveMaximum" if self.exclusive_maximum else "maximum"
        return {name: end for name, end in ((low, self.minimum), (high, self.maximum)) if end is not None}


@dataclass(frozen=True)
class Length(Bound):
    """The length of a string, a list or a table.

    Args:
        minimum: The smallest number of characters, items or keys.
        maximum: The largest number, or None.
    """

    of = "string or list"

    minimum: int = 0
    maximum: int | None = None

    @property
    def words(self) -> str:
        """The bound in words, such as ``of length 1..5`` or ``of length at least 1``."""
        if self.maximum is None:
            return f"of length at least {self.minimum}"
        return f"of length {self.minimum}..{self.maximum}" if self.minimum else f"of length at most {self.maximum}"

    def holds(self, value: Any) -> bool:
        """Return True if the length of a value is in the bounds."""
        return len(value) >= self.minimum and (self.maximum is None or len(value) <= self.maximum)

    def json_schema(self, kind: str) -> dict[str, object]:
        """Return ``minLength`` and ``maxLength``, or the keywords for lists and tables, such as ``minItems``."""
        unit = {"array": "Items", "object": "Properties"}.get(kind, "Length")
        ends = {f"min{unit}": self.minimum or None, f"max{unit}": self.maximum}
        return {name: end for name, end in ends.items() if end is not None}


@dataclass(frozen=True)
class Pattern(Bound):
    """A regular expression that a string has to match.

    Args:
        pattern: The regular expression, in the syntax of Python's ``re``.
        like: A string that matches, for messages and reference pages, or an empty string.
        whole: True if the whole string has to match. Otherwise a match anywhere in it is enough, and a string of more
            than :data:`MAX_MATCHED` characters always fits.
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
        """The bound in words: ``like`` and the example or, without an example, the pattern."""
        return f"like {self.like!r}" if self.like else f"that matches {self.pattern!r}"

    @property
    def example(self) -> object:
        """A string that matches."""
        return self.like or None

    def holds(self, value: str) -> bool:
        """Return True if a string matches."""
        if self.whole:
            return self._compiled.fullmatch(value) is not None
        return len(value) > MAX_MATCHED or self._compiled.search(value) is not None

    def json_schema(self, kind: str) -> dict[str, object]:
        """Return ``pattern``."""
        return {"pattern": f"^(?:{self.pattern})$" if self.whole else self.pattern}


@dataclass(frozen=True)
class Unless:
    """Inside ``Annotated``, the name of a parameter that may be given instead of this required one."""

    other: str


def unless(other: str) -> Unless:
    """Allow a call to leave out a required parameter, which is then None, if the parameter ``other`` is given."""
    return Unless(other)


def between(low: float, high: float) -> Range:
    """Bound a number to a range that includes both ends."""
    if not (isinstance(low, (int, float)) and isinstance(high, (int, float)) and low <= high):
        raise TypeError(f"between takes two numbers, the lower one first, not {low!r} and {high!r}")
    return Range(low, high)


def matching(pattern: str, example: str) -> Pattern:
    """Bound a string to a regular expression that the whole string has to match.

    Args:
        pattern: The regular expression, in the syntax of Python's ``re``.
        example: A string that fits, for messages and reference pages.
    """
    re.compile(pattern)  # an invalid pattern fails at the place where it is written
    return Pattern(pattern, example)


def non_empty() -> Length:
    """Require a string or a list that is not empty. Use it for filters that match everything if they are empty."""
    return Length(minimum=1)
