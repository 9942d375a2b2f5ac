"""Formats of strings: dates, addresses, paths and schedules, as bounds for types."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from kosmolua.schema.bounds import Bound

_DAY = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_FORMATS = {
    "date": (_DAY, "2026-01-31"),
    "date-time": (rf"{_DAY}(?:[Tt ]\d\d:\d\d.*)?", "2026-01-31T12:00:00Z"),
    "uuid": (r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}", "123e4567-e89b-12d3-a456-426614174000"),
    "email": (r"(?:[^\s@]+@[^\s@]+)?", "user@example.com"),
    "uri": (r"(?:[A-Za-z][A-Za-z0-9+.-]*:\S+)?", "https://example.com"),
}
"""The formats of JSON Schema that are checked, each with a regular expression and an example.

They are looser than the standards, since services accept more: a time can be a day, and an address can be empty.
"""
_CRON_NAMES = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_CRON_FIELDS = 5


@dataclass(frozen=True)
class _Written(Bound):
    """A restriction of strings to a notation, with an example."""

    of = "string"
    like: ClassVar[str] = ""

    @property
    def words(self) -> str:
        return f"like {self.example!r}"

    @property
    def example(self) -> object:
        return self.like


@dataclass(frozen=True)
class Format(_Written):
    """A format that a JSON Schema names, such as ``date-time``."""

    name: str

    @property
    def example(self) -> object:
        return _FORMATS[self.name][1]

    def holds(self, value: str) -> bool:
        return re.fullmatch(_FORMATS[self.name][0], value) is not None

    def json_schema(self, kind: str) -> dict[str, object]:
        return {"format": self.name}


def formats(name: str) -> tuple[Format, ...]:
    """Return the bound for a format that a JSON Schema names, or an empty tuple if such values are not checked."""
    return (Format(name),) if name in _FORMATS else ()


class Url(_Written):
    """A bound inside ``Annotated`` for the URL of a website or of a Git repository."""

    like = "https://github.com/acme/site"

    def holds(self, value: str) -> bool:
        """Return True if a string is an absolute URL, or an address of a Git repository for SSH."""
        return re.fullmatch(r"(?:https?|ssh|git)://[^\s/]+\S*|[\w.-]+@[\w.-]+:\S+", value) is not None

    def json_schema(self, kind: str) -> dict[str, object]:
        return {"format": "uri"}


class AbsolutePath(_Written):
    """A bound inside ``Annotated`` for the path of a folder or file that begins with a slash."""

    like = "/var/data"

    def holds(self, value: str) -> bool:
        return value.startswith("/")

    def json_schema(self, kind: str) -> dict[str, object]:
        return {"pattern": "^/"}


@dataclass(frozen=True, init=False)
class OneOf(_Written):
    """A bound inside ``Annotated`` for one of some words, in any letter case, for services that make no difference.

    The word is sent as the script writes it. :func:`one_of` is for all other services.
    """

    choices: tuple[str, ...]

    def __init__(self, *choices: str) -> None:
        if not choices:
            raise TypeError("OneOf() takes at least one string")
        object.__setattr__(self, "choices", choices)

    @property
    def words(self) -> str:
        return f"that is one of {', '.join(map(repr, self.choices))}, in any letter case"

    @property
    def example(self) -> object:
        return self.choices[0]

    def holds(self, value: str) -> bool:
        """Return True if a string is one of the words, whatever the case of its letters."""
        return value.casefold() in map(str.casefold, self.choices)

    def json_schema(self, kind: str) -> dict[str, object]:
        """Return the words as the keyword ``examples``, since ``enum`` would forbid other cases."""
        return {"examples": list(self.choices)}


class Schedule(_Written):
    """A bound inside ``Annotated`` for a cron expression with five fields: minute, hour, day, month and weekday."""

    like = "0 3 * * *"

    def holds(self, value: str) -> bool:
        """Return True if a string is a cron expression, or a name such as ``@daily``."""
        from datetime import datetime, timezone

        from cronsim import CronSim, CronSimError

        if value in _CRON_NAMES:
            return True
        try:
            CronSim(value, datetime(2026, 1, 1, tzinfo=timezone.utc))
        except CronSimError:
            return False
        return len(value.split()) == _CRON_FIELDS

    def json_schema(self, kind: str) -> dict[str, object]:
        """Return the example as the keyword ``examples``, since JSON Schema has no word for schedules."""
        return {"examples": [self.like]}
