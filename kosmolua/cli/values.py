"""Values on the command line: durations, and arguments of the types that a function or a script declares."""

from __future__ import annotations

from collections.abc import Sequence

import click

from kosmolua.errors import UsageError
from kosmolua.limits import parse_duration
from kosmolua.schema.types import List, Type, Union


class Duration(click.ParamType):  # type: ignore[type-arg]
    """The click type of an option whose value is a duration, such as ``30s``. The value can be 0."""

    name = "S"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number of seconds, or end the command with a message that says why the value is wrong."""
        try:
            seconds = parse_duration(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)
        if seconds < 0:
            self.fail(f"{value!r} is less than 0.", param, ctx)
        return seconds


def value_of(name: str, kind: Type, texts: Sequence[str]) -> object:
    """Return the value of an argument that occurs once or more, converted to its declared type.

    If the type is a list, each text is an item of it, except for a single text that is a whole list in JSON. ``null``
    is None where the type allows it. A text that cannot be converted stays a text, which the call or the run refuses.

    Raises:
        UsageError: The argument occurs several times, but is not a list.
    """
    item, first = _item_of(kind), texts[0]
    if len(texts) > 1 and item is None:
        raise UsageError(f"{name} is given {len(texts)} times, but takes only one value")
    value = None if first == "null" and kind.nullable else kind.read(first)
    is_bare = isinstance(kind, List) and not isinstance(value, (list, type(None))) and not first.startswith("[")
    return [item.read(text) for text in texts] if item and (is_bare or len(texts) > 1) else value


def _item_of(kind: Type) -> Type | None:
    """Return the type of the items of a list, or of a list in a union of types; None if the type includes no list."""
    allowed = kind.members if isinstance(kind, Union) else (kind,)
    return next((each.item for each in allowed if isinstance(each, List)), None)
