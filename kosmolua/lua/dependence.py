"""Which calls of a script that change something depend on the value of an expression."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kosmolua.lua.scopes import Scopes, Variable
from kosmolua.lua.syntax import Node, base_of
from kosmolua.lua.values import Builtin, Callee, Closure, Value

_FUNCTIONS = frozenset({"function_definition", "function_declaration"})
_LOOPS = frozenset({"for_statement", "while_statement", "repeat_statement"})
_BLOCKS = frozenset({"block", "chunk"})
_ASSIGNMENTS = frozenset({"assignment_statement", "variable_declaration"})
_BRANCHES = frozenset({"if_statement", "elseif_statement"})
_NAMES_NOTHING = frozenset({"field", "method"})
_ENDING = frozenset({"error", "exit", "os.exit"})


class _Effect(NamedTuple):
    """An expression whose value depends on another one or, if ``runs``, a statement that only then runs."""

    node: Node
    runs: bool = False


class Dependence:
    """The paths on which the values of a script's expressions reach the calls that change something.

    A value reaches a call as an argument, through variables, tables and functions of the script, and as a condition
    that decides whether the call is made.

    Args:
        root: The node of the whole script.
        scopes: The variables of the script.
        known: Returns what the check has found out about an expression, or None if it was not checked.
    """

    def __init__(self, root: Node, scopes: Scopes, known: Callable[[Node], Value | None]) -> None:
        self._scopes = scopes
        self._known = known
        self._around: dict[int, Node] = {}
        self._uses: defaultdict[Variable | str, list[Node]] = defaultdict(list)
        self._calls: list[Node] = []
        self._callers: defaultdict[int, list[Node]] = defaultdict(list)
        for node in root.walk():
            self._enter(node)
        for call in self._calls:
            for given in (call.get("name"), *_arguments(call)):
                if given and isinstance(value := known(given), Closure):
                    self._callers[value.node.start].append(call)
            for node in call.walk():  # as in parallel.all({ function() ... end })
                if node.kind == "function_definition" and call not in self._callers[node.start]:
                    self._callers[node.start].append(call)
        self._writing = self._writing_calls()

    def writes_in(self, node: Node) -> bool:
        """Return True if a call inside a node can change something."""
        return self.writes_between(node.start, node.end)

    def writes_between(self, start: int, end: int) -> bool:
        """Return True if a call between two offsets can change something."""
        return any(start <= call.start < end for call in self._writing)

    def decides(self, node: Node) -> bool:
        """Return True if a call that changes something depends on the value of an expression."""
        waiting: list[_Effect] = [_Effect(node)]
        seen = {(id(node), False)}
        while waiting:
            for found in self._next(waiting.pop()):
                if found is None:
                    return True
                if (key := (id(found.node), found.runs)) not in seen:
                    seen.add(key)
                    waiting.append(found)
        return False

    def _enter(self, node: Node) -> None:
        for child in node.children:
            self._around[id(child)] = node
        if node.kind == "function_call":
            self._calls.append(node)
        elif node.kind == "identifier" and node.field not in _NAMES_NOTHING:
            self._uses[self._scopes.variable(node) or node.text].append(node)

    def _writing_calls(self) -> list[Node]:
        """Return the calls that can change something: of an integration's function, or of a function with such a call.

        A function that is passed to a call counts as called there.
        """
        writing = {id(call): call for call in self._calls if self._changes(call)}
        waiting = list(writing.values())
        while waiting:
            for function in self._around_of(waiting.pop(), _FUNCTIONS):
                for call in self._callers[function.start]:
                    if id(call) not in writing:
                        writing[id(call)] = call
                        waiting.append(call)
        return list(writing.values())

    def _changes(self, call: Node) -> bool:
        values = [self._known(each) for each in (call.get("name"), *_arguments(call)) if each]
        return any(isinstance(value, Callee) and value.function.effect != "read" for value in values)

    def _around_of(self, node: Node, kinds: frozenset[str]) -> Iterator[Node]:
        """Yield the nodes of these kinds that contain a node, the innermost first."""
        outer = self._around.get(id(node))
        while outer:
            if outer.kind in kinds:
                yield outer
            outer = self._around.get(id(outer))

    def _next(self, effect: _Effect) -> Iterator[_Effect | None]:
        """Yield what depends directly on the value or the execution of a node; None stands for a change."""
        if effect.runs:
            yield from self._from_running(effect.node)
            return
        inner, outer = effect.node, self._around.get(id(effect.node))
        while outer and outer.kind not in _BLOCKS and outer.kind not in _FUNCTIONS:
            if outer.kind == "arguments":
                yield from self._from_argument(inner, outer)
            elif outer.kind == "binary_expression" and inner.field == "left":
                right = outer.get("right")
                yield from [None] if right and self.writes_in(right) else []
            elif outer.kind in _BRANCHES and inner.field == "condition":
                whole = outer if outer.kind == "if_statement" else self._around[id(outer)]
                yield _Effect(whole, runs=True)
            elif outer.kind in _LOOPS:
                yield _Effect(outer, runs=True)
                yield from self._to_targets(inner.first("variable_list") or inner)
            elif outer.kind in _ASSIGNMENTS:
                yield from self._to_targets(outer.first("variable_list"))
            elif outer.kind == "return_statement":
                yield from self._to_callers(outer)
            inner, outer = outer, self._around.get(id(outer))

    def _from_argument(self, argument: Node, arguments: Node) -> Iterator[_Effect | None]:
        """Yield what has its value from an argument of a call: parameters, and the table that the call fills."""
        call = self._around[id(arguments)]
        if self._changes(call):
            yield None
        name, given = call.get("name"), list(_arguments(call))
        called = self._known(name) if name else None
        if isinstance(called, Closure):
            yield from self._to_parameters(called, given.index(argument))
        elif isinstance(called, Builtin) and called.name.startswith("table."):
            yield from self._to_uses(base_of(given[0]))
        elif isinstance(called, Builtin) and called.name == "parallel.map" and len(given) > 1:
            function = self._known(given[1])
            if isinstance(function, Closure):
                yield from self._to_parameters(function, 0)
        elif name and name.kind == "method_index_expression":
            yield from self._to_uses(base_of(name))

    def _from_running(self, statement: Node) -> Iterator[_Effect | None]:
        """Yield what depends on whether a statement runs: calls, variables, and the code after it if it leaves."""
        if self.writes_in(statement):
            yield None
        for node in statement.walk():
            if node.kind in _ASSIGNMENTS:
                yield from self._to_targets(node.first("variable_list"))
            elif node.kind == "return_statement":
                yield from self._to_callers(node)
                yield from self._after(statement, _FUNCTIONS)
            elif node.kind in ("break_statement", "goto_statement"):
                yield from self._after(statement, _FUNCTIONS | _LOOPS)
            elif node.kind == "function_call":
                name, given = node.get("name"), list(_arguments(node))
                called = self._known(name) if name else None
                if isinstance(called, Closure):
                    yield _Effect(called.node.get("body") or called.node, runs=True)
                elif isinstance(called, Builtin) and called.name in _ENDING:
                    yield from self._after(statement, frozenset())
                elif isinstance(called, Builtin) and called.name.startswith("table.") and given:
                    yield from self._to_uses(base_of(given[0]))

    def _after(self, statement: Node, ends: frozenset[str]) -> Iterator[_Effect]:
        """Yield the statements after a statement, in its block and the blocks around, up to a node of these kinds."""
        inner, outer = statement, self._around.get(id(statement))
        while outer and inner.kind not in ends:
            if outer.kind in _BLOCKS:
                yield from (_Effect(each, runs=True) for each in outer.children if each.start > inner.start)
            inner, outer = outer, self._around.get(id(outer))

    def _to_targets(self, targets: Node | None) -> Iterator[_Effect]:
        for target in targets.all("name") if targets else ():
            yield from self._to_uses(base_of(target))

    def _to_parameters(self, function: Closure, index: int) -> Iterator[_Effect]:
        parameters = function.node.get("parameters")
        names = parameters.all("name") if parameters else []
        yield from self._to_uses(names[index]) if index < len(names) else ()

    def _to_callers(self, statement: Node) -> Iterator[_Effect]:
        function = next(self._around_of(statement, _FUNCTIONS), None)
        yield from map(_Effect, self._callers[function.start] if function else ())

    def _to_uses(self, name: Node) -> Iterator[_Effect]:
        if name.kind == "identifier":
            yield from map(_Effect, self._uses[self._scopes.variable(name) or name.text])


def _arguments(call: Node) -> Iterator[Node]:
    """Yield the expressions of the arguments of a call."""
    around = call.get("arguments")
    return (each for each in (around.children if around else ()) if each.field == "")
