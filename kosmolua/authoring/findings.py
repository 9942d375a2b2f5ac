"""Findings about a plugin, and the source of the functions that they are about."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One finding: a part of a plugin that its author should change.

    Args:
        place: The place, as ``file:line``.
        problem: What is wrong.
        remedy: What to do.
        note: Whether it is only a suggestion.
    """

    place: str
    problem: str
    remedy: str
    note: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {'note: ' if self.note else ''}{self.problem} ({self.remedy})"

    @property
    def order(self) -> tuple[bool, str, int, str]:
        """The sort key: notes last, then file and line."""
        file, _, line = self.place.rpartition(":")
        return self.note, file, int(line), self.problem


@dataclass(frozen=True)
class Source:
    """The source of a function.

    Args:
        file: Its file.
        first: The line of its first decorator, or of its ``def``.
        node: Its syntax tree, with lines counted from ``first``.
    """

    file: str
    first: int
    node: ast.FunctionDef

    def place_of(self, node: ast.expr | ast.stmt | ast.arg) -> str:
        """Return the file and the line of a part of the function."""
        return f"{self.file}:{self.first + node.lineno - 1}"

    @property
    def parameter_places(self) -> dict[str, str]:
        """The place of each parameter that scripts pass, by name."""
        return {argument.arg: self.place_of(argument) for argument in self.node.args.kwonlyargs}

    @property
    def docstring_place(self) -> str:
        """The place of the docstring."""
        return self.place_of(self.node.body[0])


def source_of(function: Callable[..., Any]) -> Source | None:
    """Return the source of a Python function, or None if it cannot be read."""
    function = inspect.unwrap(function)
    try:
        lines, first = inspect.getsourcelines(function)
        node = ast.parse(textwrap.dedent("".join(lines))).body[0]
    except (OSError, TypeError, SyntaxError):
        return None
    return Source(function.__code__.co_filename, first, node) if isinstance(node, ast.FunctionDef) else None
