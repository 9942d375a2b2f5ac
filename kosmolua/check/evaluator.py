"""Evaluates a script without running it: what is known about the value of each expression, from top to bottom."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from kosmolua.check.fields import Fields
from kosmolua.check.findings import Findings, Mode
from kosmolua.check.globals import CheckInput, Globals
from kosmolua.check.variables import Gathered
from kosmolua.expressions import regex
from kosmolua.lua import idioms
from kosmolua.lua.held import NOTHING_HELD, Flow, Held, always_returns
from kosmolua.lua.library import CallSite, result_of, result_of_method
from kosmolua.lua.scopes import Scopes, Variable
from kosmolua.lua.syntax import (
    ARITHMETIC,
    LOOPS,
    Node,
    arguments_of,
    base_of,
    called_in,
    first_argument,
    key_of,
    parameters_of,
    targets_of,
    values_of,
)
from kosmolua.lua.tested import Tested, has_word
from kosmolua.lua.uses import Uses
from kosmolua.lua.values import (
    ARGUMENT,
    SCRIPT,
    UNKNOWN,
    Branch,
    Builtin,
    Callee,
    Closure,
    Known,
    Literal,
    Missing,
    Nil,
    Result,
    StdLib,
    Undefined,
    Value,
    field_of,
    is_builtin,
    is_list,
    is_table,
    item_in,
    kind_of,
    literal_of,
    record_keys,
)
from kosmolua.schema.sessions import SessionFunction
from kosmolua.schema.types import ANY

_OF_TYPE = regex(r"\btype\(\s*(\w+)\s*\)")


class CheckRules(NamedTuple):
    """What is looked for while a script is evaluated. Each rule is a function that adds findings."""

    nodes: Mapping[str, Sequence[Callable[[Evaluator, Node], None]]]
    calls: Mapping[str, Sequence[Callable[[Evaluator, CallSite], None]]]
    whole: Sequence[Callable[[Evaluator], None]]


_SKIPPED = frozenset({"assignment_statement", "do_statement", "function_call", "if_statement", *LOOPS})
"""The kinds of statements that are evaluated for what variables hold only if something there can tell it."""


class Evaluator:
    """One evaluation of a script from top to bottom, done by the constructor. The results are in the attributes.

    ``known`` returns what was found out about an expression, or None if the evaluation has not reached it.

    The body of a function is evaluated where the function is called, with what is known about the arguments. Functions
    without a known call are evaluated at the end.
    """

    def __init__(
        self,
        given: CheckInput,
        rules: CheckRules,
        scopes: Scopes,
        held: Held = NOTHING_HELD,
        places: Sequence[int] | None = None,
    ) -> None:
        self.root = given.root
        self.is_chunk_of_session = given.is_chunk_of_session
        self.scopes = scopes
        self.findings = Findings()
        self.fields = Fields(given.catalog, scopes, self.findings)
        self.gathered = Gathered(scopes, self.findings)
        self.globals = Globals(given, scopes, held)
        self.tested = Tested(scopes)
        self.uses = Uses()
        self._rules = rules
        self._held = held
        self._places = places
        self._flow = Flow(scopes)
        self._variables: dict[Variable, Value] = {}
        self._known: dict[Node | None, Value] = {}
        self.known: Known = self._known.get
        self._caught: dict[Node, Value] = {}
        self._closures: dict[int, Closure] = {}
        self._entered: set[int] = set()
        self._ends: list[int] = []
        self._knows_null = b".null" in self.root.source
        self._evaluate()

    def held(self) -> Held:
        """Return what is known about each variable that gets several values."""
        return self._flow.held()

    def _evaluate(self) -> None:
        if not self.scopes.is_certain:
            self.findings.mode = Mode.POSSIBLE
        self._block(self.root)
        self.findings.mode = Mode.POSSIBLE
        while waiting := [each for start, each in self._closures.items() if start not in self._entered]:
            for closure in waiting:
                with self.findings.at_least(Mode.PROTECTED if self.scopes.may_catch(closure.node) else Mode.POSSIBLE):
                    self._body(closure, [])

    def value(self, node: Node | None) -> Value:
        """Return what is known about the value of an expression. An expression is evaluated only the first time."""
        if node is None:
            return UNKNOWN
        if (found := self._known.get(node)) is not None:
            return found
        read = _EXPRESSIONS.get(node.kind)
        value = read(self, node) if read else self._parts(node)
        if isinstance(value, Nil) and self._is_expected_nil(node):
            value = UNKNOWN
        self._known[node] = value
        for rule in self._rules.nodes.get(node.kind, ()):
            rule(self, node)
        return value

    def argument(self, node: Node | None) -> Value:
        """Return what is known about the value of an argument.

        If the argument is a variable that holds a table, nothing is known about the table if the script uses the
        variable elsewhere, since it could have changed the table there.
        """
        value = self.value(node)
        if not isinstance(value, Literal) or value.kind != "table" or node is value.node:
            return value
        variable = self.scopes.variable(node) if node else None
        return value if variable and variable.table is value.node and variable.is_as_written else UNKNOWN

    def called(self, call: Node | None) -> Value:
        """Return what is known about the function that a call calls; nothing for any other expression."""
        return self.value(called_in(call))

    def is_there(self, node: Node) -> bool:
        """Return True if an expression is a part of a result that is never nil or false, by its type."""
        value = self.value(node)
        return isinstance(value, Result) and not value.is_optional and kind_of(value) in ("string", "number", "table")

    def block_end(self) -> int:
        """Return where the block ends that is being evaluated."""
        return self._ends[-1]

    def enter(self, closure: Closure, values: Sequence[Value]) -> None:
        """Record a call of a function of the script. On the first call, evaluate the body of the function.

        If the script uses the function in several places, only what all calls have in common is known about a
        parameter.
        """
        uses, names = self.scopes.uses_of(closure.node), parameters_of(closure.node)
        given = [values[index] if index < len(values) else UNKNOWN for index in range(len(names))]
        if uses > 1:
            for name, value in zip(names, given, strict=True):
                self._flow.give_to(name, value, uses)
            given = [self._held.get(name.start, UNKNOWN) for name in names]
        if closure.node.start not in self._entered:
            self._body(closure, given)

    def _body(self, closure: Closure, values: Sequence[Value]) -> None:
        node = closure.node
        self._entered.add(node.start)
        sorted_out = _OF_TYPE.findall(node.text) if values else []
        for name, value in zip(parameters_of(node), values, strict=False):
            self._set(name, UNKNOWN if name.text in sorted_out else value)
        self._flow.open(closure)
        with self.findings.at_least(Mode.CERTAIN):
            self._block(node.get("body"))
        self._flow.close()

    def returned(self, function: Value, given: Sequence[Node] = ()) -> Value:
        """Return what is known about the result of a function of the script or of an integration."""
        if isinstance(function, Callee):
            if isinstance(function.function, SessionFunction):
                return Branch(3, function.path.rpartition(".")[0], function.account)
            if function.function.reply and any(_may_hold(each, function.function.reply) for each in given):
                return UNKNOWN
            returns = function.function.returns
            source = f"the result of {function.function.name}"
            return Result(returns, source, is_vague=function.is_vague) if returns else UNKNOWN
        return self._flow.returned(function) if isinstance(function, Closure) else UNKNOWN

    def _is_expected_nil(self, node: Node) -> bool:
        """Return True if an expression that seems to be nil occurs in a condition around it, as in ``x and f(x)``.

        Return False for globals of other languages, such as ``null``, which scripts use by mistake.
        """
        return (node.text not in idioms.GLOBALS or node.text in self.scopes.locals) and self.tested.is_guarded(node)

    def _test(self, node: Node | None) -> None:
        """Evaluate a condition. Add a finding if its value can be ``json.null``, which, unlike nil, counts as true."""
        self.tested.add(node)
        value = self.value(node)
        self._look_for_integration(node, value)
        if node and isinstance(value, Result) and value.may_be_null and not self._knows_null:
            hint = f"{node.text} ~= json.null is false for it"
            self.findings.warn(node, f"{value.source} may be json.null, which is true, unlike nil", hint)

    def _used(self, node: Node | None) -> Value:
        """Return what is known about a value that is kept or returned, and look for a name that nothing defines."""
        value = self.value(node)
        if node and isinstance(value, Undefined):
            self.findings.undefined(node, value)
        return value

    def _look_for_integration(self, node: Node | None, value: Value) -> None:
        """Look for the name of an integration that a script takes for a variable."""
        if node and isinstance(value, Undefined) and self.globals.is_integration(value.name):
            self.findings.undefined(node, value)

    def _set(self, name: Node, value: Value) -> None:
        if variable := self.scopes.variable(name):
            self._variables[variable] = self._held.get(variable.start, UNKNOWN) if variable.changes else value

    # Expressions

    def _parts(self, node: Node) -> Value:
        for child in node.children:
            self._statement(child)
        return UNKNOWN

    def _literal(self, node: Node) -> Value:
        return literal_of(node) or UNKNOWN

    def _table(self, node: Node) -> Value:
        for field in node.children:
            name = field.get("name")
            self.value(name if name and name.kind != "identifier" else None)
            self._used(field.get("value"))
        return Literal("table", None, node)

    def _function(self, node: Node) -> Value:
        return self._closures.setdefault(node.start, Closure(node))

    def _parentheses(self, node: Node) -> Value:
        return self.value(node.children[0]) if node.children else UNKNOWN

    def _nil(self, node: Node) -> Value:
        return Missing(node.text)

    def _name(self, node: Node) -> Value:
        variable = self.scopes.variable(node)
        return self._variables.get(variable, UNKNOWN) if variable else self.globals.value(node)

    def _dotted(self, node: Node) -> Value:
        return self._field(node, key_of(node))

    def _field(self, node: Node, key: str | None) -> Value:
        """Return what is known about a field, and add a finding if a text or a list has no such field."""
        found = self.fields.under(node, self.value(node.get("table")), key)
        if isinstance(found, Missing) and found.of in ("text", "list") and not self.tested.is_tested(node):
            self.findings.mistake(node, f"there is no {found.what}: it is nil", found.hint)
        return found

    def _bracketed(self, node: Node) -> Value:
        index = self.value(node.get("field"))
        if isinstance(index, Literal) and index.kind == "number":
            self.uses.note_single_item(node.get("table"))
        value = self.value(node.get("table"))
        if is_builtin(value, "arg") and kind_of(index) == "number":
            return SCRIPT if isinstance(index, Literal) and index.value == 0 else ARGUMENT
        if _is_after_last(node):
            return Missing("item after the last", "the last is list[#list]")
        if isinstance(value, (Result, Literal)) and isinstance(index, Literal) and index.kind == "number":
            return self.fields.at(node, value, index.value)
        self.gathered.look_up(node, index)
        key = index.value if isinstance(index, Literal) and isinstance(index.value, str) else None
        if key is None:
            self.fields.look_up(node, value, index)
        return self._field(node, key)

    def _binary(self, node: Node) -> Value:
        operator, left, right = node.operator, node.get("left"), node.get("right")
        if operator in ("and", "or"):
            return self._choice(operator, left, right)
        self.value(left)
        self.value(right)
        for side in (left, right) if operator in ("==", "~=") and "nil" in _kinds(left, right) else ():
            self._test(side)
        if operator == ".." or operator in ARITHMETIC:
            return self._unbent(Literal("string" if operator == ".." else "number"))
        return UNKNOWN

    def _unbent(self, value: Value) -> Value:
        """Return the value of an operator, unless a metatable could give it another one."""
        return UNKNOWN if self.scopes.may_bend_tables else value

    def _choice(self, operator: str, left: Node | None, right: Node | None) -> Value:
        """Return what is known about ``a and b`` or ``a or b``.

        ``x and x.y`` has the value of ``x.y``, or is nil. ``x or {}`` is treated as if it had the value of ``x``.
        """
        self._test(left)
        first = self.value(left)
        with self.findings.at_least(Mode.POSSIBLE), self.tested.under(left):
            second = self.value(right)
        self._look_for_integration(right, second)
        if operator == "or" and isinstance(first, Literal) and left and left.kind in ("string", "number"):
            return first
        if operator == "and":
            return second._replace(is_optional=True) if isinstance(second, Result) else UNKNOWN
        if first is ARGUMENT and kind_of(second) == "number":
            return ARGUMENT
        is_empty = isinstance(second, Literal) and second.kind == "table" and second.node and not second.node.children
        return first if is_empty and isinstance(first, Result) and is_table(first.type) else UNKNOWN

    def _unary(self, node: Node) -> Value:
        operand, operator = node.get("operand"), node.operator
        value = self.value(operand)
        if operator == "not":
            self._test(operand)
        if operator == "-" and isinstance(value, Literal) and isinstance(value.value, (int, float)):
            return Literal("number", -value.value, node)
        return self._unbent(Literal("number")) if operator == "#" else UNKNOWN

    # Calls

    def _call(self, node: Node) -> Value:
        name, given = node.get("name"), arguments_of(node)
        if name is None:
            return UNKNOWN
        if name.kind == "method_index_expression":
            return self._call_method(node, name, given)
        called = self.value(name)
        if is_builtin(called, "pcall", "xpcall"):
            return self._call_protected(node, called.name, given)
        values = [self.value(each) for each in given]
        self.uses.note(node, [called, *values])
        if isinstance(called, Callee):
            self._read_document(name, called, given)
            return self.returned(called, given)
        for each, value in zip(given, values, strict=True):
            if isinstance(value, Undefined) and not is_builtin(called, "type"):
                self.findings.undefined(each, value)
        if isinstance(called, Builtin):
            return self._call_builtin(CallSite(node, called.name, given, values))
        if not isinstance(called, Closure):
            return UNKNOWN
        self.enter(called, values)
        if not (self.scopes.returns_value(called.node) or always_returns(called.node.get("body"))):
            return Missing(f"value that {name.text[:40]} returns", "write return before its last value")
        return self.returned(called)

    def _call_builtin(self, call: CallSite) -> Value:
        self.gathered.call(call.name, call.given)
        for rule in self._rules.calls.get(call.name, ()) if call.given else ():
            rule(self, call)
        return result_of(call, self.returned)

    def _call_method(self, node: Node, name: Node, given: Sequence[Node]) -> Value:
        table, key = name.get("table"), key_of(name) or ""
        value, values = self.value(table), [self.value(each) for each in given]
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
        elif given and not isinstance(value, StdLib):
            call = CallSite(node, f"string.{key}", [table, *given], [value, *values])
            for rule in self._rules.calls.get(f"text:{key}", ()):
                rule(self, call)
        return result_of_method(value, key)

    def _call_protected(self, node: Node, name: str, given: Sequence[Node]) -> Value:
        """Evaluate a call of ``pcall``. The body of a function of the script is code whose errors are caught."""
        values = [self.value(each) for each in given]
        self.uses.note(node, values)
        if not values:
            return Literal("boolean")
        passed = values[0]
        if isinstance(passed, Closure):
            with self.findings.at_least(Mode.PROTECTED):
                self.enter(passed, [])
        if given[0].kind == "function_call" and isinstance(passed, Result):
            hint = f"pcall(f, arguments), as in {name}({(given[0].get('name') or given[0]).text}, ...)"
            self.findings.fail(given[0], f"{name} takes a function, but this calls the function first", hint)
        if name == "xpcall" and isinstance(values[-1], (Literal, Result)) and len(values) == 2:
            hint = "xpcall(f, debug.traceback, arguments), or pcall(f, arguments)"
            self.findings.fail(given[1], "the second argument of xpcall is a function for the error", hint)
        if isinstance(passed, Callee):
            with self.findings.at_least(Mode.PROTECTED):
                self._read_document(given[0], passed, given[1:])
        caught = self.returned(passed, given[1:])
        if isinstance(passed, Closure) and not self.scopes.returns_value(passed.node) and self._calls(passed.node):
            caught = Result(ANY, "the error", may_be_absent=True)
        if isinstance(caught, Result) and name == "pcall":
            is_call = isinstance(passed, Callee)
            self._caught[node] = caught._replace(may_be_error=True, may_be_call_error=is_call)
        return Literal("boolean")

    def _calls(self, function: Node) -> bool:
        """Return True if the body of a function of the script calls a function of an integration."""
        return any(isinstance(self.known(called_in(each)), Callee) for each in function.walk())

    def _read_document(self, name: Node, called: Callee, given: Sequence[Node]) -> None:
        """Let a call have the effect of the GraphQL document that it passes, as far as the script says it."""
        if called.function.acts_as is None or not given:
            return
        names: list[str | None] = [each.name for each in called.function.parameters]
        nodes: Sequence[Node | None] = given
        if given[0].kind == "table_constructor":
            names = [*map(key_of, given[0].children)]
            nodes = [each.get("value") for each in given[0].children]
        values = dict(zip(names, map(self.value, nodes), strict=False))
        written = {key: value for key in ("query", "operation") if (value := values.get(key))}
        document = {key: each.value for key, each in written.items() if isinstance(each, Literal) and each.value}
        if "query" in document and len(document) == len(written) and None not in values:
            self._known[name] = self.fields.acting(name, called, document)

    # Statements

    def _block(self, block: Node | None) -> None:
        self._ends.append(block.end if block else 0)
        for statement in block.children if block else ():
            self.uses.note_statement(statement)
            if self._places is None or self._is_of_use(statement, self._places):
                self._statement(statement)
            if self.findings.mode is Mode.CERTAIN and statement in self.scopes.leaving:
                self.findings.mode = Mode.POSSIBLE
        self._ends.pop()

    def _is_of_use(self, statement: Node, places: Sequence[int]) -> bool:
        """Return True if a statement may say what a variable holds: it declares one, returns, or has such a place."""
        if statement.kind not in _SKIPPED:
            return True
        place = bisect_left(places, statement.start)
        return place < len(places) and places[place] < statement.end

    def _statement(self, node: Node) -> None:
        read = _STATEMENTS.get(node.kind)
        if read is None:
            self.value(node)
            return
        read(self, node)
        for rule in self._rules.nodes.get(node.kind, ()):
            rule(self, node)

    def _do(self, node: Node) -> None:
        self._block(node.get("body"))

    def _repeat(self, node: Node) -> None:
        self._block(node.get("body"))
        self._test(node.get("condition"))

    def _return(self, node: Node) -> None:
        for index, each in enumerate(values_of(node)):
            value = self._used(each)
            if index == 0:
                self._flow.give(value if self._comes_from_call(each) else UNKNOWN)

    def _comes_from_call(self, node: Node) -> bool:
        """Return True if an expression is the result of an integration's function, or a field or item of one."""
        for _ in range(2):
            node = self.scopes.origin(base_of(node))
        return isinstance(self.called(node), Callee)

    def _if(self, node: Node) -> None:
        self._test(node.get("condition"))
        with self.findings.at_least(Mode.POSSIBLE):
            self._guarded(node, node.get("consequence"))
            for alternative in node.all("alternative"):
                self._test(alternative.get("condition"))
                self._guarded(alternative, alternative.get("consequence") or alternative.get("body"))

    def _while(self, node: Node) -> None:
        self._test(node.get("condition"))
        with self.findings.at_least(Mode.POSSIBLE):
            self._guarded(node, node.get("body"))

    def _guarded(self, node: Node, block: Node | None) -> None:
        """Evaluate a block that runs only under a condition."""
        with self.tested.under(node.get("condition")):
            self._block(block)

    def _for(self, node: Node) -> None:
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
        end, name = clause.get("end"), clause.get("name")
        counted = end.get("operand") if end and end.operator == "#" else None
        if name and counted and isinstance(item := item_in(self.value(counted)), Result):
            self._set(name, Literal("number", None, None, item.type))

    def _generic(self, clause: Node) -> None:
        names, given = targets_of(clause), values_of(clause)
        for each in given:
            self.value(each)
        iterator = given[0] if given else None
        if iterator and self.fields.is_plain_table(self.value(iterator)):
            hint = f"for _, item in ipairs({iterator.text}) do"
            self.findings.fail(iterator, f"{iterator.text} is a table, and a loop needs an iterator", hint)
        for name, value in zip(names, self._iterated(iterator, names[0]), strict=False):
            self._set(name, value)

    def _iterated(self, call: Node | None, place: Node) -> Iterator[Value]:
        """Yield what is known about the variables of a loop over a call of ``ipairs`` or ``pairs``."""
        called = self.called(call)
        value = self.argument(first_argument(call))
        item, is_listed = item_in(value), isinstance(value, Result) and is_list(value.type)
        if is_builtin(called, "ipairs") or (is_builtin(called, "pairs") and is_listed):
            yield Literal("number", None, place, item.type if isinstance(item, Result) else None)
        else:
            yield UNKNOWN
        if not is_builtin(called, "ipairs", "pairs"):
            return
        is_map = is_builtin(called, "pairs") and isinstance(value, Result) and not record_keys(value.type)
        if item is UNKNOWN and is_map and isinstance(value, Result):
            inner = field_of(value.type, "")
            item = Result(inner, f"an item of {value.source}", is_vague=value.is_vague) if inner else UNKNOWN
        yield item

    def _declaration(self, node: Node) -> None:
        names, nodes = targets_of(node), values_of(node)
        for name in names:
            if (variable := self.scopes.variable(name)) and variable.is_only_picked_from:
                self.uses.note_single_item(variable.value)
        values = self._values(nodes)
        for index, name in enumerate(names):
            value = values[index] if index < len(values) else self._without_expression(nodes, name)
            if not nodes or (index < len(nodes) and nodes[index].kind == "nil"):
                self.gathered.declare(name)
            self._flow.assign(name, value)
            self._set(name, value)
            if isinstance(value, Undefined):
                self.findings.undefined(nodes[index], value)
            elif isinstance(value, Missing) and nodes and (index >= len(nodes) or nodes[index].kind == "function_call"):
                if (variable := self.scopes.variable(name)) and index >= len(nodes) and not variable.uses:
                    continue
                place = nodes[index] if index < len(nodes) else name
                self.findings.warn(place, f"there is no {value.what}: {name.text} is nil", value.hint)

    def _without_expression(self, nodes: Sequence[Node], name: Node) -> Value:
        """Return what is known about a variable in a declaration with more variables than expressions.

        It is certainly nil if the last expression is a call of a function that returns only one value.
        """
        if not nodes:
            return Missing(f"value in '{name.text}'")
        variable, last = self.scopes.variable(name), nodes[-1]
        if variable is None or variable.changes or last.kind == "vararg_expression":
            return UNKNOWN
        if last.kind != "function_call":
            return Missing(f"value in '{name.text}'", "give one value for each name")
        called = self.called(last)
        if isinstance(called, Callee):
            hint = "a call that fails raises an error: local ok, result = pcall(f, arguments)"
            return Missing(f"second value that {called.function.name} returns", hint)
        if isinstance(called, Builtin) and called.name in ("parallel.all", "parallel.map"):
            return Missing(f"second value that {called.name} returns", f"table.unpack({called.name}(...)) has them all")
        return UNKNOWN

    def _assignment(self, node: Node) -> None:
        nodes = values_of(node)
        values = self._values(nodes)
        for each, value in zip(nodes, values, strict=False):
            if isinstance(value, Undefined):
                self.findings.undefined(each, value)
            elif isinstance(value, Missing) and each.kind == "function_call":
                self.findings.warn(each, f"there is no {value.what}", value.hint)
        for index, target in enumerate(targets_of(node)):
            if target.kind == "identifier":
                self._flow.assign(target, values[index] if index < len(values) else UNKNOWN)
            table = target.get("table")
            value = self.value(table)
            if table and isinstance(value, Nil):
                self.findings.fail_on_nil(table, value, "index")
            elif isinstance(value, Branch):
                self.findings.fail(target, f"{table.text if table else 'app'} is read-only")
            elif isinstance(value, Callee):
                hint = f"pass it in the call: {value.function.name}({{ {key_of(target) or 'NAME'} = ... }})"
                self.findings.fail(target, f"{value.path} is a function and has no fields", hint)
            key = self.value(target.get("field") if target.kind == "bracket_index_expression" else None)
            self.gathered.assign(target, key, nodes[index] if index < len(nodes) else None)

    def _values(self, nodes: Sequence[Node]) -> list[Value]:
        """Return what is known about each value of a list of expressions. A ``pcall`` at the end yields two values."""
        values = [self.value(each) for each in nodes]
        caught = self._caught.get(nodes[-1]) if nodes else None
        return [*values, caught] if caught else values

    def _function_declaration(self, node: Node) -> None:
        name, closure = node.get("name"), Closure(node)
        self._closures[node.start] = closure
        if name and name.kind == "identifier":
            self._set(name, closure)
            if self.scopes.variable(name) is None:
                self.globals.declare(name.text, closure)


