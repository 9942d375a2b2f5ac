"""The linter's checks of a plugin's functions (names, docstrings, types, effects) and of its account class."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

from kosmolua.authoring.findings import Defect, source_of
from kosmolua.http.messages import SAFE_METHODS
from kosmolua.schema.arguments import Parameter
from kosmolua.schema.effects import Effect, is_final
from kosmolua.schema.function import Function
from kosmolua.schema.integration import Integration
from kosmolua.schema.names import KEYWORDS
from kosmolua.schema.types import List, Map, Scalar, Type, types_inside

MAX_SUMMARY = 120
_SNAKE = re.compile(r"[a-z][a-z0-9_]*")


def check_integration(integration: Integration) -> Iterator[Defect]:
    """Yield a finding for each missing description."""
    place, account = integration.origin, integration.account
    module = sys.modules.get(account.__module__)
    if module is not None and not module.__doc__:
        yield Defect(place, "the module has no docstring", "describe the service in its first line")
    if not integration.about.endswith("."):
        yield Defect(place, "about is not a sentence", "say what the integration is for, and end with a full stop")
    name = getattr(account, "__name__", "the account")
    if not account.__doc__ or account.__doc__.startswith(f"{name}("):
        yield Defect(place, f"{name} has no docstring", "say what an account stands for")
    for field in integration.account_fields:
        if field.required and not field.about:
            subject = f"{field.name} of {name}"
            yield Defect(place, f"{subject} has no description", 'write its type as Annotated[..., "where to find it"]')


def check_function(function: Function, prefix: str) -> Iterator[Defect]:
    """Yield findings on name, docstring, return annotation and parameters."""
    name, place = function.name, function.origin
    source = source_of(function.handler)
    parameters = source.parameter_places if source else {}
    yield from _check_name(place, f"the function {name}", name)
    if prefix and name.startswith(f"{prefix}_"):
        yield Defect(
            place, f"{name} has the prefix in its name", f"remove the prefix: its full name is now {function.full_name}"
        )
    yield from _check_summary(source.docstring_place if source else place, name, function.summary)
    if function.returns is None and "return" not in getattr(function.handler, "__annotations__", {}):
        yield Defect(
            place, f"{name} does not say what it returns", "annotate its return type, preferably as a TypedDict"
        )
    for parameter in function.parameters:
        yield from _check_parameter(parameters.get(parameter.name, place), name, parameter)


def _check_summary(place: str, function: str, summary: str) -> Iterator[Defect]:
    subject = f"the first line of {function}'s docstring"
    if not summary.endswith("."):
        yield Defect(place, f"{subject} is not a sentence", "end it with a full stop")
    if len(summary) > MAX_SUMMARY:
        remedy = f"shorten it to {MAX_SUMMARY}, and put the rest below an empty line"
        yield Defect(place, f"{subject} has {len(summary)} characters", remedy)


def _check_parameter(place: str, function: str, parameter: Parameter) -> Iterator[Defect]:
    subject = f"parameter {parameter.name} of {function}"
    yield from _check_name(place, subject, parameter.name)
    if not parameter.about:
        yield Defect(place, f"{subject} has no description", 'write its type as Annotated[..., "what it is for"]')
    if _says_nothing(parameter.type):
        yield Defect(
            place, f"{subject} accepts any value", "use a narrower type, such as dict[str, str] or a TypedDict"
        )


def _check_name(place: str, subject: str, name: str) -> Iterator[Defect]:
    if name in KEYWORDS:
        yield Defect(
            place, f"{subject} is named like a keyword of Lua", f'scripts would have to write ["{name}"]: rename it'
        )
    elif not _SNAKE.fullmatch(name):
        yield Defect(place, f"{subject} is not in snake case", "use a-z, 0-9 and _")


def _says_nothing(kind: Type) -> bool:
    if isinstance(kind, (List, Map)):
        return all(map(_says_nothing, types_inside(kind)))
    return isinstance(kind, Scalar) and kind.kind == "any"


_WRITING = ("post", "put", "patch", "delete")
_NAMED = ("request", "exchange", "fetch")
_NAMED_LIKE_A_WRITE = re.compile(
    r"(add|cancel|create|delete|edit|insert|patch|post|put|remove|rename|replace|send|set|update)_"
)


_NAMED_LIKE_A_DESTRUCTION = re.compile(r"(delete|destroy|drop|erase|purge|replace_all|truncate|wipe)_")


def effect_named(name: str, effect: Effect) -> Effect:
    """Return the declared effect, or a stronger one that the name implies."""
    if _NAMED_LIKE_A_DESTRUCTION.match(name):
        return "destroy"
    return "write" if effect == "read" and _NAMED_LIKE_A_WRITE.match(name) else effect


def check_effect(function: Function) -> Iterator[Defect]:
    """Yield a finding if the effect contradicts the name or the requests."""
    if is_final(function.effect):
        return
    name, requests = function.name, list(_writes(function.handler, set()))
    if _NAMED_LIKE_A_DESTRUCTION.match(name):
        problem = f"{name} {function.effect}s, but is named like one that destroys"
        yield Defect(function.origin, problem, "register it with .destroys")
    elif function.effect == "read" and _NAMED_LIKE_A_WRITE.match(name):
        yield Defect(function.origin, f"{name} reads, but is named like one that writes", "register it with .writes")
    elif function.effect == "write" and requests and all(method == "DELETE" for method, _ in requests):
        yield Defect(
            requests[0][1], f"{name} writes, but only deletes", "register it with .destroys if it cannot be undone"
        )
    if function.effect == "read":
        for method, place in requests:
            remedy = "register it with .writes, or give the request safe=True if it changes nothing"
            yield Defect(place, f"{name} reads, but sends a {method}", remedy)


def _writes(function: Callable[..., Any], seen: set[Callable[..., Any]]) -> Iterator[tuple[str, str]]:
    """Yield method and ``file:line`` of each request that changes data, also in called functions of the package."""
    seen.add(function)
    source = source_of(function)
    known = getattr(function, "__globals__", {})
    if source is None:
        return
    for call in (node for node in ast.walk(source.node) if isinstance(node, ast.Call)):
        method = _method_of(call, known)
        if method and method not in SAFE_METHODS and not _is_declared_safe(call):
            yield method, source.place_of(call)
        called = known.get(call.func.id) if isinstance(call.func, ast.Name) else None
        if isinstance(called, FunctionType) and called not in seen and _package_of(called) == _package_of(function):
            yield from _writes(called, seen)


def _method_of(call: ast.Call, known: dict[str, Any]) -> str | None:
    """Return the method of a call such as ``api.post("/notes")``, or None."""
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


def _package_of(function: Callable[..., Any]) -> str:
    module = sys.modules.get(function.__module__)
    return getattr(module, "__package__", None) or function.__module__
