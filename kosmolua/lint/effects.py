"""Effects: whether a function that is registered to read also writes, as its code and its name have it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, TypeGuard

from kosmolua.api.message import SAFE_METHODS
from kosmolua.lint.finding import Finding
from kosmolua.lint.source import source_of
from kosmolua.spec.function import Function

_WRITING = ("post", "put", "patch", "delete")
_NAMED = ("request", "exchange", "fetch")
_NAMED_LIKE_A_WRITE = re.compile(
    r"(add|cancel|create|delete|edit|insert|patch|post|put|remove|rename|replace|send|set|update)_"
)


def check_effect(function: Function) -> Iterator[Finding]:
    """Yield what speaks against a function's being registered to read."""
    if function.effect != "read":
        return
    if _NAMED_LIKE_A_WRITE.match(function.name):
        problem = f"{function.name} reads, but is named like one that writes"
        yield Finding(function.origin, problem, "register it with .writes")
    for method, place in _writes(function.handler, set()):
        remedy = "register it with .writes, or give the request safe=True if it changes nothing"
        yield Finding(place, f"{function.name} reads, but sends a {method}", remedy)


def _writes(function: Callable[..., Any], seen: set[Callable[..., Any]]) -> Iterator[tuple[str, str]]:
    """Yield method and place of what a function sends, and those of its package that it calls, to change something."""
    seen.add(function)
    source = source_of(function)
    known = getattr(function, "__globals__", {})
    if source is None:
        return
    for call in filter(_is_call, ast.walk(source.node)):
        method = _method_of(call, known)
        if method and method not in SAFE_METHODS and not _is_declared_safe(call):
            yield method, source.place_of(call)
        called = known.get(call.func.id) if isinstance(call.func, ast.Name) else None
        if isinstance(called, FunctionType) and called not in seen and _is_neighbour(called, function):
            yield from _writes(called, seen)


def _is_call(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call)


def _method_of(call: ast.Call, known: dict[str, Any]) -> str | None:
    """Return the HTTP method of a call such as ``api.post("/notes")`` or ``api.request("POST", "/notes")``."""
    if not isinstance(call.func, ast.Attribute) or not call.args:
        return None
    first = call.args[0]
    if call.func.attr in _WRITING:
        return call.func.attr.upper() if _may_be_path(first, known) else None
    if call.func.attr in _NAMED and isinstance(first, ast.Constant):
        return str(first.value).upper()
    return None


def _is_declared_safe(call: ast.Call) -> bool:
    return any(keyword.arg == "safe" and ast.unparse(keyword.value) != "False" for keyword in call.keywords)


def _may_be_path(node: ast.expr, known: dict[str, Any]) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and node.value.startswith("/")
    if isinstance(node, ast.Name):
        return isinstance(known.get(node.id, ""), str)
    return isinstance(node, (ast.JoinedStr, ast.BinOp))


def _is_neighbour(called: FunctionType, caller: Callable[..., Any]) -> bool:
    """Say whether two functions are of the same module or of the same package."""
    return called.__module__.rpartition(".")[0] == caller.__module__.rpartition(".")[0]
