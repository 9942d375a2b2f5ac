"""Findings of the linter for plugins, and access to the source of the functions that the linter checks."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Defect:
    """A problem in a plugin.

    Args:
        place: Where, as ``file:line``.
        problem: What is wrong.
        remedy: What the author should do.
        note: Whether it is only a suggestion.
    """

    place: str
    problem: str
    remedy: str
    note: bool = False

    def __str__(self) -> str:
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{self.place}: {'note: ' if self.note else ''}{self.problem}{remedy}"

    @property
    def order(self) -> tuple[bool, str, int, str]:
        """The sort key: suggestions last, each group by file and line."""
        file, _, line = self.place.rpartition(":")
        return self.note, file, int(line), self.problem


@dataclass(frozen=True)
class FunctionSource:
    """The source of a function: its first line, which can be a decorator's, is line 1 of ``node``."""

    file: str
    first: int
    node: ast.FunctionDef

    def place_of(self, node: ast.expr | ast.stmt | ast.arg) -> str:
        """Return ``file:line`` of a node."""
        return f"{self.file}:{self.first + node.lineno - 1}"

    @property
    def parameter_places(self) -> dict[str, str]:
        """Where each keyword-only parameter is declared."""
        return {argument.arg: self.place_of(argument) for argument in self.node.args.kwonlyargs}

    @property
    def docstring_place(self) -> str:
        """Where the docstring begins."""
        return self.place_of(self.node.body[0])


def source_of(function: Callable[..., Any]) -> FunctionSource | None:
    """Return a function's source, or None if it is not a plain ``def``."""
    function = inspect.unwrap(function)
    try:
        lines, first = inspect.getsourcelines(function)
        node = ast.parse(textwrap.dedent("".join(lines))).body[0]
    except (OSError, TypeError, SyntaxError):
        return None
    return FunctionSource(function.__code__.co_filename, first, node) if isinstance(node, ast.FunctionDef) else None
