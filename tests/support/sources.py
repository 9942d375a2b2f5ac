"""The program's own source, parsed once for all tests that read it."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from functools import cache
from pathlib import Path

BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


@cache
def tree_of(file: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    gc.disable()  # it would look at the trees of all files again and again, which takes longer than parsing them
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    finally:
        gc.enable()


def statements(within: ast.AST) -> Iterator[ast.AST]:
    """Yield all statements inside a node, which takes a quarter of the time of ``ast.walk``."""
    for block in BLOCKS:
        for node in getattr(within, block, ()):
            yield node
            yield from statements(node)
