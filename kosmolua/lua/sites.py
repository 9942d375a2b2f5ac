"""The places where a script calls functions of integrations, for what only its run can check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from kosmolua.lua.dependence import Dependence
from kosmolua.lua.scopes import Scopes
from kosmolua.lua.site import Key, Site
from kosmolua.lua.syntax import (
    FUNCTIONS,
    INDEXED,
    LEAVING,
    LOOPS,
    NAMING,
    Node,
    arguments_of,
    base_of,
    called_in,
    first_argument,
    key_of,
    values_of,
)
from kosmolua.lua.values import Branch, Builtin, Callee, Closure, Known, Result, Unknown, Value, is_builtin, is_optional
from kosmolua.lua.written import CALLERS, Written

_FOLLOWED = {"pcall": 0, "xpcall": 0, "parallel.map": 1, "wait_until": 0, "type": 0, "tostring": 0}
"""The functions that do nothing with another function but to call it, each with the place of that argument."""
_CURSORS = frozenset({"cursor", "page", "page_token", "next_token", "offset", "after", "marker", "start", "skip"})
"""The usual names of parameters that say where a page begins. They are nil for the first page."""
_NEXT = frozenset({"cursor", "next_cursor", "next_page", "next_page_token", "next", "has_more", "truncated"})
"""The usual names of the fields by which a script sees that a list has more pages."""
_OUTSIDE = frozenset({"arg", "input", "params"})
_NEVER_NIL = frozenset({"string", "number", "true", "false", "function_definition", "table_constructor"})
_MAX_STEPS = 5
"""How many variables are followed to the call that their value comes from."""


class _Call(NamedTuple):
    node: Node
    function: Callee | None
    arguments: Sequence[Node]


class _Loop(NamedTuple):
    start: int
    items: Node
    body: Node
    function: Callee | None = None


def sites_of(scopes: Scopes, known: Known, dependence: Callable[[], Dependence]) -> list[Site]:
    """Return the places where a script, which has been checked already, calls functions of integrations.

    ``known`` returns what the check has found out about an expression, ``dependence`` what changes depend on, if the
    script may change something.
    """
    return list(_Sites(scopes, known, dependence).found())


class _Sites:
    def __init__(self, scopes: Scopes, known: Known, dependence: Callable[[], Dependence]) -> None:
        self._scopes = scopes
        self._known = known
        self._dependence = dependence
        self._of_app: list[tuple[Node, Callee | Branch]] = []
        self._named: list[tuple[Node, Closure]] = []
        for node in scopes.of(*NAMING):
            value = known(node)
            if isinstance(value, (Callee, Branch)):
                self._of_app.append((node, value))
            elif isinstance(value, Closure):
                self._named.append((node, value))

    @cached_property
    def _written(self) -> Written:
        return Written(self._scopes, self._known)

    def found(self) -> Iterator[Site]:
        calls = [found for call in self._scopes.calls if (found := self._call(*call))]
        maps = list(self._maps())
        functions = [call.function for call in calls] + [each.function for each in maps]
        escaped = self._escaped()
        changes = None
        if escaped or any(each and each.function.effect != "read" for each in functions):
            changes = self._dependence()
        loops = [each for each in (*self._loops(), *maps) if self._changes(each, changes)] if changes else []
        if any(key_of(node) in _NEXT for node in (self._scopes.of(*INDEXED) if loops else ())):
            loops = []
        inside = {loop.start: list(self._run_by(loop)) for loop in loops}
        sources = [(loop.start, self._source(loop.items)) for loop in loops]
        for call in calls:
            path = call.function.path if call.function else ""
            is_tail = self._is_tail(call.node)
            if not escaped.isdisjoint((path, "")) if is_tail else not (path or escaped):
                continue  # a call from elsewhere could not be told from this one; or this calls no integration
            reads = call.function is not None and call.function.function.effect == "read"
            around = (start for start, parts in inside.items() if any(_contains(part, call.node) for part in parts))
            yield Site(
                call.node.line,
                path,
                is_tail,
                tuple(self._keys(call.arguments[0])) if len(call.arguments) == 1 else (),
                reads and changes is not None and changes.decides(call.node),
                frozenset(start for start, source in sources if source is call.node),
                frozenset(() if reads else around),
            )
        for loop in maps:
            if loop.function:
                within = frozenset({loop.start} & inside.keys())
                yield Site(loop.body.line, loop.function.path, is_tail=True, within=within)

    def _call(self, node: Node, name: Node | None, given: Sequence[Node]) -> _Call | None:
        """Return a call of a function of an integration, or of a function about which nothing is known."""
        if name is None or name.kind == "method_index_expression":
            return None
        called = self._known(name)
        if isinstance(called, Builtin) and called.name in CALLERS and given:
            given, called = given[CALLERS[called.name] :], self._known(given[0])
        if isinstance(called, Callee):
            return _Call(node, called, given)
        return _Call(node, None, given) if called is None or isinstance(called, Unknown) else None

    def _is_tail(self, node: Node) -> bool:
        """Return True for a tail call. The script itself makes none: a variable to close is put before it."""
        around = node.around
        if around is None or around.kind != "expression_list" or len(around.children) > 1:
            return False
        statement = around.around
        return statement is not None and statement.kind == "return_statement" and any(statement.outer(FUNCTIONS))

    def _escaped(self) -> set[str]:
        """Return the paths of functions that the script may call where no call names them.

        The empty path is among them if the script may do so with any function.
        """
        found: set[str] = {""} if self._scopes.may_share_globals else set()
        for node, value in self._of_app:
            if not self._is_followed(node):
                found.add(value.path if isinstance(value, Callee) else "")
        return found

    def _is_followed(self, node: Node) -> bool:
        """Return True for a part of ``app`` that only a variable, a known field, or a call of it uses."""
        around = node.around
        if around is None or node.field == "name" or node.kind == "parenthesized_expression":
            return True
        if node.field == "table":
            return not isinstance(self._known(around), Unknown)
        outer = around.around
        if around.kind == "expression_list" and outer and (targets := outer.first("variable_list")):
            return all(target.kind == "identifier" for target in targets.children)
        called = self._known(called_in(outer)) if around.kind == "arguments" else None
        return isinstance(called, Builtin) and _FOLLOWED.get(called.name) == arguments_of(outer).index(node)

    # Keys of tables

    def _keys(self, table: Node, steps: int = _MAX_STEPS) -> Iterator[Key]:
        """Yield the places in a table of arguments that the script gives a value, which can be nil."""
        variable = self._scopes.variable(table) if table.kind == "identifier" else None
        if variable and variable.table and not variable.changes and not self._scopes.may_extend(variable.table):
            yield from (key for key in self._keys(variable.table) if key[0] not in self._scopes.fields)
        elif table.kind == "table_constructor":
            for index, field in enumerate(table.children, start=1):
                key = key_of(field) if field.get("name") else index
                value = field.get("value")
                if key is None or value is None or not steps:
                    continue
                if value.kind == "table_constructor":
                    yield from ((key, *inner) for inner in self._keys(value, steps - 1))
                elif isinstance(key, str) and self._may_be_nil(value) and not self._is_cursor(key, value):
                    yield (key,)

    def _may_be_nil(self, node: Node) -> bool:
        """Return False for a value that is never nil, and for one for which the script itself says ``nil``."""
        operator = node.operator
        if operator == "or" and (right := node.get("right")):
            return self._may_be_nil(right)
        if operator and operator != "and":
            return False
        if node.kind in _NEVER_NIL or node.kind == "nil":
            return False
        return not (self._is_optional_parameter(self._known(node)) or self._written.is_left_out(node))

    def _is_optional_parameter(self, value: Value | None) -> bool:
        """Return True for ``params.NAME`` if the header of the script says that NAME is optional."""
        if not isinstance(value, Result) or value.part_of is None:
            return False
        record, key = value.part_of
        return record.name == "params" and is_optional(record, key)

    def _is_cursor(self, key: str, value: Node) -> bool:
        return key in _CURSORS and base_of(value).text not in _OUTSIDE

    # Loops over lists

    def _loops(self) -> Iterator[_Loop]:
        """Yield the loops that go through whole lists."""
        for node in self._scopes.of("for_statement", "while_statement"):
            items, body = self._items(node), node.get("body")
            if items and body and not _leaves_early(body):
                yield _Loop(node.start, items, body)

    def _maps(self) -> Iterator[_Loop]:
        """Yield the calls of ``parallel.map``."""
        for node, name, given in self._scopes.calls:
            if len(given) > 1 and is_builtin(self._known(name), "parallel.map"):
                function = self._known(given[1])
                callee = function if isinstance(function, Callee) else None
                yield _Loop(node.start, given[0], function.node if isinstance(function, Closure) else node, callee)

    def _items(self, loop: Node) -> Node | None:
        """Return the expression of the list that a loop goes through: by ``ipairs``, ``pairs`` or ``#``."""
        clause = loop.get("clause")
        if clause and clause.kind == "for_generic_clause":
            given = values_of(clause)
            call = given[0] if given else None
            if len(given) > 1 and is_builtin(self._known(call), "next"):
                return given[1]
            return first_argument(call) if is_builtin(self._known(called_in(call)), "ipairs", "pairs") else None
        bound = clause.get("end") if clause else None
        condition = loop.get("condition")
        if condition and condition.operator in ("<=", "<"):
            bound = condition.get("right")
        return bound.get("operand") if bound and bound.operator == "#" else None

    def _changes(self, loop: _Loop, changes: Dependence) -> bool:
        if loop.function:
            return loop.function.function.effect != "read"
        return changes.writes_in(loop.body)

    def _run_by(self, loop: _Loop) -> Iterator[Node]:
        """Yield the parts of the script that a loop runs: its body, and the functions that are called there."""
        waiting, seen = [loop.body], {loop.body}
        while waiting:
            part = waiting.pop()
            yield part
            for name, function in self._named:
                if _contains(part, name) and function.node not in seen:
                    seen.add(function.node)
                    waiting.append(function.node)

    def _source(self, node: Node) -> Node | None:
        """Return the call of an integration's function that a list comes from, or None."""
        for _ in range(_MAX_STEPS):
            variable = self._scopes.variable(base_of(node))
            if variable is None or variable.changes:
                break
            given = variable.value or self._caught(variable.node)
            if given and given.kind == "table_constructor":
                given = self._field_of(given, node)
            if given is None:
                break
            node = given
        node = base_of(node)
        return node if self._call(node, called_in(node), arguments_of(node)) else None

    def _field_of(self, table: Node, path: Node) -> Node | None:
        """Return the only expression that a script gives to the field of its table that a path begins with, or None."""
        while (inner := path.get("table")) and inner.get("table"):
            path = inner
        key, variable = key_of(path), self._scopes.variable(base_of(path))
        given = [each.get("value") for each in table.children if key_of(each) == key]
        for target, value in self._scopes.assigned if variable and variable.fills else ():
            if self._scopes.variable(target.get("table") or target) is variable and key_of(target) == key:
                given.append(value)
        return given[0] if key is not None and len(given) == 1 else None

    def _caught(self, name: Node) -> Node | None:
        """Return the ``pcall`` whose second value a variable is declared with, or None."""
        names = name.around
        statement = names.around if names else None
        given = statement.first("expression_list") if statement else None
        if names is None or given is None or len(given.children) != 1 or names.children[1:2] != [name]:
            return None
        return given.children[0]


def _contains(part: Node, node: Node) -> bool:
    return part.start <= node.start < part.end


def _leaves_early(body: Node) -> bool:
    """Return True if a loop can end before it has gone through its list: by ``break``, ``return`` or ``goto``."""
    nodes = body.walk()
    if not any(each.kind in LEAVING for each in nodes):
        return False
    labels = {each.children[0].text for each in nodes if each.kind == "label_statement"}
    waiting = [(each, False) for each in body.children]
    while waiting:
        node, is_inner = waiting.pop()
        if node.kind == "return_statement" or (node.kind == "break_statement" and not is_inner):
            return True
        if node.kind == "goto_statement" and node.children[0].text not in labels:
            return True
        if node.kind not in FUNCTIONS:
            waiting += [(each, is_inner or node.kind in LOOPS) for each in node.children]
    return False
