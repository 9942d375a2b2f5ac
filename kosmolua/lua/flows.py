"""The flows of a script: from which calls, secrets and inputs the arguments of its writes come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from kosmolua.lua.scopes import Scopes
from kosmolua.lua.syntax import Node, arguments_of, base_of, key_of
from kosmolua.lua.values import Callee, Value

_GIVEN = frozenset({"input", "params", "arg"})
_INDEXED = frozenset({"dot_index_expression", "bracket_index_expression"})
_MAX_STEPS = 8
"""How many variables and calls are followed to where a value comes from."""
MAX_FLOWS = 100


class ArgumentFlow(NamedTuple):
    """A value that reaches a write: ``secrets.db_url -> render2.set_env_var.value``.

    Args:
        line: The line of the write.
        source: A secret, an input, or a function whose result the value comes from.
        target: The path of the function, with the argument.
    """

    line: int
    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}"


def flows_of(scopes: Scopes, known: Callable[[Node], Value | None]) -> list[ArgumentFlow]:
    """Return the flows of a script that has been checked, each once, in the order of the source.

    ``known`` returns what the check has found out about an expression.
    """
    found: dict[ArgumentFlow, None] = {}
    for node in scopes.of("function_call"):
        name = node.get("name")
        called = known(name) if name else None
        if not isinstance(called, Callee) or called.function.effect == "read":
            continue
        for key, value in _arguments(node, called):
            for source in dict.fromkeys(_sources(value, scopes, known, _MAX_STEPS)):
                found.setdefault(ArgumentFlow(node.line, source, f"{called.path}.{key}"))
    return list(found)[:MAX_FLOWS]


def _arguments(call: Node, called: Callee) -> Iterator[tuple[str, Node]]:
    """Yield the arguments of a call, by name where the script gives one."""
    given = arguments_of(call)
    if len(given) == 1 and given[0].kind == "table_constructor":
        for field in given[0].children:
            if (value := field.get("value")) and field.get("name"):
                yield str(key_of(field) or "?"), value
        return
    yield from zip((each.name for each in called.function.parameters), given, strict=False)


def _sources(node: Node, scopes: Scopes, known: Callable[[Node], Value | None], steps: int) -> Iterator[str]:
    """Yield what the value of an expression is made from."""
    if not steps or node.kind == "function_definition":
        return
    base = base_of(node) if node.kind in _INDEXED else node
    if base.kind == "identifier":
        variable = scopes.variable(base)
        if variable is None:
            if base.text == "secrets" and node.kind in _INDEXED:
                yield f"secrets.{key_of(node) or '?'}"
            elif base.text in _GIVEN:
                yield base.text
            return
        for each in (variable.value, variable.items):
            yield from _sources(each, scopes, known, steps - 1) if each else ()
        return
    name = base.get("name") if base.kind == "function_call" else None
    called = known(name) if name else None
    if isinstance(called, Callee):
        yield called.path
        return
    for child in base.children if name is None else [name, *arguments_of(base)]:
        yield from _sources(child, scopes, known, steps - 1)
