"""The place of the cursor in Lua: which bracket is open before it, which argument is begun, and which string."""

from __future__ import annotations

from typing import NamedTuple

_QUOTES = {"'", '"'}
_CLOSING = {")": "(", "]": "[", "}": "{"}


class Place(NamedTuple):
    """Where a text ends.

    Args:
        bracket: Where the innermost bracket that is open stands, or None.
        comma: Where the last argument inside it begins.
        quote: Where the string that is open begins, or None.
    """

    bracket: int | None
    comma: int
    quote: int | None

    def opens_table(self, text: str) -> bool:
        """Say whether the innermost open bracket is that of a table."""
        return self.bracket is not None and text[self.bracket] == "{"


def place_of(text: str) -> Place:
    """Return where a text ends, as far as brackets and one-line strings tell."""
    brackets: list[tuple[int, int]] = []
    comma, position = 0, 0
    while position < len(text):
        character = text[position]
        if character in _QUOTES:
            end = _end_of_string(text, position)
            if end is None:
                return Place(brackets[-1][0] if brackets else None, comma, position)
            position = end
        elif character in "({[":
            brackets.append((position, comma))
            comma = position + 1
        elif character in _CLOSING and brackets and text[brackets[-1][0]] == _CLOSING[character]:
            comma = brackets.pop()[1]
        elif character in ",;":
            comma = position + 1
        position += 1
    return Place(brackets[-1][0] if brackets else None, comma, None)


def _end_of_string(text: str, start: int) -> int | None:
    position = start + 1
    while position < len(text) and text[position] != "\n":
        if text[position] == text[start]:
            return position
        position += 2 if text[position] == "\\" else 1
    return position if position < len(text) else None
