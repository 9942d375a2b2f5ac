"""The check of a script before it runs: what is certain to fail, what is likely to, and what it may do."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from kosmolua.errors import KosmoError
from kosmolua.lua import idioms
from kosmolua.lua.calls import literal_of, misuses
from kosmolua.lua.environment import GLOBALS, LIBRARIES, STRING_METHODS
from kosmolua.lua.scopes import Scopes, Variable
from kosmolua.lua.syntax import Node, SyntaxProblem, key_of, parse
from kosmolua.lua.values import (
    UNKNOWN,
    Branch,
    Builtin,
    Callee,
    Closure,
    Library,
    Literal,
    Missing,
    Result,
    Undefined,
    Value,
    field_of,
    is_list,
    is_table,
    is_text,
    item_of,
    keys_of,
    lists_in,
    near_field,
)
from kosmolua.schema.function import Function
from kosmolua.schema.integration import Integration
from kosmolua.suggestions import did_you_mean

MAX_FINDINGS = 50
"""Findings of one script; those that follow are left out."""


class Finding(NamedTuple):
    """Something that is wrong with a script, or probably wrong.

    Args:
        line: Counted from 1.
        column: Counted from 1.
        severity: ``error`` for what is certain to fail, else ``warning``.
        message: What is wrong.
        hint: What to write instead, or nothing.
    """

    line: int
    column: int
    severity: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.severity}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class Charge(NamedTuple):
    """Something that a script may do.

    Args:
        effect: What it does, such as ``read``.
        path: The function, such as ``render2.list_services``.
        account: The account, or ``*`` if the script computes it.
    """

    effect: str
    path: str
    account: str


class Report(NamedTuple):
    """What a check found.

    Args:
        findings: In the order of the source.
        bill: What the script may do, each once, in the order of the source.
    """

    findings: list[Finding]
    bill: list[Charge]

    @property
    def errors(self) -> list[Finding]:
        """What is certain to fail."""
        return [finding for finding in self.findings if finding.severity == "error"]

    def summary(self) -> str:
        """Return the bill in a line: ``reads render2.list_services (production); ...``; nothing if it is empty."""
        parts = []
        for effect in dict.fromkeys(charge.effect for charge in self.bill):
            calls = ", ".join(f"{each.path} ({each.account})" for each in self.bill if each.effect == effect)
            parts.append(f"{effect}s {calls}")
        return "; ".join(parts)


class Target(Protocol):
    """What a path means."""

    account: str


class Catalog(Protocol):
    """The installed integrations and their accounts."""

    def names(self) -> Sequence[str]:
        """Return the names of all integrations."""

    def integration(self, name: str) -> Integration:
        """Return an integration, or raise a KosmoError."""

    def accounts(self, name: str) -> Sequence[str]:
        """Return the names of an integration's accounts."""

    def resolve(self, path: str) -> Target:
        """Return what a path means, or raise a KosmoError."""


