"""Docstrings: whoever lists parameters lists them all, nobody private does, and a word is explained once."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = [path for top in ("kosmolua", "integrations") for path in sorted((ROOT / top).rglob("*.py"))]
FILES = [path for path in FILES if not {"_bundled", "templates"} & set(path.parts)]
PACKAGE = [path for path in FILES if path.is_relative_to(ROOT / "kosmolua")]
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


SHARE = 0.18
"""The largest share of the package's lines that may be docstrings; lower it when it can be lowered."""


def docstrings(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the docstrings of the module and of its classes and functions."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)) and ast.get_docstring(node) is not None:
            yield node.body[0]


def private_functions(tree: ast.AST, *, within: bool = False) -> Iterator[ast.AST]:
    """Yield functions with a leading underscore, and those inside other functions."""
    for node in ast.iter_child_nodes(tree):
        is_function = isinstance(node, FUNCTIONS)
        if is_function and (within or re.match(r"_(?!_)", node.name)):
            yield node
        yield from private_functions(node, within=within or is_function)


@pytest.mark.parametrize("file", PACKAGE, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_private_function_lists_no_parameters(file: Path) -> None:
    """Its reader has the code before the eyes: one sentence is enough."""
    for node in private_functions(ast.parse(file.read_text(encoding="utf-8"))):
        assert not re.search(r"^(Args|Returns|Raises|Yields):", ast.get_docstring(node) or "", re.MULTILINE), node.name


def test_docstrings_are_a_small_part_of_the_package() -> None:
    """A word is explained once, by the package or module that owns it."""
    lines = spoken = 0
    for file in PACKAGE:
        text = file.read_text(encoding="utf-8")
        lines += len(text.splitlines())
        spoken += sum(docstring.end_lineno - docstring.lineno + 1 for docstring in docstrings(ast.parse(text)))
    assert spoken <= SHARE * lines
