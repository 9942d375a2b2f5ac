"""Findings of the linter for plugins, and access to the source of the functions that the linter checks."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One problem that the linter found in a plugin, for the plugin's author.

    Args:
        place: Where the problem is, as ``file:line``.
        problem: What is wrong.
        remedy: What the author should do.
        note: True if the finding is only a suggestion.
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
        """The sort key: suggestions come after all other findings, and each group is ordered by file and line."""
        file, _, line = self.place.rpartition(":")
        return self.note, file, int(line), self.problem


@dataclass(frozen=True)
class Source:
    """The source of a Python function.

    Args:
        file: The file that contains the function.
        first: The number of the function's first line, which can be that of a decorator.
        node: The syntax tree of the function. Its line 1 is line ``first`` of the file.
    """

    file: str
    first: int
    node: ast.FunctionDef

    def place_of(self, node: ast.expr | ast.stmt | ast.arg) -> str:
        """Return where a node of the function's syntax tree is, as ``file:line``."""
        return f"{self.file}:{self.first + node.lineno - 1}"

    @property
    def parameter_places(self) -> dict[str, str]:
        """The place where each keyword-only parameter is declared, as ``file:line``, keyed by the parameter's name."""
        return {argument.arg: self.place_of(argument) for argument in self.node.args.kwonlyargs}

    @property
    def docstring_place(self) -> str:
        """The place where the function's docstring begins, as ``file:line``."""
        return self.place_of(self.node.body[0])


def source_of(function: Callable[..., Any]) -> Source | None:
    """Return the source of a Python function, or None if the source is not available or is not a plain ``def``."""
    function = inspect.unwrap(function)
    try:
        lines, first = inspect.getsourcelines(function)
        node = ast.parse(textwrap.dedent("".join(lines))).body[0]
    except (OSError, TypeError, SyntaxError):
        return None
    return Source(function.__code__.co_filename, first, node) if isinstance(node, ast.FunctionDef) else None