class Checker:
    """Checks scripts against the installed integrations.

    Args:
        catalog: The integrations and accounts.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def check(self, source: str | bytes, name: str = "script.lua") -> Report:
        """Return what is wrong with a script, and what it may do; nothing is run.

        A script that is too long or too deeply nested to be read has an empty report.

        Args:
            source: Its text.
            name: Its name, for messages.
        """
        script = parse(source)
        if script is None:
            return Report([], [])
        if script.problems:
            lines = script.root.source.decode("utf-8", "replace").splitlines()
            return Report([_misspelt(script.problems[0], lines)], [])
        try:
            return _Reading(self._catalog, script.root).report()
        except RecursionError:
            return Report([], [])


def _misspelt(problem: SyntaxProblem, lines: list[str]) -> Finding:
    """Return the finding of a syntax error; of an idiom of another language, with what Lua has for it."""
    last = min(max(problem.last_line, problem.line + 1), len(lines))
    for number in range(problem.line, last + 1):
        text = lines[number - 1]
        hint = "" if text.lstrip().startswith("--") else idioms.hint_for_syntax(text)
        if hint:
            column = problem.column if number == problem.line else len(text) - len(text.lstrip()) + 1
            near = problem.near if number == problem.line else text.strip()[:30]
            return Finding(number, column, "error", f"syntax error near '{near}'", hint)
    if problem.missing:
        message = f"syntax error: '{problem.missing}' is missing"
    elif problem.last_line > problem.line:
        message = "syntax error: what begins here has no end"
    else:
        message = f"syntax error near '{problem.near}'"
    return Finding(problem.line, problem.column, "error", message)


class Mode(IntEnum):
    """How certain it is that a part of a script runs, and that its failure ends the script."""

    CERTAIN = 0
    POSSIBLE = 1
    PROTECTED = 2


class _Reading:
    """One reading of a script, from top to bottom."""

    def __init__(self, catalog: Catalog, root: Node) -> None:
        self._catalog = catalog
        self._root = root
        self._scopes = Scopes(root)
        self._mode = Mode.CERTAIN
        self._values: dict[Variable, Value] = {}
        self._findings: dict[tuple[int, int, str], Finding] = {}
        self._bill: dict[Charge, None] = {}
        self._read: dict[int, Value] = {}
        self._entered: set[int] = set()
        self._closures: dict[int, Node] = {}
        self._known = self._scopes.defined | GLOBALS

    def report(self) -> Report:
        """Return what was found."""
        if "exit" in self._scopes.globals:
            self._mode = Mode.POSSIBLE
        self._block(self._root)
        self._mode = Mode.POSSIBLE
        for node in list(self._closures.values()):
            self._enter(node, [])
        findings = sorted(self._findings.values(), key=lambda each: (each.line, each.column))
        return Report(findings[:MAX_FINDINGS], list(self._bill))

    def _find(self, node: Node, message: str, hint: str = "", *, fails: bool = False) -> None:
        """Note a finding: an error if it fails and is certain to be reached."""
        severity = "error" if fails and self._mode is Mode.CERTAIN else "warning"
        key = (node.start, node.end, message)
        if key not in self._findings or severity == "error":
            self._findings[key] = Finding(node.line, node.column, severity, message, hint)

    # Statements

    def _block(self, block: Node | None) -> None:
        for statement in block.children if block else ():
            self._statement(statement)
            if self._mode is Mode.CERTAIN and _may_leave(statement):
                self._mode = Mode.POSSIBLE

    def _possibly(self, *nodes: Node | None) -> None:
        """Read blocks that may not run."""
        before, self._mode = self._mode, max(self._mode, Mode.POSSIBLE)
        for node in nodes:
            self._block(node)
        self._mode = before

    def _statement(self, node: Node) -> None:
        read = getattr(self, f"_read_{node.kind}", None)
        if read:
            read(node)
        else:
            self._expression(node)

    def _read_block(self, node: Node) -> None:
        self._block(node)

    def _read_repeat_statement(self, node: Node) -> None:
        self._block(node.get("body"))
        condition = node.get("condition")
        if condition:
            self._expression(condition)

    def _read_do_statement(self, node: Node) -> None:
        self._block(node.get("body"))

    def _read_return_statement(self, node: Node) -> None:
        for child in node.children:
            self._statement(child)

    def _read_if_statement(self, node: Node) -> None:
        condition = node.get("condition")
        if condition:
            self._expression(condition)
        self._possibly(node.get("consequence"))
        before, self._mode = self._mode, max(self._mode, Mode.POSSIBLE)
        for alternative in node.all("alternative"):
            condition = alternative.get("condition")
            if condition:
                self._expression(condition)
            self._block(alternative.get("consequence") or alternative.get("body"))
        self._mode = before

    def _read_while_statement(self, node: Node) -> None:
        condition = node.get("condition")
        if condition:
            self._expression(condition)
        self._possibly(node.get("body"))

    def _read_for_statement(self, node: Node) -> None:
        clause = node.get("clause")
        if clause and clause.kind == "for_generic_clause":
            self._generic(clause)
        elif clause:
            self._numeric(clause)
        self._possibly(node.get("body"))

    def _numeric(self, clause: Node) -> None:
        for part in ("start", "end", "step"):
            node = clause.get(part)
            value = self._expression(node) if node else UNKNOWN
            if node and isinstance(value, (Missing, Undefined)):
                self._fails_on_nil(node, value, "count with")
        start, end = clause.get("start"), clause.get("end")
        if start and end and start.text == "0" and end.text.startswith("#"):
            self._find(start, "a list begins at 1, not at 0", "for i = 1, #list do")

    def _generic(self, clause: Node) -> None:
        names, given = clause.first("variable_list"), clause.first("expression_list")
        values = [self._expression(each) for each in given.children] if given else []
        iterator = given.children[0] if given and given.children else None
        if iterator and values and _is_table(values[0]):
            hint = f"for _, item in ipairs({iterator.text}) do"
            self._find(iterator, f"{iterator.text} is a table, and a loop needs an iterator", hint, fails=True)
        item: Value = UNKNOWN
        if iterator and iterator.kind == "function_call":
            item = self._item(iterator)
        targets = names.all("name") if names else []
        for index, name in enumerate(targets):
            self._set(name, item if index == 1 else UNKNOWN)

    def _item(self, call: Node) -> Value:
        """Return what the second variable of a loop over ``ipairs`` or ``pairs`` is."""
        called = self._expression(call.get("name"))
        arguments = call.get("arguments")
        value = self._expression(arguments.children[0]) if arguments and arguments.children else UNKNOWN
        if not isinstance(called, Builtin) or not isinstance(value, Result):
            return UNKNOWN
        item = item_of(value.type) if called.name in ("ipairs", "pairs") else None
        if called.name == "pairs" and keys_of(value.type) is None:
            item = item or field_of(value.type, "")
        return Result(item, f"an item of {value.source}") if item else UNKNOWN

    def _read_variable_declaration(self, node: Node) -> None:
        inner = node.first("assignment_statement") or node
        given, names = inner.first("expression_list"), inner.first("variable_list")
        nodes = given.children if given else []
        values = [self._expression(each) for each in nodes]
        for index, name in enumerate(names.all("name") if names else ()):
            many = bool(nodes) and nodes[-1].kind in ("function_call", "vararg_expression")
            value = values[index] if index < len(values) else UNKNOWN if many or nodes else Missing(f"'{name.text}'")
            self._set(name, value)
            if isinstance(value, Undefined):
                self._note_undefined(nodes[index], value)

    def _read_assignment_statement(self, node: Node) -> None:
        given, targets = node.first("expression_list"), node.first("variable_list")
        for each in given.children if given else ():
            value = self._expression(each)
            if isinstance(value, Undefined):
                self._note_undefined(each, value)
        for target in targets.children if targets else ():
            if target.kind != "identifier":
                table = target.get("table")
                value = self._expression(table) if table else UNKNOWN
                if table and isinstance(value, (Missing, Undefined)):
                    self._fails_on_nil(table, value, "index")
                if isinstance(value, Branch):
                    self._find(target, "app is read-only", fails=True)

    def _read_function_declaration(self, node: Node) -> None:
        name = node.get("name")
        self._closures[node.start] = node
        if name and name.kind == "identifier":
            self._set(name, Closure(node))

    def _set(self, name: Node, value: Value) -> None:
        variable = self._scopes.variable(name)
        if variable:
            self._values[variable] = value if variable.changes == 0 else UNKNOWN

    # Expressions

    def _expression(self, node: Node | None) -> Value:
        """Return what an expression is known to be; it is read once."""
        if node is None:
            return UNKNOWN
        if id(node) not in self._read:
            self._read[id(node)] = self._evaluated(node)
        return self._read[id(node)]

    def _evaluated(self, node: Node) -> Value:
        if literal := literal_of(node):
            for child in node.children if node.kind == "table_constructor" else ():
                self._field(child)
            return literal
        read = getattr(self, f"_value_{node.kind}", None)
        if read:
            value: Value = read(node)
            return value
        for child in node.children:
            self._statement(child)
        return UNKNOWN

    def _field(self, field: Node) -> None:
        name, value = field.get("name"), field.get("value")
        if name and name.kind != "identifier":
            self._expression(name)
        self._expression(value)

    def _value_function_definition(self, node: Node) -> Value:
        self._closures[node.start] = node
        return Closure(node)

    def _value_parenthesized_expression(self, node: Node) -> Value:
        return self._expression(node.children[0]) if node.children else UNKNOWN

    def _value_nil(self, node: Node) -> Value:
        return Missing("nil")

    def _value_identifier(self, node: Node) -> Value:
        variable = self._scopes.variable(node)
        if variable:
            return self._values.get(variable, UNKNOWN)
        name = node.text
        if name in self._scopes.defined or self._scopes.is_dynamic:
            return Branch(0) if name == "app" and name not in self._scopes.defined else UNKNOWN
        if name == "app":
            return Branch(0)
        if name in LIBRARIES:
            return Library(name)
        if name in GLOBALS:
            return Builtin(name)
        hint = idioms.GLOBALS.get(name) or did_you_mean(name, self._known) or ""
        return Undefined(name, hint)

    def _value_dot_index_expression(self, node: Node) -> Value:
        table = node.get("table")
        return self._index(node, self._expression(table), key_of(node))

    def _value_bracket_index_expression(self, node: Node) -> Value:
        field = node.get("field")
        value, index = self._expression(node.get("table")), self._expression(field)
        if isinstance(value, (Result, Literal)) and isinstance(index, Literal) and index.kind == "number":
            return self._at(node, value, index.value)
        key = index.value if isinstance(index, Literal) and isinstance(index.value, str) else None
        return self._index(node, value, key)

    def _at(self, node: Node, value: Value, index: object) -> Value:
        """Return what a list has at a number."""
        if isinstance(value, Literal):
            if value.kind == "string":
                self._find(node, "a text has no characters by number", "text:sub(i, i) is one character")
            return UNKNOWN
        assert isinstance(value, Result)
        if is_text(value.type):
            self._find(node, "a text has no characters by number", "text:sub(i, i) is one character")
        if isinstance(index, int) and index < 1 and is_list(value.type):
            hint = "the first is list[1]" if index == 0 else "the last is list[#list]"
            self._find(node, f"a list begins at 1, so there is nothing at {index}", hint)
            return UNKNOWN
        item = item_of(value.type)
        if item is None and keys_of(value.type) is not None:
            self._warn_of_page(node, value, f"[{index}]")
        return Result(item, f"an item of {value.source}") if item else UNKNOWN

    def _index(self, node: Node, value: Value, key: str | None) -> Value:
        """Return what a table has under a key; of a computed one nothing is known."""
        if isinstance(value, (Missing, Undefined)):
            self._fails_on_nil(node.get("table") or node, value, "index")
            return UNKNOWN
        if isinstance(value, Branch):
            return self._under_app(node, value, key)
        if key is None or key in self._scopes.fields:
            return UNKNOWN
        if isinstance(value, Library):
            if key in LIBRARIES[value.name]:
                return Builtin(f"{value.name}.{key}")
            near = did_you_mean(key, LIBRARIES[value.name]) or ""
            return Missing(f"'{value.name}.{key}'", idioms.FIELDS.get(key, near))
        if isinstance(value, Result):
            return self._field_of_result(node, value, key)
        if isinstance(value, Literal) and value.kind == "string" and key not in STRING_METHODS:
            return Missing(f"'{key}' of a text", idioms.FIELDS.get(key, ""))
        return UNKNOWN

    def _field_of_result(self, node: Node, value: Result, key: str) -> Value:
        kind = value.type
        keys = keys_of(kind)
        if keys is not None and key not in keys:
            near = near_field(kind, key)
            hint = f"did you mean '{near}'?" if near else idioms.FIELDS.get(key, "")
            self._find(node, f"{value.source} has no field '{key}': it has {', '.join(keys)}", hint)
            return UNKNOWN
        if is_list(kind):
            if key in idioms.FIELDS and key not in ("map", "filter"):
                self._find(node, f"{value.source} is a list and has no '{key}'", idioms.FIELDS[key])
            return Missing(f"'{key}' of a list", idioms.FIELDS.get(key, ""))
        if is_text(kind) and key not in STRING_METHODS:
            return Missing(f"'{key}' of a text", idioms.FIELDS.get(key, ""))
        field = field_of(kind, key)
        return Result(field, f"'{key}'") if field else UNKNOWN

    def _under_app(self, node: Node, branch: Branch, key: str | None) -> Value:
        if branch.depth == 0:
            if key not in (None, "integrations"):
                hint = f"it is app.integrations.{key}" if key in self._catalog.names() else "it has integrations"
                self._find(node, f"app has no '{key}'", hint, fails=True)
            return Branch(1) if key == "integrations" else UNKNOWN
        if branch.depth == 1:
            if key is None:
                return UNKNOWN
            return Branch(2, key) if self._integration(node, key) else UNKNOWN
        integration = self._integration(node, branch.integration)
        if integration is None:
            return UNKNOWN
        if key is None:
            return Branch(3, branch.integration, "*") if branch.depth == 2 else UNKNOWN
        function = integration.function(key)
        if function:
            return self._callee(function, branch)
        if branch.depth == 2 and key in (*self._catalog.accounts(branch.integration), "default"):
            return Branch(3, branch.integration, key)
        if branch.account != "*":
            self._refused(node, ".".join(filter(None, [branch.integration, branch.account, key])))
        return UNKNOWN

    def _integration(self, node: Node, name: str) -> Integration | None:
        try:
            return self._catalog.integration(name)
        except KosmoError as error:
            self._find(node, error.message, fails=True)
            return None

    def _refused(self, node: Node, path: str) -> Target | None:
        """Return what a path means, or note why it means nothing."""
        try:
            return self._catalog.resolve(path)
        except KosmoError as error:
            self._find(node, error.message.partition("\n")[0], fails=True)
            return None

    def _callee(self, function: Function, branch: Branch) -> Callee:
        account = branch.account or "default"
        path = f"{branch.integration}.{function.name}"
        shown = account
        if account != "*":
            try:
                shown = self._catalog.resolve(f"{branch.integration}.{account}.{function.name}").account
            except KosmoError:
                shown = account
        self._bill[Charge(function.effect, path, shown)] = None
        return Callee(path, function, account)

    # Calls

    def _value_function_call(self, node: Node) -> Value:
        name = node.get("name")
        if name and name.kind == "method_index_expression":
            return self._method_call(node, name)
        called = self._expression(name)
        arguments = node.get("arguments")
        given = arguments.children if arguments and node.get("arguments") else []
        given = [each for each in given if each.kind != "string_content"]
        if isinstance(called, Builtin) and called.name in ("pcall", "xpcall"):
            return self._protected(given)
        values = [self._expression(each) for each in given]
        if isinstance(called, (Missing, Undefined)) and name:
            self._fails_on_nil(name, called, "call")
        elif isinstance(called, Callee):
            return self._call(node, called)
        elif isinstance(called, Builtin):
            for each, value in zip(given, values, strict=True):
                if isinstance(value, Undefined):
                    self._note_undefined(each, value)
            self._builtin(node, called.name, given, values)
        elif isinstance(called, Closure):
            self._enter(called.node, values)
        elif isinstance(called, Branch) and called.depth < 3 and name:
            self._find(name, f"{name.text} is a table of names, not a function", fails=called.depth < 2)
        elif isinstance(called, Result) and is_table(called.type) and name:
            self._find(name, f"{called.source} is a table, not a function", fails=True)
        return UNKNOWN

    def _method_call(self, node: Node, name: Node) -> Value:
        table = name.get("table")
        value, key = self._expression(table), key_of(name) or ""
        arguments = node.get("arguments")
        for each in arguments.children if arguments else ():
            self._expression(each)
        if isinstance(value, (Missing, Undefined)) and table:
            self._fails_on_nil(table, value, "index")
        elif isinstance(value, Branch) and table:
            called = self._under_app(name, value, key)
            if isinstance(called, Callee):
                hint = f"call it with a dot: {table.text}.{key}(...)"
                self._find(name, f"a colon passes {table.text} as an argument", hint, fails=True)
        elif isinstance(value, (Library, Result)) or (isinstance(value, Literal) and value.kind == "string"):
            found = self._index(name, value, key)
            if isinstance(found, Missing):
                self._fails_on_nil(name, found, "call")
        elif isinstance(value, Literal) and value.kind == "table" and key not in self._scopes.fields:
            certain = "setmetatable" not in self._scopes.globals and key not in _written_keys(value.node)
            if certain:
                self._find(name, f"a table has no '{key}'", idioms.FIELDS.get(key, ""), fails=True)
        return UNKNOWN

    def _call(self, node: Node, callee: Callee) -> Value:
        if callee.account != "*":
            self._refused(node.get("name") or node, callee.path.replace(".", f".{callee.account}.", 1))
        for misuse in misuses(callee, node, self._expression):
            before = self._mode
            if misuse.message.startswith("nothing defines"):
                self._mode = Mode.CERTAIN  # the one exception: it would be left out silently, and something be sent
            self._find(misuse.node, misuse.message, misuse.hint, fails=True)
            self._mode = before
        returns = callee.function.returns
        return Result(returns, f"the result of {callee.function.name}") if returns else UNKNOWN

    def _protected(self, given: list[Node]) -> Value:
        before, self._mode = self._mode, Mode.PROTECTED
        values = [self._expression(each) for each in given]
        if values and isinstance(values[0], Closure):
            self._enter(values[0].node, [])
        self._mode = before
        return UNKNOWN

    def _builtin(self, node: Node, name: str, given: list[Node], values: list[Value]) -> None:
        first = values[0] if values else UNKNOWN
        if name in ("ipairs", "pairs") and given:
            if isinstance(first, (Missing, Undefined)):
                self._fails_on_nil(given[0], first, "go through")
            elif name == "ipairs" and isinstance(first, Result) and keys_of(first.type) is not None:
                self._warn_of_page(given[0], first, "ipairs")
        elif name == "print" and len(given) > 1 and isinstance(first, Literal) and _is_format(first.value):
            self._find(given[0], "print does not format", f"print(string.format({given[0].text}, ...))")
        elif name == "os.time" and isinstance(first, Literal) and first.kind == "string":
            self._find(
                given[0], "os.time takes a table, not a text", "such as { year = 2026, month = 3, day = 1 }", fails=True
            )
        elif name == "parallel.all" and given and isinstance(first, (Closure, Result)):
            self._find(given[0], "parallel.all takes one list of functions", "parallel.all({ f, g })", fails=True)
        elif name in ("parallel.map", "parallel.all") and given:
            self._parallel(name, given, values)
        elif name == "table.concat" and isinstance(first, Result) and is_table(item_of(first.type) or first.type):
            self._find(
                given[0], "table.concat joins texts and numbers, not tables", "collect the texts in a loop first"
            )
        elif name == "table.sort" and len(values) > 1 and isinstance(values[1], Closure) and isinstance(first, Result):
            item = item_of(first.type)
            item_value = Result(item, f"an item of {first.source}") if item else UNKNOWN
            self._enter_possibly(values[1].node, [item_value, item_value])
        elif name == "json.encode" and len(given) > 1 and given[1].kind == "table_constructor":
            for field in given[1].children:
                if key_of(field) not in (None, "pretty"):
                    self._find(field, f"json.encode has no option '{key_of(field)}'", "{ pretty = true }")

    def _parallel(self, name: str, given: list[Node], values: list[Value]) -> None:
        first = values[0]
        if isinstance(first, Result) and keys_of(first.type) is not None:
            self._warn_of_page(given[0], first, name, fails=True)
            return
        if name == "parallel.map" and len(values) > 1 and isinstance(values[1], Closure):
            item = item_of(first.type) if isinstance(first, Result) else None
            value = Result(item, f"an item of {first.source}") if item and isinstance(first, Result) else UNKNOWN
            self._enter_possibly(values[1].node, [value])
        elif name == "parallel.all" and given[0].kind == "table_constructor":
            if any(key_of(field) is not None for field in given[0].children if field.get("name")):
                self._find(
                    given[0], "parallel.all takes a list, not a table with names", "parallel.all({ f, g })", fails=True
                )
            for field in given[0].children:
                branch = self._expression(field.get("value"))
                if isinstance(branch, Closure):
                    self._enter(branch.node, [])

    def _enter_possibly(self, node: Node, values: list[Value]) -> None:
        before, self._mode = self._mode, max(self._mode, Mode.POSSIBLE)
        self._enter(node, values)
        self._mode = before

    def _enter(self, node: Node, values: list[Value]) -> None:
        """Read the body of a function, once, with what its parameters are."""
        if node.start in self._entered:
            return
        self._entered.add(node.start)
        parameters = node.get("parameters")
        for index, name in enumerate(parameters.all("name") if parameters else ()):
            self._set(name, values[index] if index < len(values) else UNKNOWN)
        before = self._mode
        self._block(node.get("body"))
        self._mode = before

    # Operators

    def _value_binary_expression(self, node: Node) -> Value:
        operator = node.get("operator")
        left, right = node.get("left"), node.get("right")
        written = operator.text if operator else ""
        first = self._expression(left)
        before = self._mode
        if written in ("and", "or"):
            self._mode = max(self._mode, Mode.POSSIBLE)
        second = self._expression(right)
        self._mode = before
        for side, value in ((left, first), (right, second)):
            if side:
                self._operand(side, value, written)
        if written in ("<", ">", "<=", ">=") and left:
            kinds = {value.kind for value in (first, second) if isinstance(value, Literal)}
            if kinds == {"string", "number"}:
                self._find(left, "a text is compared with a number", "tonumber(text) makes a number", fails=True)
        return Literal("string") if written == ".." else UNKNOWN

    def _operand(self, node: Node, value: Value, operator: str) -> None:
        if operator == "..":
            if isinstance(value, (Missing, Undefined)):
                self._fails_on_nil(node, value, "join")
            elif _is_table(value):
                self._find(
                    node, f"{node.text[:40]} is a table and cannot be joined to text", "print shows tables", fails=True
                )
        elif operator in ("+", "-", "*", "/", "//", "%", "^"):
            if isinstance(value, (Missing, Undefined)):
                self._fails_on_nil(node, value, "compute with")
            elif isinstance(value, Literal) and value.kind == "string" and _is_no_number(value.value):
                hint = (
                    "texts are joined with .." if operator == "+" else "text:rep(n) repeats" if operator == "*" else ""
                )
                self._find(node, f"a text cannot be used with {operator}", hint, fails=True)
            elif isinstance(value, Result) and is_text(value.type):
                self._find(node, f"{value.source} is a text, not a number", "texts are joined with ..")
        elif operator in ("==", "~=") and isinstance(value, Undefined):
            self._note_undefined(node, value)

    def _value_unary_expression(self, node: Node) -> Value:
        operand, operator = node.get("operand"), node.get("operator")
        value = self._expression(operand)
        written = operator.text if operator else ""
        if written == "#" and operand:
            if isinstance(value, (Missing, Undefined)):
                self._fails_on_nil(operand, value, "take the length of")
            elif isinstance(value, Result) and keys_of(value.type) is not None:
                self._warn_of_page(operand, value, "#")
        if written == "-" and isinstance(value, Literal) and isinstance(value.value, (int, float)):
            return Literal("number", -value.value, node)
        return UNKNOWN

    # Messages

    def _fails_on_nil(self, node: Node, value: Missing | Undefined, verb: str) -> None:
        if isinstance(value, Undefined):
            self._find(
                node, f"nothing defines '{value.name}': it is nil, and to {verb} it fails", value.hint, fails=True
            )
        elif value.what != "nil":
            self._find(node, f"there is no {value.what}: it is nil, and to {verb} it fails", value.hint, fails=True)

    def _note_undefined(self, node: Node, value: Undefined) -> None:
        awaits = value.name in ("await", "async")
        self._find(node, f"nothing defines '{value.name}', so it is nil", value.hint, fails=awaits)

    def _warn_of_page(self, node: Node, value: Result, use: str, *, fails: bool = False) -> None:
        lists = lists_in(value.type)
        keys = ", ".join(keys_of(value.type) or ())
        hint = f"the list is {node.text if node.kind == 'identifier' else 'result'}.{lists[0]}" if lists else ""
        self._find(node, f"{use} on {value.source}, which has the keys {keys} and is no list", hint, fails=fails)


def _is_table(value: Value) -> bool:
    if isinstance(value, Result):
        return is_table(value.type)
    return isinstance(value, Literal) and value.kind == "table"


def _is_format(text: object) -> bool:
    return isinstance(text, str) and any(f"%{letter}" in text for letter in "dsfqgxi")


def _is_no_number(text: object) -> bool:
    return isinstance(text, str) and not any(character.isdigit() for character in text)


def _written_keys(table: Node | None) -> set[str | None]:
    return {key_of(field) for field in table.children if field.kind == "field"} if table else set()


_LEAVING = frozenset({"return_statement", "goto_statement", "break_statement"})
_LEAVING_CALLS = frozenset({"error", "exit", "coroutine.yield"})


def _may_leave(statement: Node) -> bool:
    """Return True if a statement may end its block, or never end."""
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
