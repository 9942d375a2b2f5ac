"""The flows of a script: from which calls, secrets and inputs the arguments of its writes come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kosmolua.lua.scopes import Scopes
from kosmolua.lua.syntax import INDEXED, Node, arguments_of, base_of, called_in, key_of
from kosmolua.lua.values import Callee, Known

_GIVEN = frozenset({"input", "params", "arg"})
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


def flows_of(scopes: Scopes, known: Known) -> list[ArgumentFlow]:
    """Return the flows of a script that has been checked, each once, in the order of the source.

    ``known`` returns what the check has found out about an expression.
    """
    found: dict[ArgumentFlow, None] = {}
    sources = _Sources(scopes, known)
    for node, name, given in scopes.calls:
        called = known(name)
        if not isinstance(called, Callee) or called.function.effect == "read":
            continue
        for key, value in _arguments(given, called):
            for source in dict.fromkeys(sources.of(value, set())):
                found.setdefault(ArgumentFlow(node.line, source, f"{called.path}.{key}"))
    return list(found)[:MAX_FLOWS]


def _arguments(given: Sequence[Node], called: Callee) -> Iterator[tuple[str, Node]]:
    """Yield the arguments of a call, by name where the script gives one."""
    if len(given) == 1 and given[0].kind == "table_constructor":
        for field in given[0].children:
            if (value := field.get("value")) and field.get("name"):
                yield str(key_of(field) or "?"), value
        return
    yield from zip((each.name for each in called.function.parameters), given, strict=False)


class _Sources:
    """What expressions are made from, through all that is assigned to a variable or put into its table."""

    def __init__(self, scopes: Scopes, known: Known) -> None:
        self._scopes = scopes
        self._known = known
        self._given: dict[str | int, list[Node]] = defaultdict(list)
        for target, value in scopes.assigned:
            self._give(target, value)
        for _, name, given in scopes.calls:
            if name and name.text == "table.insert" and len(given) > 1:
                self._give(given[0], given[-1])

    def _give(self, target: Node, value: Node | None) -> None:
        base = base_of(target)
        if value and base.kind == "identifier":
            self._given[self._place(base)].append(value)

    def _place(self, name: Node) -> str | int:
        """Return where a variable is declared, or the name of a global one."""
        variable = self._scopes.variable(name)
        return variable.start if variable else name.text

    def of(self, node: Node, seen: set[str | int]) -> Iterator[str]:
        """Yield the sources of an expression; ``seen`` are the variables that have been followed."""
        if node.kind == "function_definition":
            return
        base = base_of(node) if node.kind in INDEXED else node
        if base.kind == "identifier":
            yield from self._of_variable(node, base, seen)
        elif isinstance(called := self._known(name := called_in(base)), Callee):
            yield called.path
        else:
            for child in base.children if name is None else [name, *arguments_of(base)]:
                yield from self.of(child, seen)

    def _of_variable(self, node: Node, base: Node, seen: set[str | int]) -> Iterator[str]:
        variable, place = self._scopes.variable(base), self._place(base)
        if variable is None and base.text in _GIVEN:
            yield base.text
        elif variable is None and base.text == "secrets" and node.kind in INDEXED:
            yield f"secrets.{key_of(node) or '?'}"
        elif place not in seen:
            seen.add(place)
            values = self._given.get(place, [])
            for each in (variable.value, variable.items, *values) if variable else values:
                yield from self.of(each, seen) if each else ()