_EXPRESSIONS: dict[str, Callable[[Evaluator, Node], Value]] = {
    **dict.fromkeys(("string", "number", "true", "false"), Evaluator._literal),
    "table_constructor": Evaluator._table,
    "function_definition": Evaluator._function,
    "parenthesized_expression": Evaluator._parentheses,
    "nil": Evaluator._nil,
    "identifier": Evaluator._name,
    "dot_index_expression": Evaluator._dotted,
    "bracket_index_expression": Evaluator._bracketed,
    "binary_expression": Evaluator._binary,
    "unary_expression": Evaluator._unary,
    "function_call": Evaluator._call,
}
_STATEMENTS: dict[str, Callable[[Evaluator, Node], None]] = {
    "block": Evaluator._block,
    "do_statement": Evaluator._do,
    "repeat_statement": Evaluator._repeat,
    "return_statement": Evaluator._return,
    "if_statement": Evaluator._if,
    "while_statement": Evaluator._while,
    "for_statement": Evaluator._for,
    "variable_declaration": Evaluator._declaration,
    "assignment_statement": Evaluator._assignment,
    "function_declaration": Evaluator._function_declaration,
}


def _is_after_last(node: Node) -> bool:
    """Return True for ``list[#list + 1]``."""
    table, index = node.get("table"), node.get("field")
    return table is not None and index is not None and index.text.replace(" ", "") == f"#{table.text}+1"


def _kinds(*nodes: Node | None) -> list[str]:
    return [node.kind for node in nodes if node]


def _may_hold(argument: Node, key: str) -> bool:
    return argument.kind == "identifier" or has_word(argument.text, key, is_whole=True)
