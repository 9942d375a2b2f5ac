"""The reading of a script from top to bottom, which follows the known values of its expressions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kosmolua.lua import idioms
from kosmolua.lua.builtins import KINDS, NOTHING, PATTERN_METHODS, check_builtin, check_pattern, returns_value
from kosmolua.lua.calls import arguments_of, literal_of, misuses
from kosmolua.lua.environment import GLOBALS, LIBRARIES
from kosmolua.lua.fields import Catalog, Fields
from kosmolua.lua.findings import Findings, Mode
from kosmolua.lua.flow import NOTHING_HELD, Flow, Held
from kosmolua.lua.gathered import Gathered
from kosmolua.lua.operators import (
    ARITHMETIC,
    check_condition,
    check_equality,
    check_length,
    check_operand,
    check_order,
    check_truth,
)
from kosmolua.lua.paging import check_pages
from kosmolua.lua.proof import leads_to_known_functions
from kosmolua.lua.scopes import Scopes, Variable
from kosmolua.lua.statements import check_use
from kosmolua.lua.syntax import Node, assigned, key_of
from kosmolua.lua.values import (
    UNKNOWN,
    Absent,
    Branch,
    Builtin,
    Callee,
    Closure,
    Library,
    Literal,
    Missing,
    Nil,
    Result,
    Secrets,
    Undefined,
    Value,
    decoded,
    field_of,
    is_list,
    is_table,
    item_in,
    record_keys,
)
from kosmolua.schema.types import List, Type
from kosmolua.suggestions import did_you_mean

_INTERPOLATED = re.compile(r"\$\{\w+[.\[]")
_PLACEHOLDER = re.compile(r"[$#]\{(\w+)")
_LEAVING = frozenset({"return_statement", "goto_statement", "break_statement"})
_LEAVING_CALLS = frozenset({"error", "exit", "coroutine.yield"})


class Reading:
    """One reading of a script.

    Statements that certainly run are read in order; functions are read where they are called, with their arguments.
    Functions that may not be called are read at the end.

    Args:
        catalog: The integrations and accounts.
        root: The whole script.
        params: The type of ``params``, if the script's header declares it.
        known: The known values of a session's globals, if the script is a chunk of a session.
        secrets: The secrets that it may use, or None if they are not known.
        held: The values of variables that change, as found by an earlier reading.
        scopes: The variables of the script, if an earlier reading has collected them.

    ``dropped`` has the integrations' functions that are called as statements, so that their results are lost, or for
    single items of their results. ``kept`` has those that are called in any other way.
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
        self.findings = Findings()
        self.dropped: set[str] = set()
        self.kept: set[str] = set()
        self._statements: set[int] = set()
        self._peeked: set[int] = set()
        self._root = root
        self._scopes = scopes or Scopes(root, follows_others=known is not None)
        self._flow = Flow(self._scopes)
        self._gathered = Gathered(self._scopes, self.findings)
        self._held = held
        self._session = {name: value for name, value in (known or {}).items() if name not in GLOBALS}
        self._catalog = catalog
        self._given = known
        self.fields = Fields(catalog, self._scopes, self.findings)
        self._variables: dict[Variable, Value] = {}
        self._known: dict[int, Value] = {}
        self._caught: dict[int, Value] = {}
        self._closures: dict[int, Closure] = {}
        self._entered: set[int] = set()
        self._conditions: list[str] = []
        self._tested: set[int] = set()
        self._params = params
        self._secrets = secrets
        self._knows_null = b".null" in root.source
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
        if not self._scopes.may_share_globals and any(charge.effect != "read" for charge in self.fields.bill):
            self.findings.harden()

    @property
    def is_read_only(self) -> bool:
        """True if the script certainly changes nothing: all its uses of ``app`` are known, and only read."""
        if any(charge.effect != "read" for charge in self.fields.bill):
            return False
        return leads_to_known_functions(self._root, self._scopes, self._known_of)

    def again(self) -> Reading:
        """Return another reading of the script, which knows what this one found out about its variables."""
        return Reading(self._catalog, self._root, self._params, self._given, self._secrets, self.held(), self._scopes)

    def held(self) -> Held:
        """Return the values that were found for variables that change, for use when the script is read again."""
        return self._flow.held()

    def value(self, node: Node | None) -> Value:
        """Return the known value of an expression. Each expression is read once."""
        if node is None:
            return UNKNOWN
        if id(node) not in self._known:
            value = self._value(node)
            if isinstance(value, Nil) and self._is_tested(node):
                value = UNKNOWN
            self._known[id(node)] = value
        return self._known[id(node)]

    def session(self) -> dict[str, Value]:
        """Return the known values of globals after the script, if it is a chunk of a session."""
        found = self._session | dict.fromkeys(self._scopes.defined, UNKNOWN)
        for statement in self._root.children:
            if statement.kind in ("variable_declaration", "assignment_statement"):
                for target, node in assigned(statement):
                    value = self.value(node)
                    found[target.text] = value if isinstance(value, (Branch, Callee)) else UNKNOWN
        return found

    def enter(self, closure: Closure, values: Sequence[Value]) -> None:
        """Record a call of a function, and read its body once, with the values of its parameters.

        If a function is used in several places, its parameters have the values that all its calls have in common.
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

    def returned(self, function: Value) -> Value:
        """Return the known result of a function of the script or of an integration."""
        if isinstance(function, Callee):
            returns = function.function.returns
            source = f"the result of {function.function.name}"
            return Result(returns, source, is_vague=function.is_vague) if returns else UNKNOWN
        return self._flow.returned(function) if isinstance(function, Closure) else UNKNOWN

    # Statements

    def _block(self, block: Node | None) -> None:
        for statement in block.children if block else ():
            self._statements.add(id(statement))
            self._statement(statement)
            if self.findings.mode is Mode.CERTAIN and _may_leave(statement):
                self.findings.mode = Mode.POSSIBLE

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
        """Return True if a value is the result of an integration's function or a part of it, whatever its arguments."""
        for _ in range(2):
            while node and node.kind in ("dot_index_expression", "bracket_index_expression"):
                node = node.get("table")
            variable = self._scopes.variable(node) if node and node.kind == "identifier" else None
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
            self._check_truth(branch.get("condition"))

    def _test(self, node: Node | None) -> None:
        """Read a condition, and report a value that may be ``json.null``, which counts as true."""
        self._tested.add(id(node))
        value = self.value(node)
        if node and isinstance(value, Result) and value.may_be_null and not self._knows_null:
            hint = f"{node.text} ~= json.null is false for it"
            self.findings.warn(node, f"{value.source} may be json.null, which is true, unlike nil", hint)

    def _check_truth(self, node: Node | None) -> None:
        """Check each value whose truth a condition tests: the whole, and the parts that and, or and not combine."""
        operator = node.get("operator") if node else None
        if node is None or (operator and operator.text not in ("and", "or", "not")):
            return
        parts = [node.get("left"), node.get("right"), node.get("operand")] if operator else node.children
        if node.kind == "dot_index_expression":
            check_truth(self.findings, self.value(node), node)
        elif operator or node.kind == "parenthesized_expression":
            for part in parts:
                self._check_truth(part)

    def _read_while_statement(self, node: Node) -> None:
        self._test(node.get("condition"))
        with self.findings.at_least(Mode.POSSIBLE):
            self._guarded(node, node.get("body"))
        self.findings.never_ends(node.get("condition"), "~=")
        check_pages(self.findings, node.get("body"), self._known_of)

    def _known_of(self, node: Node) -> Value | None:
        return self._known.get(id(node))

    def _guarded(self, node: Node, block: Node | None) -> None:
        """Read a block that runs under a condition."""
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
        with self.findings.at_least(Mode.POSSIBLE):
            self._block(node.get("body"))

    def _numeric(self, clause: Node) -> None:
        for node in filter(None, map(clause.get, ("start", "end", "step"))):
            value = self.value(node)
            if isinstance(value, Nil):
                self.findings.fail_on_nil(node, value, "count with")
        start, end = clause.get("start"), clause.get("end")
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
        item = self._item(iterator) if iterator and iterator.kind == "function_call" else UNKNOWN
        for index, name in enumerate(names.all("name") if names else ()):
            place = self._place(iterator, name) if index == 0 and iterator else UNKNOWN
            self._set(name, item if index == 1 else place)

    def _place(self, iterator: Node, name: Node) -> Value:
        """Return the known value of the first variable of a loop over a list: a number."""
        called, arguments = self.value(iterator.get("name")), iterator.get("arguments")
        given = self.value(arguments.children[0]) if arguments and arguments.children else UNKNOWN
        is_list_of_app = isinstance(given, Result) and is_list(given.type)
        if called == Builtin("ipairs") or (called == Builtin("pairs") and is_list_of_app):
            return Literal("number", None, name)
        return UNKNOWN

    def _item(self, call: Node) -> Value:
        """Return the known value of the second variable of a loop over ``ipairs`` or ``pairs``."""
        called, arguments = self.value(call.get("name")), call.get("arguments")
        if not isinstance(called, Builtin) or called.name not in ("ipairs", "pairs"):
            return UNKNOWN
        value = self.value(arguments.children[0]) if arguments and arguments.children else UNKNOWN
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
                self._peek(variable.value)
        values = self._values(nodes)
        for index, name in enumerate(names.all("name") if names else ()):
            absent = self._beyond(nodes[-1], name) if nodes else Missing(f"value in '{name.text}'")
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

    def _beyond(self, node: Node, name: Node) -> Value:
        """Return the value of a variable for which a call at the end of a declaration returns no value."""
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

    def _values(self, nodes: Sequence[Node]) -> list[Value]:
        """Return the known values of a list of expressions. A ``pcall`` at its end gives two values."""
        values = [self.value(each) for each in nodes]
        caught = self._caught.get(id(nodes[-1])) if nodes else None
        return [*values, caught] if caught else values

    def _read_function_declaration(self, node: Node) -> None:
        name, closure = node.get("name"), Closure(node)
        self._closures[node.start] = closure
        if name and name.kind == "identifier":
            self._set(name, closure)

    def _set(self, name: Node, value: Value) -> None:
        variable = self._scopes.variable(name)
        if variable:
            self._variables[variable] = self._held.get(variable.start, UNKNOWN) if variable.changes else value

    # Expressions

    def _value(self, node: Node) -> Value:
        if literal := literal_of(node):
            for field in node.children if node.kind == "table_constructor" else ():
                name = field.get("name")
                self.value(name if name and name.kind != "identifier" else None)
                self.value(field.get("value"))
            if node.kind == "string" and _INTERPOLATED.search(node.text):
                self.findings.warn(node, "a text cannot contain variables", 'join it with .., as in "name: " .. name')
            return literal
        read = getattr(self, f"_value_{node.kind}", None)
        if read:
            value: Value = read(node)
            return value
        for child in node.children:
            self._statement(child)
        return UNKNOWN

    def _value_function_definition(self, node: Node) -> Value:
        return self._closures.setdefault(node.start, Closure(node))

    def _value_parenthesized_expression(self, node: Node) -> Value:
        return self.value(node.children[0]) if node.children else UNKNOWN

    def _value_nil(self, node: Node) -> Value:
        return Missing("nil")

    def _value_identifier(self, node: Node) -> Value:
        name, variable = node.text, self._scopes.variable(node)
        if variable:
            return self._variables.get(variable, UNKNOWN)
        if name in self._scopes.defined:
            return self._held.get(name, UNKNOWN)
        if name in self._session:
            return self._session[name]
        if name == "app":
            return Branch(0)
        if name == "params" and self._params:
            return Result(self._params, "params")
        if self._scopes.is_dynamic:
            return UNKNOWN
        if name == "secrets" and self._secrets:
            return self._secrets
        if name in LIBRARIES:
            return Library(name)
        if name in GLOBALS:
            return Builtin(name)
        return Undefined(name, self._meant_by(node) or "")

    def _meant_by(self, name: Node) -> str | None:
        """Return a hint for a name that nothing defines, or None."""
        word, declared = name.text, self._scopes.locals
        if word in declared:
            place = "further down" if declared[word] >= name.line else "in another block"
            return f"it is declared local {place}, in line {declared[word]}: declare it earlier, outside both blocks"
        above = {other for other, line in declared.items() if line <= name.line}
        known = {*self._scopes.defined, *self._session, *GLOBALS, *above}
        return idioms.GLOBALS.get(word) or did_you_mean(word, known)

    def _value_dot_index_expression(self, node: Node) -> Value:
        found = self.fields.under(node, self.value(node.get("table")), key_of(node))
        if isinstance(found, Missing) and found.what.endswith((" of a text", " of a list")):
            is_tested = id(node) in self._tested or self._is_guarded(node)
            if not is_tested:
                self.findings.warn(node, f"there is no {found.what}: it is nil", found.hint)
        return found

    def _value_bracket_index_expression(self, node: Node) -> Value:
        index = self.value(node.get("field"))
        if isinstance(index, Literal) and index.kind == "number":
            self._peek(node.get("table"))
        value = self.value(node.get("table"))
        if isinstance(value, (Result, Literal)) and isinstance(index, Literal) and index.kind == "number":
            return self.fields.at(node, value, index.value)
        key = index.value if isinstance(index, Literal) and isinstance(index.value, str) else None
        return self.fields.under(node, value, key)

    def _value_binary_expression(self, node: Node) -> Value:
        found, left, right = node.get("operator"), node.get("left"), node.get("right")
        operator = found.text if found else ""
        if operator in ("and", "or"):
            self._tested.add(id(left))
        first = self.value(left)
        if operator in ("and", "or"):
            self._test(left)
            with self.findings.at_least(Mode.POSSIBLE):
                self._conditions.append(left.text if left else "")
                second = self.value(right)
                self._conditions.pop()
            return _chosen(operator, first, second)
        second = self.value(right)
        is_test = operator in ("==", "~=") and any(side and side.kind == "nil" for side in (left, right))
        for side in (left, right) if is_test else ():
            self._test(side)
        for side, value in ((left, first), (right, second)):
            if side and not is_test and not (isinstance(value, Result) and self._is_guarded(side)):
                check_operand(self.findings, self.fields, side, value, operator)
        check_order(self.findings, node, first, second, operator)
        if operator in ("==", "~="):
            check_equality(self.findings, self.fields, node, first, second)
        if operator in ARITHMETIC and not self._scopes.may_bend_tables:
            return Literal("number")
        return Literal("string") if operator == ".." and not self._scopes.may_bend_tables else UNKNOWN

    def _is_guarded(self, node: Node) -> bool:
        """Return True if a condition around a part of the script tests its value."""
        whole = re.compile(rf"(?<![\w.]){re.escape(node.text)}(?!\w)") if self._conditions else None
        return whole is not None and any(map(whole.search, self._conditions))

    def _is_tested(self, node: Node) -> bool:
        """Return True if a condition ensures that a name has a value, except for globals of other languages."""
        return node.text not in idioms.GLOBALS and self._is_guarded(node)

    def _value_unary_expression(self, node: Node) -> Value:
        operand, operator = node.get("operand"), node.get("operator")
        value = self.value(operand)
        if operand and operator and operator.text == "#":
            check_length(self.findings, self.fields, operand, value)
            self._gathered.measure(operand)
        if operator and operator.text == "not":
            self._test(operand)
        if operator and operator.text == "-" and isinstance(value, Literal) and isinstance(value.value, (int, float)):
            return Literal("number", -value.value, node)
        return UNKNOWN

    # Calls

    def _value_function_call(self, node: Node) -> Value:
        name, arguments = node.get("name"), node.get("arguments")
        given = [each for each in (arguments.children if arguments else ()) if each.field == ""]
        if name is None:
            return UNKNOWN
        if name.kind == "method_index_expression":
            return self._call_method(name, given)
        called = self.value(name)
        if isinstance(called, Builtin) and called.name in ("pcall", "xpcall"):
            values = self._protect(given)
            self._note_use(node, values)
            if given and given[0].kind == "function_call" and isinstance(values[0], Result):
                hint = f"pcall(f, arguments), as in {called.name}({(given[0].get('name') or given[0]).text}, ...)"
                self.findings.fail(given[0], f"{called.name} takes a function, but this calls the function first", hint)
            caught = self.returned(values[0]) if values else UNKNOWN
            if isinstance(caught, Result) and called.name == "pcall":
                self._caught[id(node)] = caught._replace(
                    may_be_error=True, may_be_call_error=isinstance(values[0], Callee)
                )
            return Literal("boolean")
        values = [self.value(each) for each in given]
        self._note_use(node, [called, *values])
        if isinstance(called, Callee):
            return self._call(node, name, called)
        for each, value in zip(given, values, strict=True):
            if isinstance(value, Undefined) and called != Builtin("type"):
                self.findings.undefined(each, value)
        if isinstance(called, Nil):
            self.findings.fail_on_nil(name, called, "call")
        elif isinstance(called, Builtin):
            self._gathered.call(called, given)
            if given:
                check_builtin(self, called.name, given, values)
            if called.name in ("print", "error"):
                self._check_interpolation(given)
            if called.name == "parallel.map" and id(node) not in self._statements and len(values) > 1:
                self._check_mapped(given[1], values[1])
            if called.name == "json.decode" and values and isinstance(values[0], Literal):
                return decoded(str(values[0].value))
            if called.name == "parallel.map" and len(values) > 1:
                item = self.returned(values[1])
                if not isinstance(item, Result):
                    return UNKNOWN
                return Result(List(item.type), "the result of parallel.map", is_vague=item.is_vague)
            if called.name == "assert" and values and isinstance(values[0], Result):
                return values[0]
            if called.name in NOTHING:
                return Missing(f"value that {called.name} returns", NOTHING[called.name])
            return Literal(KINDS[called.name]) if called.name in KINDS else UNKNOWN
        elif isinstance(called, Closure):
            self.enter(called, values)
            if not returns_value(called.node):
                return Missing(f"value that {name.text[:40]} returns", "write return before its last value")
            return self.returned(called)
        elif isinstance(called, Literal) and called.kind != "table" and not self._scopes.may_bend_tables:
            self.findings.fail(name, f"{name.text[:40]} is a {called.kind}, not a function")
        elif isinstance(called, Result) and self.fields.is_plain_table(called):
            self.findings.fail(name, f"{called.source} is a table, not a function")
        elif isinstance(called, Branch) and called.depth < 2:
            self.findings.fail(name, f"{name.text} is a table of names, not a function")
        return UNKNOWN

    def _call(self, node: Node, name: Node, callee: Callee) -> Value:
        if callee.account != "*":
            integration, _, function = callee.path.rpartition(".")
            self.fields.resolve(name, f"{integration}.{callee.account}.{function}")
        for value in arguments_of(node, self.value):
            if isinstance(value, Absent):
                self.findings.fail_on_nil(name, value, "pass")
        for misuse in misuses(callee, node, self._written):
            mode = Mode.CERTAIN if misuse.is_silent else Mode.POSSIBLE if misuse.is_likely else None
            mode = Mode.POSSIBLE if callee.may_have_changed else mode
            self.findings.fail(misuse.node, misuse.message, misuse.hint, mode=mode)
        return self.returned(callee)

    def _written(self, node: Node | None) -> Value:
        """Return the known value of an expression as an argument; for a table, only if it is unchanged."""
        value = self.value(node)
        if not isinstance(value, Literal) or value.kind != "table" or node is value.node:
            return value
        variable = self._scopes.variable(node) if node else None
        return value if variable and variable.table is value.node and variable.is_as_written else UNKNOWN

    def _call_method(self, name: Node, given: Sequence[Node]) -> Value:
        table, key = name.get("table"), key_of(name) or ""
        value = self.value(table)
        for each in given:
            self.value(each)
        if table is None:
            return UNKNOWN
        if isinstance(value, Nil):
            self.findings.fail_on_nil(table, value, "index")
            return UNKNOWN
        found = self.fields.under(name, value, key)
        if isinstance(found, Callee):
            hint = f"call it with a dot: {table.text}.{key}(...)"
            self.findings.fail(name, f"a colon passes {table.text} as an argument", hint)
        elif isinstance(found, Missing):
            self.findings.fail_on_nil(name, found, "call")
        elif key in PATTERN_METHODS and given and not isinstance(value, Library):
            check_pattern(self.findings, given[0])
        return UNKNOWN

    def _check_interpolation(self, given: Sequence[Node]) -> None:
        """Report a text with the name of a variable in ``${...}`` or ``#{...}`` that is shown as it is."""
        for node in given:
            names = _PLACEHOLDER.findall(node.text) if node.kind == "string" else []
            if any(name in self._scopes.locals for name in names):
                self.findings.warn(
                    node, "Lua does not insert values into a text", 'join it with .., as in "name: " .. name'
                )

    def _check_mapped(self, node: Node, function: Value) -> None:
        """Report that the function of a ``parallel.map`` returns nothing, although the resulting list is used."""
        if isinstance(function, Closure) and not returns_value(function.node):
            self.findings.warn(node, "the function returns nothing, so the list is empty", "return a value in it")

    def _peek(self, items: Node | None) -> None:
        """Record that only single items are taken from a list: if it goes on, nothing is lost."""
        call = items.get("table") if items and items.kind == "dot_index_expression" else None
        if call and call.kind == "function_call":
            self._peeked.add(id(call))

    def _note_use(self, call: Node, values: Sequence[Value]) -> None:
        """Record whether the result of a call, and the results of functions that are passed to it, are used."""
        uses = self.dropped if id(call) in self._statements or id(call) in self._peeked else self.kept
        uses.update(value.path for value in values if isinstance(value, Callee))

    def _protect(self, given: Sequence[Node]) -> Sequence[Value]:
        """Read the arguments of ``pcall`` and return their values. Errors are expected in its function."""
        values = [self.value(each) for each in given]
        if values and isinstance(values[0], Closure):
            with self.findings.at_least(Mode.PROTECTED):
                self.enter(values[0], [])
        return values


def _chosen(operator: str, first: Value, second: Value) -> Value:
    """Return the known value of ``and`` or ``or``: ``x and x.y`` gives the second or nil, ``x or {}`` the first."""
    if operator == "and":
        return second._replace(is_optional=True) if isinstance(second, Result) else UNKNOWN
    is_empty = isinstance(second, Literal) and second.kind == "table" and second.node and not second.node.children
    return first if is_empty and isinstance(first, Result) and is_table(first.type) else UNKNOWN


def _may_leave(statement: Node) -> bool:
    """Return True if a statement may leave its block, or may never end."""
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
