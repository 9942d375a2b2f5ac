"""Docstrings: whoever lists parameters lists them all, nobody private does, and a word is explained once."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from support.sources import statements, tree_of

ROOT = Path(__file__).parent.parent
FILES = [path for top in ("kosmolua", "integrations") for path in sorted((ROOT / top).rglob("*.py"))]
FILES = [path for path in FILES if not {"_bundled", "templates"} & set(path.parts)]
PACKAGE = [path for path in FILES if path.is_relative_to(ROOT / "kosmolua")]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def described(tree: ast.Module) -> Iterator[tuple[str, str, list[str]]]:
    """Yield name, docstring and parameters of each public function and class."""
    for node in statements(tree):
        if not isinstance(node, (ast.ClassDef, *FUNCTIONS)) or node.name.startswith("_"):
            continue
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        taker = next((each for each in inner if isinstance(each, FUNCTIONS) and is_taker(each, node)), None)
        if taker:
            taken = [*taker.args.posonlyargs, *taker.args.args, *taker.args.kwonlyargs]
            yield node.name, ast.get_docstring(node) or "", [each.arg for each in taken]


def is_taker(function: ast.AST, node: ast.AST) -> bool:
    return function is node or getattr(function, "name", "") == "__init__"


def lacking(docstring: str, parameters: list[str]) -> set[str]:
    """Return the parameters that a docstring with a list of them leaves out."""
    if not re.search(r"^Args:", docstring, re.MULTILINE):
        return set()
    return {*parameters} - {"self", "cls", *re.findall(r"^ +(\w+):", docstring, re.MULTILINE)}


def test_a_list_of_parameters_is_whole() -> None:
    """A reader takes what is not there for something that needs no word."""
    assert {
        f"{file.relative_to(ROOT)}: {name}": left_out
        for file in FILES
        for name, docstring, parameters in described(tree_of(file))
        if (left_out := lacking(docstring, parameters))
    } == {}


SHARE = 0.15
"""The largest share of the package's lines that may be docstrings; lower it when it can be lowered."""


def docstrings(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the docstrings of the module and of its classes and functions."""
    for node in (tree, *statements(tree)):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS))
            and ast.get_docstring(node, clean=False) is not None
        ):
            yield node.body[0]


def private_functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield functions with a leading underscore, and those inside other functions."""
    functions = [node for node in statements(tree) if isinstance(node, FUNCTIONS)]
    inner = {node for function in functions for node in statements(function)}
    yield from (node for node in functions if node in inner or re.match(r"_(?!_)", node.name))


def test_a_private_function_lists_no_parameters() -> None:
    """Its reader has the code before the eyes: one sentence is enough."""
    assert [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in PACKAGE
        for node in private_functions(tree_of(file))
        if re.search(r"^(Args|Returns|Raises|Yields):", ast.get_docstring(node) or "", re.MULTILINE)
    ] == []


def test_docstrings_are_a_small_part_of_the_package() -> None:
    """A word is explained once, by the package or module that owns it."""
    lines = spoken = 0
    for file in PACKAGE:
        text = file.read_text(encoding="utf-8")
        lines += len(text.splitlines())
        spoken += sum(docstring.end_lineno - docstring.lineno + 1 for docstring in docstrings(tree_of(file)))
    assert spoken <= SHARE * lines


def test_the_index_of_what_tests_share_is_whole() -> None:
    """Whoever looks for a helper finds it by a line of the package."""
    support = ROOT / "tests" / "support"
    lines = re.findall(r"^    ([\w, ]+): ", ast.get_docstring(tree_of(support / "__init__.py")) or "", re.MULTILINE)
    named = sorted(name for line in lines for name in line.split(", "))
    assert named == sorted(file.stem for file in support.glob("*.py") if file.stem != "__init__")
