"""Docstrings: whoever lists parameters lists them all."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = [path for top in ("kosmolua", "integrations") for path in sorted((ROOT / top).rglob("*.py"))]
FILES = [path for path in FILES if not {"_bundled", "templates"} & set(path.parts)]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def described(tree: ast.Module) -> Iterator[tuple[str, str, list[str]]]:
    """Yield name, docstring and parameters of each public function and class."""
    for node in ast.walk(tree):
        if not isinstance(node, (ast.ClassDef, *FUNCTIONS)) or node.name.startswith("_"):
            continue
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        taker = next((each for each in inner if isinstance(each, FUNCTIONS) and is_taker(each, node)), None)
        if taker:
            taken = [*taker.args.posonlyargs, *taker.args.args, *taker.args.kwonlyargs]
            yield node.name, ast.get_docstring(node) or "", [each.arg for each in taken]


def is_taker(function: ast.AST, node: ast.AST) -> bool:
    return function is node or getattr(function, "name", "") == "__init__"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_list_of_parameters_is_whole(file: Path) -> None:
    """A reader takes what is not there for something that needs no word."""
    for name, docstring, parameters in described(ast.parse(file.read_text(encoding="utf-8"))):
        if re.search(r"^Args:", docstring, re.MULTILINE):
            listed = set(re.findall(r"^ +(\w+):", docstring, re.MULTILINE))
            assert set(parameters) - {"self", "cls"} <= listed, name
