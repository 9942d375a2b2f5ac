"""What a script changes: which calls depend on the value of an expression, and whether there are certainly none."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kosmolua.lua.scopes import Scopes, Variable
from kosmolua.lua.syntax import (
    FUNCTIONS,
    INDEXED,
    LOOPS,
    NAMING,
    Node,
    arguments_of,
    assigned,
    base_of,
    called_in,
    parameters_of,
    targets_of,
)
from kosmolua.lua.values import Branch, Builtin, Callee, Closure, Known

_BLOCKS = frozenset({"block", "chunk"})
_BRANCHES = frozenset({"if_statement", "elseif_statement"})
_NAMES_NOTHING = frozenset({"field", "method"})
_ENDING = frozenset({"error", "exit", "os.exit"})


class _Run(NamedTuple):
    """The execution of a statement."""

    statement: Node


_Effect = Node | _Run
"""What depends on the value of an expression: the value of another one, or whether a statement runs."""


class Dependence:
    """The paths on which the values of a script's expressions reach the calls that change something.

    A value reaches a call as an argument, through variables, tables and functions of the script, and as a condition
    that decides whether the call is made.
    """

    def __init__(self, scopes: Scopes, known: Known) -> None:
        self._scopes = scopes
        self._known = known
        self._uses: defaultdict[Variable | str, list[Node]] = defaultdict(list)
        self._targets: dict[Node, Sequence[_Effect]] = {}
        self._changing: set[Node] = set()
        self._callers: defaultdict[int, list[Node]] = defaultdict(list)
        for node in scopes.of("identifier"):
            if node.field not in _NAMES_NOTHING:
                self._uses[scopes.variable(node) or node.text].append(node)
        for call, called, given in scopes.calls:
            for value in map(known, (called, *given)):
                if isinstance(value, Closure):
                    self._callers[value.node.start].append(call)
                elif isinstance(value, Callee) and value.function.effect != "read":
                    self._changing.add(call)
        for node in scopes.of("function_definition"):
            for call in node.outer({"function_call"}):  # as in parallel.all({ function() ... end })
                if call not in self._callers[node.start]:
                    self._callers[node.start].append(call)
        self._writing = sorted(call.start for call in self._writing_calls())
        self._deciding: set[_Effect] = set()
        self._followed: set[_Effect] = set()
        self._causes: defaultdict[_Effect, list[_Effect]] = defaultdict(list)

    def writes_in(self, node: Node) -> bool:
        """Return True if a call inside a node can change something."""
        return self.writes_between(node.start, node.end)

    def writes_between(self, start: int, end: int) -> bool:
        """Return True if a call between two offsets can change something."""
        place = bisect_left(self._writing, start)
        return place < len(self._writing) and self._writing[place] < end

    def decides(self, node: Node) -> bool:
        """Return True if a call that changes something depends on the value of an expression.

        What is found out on the way about other expressions is kept, so that each is followed only once.
        """
        waiting: list[_Effect] = [node]
        while waiting and node not in self._deciding:
            effect = waiting.pop()
            if effect in self._followed or effect in self._deciding:
                continue
            for found in self._next(effect):
                if found is None or found in self._deciding:
                    self._decide(effect)
                    break
                self._causes[found].append(effect)
                waiting.append(found)
            else:
                self._followed.add(effect)
        return node in self._deciding

    def _decide(self, effect: _Effect) -> None:
        """Note that a change depends on an effect, and so on everything that this effect depends on."""
        waiting = [effect]
        while waiting:
            if (each := waiting.pop()) not in self._deciding:
                self._deciding.add(each)
                waiting += self._causes[each]

    def _writing_calls(self) -> set[Node]:
        """Return the calls that can change something: of an integration's function, or of a function with such a call.

        A function that is passed to a call counts as called there.
        """
        writing, waiting = {*self._changing}, [*self._changing]
        while waiting:
            for function in waiting.pop().outer(FUNCTIONS):
                for call in self._callers[function.start]:
                    if call not in writing:
                        writing.add(call)
                        waiting.append(call)
        return writing

    def _next(self, effect: _Effect) -> Iterator[_Effect | None]:
        """Yield what depends directly on the value or the execution of a node; None stands for a change."""
        if isinstance(effect, _Run):
            yield from self._from_running(effect.statement)
            return
        inner, outer = effect, effect.around
        while outer and outer.kind not in _BLOCKS and outer.kind not in FUNCTIONS:
            if outer.kind == "arguments" and outer.around:
                yield from self._from_argument(inner, outer.around)
            elif outer.kind == "binary_expression" and inner.field == "left":
                right = outer.get("right")
                yield from [None] if right and self.writes_in(right) else []
            elif outer.kind in _BRANCHES and inner.field == "condition":
                yield _Run(outer if outer.kind == "if_statement" else outer.around or outer)
            elif outer.kind in LOOPS:
                yield _Run(outer)
                yield from self._to_targets(inner)
            elif outer.kind == "assignment_statement":
                yield from self._to_targets(outer)
            elif outer.kind == "return_statement":
                yield from self._to_callers(outer)
            inner, outer = outer, outer.around

    def _from_argument(self, argument: Node, call: Node) -> Iterator[_Effect | None]:
        """Yield what has its value from an argument of a call: parameters, and the table that the call fills."""
        if call in self._changing:
            yield None
        name, given = called_in(call), arguments_of(call)
        called = self._known(name)
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
            if node.kind == "assignment_statement":
                yield from self._to_targets(node)
            elif node.kind == "return_statement":
                yield from self._to_callers(node)
                yield from self._after(statement, FUNCTIONS)
            elif node.kind in ("break_statement", "goto_statement"):
                yield from self._after(statement, FUNCTIONS | LOOPS)
            elif node.kind == "function_call":
                called, given = self._known(called_in(node)), arguments_of(node)
                if isinstance(called, Closure):
                    yield _Run(called.node.get("body") or called.node)
                elif isinstance(called, Builtin) and called.name in _ENDING:
                    yield from self._after(statement, frozenset())
                elif isinstance(called, Builtin) and called.name.startswith("table.") and given:
                    yield from self._to_uses(base_of(given[0]))

    def _after(self, statement: Node, ends: frozenset[str]) -> Iterator[_Effect]:
        """Yield the statements after a statement, in its block and the blocks around, up to a node of these kinds."""
        inner, outer = statement, statement.around
        while outer and inner.kind not in ends:
            if outer.kind in _BLOCKS:
                yield from (_Run(each) for each in outer.children if each.start > inner.start)
            inner, outer = outer, outer.around

    def _to_targets(self, statement: Node) -> Sequence[_Effect]:
        if statement not in self._targets:
            bases = map(base_of, targets_of(statement) or statement.all("name"))
            self._targets[statement] = [use for base in bases for use in self._to_uses(base)]
        return self._targets[statement]

    def _to_parameters(self, function: Closure, index: int) -> Iterator[_Effect]:
        names = parameters_of(function.node)
        yield from self._to_uses(names[index]) if index < len(names) else ()

    def _to_callers(self, statement: Node) -> Iterator[_Effect]:
        function = next(statement.outer(FUNCTIONS), None)
        yield from self._callers[function.start] if function else ()

    def _to_uses(self, name: Node) -> Sequence[Node]:
        return self._uses[self._scopes.variable(name) or name.text] if name.kind == "identifier" else ()


def leads_to_known_functions(scopes: Scopes, known: Known) -> bool:
    """Return True if a script uses ``app`` only in paths that lead to functions, as ``app.integrations.NAME.FUNCTION``.

    These functions have to be known.
    """
    if scopes.is_dynamic:
        return False
    values = ((node, known(node)) for node in scopes.of(*NAMING))
    may_be_tables = [(node, value) for node, value in values if value is None or isinstance(value, Branch)]
    return all(_is_followed(node, value, scopes, known) for node, value in may_be_tables)


def _is_followed(node: Node, value: Branch | None, scopes: Scopes, known: Known) -> bool:
    """Return False if a node is ``app`` or a table inside it, and the script might use that table in an unknown way."""
    around = node.around
    if around is None:
        return True
    if value is None:  # in a place that is not evaluated, such as a field's name
        is_app = node.kind == "identifier" and node.text == "app" and scopes.variable(node) is None
        return not is_app or (around.kind in ("field", *INDEXED) and node.field != "table")
    if around.kind in INDEXED and node.field == "table":
        return isinstance(known(around), (Branch, Callee))
    return around.kind == "variable_list" or _is_declared(node, around.around, scopes)


def _is_declared(node: Node, statement: Node | None, scopes: Scopes) -> bool:
    """Return True if a node is the initial value of a local variable that is never changed."""
    declaration = statement.around if statement else None
    if statement is None or declaration is None or declaration.kind != "variable_declaration":
        return False
    target = next((target for target, value in assigned(statement) if value is node), None)
    variable = scopes.variable(target) if target else None
    return variable is not None and variable.changes == 0
