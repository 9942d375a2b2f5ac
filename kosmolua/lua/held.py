"""What a script's variables and functions hold: the values that are assigned, given and returned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import reduce
from types import MappingProxyType

from kosmolua.lua.scopes import Scopes
from kosmolua.lua.syntax import Node, called_in
from kosmolua.lua.values import UNKNOWN, Closure, Missing, Result, Undefined, Value
from kosmolua.schema.types import ANY, List, Record, Type

Held = Mapping["int | str", Value]
"""What is known about each variable that changes. The keys are the places of locals, and the names of globals."""
NOTHING_HELD: Held = MappingProxyType({})
MAX_SOURCES = 2
"""A message names at most this many sources of a value."""


class Flow:
    """Collects, while a script is checked, the values that are assigned to variables and returned by functions."""

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes
        self._assigned: defaultdict[int | str, list[Value]] = defaultdict(list)
        self._expected: dict[int | str, int] = {}
        self._returned: defaultdict[int, list[Value]] = defaultdict(list)
        self._open: list[int] = []

    def assign(self, target: Node, value: Value) -> None:
        """Record the value that a declaration or an assignment gives to a variable."""
        variable = self._scopes.variable(target)
        if variable is None and self._scopes.may_share_globals:
            return
        if variable is None:
            self._expected[target.text] = self._scopes.defined[target.text]
            self._assigned[target.text].append(value)
        elif variable.changes:
            self._expected[variable.start] = variable.changes + 1
            self._assigned[variable.start].append(value)

    def give_to(self, parameter: Node, value: Value, calls: int) -> None:
        """Record the value that a call passes to a parameter of a script's function.

        Do nothing if the function's body assigns to the parameter.
        """
        variable = self._scopes.variable(parameter)
        if variable and not variable.changes:
            self._expected[variable.start] = calls
            self._assigned[variable.start].append(value)

    def held(self) -> Held:
        """Return what is known about each variable whose assignments were all recorded."""
        values = {key: joined(found) for key, found in self._assigned.items() if len(found) == self._expected[key]}
        return {key: value for key, value in values.items() if value is not UNKNOWN}

    def open(self, closure: Closure) -> None:
        """Begin the body of a function. :meth:`give` then records what this function returns."""
        self._open.append(closure.node.start)

    def close(self) -> None:
        """End the body of a function: the one that the latest :meth:`open` began."""
        self._open.pop()

    def give(self, value: Value) -> None:
        """Record the first value of a ``return`` in the function that :meth:`open` began last."""
        if self._open:
            self._returned[self._open[-1]].append(value)

    def returned(self, closure: Closure) -> Value:
        """Return what is known about the first value that a function returns.

        Nothing is known until the check has reached the end of the function's body.
        """
        start = closure.node.start
        value = UNKNOWN if start in self._open else joined(self._returned[start])
        if isinstance(value, Result) and not always_returns(closure.node.get("body")):
            return value._replace(may_be_absent=True)
        return value


def always_returns(block: Node | None) -> bool:
    """Return True if a block always ends in a ``return`` or an error, in each of its branches."""
    last = block.children[-1] if block and block.children else None
    if last is None:
        return False
    if name := called_in(last):
        return name.text in ("error", "exit")
    if last.kind == "while_statement":
        condition = last.get("condition")
        return condition is not None and condition.kind == "true"
    if last.kind == "do_statement":
        return always_returns(last.get("body"))
    if last.kind != "if_statement":
        return last.kind == "return_statement"
    blocks = [
        last.get("consequence"),
        *(each.get("consequence") or each.get("body") for each in last.all("alternative")),
    ]
    return any(each.kind == "else_statement" for each in last.children) and all(map(always_returns, blocks))


def joined(values: Sequence[Value]) -> Value:
    """Return what is known about an expression that is nil or has one of these values.

    Something is known only if each value is nil or the result of an integration's function.
    """
    found = [value for value in values if not isinstance(value, (Missing, Undefined))]
    results = [value for value in found if isinstance(value, Result)]
    if not results or len(results) < len(found):
        return UNKNOWN
    kind = reduce(_common, (each.type for each in results))
    if kind is ANY:
        return UNKNOWN
    sources = list(dict.fromkeys(each.source for each in results))
    return Result(
        kind,
        " or ".join(sources[:MAX_SOURCES]) + (" or others" if len(sources) > MAX_SOURCES else ""),
        may_be_null=any(each.may_be_null for each in results),
        may_be_absent=len(found) < len(values) or any(each.is_optional or each.may_be_absent for each in results),
        may_be_error=any(each.may_be_error for each in results),
        is_vague=any(each.is_vague for each in results),
        may_be_call_error=all(each.may_be_call_error for each in results),
    )


def _common(one: Type, other: Type) -> Type:
    """Return a type that allows the values of both types. For two records, this is a record with the keys of both.

    The result is ``ANY`` unless the types are equal, or both are records or lists.
    """
    if one is other or one == other:
        return one
    if isinstance(one, List) and isinstance(other, List):
        return List(_common(one.item, other.item))
    if isinstance(one, Record) and isinstance(other, Record):
        shared = {key: _common(one.fields[key], other.fields[key]) for key in one.fields.keys() & other.fields.keys()}
        required = one.required & other.required
        return Record(f"{one.name} or {other.name}", {**one.fields, **other.fields, **shared}, required=required)
    return ANY
