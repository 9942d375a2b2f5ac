"""Checks a script from top to bottom, and tracks what is known about the values of its expressions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kosmolua.lua.dependence import Dependence
from kosmolua.lua.environment import GLOBALS
from kosmolua.lua.expressions import Expressions
from kosmolua.lua.fields import Catalog
from kosmolua.lua.findings import Mode
from kosmolua.lua.flow import NOTHING_HELD, Held
from kosmolua.lua.operators import check_condition
from kosmolua.lua.paging import check_last_page, check_pages
from kosmolua.lua.proof import leads_to_known_functions
from kosmolua.lua.scopes import Scopes
from kosmolua.lua.sites import Site, sites_of
from kosmolua.lua.statements import check_use
from kosmolua.lua.syntax import Node, assigned, base_of, operator_of
from kosmolua.lua.values import (
    UNKNOWN,
    Branch,
    Builtin,
    Callee,
    Closure,
    Literal,
    Missing,
    Nil,
    Result,
    Secrets,
    Undefined,
    Value,
    field_of,
    is_list,
    item_in,
    record_keys,
)
from kosmolua.schema.types import Type

_LEAVING = frozenset({"return_statement", "goto_statement", "break_statement"})
_LEAVING_CALLS = frozenset({"error", "exit", "coroutine.yield"})


class Reading(Expressions):
    """One check of a script from top to bottom, done by the constructor. The results are in the attributes.

    Statements are checked in order. The body of a function is checked where the function is called, with what is known
    about the arguments. Functions without a known call are checked at the end.

    Args:
        catalog: The integrations and accounts.
        root: The node of the whole script.
        params: The type of the table ``params`` if the script's header declares one, else None.
        known: What is known about the globals of a session, if the script is a chunk of a session.
        secrets: The secrets that the script can use, or None if these are not known.
        held: What is known about variables that change, from an earlier check of the same script.
        scopes: The variables of the script if an earlier check has collected them, else None.
    """

    def __init__(
        self,
        catalog: Catalog,
        root: Node,
        params: Type | None = None,
        known: Mapping[str, Value] | None = None,
        secrets: Secrets | None = None,
        held: Held = NOTHING_HELD,
        scopes: Scopes | None = None,
    ) -> None:
        scopes = scopes or Scopes(root, follows_others=known is not None)
        super().__init__(catalog, root, scopes, params, secrets, held)
        self._catalog = catalog
        self._given = known
        self._session = {name: value for name, value in (known or {}).items() if name not in GLOBALS}
        self._entered: set[int] = set()
        self._ends: list[int] = []
        if not self._scopes.is_certain:
            self.findings.mode = Mode.POSSIBLE
        self._block(root)
        if known is None:
            check_use(self.findings, root)
        self.findings.mode = Mode.POSSIBLE
        while waiting := [each for start, each in self._closures.items() if start not in self._entered]:
            for closure in waiting:
                with self.findings.at_least(Mode.PROTECTED if self._scopes.may_catch(closure.node) else Mode.POSSIBLE):
                    self._read_body(closure, [])
        self._gathered.settle()
        self._losses.check_names(root)
        if not self._scopes.may_share_globals and any(charge.effect != "read" for charge in self.fields.bill):
            self.findings.harden()
            self._refuse_mistakes()
        if not self._scopes.may_share_globals:
            self.findings.soften(list(scopes.dead_parts(root)))

    def _refuse_mistakes(self) -> None:
        """Turn each mistake on which a change depends into an error."""
        if not self.findings.mistakes:
            return
        changes = Dependence(self._root, self._scopes, self._known_of)
        for mistake in self.findings.mistakes.values():
            if changes.writes_between(*mistake.within) if mistake.within else changes.decides(mistake.node):
                self.findings.refuse(mistake)

    @property
    def is_read_only(self) -> bool:
        """True if the script certainly changes nothing: each function that it uses from ``app`` only reads."""
        if any(charge.effect != "read" for charge in self.fields.bill):
            return False
        return leads_to_known_functions(self._root, self._scopes, self._known_of)

    def again(self) -> Reading:
        """Check the script again, using what this check found out about variables. Return the new check."""
        return Reading(self._catalog, self._root, self._params, self._given, self._secrets, self.held(), self._scopes)

    def held(self) -> Held:
        """Return what was found out about variables that change, for a second check of the script."""
        return self._flow.held()

    def sites(self) -> list[Site]:
        """Return the places where the script calls functions of integrations; none for a chunk of a session.

        Functions of earlier chunks have the lines of their own chunks.
        """
        return sites_of(self._root, self._scopes, self._known_of) if self._given is None else []

    def session(self) -> dict[str, Value]:
        """Return what is known about globals after this chunk of a session, for the check of the next chunk."""
        found = self._session | dict.fromkeys(self._scopes.defined, UNKNOWN)
        for statement in self._root.children:
            if statement.kind in ("variable_declaration", "assignment_statement"):
                for target, node in assigned(statement):
                    value = self.value(node)
                    found[target.text] = value if isinstance(value, (Branch, Callee)) else UNKNOWN
        return found

    def enter(self, closure: Closure, values: Sequence[Value]) -> None:
        """Record a call of a function of the script. On the first call, check the body of the function.

        If the script uses the function in several places, only what all calls have in common is known about a
        parameter.

        Args:
            closure: The function.
            values: What is known about the arguments of the call.
        """
        uses, parameters = self._scopes.uses_of(closure.node), closure.node.get("parameters")
        names = parameters.all("name") if parameters else []
        given = [values[index] if index < len(values) else UNKNOWN for index in range(len(names))]
        if uses > 1:
            for name, value in zip(names, given, strict=True):
                self._flow.give_to(name, value, uses)
            given = [self._held.get(name.start, UNKNOWN) for name in names]
        if closure.node.start not in self._entered:
            self._read_body(closure, given)

    def _read_body(self, closure: Closure, values: Sequence[Value]) -> None:
        node = closure.node
        self._entered.add(node.start)
        parameters = node.get("parameters")
        for name, value in zip(parameters.all("name") if parameters else (), values, strict=False):
            is_sorted_out = re.search(rf"\btype\(\s*{re.escape(name.text)}\s*\)", node.text)
            self._set(name, UNKNOWN if is_sorted_out else value)
        self._flow.open(closure)
        with self.findings.at_least(Mode.CERTAIN):
            self._block(node.get("body"))
        self._flow.close()

    def _block(self, block: Node | None) -> None:
        self._ends.append(block.end if block else 0)
        for statement in block.children if block else ():
            self._statements.add(id(statement))
            self._statement(statement)
            if self.findings.mode is Mode.CERTAIN and _may_leave(statement):
                self.findings.mode = Mode.POSSIBLE
        self._ends.pop()

    def _statement(self, node: Node) -> None:
        read = getattr(self, f"_read_{node.kind}", None)
        if read:
            read(node)
        else:
            self.value(node)

    def _read_block(self, node: Node) -> None:
        self._block(node)

    def _read_do_statement(self, node: Node) -> None:
        self._block(node.get("body"))

    def _read_repeat_statement(self, node: Node) -> None:
        self._block(node.get("body"))
        self._test(node.get("condition"))
        self.findings.never_ends(node.get("condition"), "==")
        check_pages(self.findings, node.get("body"), self._known_of)

    def _read_return_statement(self, node: Node) -> None:
        for child in node.children:
            self._statement(child)
            for index, each in enumerate(child.children if child.kind == "expression_list" else ()):
                value = self.value(each)
                if isinstance(value, Undefined) and value.hint:
                    self.findings.undefined(each, value)
                if index == 0:
                    self._flow.give(value if self._comes_from_call(each) else UNKNOWN)

    def _comes_from_call(self, node: Node | None) -> bool:
        """Return True if an expression is the result of an integration's function, or a field or item of one."""
        for _ in range(2):
            node = node and base_of(node)
            variable = self._scopes.variable(node) if node else None
            if variable and not variable.changes:
                node = variable.value
        return node is not None and node.kind == "function_call" and isinstance(self.value(node.get("name")), Callee)

    def _read_if_statement(self, node: Node) -> None:
        for branch in (node, *node.all("alternative")):
            check_condition(self.findings, branch.get("condition"))
        self._test(node.get("condition"))
        with self.findings.at_least(Mode.POSSIBLE):
            self._guarded(node, node.get("consequence"))
            for alternative in node.all("alternative"):
                self._test(alternative.get("condition"))
                self._guarded(alternative, alternative.get("consequence") or alternative.get("body"))
        for branch in (node, *node.all("alternative")):
            self._condition_of.check(branch, self._ends[-1])

    def _read_while_statement(self, node: Node) -> None:
        self._test(node.get("condition"))
        with self.findings.at_least(Mode.POSSIBLE):
            self._guarded(node, node.get("body"))
        self._condition_of.check(node, self._ends[-1])
        check_last_page(self.findings, node, self._last_read)
        self.findings.never_ends(node.get("condition"), "~=")
        check_pages(self.findings, node.get("body"), self._known_of)

    def _last_read(self, name: Node) -> int:
        variable = self._scopes.variable(name)
        return variable.last if variable else len(self._root.source)

    def _guarded(self, node: Node, block: Node | None) -> None:
        """Check a block that runs only under a condition."""
        condition = node.get("condition")
        self._conditions.append(condition.text if condition else "")
        self._block(block)
        self._conditions.pop()

    def _read_for_statement(self, node: Node) -> None:
        clause = node.get("clause")
        if clause and clause.kind == "for_generic_clause":
            self._generic(clause)
        elif clause:
            self._numeric(clause)
        given = clause.first("expression_list") if clause else None
        self._losses.check_removal(node, given.children[0] if given and given.children else None)
        with self.findings.at_least(Mode.POSSIBLE):
            self._block(node.get("body"))

    def _numeric(self, clause: Node) -> None:
        for node in filter(None, map(clause.get, ("start", "end", "step"))):
            value = self.value(node)
            if isinstance(value, Nil):
                self.findings.fail_on_nil(node, value, "count with")
        start, end, name = clause.get("start"), clause.get("end"), clause.get("name")
        counted = end.get("operand") if end and operator_of(end) == "#" else None
        if name and counted and isinstance(item := item_in(self.value(counted)), Result):
            self._set(name, Literal("number", None, None, item.type))
        if start and end and start.text == "0" and end.text.startswith("#"):
            self.findings.warn(start, "a list begins at 1, not at 0", "for i = 1, #list do")

    def _generic(self, clause: Node) -> None:
        names, given = clause.first("variable_list"), clause.first("expression_list")
        iterator = given.children[0] if given and given.children else None
        for each in given.children if given else ():
            self.value(each)
        if iterator and self.fields.is_plain_table(self.value(iterator)):
            hint = f"for _, item in ipairs({iterator.text}) do"
            self.findings.fail(iterator, f"{iterator.text} is a table, and a loop needs an iterator", hint)
        item = self._second_variable(iterator) if iterator and iterator.kind == "function_call" else UNKNOWN
        for index, name in enumerate(names.all("name") if names else ()):
            place = self._first_variable(iterator, name) if index == 0 and iterator else UNKNOWN
            self._set(name, item if index == 1 else place)

    def _first_variable(self, iterator: Node, name: Node) -> Value:
        """Return what is known about the first variable of a ``for ... in`` loop: over a list, it is a number."""
        called, arguments = self.value(iterator.get("name")), iterator.get("arguments")
        given = self.value(arguments.children[0]) if arguments and arguments.children else UNKNOWN
        is_list_of_app = isinstance(given, Result) and is_list(given.type)
        if called == Builtin("ipairs") or (called == Builtin("pairs") and is_list_of_app):
            item = item_in(given)
            return Literal("number", None, name, item.type if isinstance(item, Result) else None)
        return UNKNOWN

    def _second_variable(self, call: Node) -> Value:
        """Return what is known about the second variable of a loop over a call of ``ipairs`` or ``pairs``."""
        called, arguments = self.value(call.get("name")), call.get("arguments")
        if not isinstance(called, Builtin) or called.name not in ("ipairs", "pairs"):
            return UNKNOWN
        value = self._argument(arguments.children[0] if arguments and arguments.children else None)
        item = item_in(value)
        if item is UNKNOWN and called.name == "pairs" and isinstance(value, Result) and not record_keys(value.type):
            inner = field_of(value.type, "")
            return Result(inner, f"an item of {value.source}", is_vague=value.is_vague) if inner else UNKNOWN
        return item

    def _read_variable_declaration(self, node: Node) -> None:
        inner = node.first("assignment_statement") or node
        given, names = inner.first("expression_list"), inner.first("variable_list")
        nodes = given.children if given else []
        for name in names.all("name") if names else ():
            if (variable := self._scopes.variable(name)) and variable.is_only_picked_from:
                self._note_single_items(variable.value)
        values = self._values(nodes)
        for index, name in enumerate(names.all("name") if names else ()):
            absent = self._without_expression(nodes[-1], name) if nodes else Missing(f"value in '{name.text}'")
            value = values[index] if index < len(values) else absent
            if not nodes:
                self._gathered.declare(name)
            self._flow.assign(name, value)
            self._set(name, value)
            if isinstance(value, Undefined):
                self.findings.undefined(nodes[index], value)
            elif isinstance(value, Missing) and nodes and nodes[min(index, len(nodes) - 1)].kind == "function_call":
                place = nodes[index] if index < len(nodes) else name
                if (variable := self._scopes.variable(name)) and index >= len(nodes) and not variable.uses:
                    continue
                self.findings.warn(place, f"there is no {value.what}: {name.text} is nil", value.hint)

    def _without_expression(self, node: Node, name: Node) -> Value:
        """Return what is known about a variable in a declaration with more variables than expressions.

        It is certainly nil if the last expression is a call of a function that returns only one value.
        """
        variable = self._scopes.variable(name)
        if node.kind != "function_call" or variable is None or variable.changes:
            return UNKNOWN
        called = self.value(node.get("name"))
        if isinstance(called, Callee):
            hint = "a call that fails raises an error: local ok, result = pcall(f, arguments)"
            return Missing(f"second value that {called.function.name} returns", hint)
        if isinstance(called, Builtin) and called.name in ("parallel.all", "parallel.map"):
            return Missing(f"second value that {called.name} returns", f"table.unpack({called.name}(...)) has them all")
        return UNKNOWN

    def _read_assignment_statement(self, node: Node) -> None:
        given, targets = node.first("expression_list"), node.first("variable_list")
        values = self._values(given.children if given else [])
        for each, value in zip(given.children if given else (), values, strict=False):
            if isinstance(value, Undefined):
                self.findings.undefined(each, value)
        for index, target in enumerate(targets.children if targets else ()):
            if target.kind == "identifier":
                self._flow.assign(target, values[index] if index < len(values) else UNKNOWN)
            table = target.get("table")
            value = self.value(table)
            if table and isinstance(value, Nil):
                self.findings.fail_on_nil(table, value, "index")
            elif isinstance(value, Branch):
                self.findings.fail(target, f"{table.text if table else 'app'} is read-only")
            key = self.value(target.get("field") if target.kind == "bracket_index_expression" else None)
            source = given.children[index] if given and index < len(given.children) else None
            self._gathered.assign(target, key, source)
            self._losses.check_change(target, source)

    def _values(self, nodes: Sequence[Node]) -> list[Value]:
        """Return what is known about each value of a list of expressions. A ``pcall`` at the end yields two values."""
        values = [self.value(each) for each in nodes]
        caught = self._caught.get(id(nodes[-1])) if nodes else None
        return [*values, caught] if caught else values

    def _read_function_declaration(self, node: Node) -> None:
        name, closure = node.get("name"), Closure(node)
        self._closures[node.start] = closure
        if name and name.kind == "identifier":
            self._set(name, closure)


def _may_leave(statement: Node) -> bool:
    """Return True if a statement can leave its block or run for ever, so that the code after it might not run."""
    waiting = [statement]
    while waiting:
        node = waiting.pop()
        if node.kind in _LEAVING:
            return True
        if node.kind == "while_statement" and (condition := node.get("condition")) and condition.kind == "true":
            return True
        if node.kind == "function_call" and (name := node.get("name")) and name.text in _LEAVING_CALLS:
            return True
        if node.kind not in ("function_definition", "function_declaration"):
            waiting.extend(node.children)
    return False
