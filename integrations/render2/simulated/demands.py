"""Demands: functions that check the values in a request.

A demand takes a value and the place of the value in the request, such as ``body.name``. It returns a text that says
what is wrong with the value, or None if it accepts the value. Most functions of this module return a demand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from kosmolua.plugin import AbsolutePath, Schedule, Url

Demand: TypeAlias = Callable[[object, str], "str | None"]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")
_AT_MOST_100 = re.compile(r"0*([1-9][0-9]?|100)")
_ABOVE_ZERO = re.compile(r"0*[1-9][0-9]{0,8}")


def a(kind: type, *choices: str) -> Demand:
    """Return a check that accepts values of a JSON type. If there are choices, the value must be one of them."""

    def demand(value: object, where: str) -> str | None:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            return f"{where} must be a {kind.__name__}"
        return f"{where} must be one of {', '.join(choices)}" if choices and value not in choices else None

    return demand


def holding(fits: Callable[[Any], bool], words: str) -> Demand:
    """Return a check that accepts what ``fits``, and says of other values that they must be as ``words`` say."""
    return lambda value, where: None if fits(value) else f"{where} must be {words}"


def between(low: int, high: int) -> Demand:
    """Return a check that accepts whole numbers from ``low`` to ``high``."""
    return holding(lambda value: type(value) is int and low <= value <= high, f"between {low} and {high}")


def listing(each: Demand) -> Demand:
    """Return a check that accepts lists in which the check ``each`` accepts every item."""

    def demand(value: object, where: str) -> str | None:
        if not isinstance(value, list):
            return f"{where} must be a list"
        complaints = (each(item, f"{where}[{place}]") for place, item in enumerate(value))
        return next(filter(None, complaints), None)

    return demand


def mapping(each: Demand) -> Demand:
    """Return a check that accepts objects with any keys, if the check ``each`` accepts every value."""

    def demand(value: object, where: str) -> str | None:
        if not isinstance(value, dict):
            return f"{where} must be an object"
        return next(filter(None, (each(item, f"{where}.{name}") for name, item in value.items())), None)

    return demand


def record(required: Mapping[str, Demand], optional: Mapping[str, Demand] | None = None) -> Demand:
    """Return a check that accepts objects with these fields only. As with Render, optional fields can be null."""
    fields = {**required, **(optional or {})}

    def demand(value: object, where: str) -> str | None:
        if not isinstance(value, dict):
            return f"{where} must be an object"
        for name in value.keys() - fields.keys():
            return f"{where} has an unknown field {name}"
        for name in required.keys() - value.keys():
            return f"{where} lacks {name}"
        given = {name: item for name, item in value.items() if item is not None or name in required}
        return next(filter(None, (fields[name](item, f"{where}.{name}") for name, item in given.items())), None)

    return demand


def either(*demands: Demand) -> Demand:
    """Return a check that accepts a value if at least one of several checks accepts it."""

    def demand(value: object, where: str) -> str | None:
        complaints = [each(value, where) for each in demands]
        return None if None in complaints else complaints[0]

    return demand


def or_null(demand: Demand) -> Demand:
    """Return a check that accepts null, and every value that the check ``demand`` accepts."""
    return lambda value, where: None if value is None else demand(value, where)


def written(form: AbsolutePath | Schedule | Url) -> Demand:
    """Return a check that accepts texts in a notation, such as that of schedules."""
    return holding(lambda value: isinstance(value, str) and form.holds(value), f"like {form.like}")


def anything(value: object, where: str) -> str | None:
    """Accept any value: return None, which means that nothing is wrong."""
    return None


TEXT, FLAG, NUMBER = a(str), a(bool), a(int)
AT_LEAST_ONE = holding(lambda value: type(value) is int and value > 0, "a whole number above 0")
AT_MOST_100 = holding(lambda value: bool(_AT_MOST_100.fullmatch(str(value))), "between 1 and 100")
"""A number from 1 to 100, as a query has it."""
SECONDS = holding(lambda value: bool(_ABOVE_ZERO.fullmatch(str(value))), "a whole number of seconds above 0")
"""A number of seconds, as a query has it."""
A_TIME = holding(lambda value: isinstance(value, str) and bool(_TIME.fullmatch(value)), "a date and time")
MOUNT_PATH, REPO, SCHEDULE = written(AbsolutePath()), written(Url()), written(Schedule())
