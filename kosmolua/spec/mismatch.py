"""What is wrong with a value, in the words of a message."""

from __future__ import annotations

import json

LONGEST_QUOTED_VALUE = 60


class Mismatch(Exception):
    """A value does not fit its type.

    Args:
        problem: What is wrong with it, as in ``must be an integer, not 1.5``.
        where: The place inside the value, such as ``.env[2]``, or nothing.
    """

    def __init__(self, problem: str, where: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = where


def must_be(article: str, value: object) -> Mismatch:
    """Return the mismatch of a value that is not what ``article`` says."""
    return Mismatch(f"must be {article}, not {quoted(value)}")


def quoted(value: object) -> str:
    """Return a value as a message shows it, cut and with its kind: ``"5" (a string)``."""
    if isinstance(value, str):
        text = value if len(value) <= LONGEST_QUOTED_VALUE else value[:LONGEST_QUOTED_VALUE] + "..."
        return f"{json.dumps(text, ensure_ascii=False)} (a string)"
    if isinstance(value, (dict, list)) and not value:
        return "an empty table"
    if isinstance(value, (dict, list)):
        return "a list" if isinstance(value, list) else "a table"
    if value is None:
        return "nil"
    return str(value).lower() if isinstance(value, bool) else str(value)
