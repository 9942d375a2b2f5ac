"""Finds out what is known about the value of each expression in a script, and finds mistakes in the expressions."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence

from kosmolua.lua import idioms
from kosmolua.lua.builtins import KINDS, NOTHING, PATTERN_METHODS, check_builtin, check_pattern, returns_value
from kosmolua.lua.calls import literal_of, misuses, parts_of
from kosmolua.lua.conditions import Conditions
from kosmolua.lua.environment import GLOBALS, LIBRARIES
from kosmolua.lua.fields import Catalog, Fields
from kosmolua.lua.findings import Findings, Mode
from kosmolua.lua.flow import Flow, Held
from kosmolua.lua.gathered import Gathered
from kosmolua.lua.losses import Losses
from kosmolua.lua.operators import (
    ARITHMETIC,
    check_equality,
    check_length,
    check_operand,
    check_order,
)
from kosmolua.lua.paging import check_window
from kosmolua.lua.scopes import Scopes, Variable
from kosmolua.lua.syntax import Node, key_of
from kosmolua.lua.texts import Texts
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
    is_table,
    kind_of,
)
from kosmolua.schema.types import List, Type
from kosmolua.suggestions import did_you_mean

_INTERPOLATED = re.compile(r"\$\{\w+[.\[]")
_PLACEHOLDER = re.compile(r"[$#]\{(\w+)")


class Expressions(ABC):
    """Evaluates the expressions of a script, as far as that is possible without running it, and finds mistakes.

    ``dropped`` contains functions of integrations whose results the script ignores or uses only for single items.
    ``kept`` contains functions whose results it uses in any other way.

    Args:
        catalog: The integrations and accounts.
        root: The node of the whole script.
        scopes: The variables of the script.
        params: The type of the table ``params`` if the script's header declares one, else None.
        secrets: The secrets that the script can use, or None if these are not known.
        held: What is known about variables that change. A script with such variables is checked twice: the first check
            collects all values that are assigned to them, for the second.
    """

    def __init__(
        self, catalog: Catalog, root: Node, scopes: Scopes, params: Type | None, secrets: Secrets | None, held: Held
    ) -> None:
        self.findings = Findings()
        self.dropped: set[str] = set()
        self.kept: set[str] = set()
        self.fields = Fields(catalog, scopes, self.findings)
        self._root = root
        self._scopes = scopes
        self._params = params
        self._secrets = secrets
        self._held = held
        self._session: dict[str, Value] = {}
        self._flow = Flow(scopes)
        self._texts = Texts(self.findings, root, self.value)
        self._losses = Losses(self.findings, scopes, self.value)
        self._gathered = Gathered(scopes, self.findings)
        self._condition_of = Conditions(self.findings, scopes, self.value)
        self._variables: dict[Variable, Value] = {}
        self._known: dict[int, Value] = {}
        self._caught: dict[int, Value] = {}
        self._closures: dict[int, Closure] = {}
        self._statements: set[int] = set()
        self._peeked: set[int] = set()
        self._conditions: list[str] = []
        self._tested: set[int] = set()
        self._knows_null = b".null" in root.source

    @abstractmethod
    def enter(self, closure: Closure, values: Sequence[Value]) -> None:
        """Record a call of a function of the script. On the first call, check the body of the function.

        Args:
            closure: The function.
            values: What is known about the arguments of the call.
        """

    @abstractmethod
    def _statement(self, node: Node) -> None:
        """Check a statement, or an expression that stands alone."""

    def value(self, node: Node | None) -> Value:
        """Return what is known about the value of an expression. An expression is checked only the first time."""
        if node is None:
            return UNKNOWN
        if id(node) not in self._known:
            value = self._value(node)
            if isinstance(value, Nil) and self._is_tested(node):
                value = UNKNOWN
            self._known[id(node)] = value
        return self._known[id(node)]

    def returned(self, function: Value) -> Value:
        """Return what is known about the result of a function of the script or of an integration."""
        if isinstance(function, Callee):
            returns = function.function.returns
            source = f"the result of {function.function.name}"
            return Result(returns, source, is_vague=function.is_vague) if returns else UNKNOWN
        return self._flow.returned(function) if isinstance(function, Closure) else UNKNOWN

    def _test(self, node: Node | None) -> None:
        """Check a condition. Add a finding if its value can be ``json.null``, which, unlike nil, counts as true."""
        self._tested.add(id(node))
        value = self.value(node)
        if node and isinstance(value, Result) and value.may_be_null and not self._knows_null:
            hint = f"{node.text} ~= json.null is false for it"
            self.findings.warn(node, f"{value.source} may be json.null, which is true, unlike nil", hint)

    def _known_of(self, node: Node) -> Value | None:
        return self._known.get(id(node))

    def _set(self, name: Node, value: Value) -> None:
        variable = self._scopes.variable(name)
        if variable:
            self._variables[variable] = self._held.get(variable.start, UNKNOWN) if variable.changes else value

    def _value(self, node: Node) -> Value:
        if literal := literal_of(node):
            for field in node.children if node.kind == "table_constructor" else ():
                name = field.get("name")
                self.value(name if name and name.kind != "identifier" else None)
                item = field.get("value")
                if item and isinstance(value := self.value(item), Undefined):
                    self.findings.undefined(item, value)
            if node.kind == "string" and _INTERPOLATED.search(node.text):
                self.findings.warn(node, "a text cannot contain variables", 'join it with .., as in "name: " .. name')
            return literal
        read = getattr(self, f"_value_{node.kind}", None)
        if read:
            found: Value = read(node)
            return found
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
        """Return a hint for a name that nothing defines, such as a similar known name, or None if there is none."""
        word, declared = name.text, self._scopes.locals
        if word in declared:
            place = "further down" if declared[word] >= name.line else "in another block"
            return f"it is declared local {place}, in line {declared[word]}: declare it earlier, outside both blocks"
        above = {other for other, line in declared.items() if line <= name.line}
        known = {*self._scopes.defined, *self._session, *GLOBALS, *above}
        return idioms.GLOBALS.get(word) or did_you_mean(word, known)

    def _value_dot_index_expression(self, node: Node) -> Value:
        return self._field(node, key_of(node))

    def _field(self, node: Node, key: str | None) -> Value:
        """Return what is known about a field, and add a finding if a text or a list has no such field."""
        found = self.fields.under(node, self.value(node.get("table")), key)
        if isinstance(found, Missing) and found.what.endswith((" of a text", " of a list")):
            is_tested = id(node) in self._tested or self._is_guarded(node)
            if not is_tested:
                self.findings.mistake(node, f"there is no {found.what}: it is nil", found.hint)
        return found

    def _value_bracket_index_expression(self, node: Node) -> Value:
        index = self.value(node.get("field"))
        if isinstance(index, Literal) and index.kind == "number":
            self._note_single_items(node.get("table"))
        value = self.value(node.get("table"))
        if isinstance(value, (Result, Literal)) and isinstance(index, Literal) and index.kind == "number":
            return self.fields.at(node, value, index.value)
        key = index.value if isinstance(index, Literal) and isinstance(index.value, str) else None
        if key is None:
            self.fields.look_up(node, value, index)
        return self._field(node, key)

    def _value_binary_expression(self, node: Node) -> Value:
        found, left, right = node.get("operator"), node.get("left"), node.get("right")
        operator = found.text if found else ""
        if operator in ("and", "or"):
            self._tested.add(id(left))
        first = self.value(left)
        if operator in ("and", "or"):
            self._test(left)
            self._condition_of.check_choice(left, operator)
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
            if side and not is_test and not (isinstance(value, Result) and self._is_sorted_out(side, value)):
                check_operand(self.findings, self.fields, side, value, operator)
            if side and operator == "..":
                self._texts.check_shown(side, value, joined=True)
        check_order(self.findings, node, first, second, operator)
        if operator in ("==", "~="):
            check_equality(self.findings, self.fields, node, first, second)
        if operator in ARITHMETIC and not self._scopes.may_bend_tables:
            return Literal("number")
        return Literal("string") if operator == ".." and not self._scopes.may_bend_tables else UNKNOWN

    def _is_sorted_out(self, node: Node, value: Result) -> bool:
        """Return True if the script tests an expression: around it or, if the value may be nil, anywhere."""
        return self._is_guarded(node) or (value.is_optional and self._texts.may_be_tested(node))

    def _is_guarded(self, node: Node) -> bool:
        """Return True if an expression runs only under a condition in which the same expression occurs."""
        whole = re.compile(rf"(?<![\w.]){re.escape(node.text)}(?!\w)") if self._conditions else None
        return whole is not None and any(map(whole.search, self._conditions))

    def _is_tested(self, node: Node) -> bool:
        """Return True if an expression that seems to be nil occurs in a condition around it, as in ``x and f(x)``.

        The script then expects nil there, so its use of the expression is no mistake.

        Return False for globals of other languages, such as ``null``, which scripts use by mistake.
        """
        return node.text not in idioms.GLOBALS and self._is_guarded(node)

    def _value_unary_expression(self, node: Node) -> Value:
        operand, operator = node.get("operand"), node.get("operator")
        value = self.value(operand)
        if operand and operator and operator.text == "#":
            check_length(self.findings, self.fields, operand, value)
            check_window(self.findings, self._scopes, operand, self.value)
            self._gathered.measure(operand)
            self._losses.check_holes(operand, "#")
            return UNKNOWN if self._scopes.may_bend_tables else Literal("number")
        if operator and operator.text == "not":
            self._test(operand)
        if operator and operator.text == "-" and isinstance(value, Literal) and isinstance(value.value, (int, float)):
            return Literal("number", -value.value, node)
        return UNKNOWN

    def _value_function_call(self, node: Node) -> Value:
        name, arguments = node.get("name"), node.get("arguments")
        given = [each for each in (arguments.children if arguments else ()) if each.field == ""]
        if name is None:
            return UNKNOWN
        if name.kind == "method_index_expression":
            return self._call_method(name, given)
        called = self.value(name)
        if isinstance(called, Builtin) and called.name in ("pcall", "xpcall"):
            values = self._check_protected(given)
            self._note_use(node, values)
            if given and given[0].kind == "function_call" and isinstance(values[0], Result):
                hint = f"pcall(f, arguments), as in {called.name}({(given[0].get('name') or given[0]).text}, ...)"
                self.findings.fail(given[0], f"{called.name} takes a function, but this calls the function first", hint)
            caught = self.returned(values[0]) if values else UNKNOWN
            if values and called.name == "pcall" and isinstance(passed := values[0], Callee):
                self._call(node, given[0], passed, given[1:], caught=True)
            if isinstance(caught, Result) and called.name == "pcall":
                self._caught[id(node)] = caught._replace(
                    may_be_error=True, may_be_call_error=isinstance(values[0], Callee)
                )
            return Literal("boolean")
        values = [self.value(each) for each in given]
        self._note_use(node, [called, *values])
        if isinstance(called, Callee):
            return self._call(node, name, called, given)
        for each, value in zip(given, values, strict=True):
            if isinstance(value, Undefined) and called != Builtin("type"):
                self.findings.undefined(each, value)
        if isinstance(called, Nil):
            self.findings.fail_on_nil(name, called, "call")
        elif isinstance(called, Builtin):
            self._gathered.call(called, given)
            if given:
                check_builtin(self, called.name, given, values)
            if called.name == "ipairs" and given:
                self._losses.check_holes(given[0], "ipairs")
            elif called.name == "tostring" and given:
                self._texts.check_shown(given[0], values[0])
            elif called.name == "string.format" and given:
                self._texts.check_format(given[0], given[1:])
            if called.name in ("print", "write", "error"):
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
        elif isinstance(called, Branch) and called.account != "*" and not self._scopes.may_bend_tables:
            first = given[0].text.strip("\"'") if given and given[0].kind == "string" else "ACCOUNT"
            hint = f"an account is part of the path: {name.text}.{first}.FUNCTION(...)"
            self.findings.fail(name, f"{name.text} is a table of functions, not a function", hint)
        elif isinstance(called, Library) and not self._scopes.may_bend_tables:
            functions = ", ".join(f"{called.name}.{each}" for each in sorted(LIBRARIES[called.name])[:3])
            self.findings.fail(name, f"{called.name} is a library, not a function", f"it has {functions} and so on")
        return UNKNOWN

    def _call(self, node: Node, name: Node, callee: Callee, given: Sequence[Node], *, caught: bool = False) -> Value:
        """Check a call of an integration's function, and return what is known about its result."""
        if callee.account != "*":
            integration, _, function = callee.path.rpartition(".")
            with self.findings.at_least(Mode.PROTECTED if caught else Mode.CERTAIN):
                self.fields.resolve(name, f"{integration}.{callee.account}.{function}")
        for value in parts_of(given, self.value):
            if isinstance(value, Absent):
                self.findings.fail_on_nil(name, value, "pass")
        for misuse in misuses(callee, node, given, self._argument, self.fields.siblings(callee)):
            mode = Mode.CERTAIN if misuse.is_silent else Mode.POSSIBLE if misuse.is_likely else None
            if misuse.is_accepted or (caught and mode is None):
                self.findings.mistake(misuse.node, misuse.message, misuse.hint)
            else:
                mode = Mode.POSSIBLE if callee.may_have_changed else mode
                self.findings.fail(misuse.node, misuse.message, misuse.hint, mode=mode)
        return self.returned(callee)

    def _argument(self, node: Node | None) -> Value:
        """Return what is known about the value of an argument.

        If the argument is a variable that holds a table, nothing is known about the table if the script uses the
        variable elsewhere, since it could have changed the table there.
        """
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
            check_pattern(self.findings, key, given)
        elif key == "format" and kind_of(value) == "string":
            self._texts.check_format(table, given)
        return Literal(KINDS[f"string.{key}"]) if f"string.{key}" in KINDS and kind_of(value) == "string" else UNKNOWN

    def _check_interpolation(self, given: Sequence[Node]) -> None:
        """Add a finding if a text contains a local variable in ``${...}`` or ``#{...}``, which Lua does not replace."""
        for node in given:
            names = _PLACEHOLDER.findall(node.text) if node.kind == "string" else []
            if any(name in self._scopes.locals for name in names):
                self.findings.warn(
                    node, "Lua does not insert values into a text", 'join it with .., as in "name: " .. name'
                )

    def _check_mapped(self, node: Node, function: Value) -> None:
        """Add a finding if the function that is passed to ``parallel.map`` returns nothing."""
        if isinstance(function, Closure) and not returns_value(function.node):
            self.findings.warn(node, "the function returns nothing, so the list is empty", "return a value in it")

    def _note_single_items(self, items: Node | None) -> None:
        """Record that the script takes a single item from the list in a call's result, as in ``f().items[1]``.

        A warning about unread pages of that list is then not needed.
        """
        call = items.get("table") if items and items.kind == "dot_index_expression" else None
        if call and call.kind == "function_call":
            self._peeked.add(id(call))

    def _note_use(self, call: Node, values: Sequence[Value]) -> None:
        """Record whether the result of a call is used, for the called function and for functions among the arguments.

        The result of ``parallel.map(list, f)`` consists of the results of ``f``, so using one uses the other.
        """
        uses = self.dropped if id(call) in self._statements or id(call) in self._peeked else self.kept
        uses.update(value.path for value in values if isinstance(value, Callee))

    def _check_protected(self, given: Sequence[Node]) -> Sequence[Value]:
        """Check the arguments of ``pcall``, and return what is known about them.

        If a function of the script is passed, its body is checked as code whose errors are caught.
        """
        values = [self.value(each) for each in given]
        if values and isinstance(values[0], Closure):
            with self.findings.at_least(Mode.PROTECTED):
                self.enter(values[0], [])
        return values


def _chosen(operator: str, first: Value, second: Value) -> Value:
    """Return what is known about ``first and second`` or ``first or second``.

    ``x and x.y`` has the value of ``x.y``, or is nil. ``x or {}`` is treated as if it had the value of ``x``.
    """
    if operator == "and":
        return second._replace(is_optional=True) if isinstance(second, Result) else UNKNOWN
    is_empty = isinstance(second, Literal) and second.kind == "table" and second.node and not second.node.children
    return first if is_empty and isinstance(first, Result) and is_table(first.type) else UNKNOWN
