"""How a script fills and uses its variables and tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from kosmolua.check.findings import Findings, Mode
from kosmolua.lua.scopes import Scopes, Variable
from kosmolua.lua.syntax import Node, base_of, key_of, keys_of
from kosmolua.lua.values import Result, Value, kind_of

_GROWING = frozenset({"+", "-", "*", "/", "//", "%", "^", ".."})
_STARTS = frozenset({"number", "string", "table_constructor"})
_HARMLESS = frozenset({"ipairs", "pairs", "next", "print", "write", "dump", "type", "tostring", "json.encode"})
_OF_LISTS = {
    "ipairs": "for key, value in pairs(map) do",
    "table.sort": "collect the keys in a list, and sort that",
    "table.concat": "collect the texts in a list first",
    "table.unpack": "name each value: f(map.name, map.id)",
}
"""Functions that take a list, each with a hint for a script that passes a map."""


_EMPTY = {
    "number": ("number", "0", "{} > 0"),
    "string": ("text", "an empty one", '{} ~= ""'),
    "table_constructor": ("table", "an empty one", "next({}) ~= nil"),
}
"""What is false in other languages, by the kind of the first value: a noun, the empty one, and what to write."""
_IDS_AND_NAMES = [["id", name] for name in ("name", "slug", "title", "url")]


def _field_in(key: Value) -> str:
    """Return the field of a result that a key is, such as ``id``, or an empty string."""
    return key.part_of[1] if isinstance(key, Result) and key.part_of else ""


class _Use(NamedTuple):
    variable: Variable
    node: Node
    mode: Mode
    what: str
    hint: str


class Gathered:
    """Records how a script fills and uses its tables and variables, and finds wrong uses in the end."""

    def __init__(self, scopes: Scopes, findings: Findings) -> None:
        self._scopes = scopes
        self._findings = findings
        self._harmless: Counter[Variable] = Counter()
        self._by_name: Counter[Variable] = Counter()
        self._by_number: Counter[Variable] = Counter()
        self._inserted: Counter[Variable] = Counter()
        self._grown: Counter[Variable] = Counter()
        self._inward: Counter[Variable] = Counter()
        self._unset: set[Variable] = set()
        self._at_end: defaultdict[Variable, list[Node]] = defaultdict(list)
        self._lists: list[_Use] = []
        self._looked_up: list[tuple[Variable, Node, Value]] = []
        self._keys: defaultdict[Variable, set[str]] = defaultdict(set)
        self._asked: list[tuple[Variable, Node]] = []
        self._nils: list[_Use] = []

    def declare(self, name: Node) -> None:
        """Record that a variable is declared without a value."""
        if variable := self._scopes.variable(name):
            self._unset.add(variable)

    def assign(self, target: Node, key: Value, given: Node | None) -> None:
        """Record an assignment to a variable or a field."""
        table = target.get("table")
        variable = self._variable(target)
        if variable is None:
            return
        left = given.get("left") if given and given.operator in _GROWING else None
        grows = left is not None and left.text == target.text
        if given and left and grows:
            start = '""' if given.operator == ".." else "0"
            hint = f"({left.text} or {start})" if table else f"declare it with local {left.text} = {start}"
            self._note_nil(variable, left, "compute with", hint)
        self._inward[variable] += self._named_in(variable, target)
        if (
            given
            and given.kind != "function_definition"
            and not any(each.kind == "function_call" for each in given.walk())
        ):
            self._inward[variable] += self._named_in(variable, given)
        if table is None:
            self._grown[variable] += grows
            return
        field, is_inside = target.get("field"), table.kind != "identifier"
        if field and field.text.replace(" ", "") == f"#{table.text}" and (given is None or given.kind != "nil"):
            self._at_end[variable].append(target)
        self._grown[variable] += grows or is_inside
        self._keys[variable].add(_field_in(key))
        self._by_name[variable] += is_inside or key_of(target) is not None or kind_of(key) == "string"
        self._by_number[variable] += not is_inside and kind_of(key) == "number"
        if is_inside:
            self._note_item(table, "index")

    def look_up(self, node: Node, key: Value) -> None:
        """Record that the script looks up an item of a table by a text or a number."""
        variable = self._scopes.variable(node.get("table")) if kind_of(key) in ("string", "number") else None
        if variable and variable.table and not variable.changes:
            self._looked_up.append((variable, node, key))

    def ask(self, name: Node, condition: Node) -> None:
        """Record that a condition asks whether a variable is true."""
        variable = self._scopes.variable(name)
        if variable and variable.value and variable.value.kind in _STARTS:
            self._asked.append((variable, condition))

    def measure(self, operand: Node) -> None:
        """Record that the script takes the length of an expression with ``#``."""
        if variable := self._variable(operand):
            self._harmless[variable] += 1
            self._note_list(variable, operand, "#", "count in a loop over pairs(map)")

    def call(self, name: str, given: Sequence[Node]) -> None:
        """Record a call of a built-in function with its arguments."""
        if not given:
            return
        if name in ("table.insert", "ipairs", "table.concat", "table.sort"):
            self._note_item(given[0], "go through")
        if name == "table.insert" and (variable := self._scopes.variable(given[0])):
            self._inward[variable] += 1
            self._inserted[variable] += 1
        for node in given:
            variable = self._variable(node) if node.kind == "identifier" else None
            if variable and (name in _HARMLESS or (name in _OF_LISTS and node is given[0])):
                self._harmless[variable] += 1
        is_list = name in _OF_LISTS and given[0].kind == "identifier" and (name != "table.unpack" or len(given) < 3)
        if is_list and (variable := self._variable(given[0])):
            self._note_list(variable, given[0], name, _OF_LISTS[name])

    def settle(self) -> None:
        """Add findings about wrong uses. Call this only when the whole script is recorded."""
        for use in self._lists:
            if self._is_map(use.variable):
                message = f"{use.what} needs a list, but {use.variable.name} has names as keys"
                self._findings.mistake(use.node, message, use.hint)
        asked = {(variable, _field_in(key)) for variable, _, key in self._looked_up}
        for variable, node, key in self._looked_up:
            kind, field, keys = kind_of(key), _field_in(key), self._keys[variable]
            if kind == "string" and self._is_list(variable):
                message = f"{variable.name} is filled as a list, so it has nothing at a text"
                self._findings.mistake(node, message, f"{variable.name}[text] = true makes it a set")
            elif not variable.fills or not self._is_map(variable):
                continue
            elif kind == "number":
                message = f"{variable.name} has only texts as keys, so it has nothing at a number"
                self._findings.mistake(node, message, "tostring(number) converts a key")
            elif len(keys) != 1 or (variable, kept := next(iter(keys))) in asked:
                continue
            elif sorted((kept, field)) in _IDS_AND_NAMES:
                message = f"each key of {variable.name} is a field '{kept}', and this is the field '{field}'"
                self._findings.mistake(node, message, f"use .{kept} in both places")
        for variable, node in self._asked:
            value, grown = variable.value, self._grown[variable]
            is_table = value is variable.table and not variable.changes and not (value and value.children)
            if value and (is_table or (value is not variable.table and variable.changes == grown > 0)):
                noun, empty, hint = _EMPTY[value.kind]
                message = f"{variable.name} is a {noun}, and any {noun} is true, even {empty}"
                self._findings.mistake(node, message, hint.format(variable.name))
        for use in self._nils:
            if self._is_never_filled(use.variable):
                self._findings.mode = use.mode
                message = f"{use.node.text[:40]} is nil at first, and Lua cannot {use.what} nil"
                self._findings.fail(use.node, message, use.hint)
        for variable, targets in self._at_end.items():
            is_empty = variable.table is not None and not variable.table.children and not variable.changes
            if is_empty and variable.fills == len(targets) and variable.uses == self._harmless[variable]:
                name = variable.name
                self._findings.warn(
                    targets[0], f"{name}[#{name}] is the last item: this adds no new one", f"{name}[#{name} + 1]"
                )
        for variable, inward in self._inward.items():
            if variable.value and variable.reads == inward and variable.value.kind in _STARTS:
                message = f"{variable.name} is filled here, and nothing uses it"
                self._findings.warn(variable.node, message, f"print({variable.name}), or return it")
        for inner, outer in self._scopes.hidden:
            is_hidden = not inner.reads and outer.last > inner.start
            if is_hidden and (self._is_empty(outer) or (inner.value and self._named_in(outer, inner.value))):
                message = f"this local is never used, and hides the '{outer.name}' that is used further down"
                self._findings.warn(inner.node, message, "leave local out")

    def _named_in(self, variable: Variable, node: Node) -> int:
        return sum(self._scopes.variable(each) is variable for each in node.walk())

    def _is_empty(self, variable: Variable) -> bool:
        """Return True if a variable is declared empty and the script never puts anything into it."""
        if variable.changes or variable.fills:
            return False
        if variable.table is not None:
            return not variable.table.children and variable.uses == self._harmless[variable]
        return variable in self._unset or (variable.value is not None and variable.value.kind in ("nil", "false"))

    def _is_map(self, variable: Variable) -> bool:
        table = variable.table
        if table is None or variable.changes or len(keys_of(table)) < len(table.children):
            return False
        is_private = variable.uses == self._harmless[variable] and variable.fills == self._by_name[variable]
        return is_private and bool(table.children or variable.fills)

    def _is_list(self, variable: Variable) -> bool:
        """Return True if a table is filled, and has only numbers as keys."""
        fills, inserted = self._by_number[variable], self._inserted[variable]
        is_plain = variable.table is not None and not any(each.get("name") for each in variable.table.children)
        is_private = variable.uses == self._harmless[variable] + inserted and variable.fills == fills
        return is_plain and is_private and bool(fills or inserted)

    def _is_never_filled(self, variable: Variable) -> bool:
        if variable in self._unset:
            return variable.changes == self._grown[variable] and not variable.fills
        is_private = variable.uses == self._harmless[variable] and not variable.changes
        is_empty = variable.table is not None and not variable.table.children
        return is_empty and is_private and variable.fills == self._grown[variable]

    def _variable(self, node: Node) -> Variable | None:
        """Return the local variable at the beginning of a name or a path such as ``a.b[1]``, or None for a global."""
        return self._scopes.variable(base_of(node))

    def _note_item(self, node: Node, what: str) -> None:
        """Record an operation on an item of a local table, such as ``groups[name]``. If the item is nil, it fails."""
        table = node.get("table")
        variable = self._variable(table) if table and table.kind == "identifier" else None
        if variable and variable not in self._unset:
            self._note_nil(variable, node, what, f"{node.text[:40]} = {node.text[:40]} or {{}}")

    def _note_list(self, variable: Variable, node: Node, what: str, hint: str) -> None:
        table = variable.table
        items = [each.get("value") for each in table.children] if table else []
        is_as_made = not variable.fills and not variable.changes and "n" not in keys_of(table)
        if is_as_made and any(item and item.kind == "nil" for item in items[:-1]):
            message = f"{variable.name} has a nil inside, at which {what} may stop"
            self._findings.mistake(node, message, "leave the nil out")
        self._lists.append(_Use(variable, node, self._findings.mode, what, hint))

    def _note_nil(self, variable: Variable, node: Node, what: str, hint: str) -> None:
        self._nils.append(_Use(variable, node, self._findings.mode, what, hint))
