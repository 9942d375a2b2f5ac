"""A finding: what is wrong, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something that a plugin's author should look at.

    Args:
        place: Where it is, as ``file:line``.
        problem: What is wrong.
        remedy: What to do.
        note: Whether it can well be left as it is.
    """

    place: str
    problem: str
    remedy: str
    note: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {'note: ' if self.note else ''}{self.problem} ({self.remedy})"

    @property
    def order(self) -> tuple[bool, str, int, str]:
        """What findings are sorted by: notes last, then file and line."""
        file, _, line = self.place.rpartition(":")
        return self.note, file, int(line), self.problem
