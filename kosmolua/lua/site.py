"""A place where a script calls a function of an integration, for what only its run can check."""

from __future__ import annotations

from typing import NamedTuple

Key = tuple["str | int", ...]
"""The place of a value inside a table, such as ``("env_vars", 1, "value")``."""


class Site(NamedTuple):
    """A place where a script calls a function of an integration.

    Args:
        line: The line of the call.
        path: The path of the function; empty if the check does not know it.
        is_tail: Whether it is a tail call, ``return f(...)``, for which Lua keeps no line.
        keys: The places in the table of arguments that the script gives a value, which can be nil.
        decides: Whether a call that changes something depends on the result.
        walked: The loops that go through the whole list in the result and change something, by their offsets.
        within: The loops of this kind in which the call can be made.
    """

    line: int
    path: str
    is_tail: bool
    keys: tuple[Key, ...] = ()
    decides: bool = False
    walked: frozenset[int] = frozenset()
    within: frozenset[int] = frozenset()
