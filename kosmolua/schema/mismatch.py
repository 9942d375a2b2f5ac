"""The error for a value that does not fit its type, and how messages show values."""

from __future__ import annotations

import json

from kosmolua.secret import MASK, SecretText, Unshown

MAX_QUOTED = 60
"""The most characters of a value that a message quotes."""


class Mismatch(Exception):
    """A value does not fit its type: ``problem``, as in ``must be an integer, not 1.5``, at ``where``, as in
    ``.env[2]``. ``hint`` says what to write instead, if that is known.
    """

    def __init__(self, problem: str, where: str = "", hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.hint = hint

    def inside(self, place: str) -> Mismatch:
        """Return this mismatch as seen from the containing value: ``place``, such as ``.env``, before ``where``."""
        return Mismatch(self.problem, place + self.where, self.hint)


def must_be(words: str, value: object, hint: str = "") -> Mismatch:
    """Return the mismatch ``must be WORDS, not VALUE``."""
    return Mismatch(f"must be {words}, not {quoted(value)}", hint=hint)


def quoted(value: object) -> str:
    """Return a value as text for a message, such as ``"5" (a string)``. Long strings are cut."""
    if isinstance(value, Unshown):
        return f"{MASK} (a secret)" if isinstance(value, SecretText) else value.shown
    if isinstance(value, str):
        text = value if len(value) <= MAX_QUOTED else value[:MAX_QUOTED] + "..."
        return f"{json.dumps(text, ensure_ascii=False)} (a string)"
    if isinstance(value, (dict, list)):
        kind = "list" if isinstance(value, list) else "table"
        return f"a {kind}" if value else "an empty table"
    if value is None:
        return "nil"
    return str(value).lower() if isinstance(value, bool) else str(value)
