"""Scopes: finds the variable that each name in a script refers to."""

from __future__ import annotations

from collections import Counter

from kosmolua.lua.environment import LIBRARIES
from kosmolua.lua.syntax import Node, key_of

DYNAMIC = frozenset({"_ENV", "_G", "load"})
"""Names by which a script may define globals that parsing does not show."""
_BENDING = frozenset({"setmetatable", "rawset"})
_STOPPING = frozenset({"exit", "getmetatable"})
_ARITHMETIC = frozenset({"+", "-", "*", "/", "//", "%", "^"})


class Variable:
    """A local variable or a parameter.

    Args:
        name: The name of the variable.
        start: The place of its declaration in the source, in bytes.

    ``changes`` counts the assignments after its declaration. ``value`` is the expression of its first value.
    ``is_counter`` is true for the variable of a numeric loop.
    """

    __slots__ = ("changes", "is_counter", "name", "start", "value")

    def __init__(self, name: str, start: int) -> None:
        self.name = name
        self.start = start
        self.changes = 0
        self.value: Node | None = None
        self.is_counter = False

    @property
    def table(self) -> Node | None:
        """The table constructor that is its first value, or None."""
        return self.value if self.value and self.value.kind == "table_constructor" else None


class Scopes:
    """The variables of a script.

    Args:
        root: The whole script.
        follows_others: True for a chunk of a session in which earlier chunks may have changed globals and tables.

    ``defined`` counts the assignments of each global that the script assigns. ``globals`` has the globals that it
    reads, and ``escaping`` those that it uses in other ways than reading a field. ``fields`` has the names of fields
    that it assigns in any table, and ``locals`` the line of the first declaration of each local name.
    """

    def __init__(self, root: Node, *, follows_others: bool = False) -> None:
        self.defined: Counter[str] = Counter()
        self._follows_others = follows_others
        self.fields: set[str] = set()
        self.globals: set[str] = set()
        self.escaping: set[str] = set(LIBRARIES) if follows_others else set()
        self.locals: dict[str, int] = {}
        self._variables: dict[int, Variable] = {}
        self._scopes: list[dict[str, Variable]] = []
        self._filled: list[Variable | None] = []
        self._block(root)

    @property
    def is_dynamic(self) -> bool:
        """True if the script may define globals that parsing does not show."""
        return bool(self.globals & DYNAMIC or self.defined.keys() & DYNAMIC)

    @property
    def may_share_globals(self) -> bool:
        """True if globals may be assigned by code that is not read here."""
        return self._follows_others or self.is_dynamic

    @property
    def may_bend_tables(self) -> bool:
        """True if tables of the script may get fields or operators that parsing does not show."""
        return self.may_share_globals or bool(self.globals & _BENDING)

    @property
    def may_extend_tables(self) -> bool:
        """True if unknown tables may get fields whose names are computed."""
        return self.may_bend_tables or any(each is None or not each.table or each.changes for each in self._filled)

    def may_extend(self, table: Node) -> bool:
        """Return True if the table of a table constructor may get fields whose names are computed."""
        return self.may_extend_tables or any(each and each.table is table for each in self._filled)

    @property
    def is_certain(self) -> bool:
        """True if statements run in the order of the source: nothing ends the script early or sets metatables."""
        return not (self._follows_others or self.is_dynamic or self.globals & _STOPPING)

    def variable(self, name: Node) -> Variable | None:
        """Return the local variable that an identifier refers to, or None for a global."""
        return self._variables.get(id(name))

    def _block(self, block: Node | None, *declared: Node) -> None:
        self._scopes.append({})
        for name in declared:
            self._declare(name)
        for child in block.children if block else ():
            self._visit(child)
        self._scopes.pop()

    def _declare(self, name: Node) -> Variable:
        self.locals.setdefault(name.text, name.line)
        variable = self._scopes[-1][name.text] = self._variables[id(name)] = Variable(name.text, name.start)
        if name.text in DYNAMIC:
            self.defined[variable.name] += 1
        return variable

    def _use(self, name: Node) -> Variable | None:
        text = name.text
        for scope in reversed(self._scopes):
            if text in scope:
                self._variables[id(name)] = scope[text]
                return scope[text]
        self.globals.add(text)
        return None

    def _visit(self, node: Node) -> None:
        visit = getattr(self, f"_visit_{node.kind}", None)
        if visit:
            visit(node)
        else:
            for child in node.children:
                self._visit(child)

    def _visit_identifier(self, node: Node) -> None:
        if self._use(node) is None:
            self.escaping.add(node.text)

    def _visit_block(self, node: Node) -> None:
        self._block(node)

    def _visit_variable_declaration(self, node: Node) -> None:
        inner = node.first("assignment_statement") or node
        values, names = inner.first("expression_list"), inner.first("variable_list")
        if values:
            self._visit(values)
        for index, name in enumerate(names.all("name") if names else ()):
            variable = self._declare(name)
            variable.value = values.children[index] if values and index < len(values.children) else None

    def _visit_assignment_statement(self, node: Node) -> None:
        for child in reversed(node.children):
            if child.kind != "variable_list":
                self._visit(child)
                continue
            for target in child.children:
                self._assign(target)

    def _assign(self, target: Node) -> None:
        if target.kind != "identifier":
            key, table = key_of(target), target.get("table")
            self._visit(target)
            if key is not None:
                self.fields.add(key)
            elif table and not self._is_number(target.get("field")):
                self._fill(table)
        elif variable := self._use(target):
            variable.changes += 1
        else:
            self.defined[target.text] += 1

    def _is_number(self, key: Node | None) -> bool:
        """Return True if a key is certainly a number."""
        if key is None or key.kind in ("number", "unary_expression"):
            return True
        if key.kind == "binary_expression":
            operator = key.get("operator")
            return operator is not None and operator.text in _ARITHMETIC
        variable = self.variable(key)
        return variable is not None and variable.is_counter and not variable.changes

    def _fill(self, table: Node) -> None:
        """Record that a table gets a field whose name is computed."""
        self._filled.append(self.variable(table))
        if table.kind == "identifier" and table.text in LIBRARIES:
            self.escaping.add(table.text)

    def _visit_function_declaration(self, node: Node) -> None:
        name = node.get("name")
        if name and node.field == "local_declaration":
            self._declare(name)
        elif name:
            self._assign(name)
        self._visit_function_definition(node)

    def _visit_function_definition(self, node: Node) -> None:
        parameters = node.get("parameters")
        self._scopes.append({})
        name = node.get("name")
        if name and name.kind == "method_index_expression":
            self._scopes[-1]["self"] = Variable("self", name.start)
        self._block(node.get("body"), *(parameters.all("name") if parameters else ()))
        self._scopes.pop()

    def _visit_for_statement(self, node: Node) -> None:
        clause = node.get("clause")
        names: list[Node] = []
        for child in clause.children if clause else ():
            if child.kind == "variable_list":
                names += child.all("name")
            elif child.field == "name":
                names.append(child)
            else:
                self._visit(child)
        self._scopes.append({})
        for name in names:
            self._declare(name).is_counter = clause is not None and clause.kind == "for_numeric_clause"
        self._block(node.get("body"))
        self._scopes.pop()

    def _visit_repeat_statement(self, node: Node) -> None:
        body, condition = node.get("body"), node.get("condition")
        self._scopes.append({})
        for child in [*(body.children if body else ()), *([condition] if condition else ())]:
            self._visit(child)
        self._scopes.pop()

    def _visit_dot_index_expression(self, node: Node) -> None:
        table = node.get("table")
        if table and table.kind == "identifier":
            self._use(table)
        elif table:
            self._visit(table)

    _visit_method_index_expression = _visit_dot_index_expression

    def _visit_bracket_index_expression(self, node: Node) -> None:
        self._visit_dot_index_expression(node)
        if field := node.get("field"):
            self._visit(field)

    def _visit_field(self, node: Node) -> None:
        name, value = node.get("name"), node.get("value")
        if name and node.text.startswith("["):
            self._visit(name)
        if value:
            self._visit(value)

    def _visit_attribute(self, node: Node) -> None:
        """Skip ``const`` and ``close``, which are not variables."""

    _visit_goto_statement = _visit_label_statement = _visit_attribute
