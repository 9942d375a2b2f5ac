"""The expressions that a script itself writes for a value: arguments of its own functions, and items of its tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import takewhile

from kosmolua.expressions import regex
from kosmolua.limits import whole_number
from kosmolua.lua.scopes import Scopes, Variable
from kosmolua.lua.syntax import (
    FUNCTIONS,
    Node,
    called_in,
    key_of,
    parameters_of,
    values_of,
)
from kosmolua.lua.values import Builtin, Callee, Closure, Known, is_builtin

CALLERS = {"pcall": 1, "xpcall": 2}
"""The functions that call another one, each with how many of their arguments come before those of the other."""
_METHODS = frozenset({"dot_index_expression", "method_index_expression"})
_OPEN = frozenset({"function_call", "vararg_expression"})
_CONSTANT = frozenset({"nil", "string", "number", "true", "false", "table_constructor"})
_OPTIONAL = regex(r"\s*---\s*@param\s+(\w+)\?")
_MAX_STEPS = 100
"""How many expressions are followed, and how many fields of a table are read, to find those that a value comes from."""


class Written:
    """What a script writes for its parameters, variables and fields.

    ``known`` returns what the check has found out about an expression.
    """

    def __init__(self, scopes: Scopes, known: Known) -> None:
        self._scopes = scopes
        self._known = known
        self._given: defaultdict[int, list[Node | None]] = defaultdict(list)
        self._assigned: defaultdict[int, list[Node | None]] = defaultdict(list)
        self._items: dict[int, Node] = {}
        self._optional: set[int] = set()
        fields: defaultdict[tuple[str, str | None], list[Node]] = defaultdict(list)
        for node in scopes.of(*FUNCTIONS):
            name = node.get("name")
            if name and name.kind in _METHODS:
                fields[name.kind, key_of(name)].append(node)
            if b"---@param" in node.source:
                names = _optional_names(node)
                self._optional.update(each.start for each in parameters_of(node) if each.text in names)
        for _, name, given in scopes.calls:
            if name:
                self._call(name, given, fields[name.kind, key_of(name)] if name.kind in _METHODS else [])
        for target, value in scopes.assigned:
            if variable := scopes.variable(target):
                self._assigned[variable.start].append(value)

    def is_left_out(self, node: Node) -> bool:
        """Return True if the script writes nil for a value, or writes it in one call or table and not in another.

        A variable that gets its value later is left out only if the script writes each of its values as a constant.
        Otherwise it can be nil because the script has looked for its value in vain.
        """
        variable = self._scopes.variable(node) if node.kind == "identifier" else None
        if variable and variable.changes:
            return self._begins_as_nil(variable) and all(
                value is not None and value.kind in _CONSTANT for value in self._assigned[variable.start]
            )
        if variable and variable.start in self._optional:
            return True
        kinds = {value.kind if value else "" for value in self._values(node, set())}
        return "nil" in kinds or {""} < kinds

    def _begins_as_nil(self, variable: Variable) -> bool:
        """Return True for a local that is declared without a value, or as nil."""
        names = variable.node.around
        values = values_of(names.around if names else None)
        return names is not None and names.kind == "variable_list" and all(value.kind == "nil" for value in values)

    def _call(self, name: Node, given: Sequence[Node], fields: Sequence[Node]) -> None:
        """Note what a call passes to each parameter of a function of the script."""
        called = self._known(name)
        if isinstance(called, Builtin) and called.name in CALLERS and given:
            given, called = given[CALLERS[called.name] :], self._known(given[0])
        elif is_builtin(called, "parallel.map") and len(given) > 1:
            mapped = self._known(given[1])
            names = parameters_of(mapped.node)[:1] if isinstance(mapped, Closure) else []
            self._items.update((name.start, given[0]) for name in names)
        if isinstance(called, Callee) or len(fields) > 1:
            fields = []
        functions = [called.node] if isinstance(called, Closure) else fields
        is_open = bool(given) and given[-1].kind in _OPEN
        for function in functions:
            for index, parameter in enumerate(parameters_of(function)):
                if index < len(given) - is_open:
                    self._given[parameter.start].append(given[index])
                elif not is_open:
                    self._given[parameter.start].append(None)

    def _values(self, node: Node | None, followed: set[Node]) -> Iterator[Node | None]:
        """Yield the expressions that a value comes from, and None for each place that leaves it out.

        Nodes that were ``followed`` already are not followed again, so that the work is bounded.
        """
        if node is None or node in followed or len(followed) > _MAX_STEPS:
            yield from () if node else (None,)
            return
        followed.add(node)
        variable = self._scopes.variable(node) if node.kind == "identifier" else None
        items = variable and (variable.items or self._items.get(variable.start))
        called = self._known(called_in(node))
        if isinstance(called, Closure):
            sources = _returned(called.node) or [node]
        elif node.operator == "or":
            sources = [node.get("left"), node.get("right")]
        elif node.get("table"):
            sources = [item for table in self._values(node.get("table"), followed) for item in _items(table, node)]
        elif items:
            sources = [item for table in self._values(items, followed) for item in _items(table)]
        elif variable and variable.start in self._given:
            sources = self._given[variable.start]
        elif variable and variable.value and not variable.changes:
            sources = [variable.value]
        else:
            yield node
            return
        for source in sources[:_MAX_STEPS]:
            yield from self._values(source, followed)


def _items(table: Node | None, index: Node | None = None) -> list[Node | None]:
    """Return the values in a table constructor: those that an index expression can mean, or all. No table has none."""
    if table and table.kind != "table_constructor":
        return []
    fields = table.children[:_MAX_STEPS] if table else []
    key, place = (key_of(index), index.get("field")) if index else (None, None)
    if key is not None:
        return [next((each.get("value") for each in fields if key_of(each) == key), None)]
    if place and (number := whole_number(place.text)) is not None:
        unnamed = [each.get("value") for each in fields if each.get("name") is None]
        return [dict(enumerate(unnamed, start=1)).get(number)]
    return [each.get("value") for each in fields]


def _returned(function: Node) -> list[Node | None]:
    """Return the first value of each ``return`` of a function."""
    body = function.get("body")
    returns = (each for each in (body.walk_own() if body else ()) if each.kind == "return_statement")
    return [value for each in returns for value in values_of(each)[:1]]


def _optional_names(function: Node) -> set[str]:
    """Return the parameters that the comment above a function calls optional, as in ``---@param plan? string``."""
    above = function.source[: function.start].decode("utf-8", "replace").rpartition("\n")[0]
    lines = takewhile(lambda line: line.lstrip().startswith("---"), reversed(above.split("\n")))
    return {found[1] for line in lines if (found := _OPTIONAL.match(line))}
