"""Scopes: the variable that each name of a script refers to."""

from __future__ import annotations

from kosmolua.lua.syntax import Node, key_of

DYNAMIC = frozenset({"_ENV", "_G", "load"})
"""Names by which a script may define globals that no parser sees."""
_BENDING = frozenset({"setmetatable", "rawset"})
_STOPPING = frozenset({"exit", "getmetatable"})


class Variable:
    """A local variable or a parameter.

    Args:
        name: As it is written.

    ``changes`` counts the assignments after its declaration.
    """

    __slots__ = ("changes", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.changes = 0


class Scopes:
    """The variables of a script.

    Args:
        root: The whole script.

    ``defined`` has the globals that the script assigns, ``globals`` those that it reads, and ``fields`` the names of
    fields that it assigns to any table, and ``locals`` the line of the first declaration of each local name.
    """

    def __init__(self, root: Node) -> None:
        self.defined: set[str] = set()
        self.fields: set[str] = set()
        self.globals: set[str] = set()
        self.locals: dict[str, int] = {}
        self._variables: dict[int, Variable] = {}
        self._scopes: list[dict[str, Variable]] = []
        self._block(root)

    @property
    def is_dynamic(self) -> bool:
        """Whether the script may define globals that no parser sees."""
        return bool(self.globals & DYNAMIC or self.defined & DYNAMIC)

    @property
    def may_bend_tables(self) -> bool:
        """Whether tables of the script may get fields or operators that no parser sees."""
        return self.is_dynamic or bool(self.globals & _BENDING)

    @property
    def is_certain(self) -> bool:
        """Whether statements run in the order of the source: nothing ends the script early or adds metatables."""
        return not self.is_dynamic and not self.globals & _STOPPING

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

    def _declare(self, name: Node) -> None:
        self.locals.setdefault(name.text, name.line)
        variable = self._scopes[-1][name.text] = self._variables[id(name)] = Variable(name.text)
        if name.text in DYNAMIC:
            self.defined.add(variable.name)

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
        self._use(node)

    def _visit_block(self, node: Node) -> None:
        self._block(node)

    def _visit_variable_declaration(self, node: Node) -> None:
        inner = node.first("assignment_statement") or node
        values, names = inner.first("expression_list"), inner.first("variable_list")
        if values:
            self._visit(values)
        for name in names.all("name") if names else ():
            self._declare(name)

    def _visit_assignment_statement(self, node: Node) -> None:
        for child in reversed(node.children):
            if child.kind != "variable_list":
                self._visit(child)
                continue
            for target in child.children:
                self._assign(target)

    def _assign(self, target: Node) -> None:
        if target.kind != "identifier":
            self.fields.add(key_of(target) or "")
            self._visit(target)
        elif variable := self._use(target):
            variable.changes += 1
        else:
            self.defined.add(target.text)

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
            self._scopes[-1]["self"] = Variable("self")
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
        self._block(node.get("body"), *names)

    def _visit_repeat_statement(self, node: Node) -> None:
        body, condition = node.get("body"), node.get("condition")
        self._scopes.append({})
        for child in [*(body.children if body else ()), *([condition] if condition else ())]:
            self._visit(child)
        self._scopes.pop()

    def _visit_dot_index_expression(self, node: Node) -> None:
        table = node.get("table")
        if table:
            self._visit(table)

    _visit_method_index_expression = _visit_dot_index_expression

    def _visit_field(self, node: Node) -> None:
        name, value = node.get("name"), node.get("value")
        if name and node.text.startswith("["):
            self._visit(name)
        if value:
            self._visit(value)

    def _visit_attribute(self, node: Node) -> None:
        """Pass over ``const`` and ``close``, which are no variables."""

    _visit_goto_statement = _visit_label_statement = _visit_attribute
