"""Lua, as far as it takes to see which functions of an integration a script names, and with which arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from kosmolua.schema.names import APP, ROOT

_TOKEN = re.compile(
    r"""
    (?P<skip> --\[(?P<a>=*)\[.*?\](?P=a)\] | --[^\n]* | \s+ )
    | \[(?P<b>=*)\[.*?\](?P=b)\]
    | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*'
    | [A-Za-z_]\w*
    | [=~<>]= | .
    """,
    re.DOTALL | re.VERBOSE,
)
_NAME = re.compile(r"[A-Za-z_]\w*")
_OPENING, _CLOSING = ("(", "{", "["), (")", "}", "]")
_QUOTES = ('"', "'")
_PROTECTED = ("pcall", "xpcall")


@dataclass(frozen=True)
class Use:
    """A function of the integration that a script calls, or hands to ``pcall``.

    Args:
        function: Its name, as it is written.
        line: Counted from 1.
        keys: The named arguments, where they are a table on the spot.
    """

    function: str
    line: int
    keys: tuple[str, ...] = ()


def uses_in(source: str, integration: str) -> Iterator[Use]:
    """Yield the functions of an integration that a script names, directly or by way of a variable."""
    script = _Script(source)
    variables: dict[str, list[str]] = {APP: []}
    root = [ROOT, integration]
    for index in script.names():
        before = variables.get(script.text(index))
        if before is None:
            continue
        steps, end = script.steps(index + 1)
        path = before + steps
        if path[:2] != root:
            continue
        target = None if script.is_call(end) else script.target(index)
        if target:
            variables[target] = path
        elif len(path) > len(root) and path[-1] and (script.is_call(end) or script.is_protected(index)):
            yield Use(path[-1], script.line(index), tuple(script.keys(end)))


class _Script:
    """The tokens of a script, without comments. Beyond both ends there is nothing but ``""``."""

    def __init__(self, source: str) -> None:
        self._tokens: list[tuple[str, int]] = []
        line = 1
        for match in _TOKEN.finditer(source):
            if match["skip"] is None:
                self._tokens.append((match[0], line))
            line += match[0].count("\n")

    def names(self) -> Iterator[int]:
        """Yield where a name stands that is no field of something else."""
        for index, (text, _) in enumerate(self._tokens):
            if _NAME.fullmatch(text) and self.text(index - 1) not in (".", ":"):
                yield index

    def text(self, index: int) -> str:
        """Return a token."""
        return self._tokens[index][0] if 0 <= index < len(self._tokens) else ""

    def line(self, index: int) -> int:
        """Return the line of a token."""
        return self._tokens[index][1]

    def steps(self, index: int) -> tuple[list[str], int]:
        """Follow ``.name`` and ``[key]`` and return the keys, ``""`` for a computed one, and where they end."""
        steps = []
        while self.text(index) in (".", "["):
            key = self.text(index + 1)
            if self.text(index) == ".":
                steps.append(key)
                index += 2
                continue
            closing = self._closing(index)
            steps.append(key[1:-1] if closing == index + 2 and key.startswith(_QUOTES) else "")
            index = closing + 1
        return steps, index

    def target(self, index: int) -> str | None:
        """Return the variable that gets the value that begins here, as in ``local a, b = HERE, nil``, or None."""
        if self.text(index - 1) != "=":
            return None
        index -= 2
        while self.text(index - 1) == ",":
            index -= 2
        return self.text(index)

    def is_call(self, index: int) -> bool:
        """Say whether arguments begin here."""
        return self.text(index).startswith(("(", "{", *_QUOTES))

    def is_protected(self, index: int) -> bool:
        """Say whether what begins here is called by ``pcall``."""
        return self.text(index - 1) == "(" and self.text(index - 2) in _PROTECTED

    def keys(self, index: int) -> Iterator[str]:
        """Yield the names in a table of arguments: after ``f(`` or ``f``, or after ``pcall(f,``."""
        index += self.text(index) in ("(", ",")
        if self.text(index) != "{":
            return
        end = self._closing(index)
        while index < end:
            if self.text(index + 2) == "=" and _NAME.fullmatch(self.text(index + 1)):
                yield self.text(index + 1)
            index += 1
            while index < end and self.text(index) not in (",", ";"):
                index = self._closing(index) + 1

    def _closing(self, index: int) -> int:
        """Return where the bracket closes that opens here, or the place itself where none does."""
        depth = 0
        for place in range(index, len(self._tokens)):
            text = self.text(place)
            depth += (text in _OPENING) - (text in _CLOSING)
            if depth <= 0:
                return place
        return len(self._tokens)


_OPENING_OF = {")": "(", "]": "[", "}": "{"}


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
        elif character in _OPENING_OF and brackets and text[brackets[-1][0]] == _OPENING_OF[character]:
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
