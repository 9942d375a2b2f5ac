"""Scopes: finds the variable that each name in a script refers to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from kosmolua.lua.environment import LIBRARIES
from kosmolua.lua.syntax import (
    ARITHMETIC,
    BRANCHES,
    FUNCTIONS,
    LEAVING,
    Node,
    arguments_of,
    assigned,
    base_of,
    called_in,
    first_argument,
    key_of,
    parameters_of,
    targets_of,
    values_of,
)

DYNAMIC = frozenset({"_ENV", "_G", "load"})
"""Names that a script can use to define globals that parsing does not show."""
_BENDING = frozenset({"setmetatable", "rawset"})
_CATCHING = frozenset({"pcall", "xpcall", "coroutine"})
_STOPPING = frozenset({"exit", "getmetatable"})
_LEAVING_CALLS = frozenset({"error", "exit", "coroutine.yield"})
_SOURCES = frozenset(
    {
        *("function_call", "identifier", "dot_index_expression", "bracket_index_expression"),
        *("parenthesized_expression", "nil"),
    }
)
"""Kinds of expressions whose value can be the result of a call, beside ``and`` and ``or``."""


def _may_be_result(value: Node) -> bool:
    return value.kind in _SOURCES or value.operator in ("and", "or")


def _leaves(node: Node) -> bool:
    if node.kind == "while_statement":
        condition = node.get("condition")
        return condition is not None and condition.kind == "true"
    name = called_in(node)
    return node.kind in LEAVING or (name is not None and name.text in _LEAVING_CALLS)


def _is_start(value: Node) -> bool:
    """Return True if a value is one to begin with, which is meant to be changed."""
    return value.kind in ("number", "true", "false") or value.text in ("{}", '""', "''")


@dataclass(eq=False, slots=True)
class Variable:
    """A local variable or a parameter of a script.

    ``changes`` counts the assignments after the declaration, ``uses`` the places that use the whole value, ``fills``
    the assignments to a field of the variable, and ``picks`` the places that look up an item by a literal number, such
    as ``[1]``. ``reads`` counts all places that name the variable, and the last of them begins at byte ``last``.
    ``value`` is the expression in the declaration, and ``items`` the first argument of the call that a loop goes
    through, such as ``list`` in ``ipairs(list)``. ``is_counter`` is True for the variable of a loop over numbers.
    """

    name: str
    node: Node
    reads: int = 0
    picks: int = 0
    last: int = 0
    changes: int = 0
    uses: int = 0
    fills: int = 0
    value: Node | None = None
    items: Node | None = None
    is_counter: bool = False

    @property
    def start(self) -> int:
        """The offset of the variable's declaration in the source, in bytes."""
        return self.node.start

    @property
    def is_only_picked_from(self) -> bool:
        """True if the script uses the variable only to look up items by literal numbers, such as ``[1]``."""
        return 0 < self.reads == self.picks and not self.fills and not self.changes

    @property
    def is_as_written(self) -> bool:
        """True if the variable certainly keeps its first value: it is used once, and nothing is assigned later."""
        return self.uses <= 1 and not self.fills and not self.changes

    @property
    def table(self) -> Node | None:
        """The expression in the declaration if it is a table constructor, or None."""
        return self.value if self.value and self.value.kind == "table_constructor" else None


class Scopes:
    """The variables of a script, and how the script uses them.

    ``defined`` counts the assignments to each global. ``globals`` contains the names of the globals that the script
    reads, and ``escaping`` the names of those that it uses for more than reading a field. ``fields`` contains the names
    of all fields that the script assigns, in any table. ``locals`` contains the first declaration of each local
    name. ``hidden`` contains pairs of local variables with the same name: the second one is hidden by the first.
    ``assigned`` contains what the script gives values to, each with the expression or None, in the order of the source.
    ``variable`` returns the local variable that an identifier refers to, or None for a global and any other node.
    """

    def __init__(self, root: Node, *, follows_others: bool = False) -> None:
        self.defined: Counter[str] = Counter()
        self._follows_others = follows_others
        self.fields: set[str] = set()
        self.globals: set[str] = set()
        self.escaping: set[str] = set(LIBRARIES) if follows_others else set()
        self.locals: dict[str, Node] = {}
        self.hidden: list[tuple[Variable, Variable]] = []
        self._reads: Counter[str] = Counter()
        self._read: set[str] = set()
        self._named: dict[int, Node] = {}
        self.assigned: list[tuple[Node, Node | None]] = []
        self._variables: dict[Node | None, Variable] = {}
        self.variable = self._variables.get
        self._scopes: list[dict[str, Variable]] = []
        self._filled: list[Variable | None] = []
        self.root = root
        self._block(root)

    def of(self, *kinds: str) -> list[Node]:
        """Return the nodes of these kinds; those of one kind are in the order of the source."""
        return [node for kind in kinds for node in self._by_kind.get(kind, ())]

    @cached_property
    def _by_kind(self) -> dict[str, list[Node]]:
        found: defaultdict[str, list[Node]] = defaultdict(list)
        for node in self.root.walk():
            found[node.kind].append(node)
        return found

    @cached_property
    def calls(self) -> list[tuple[Node, Node | None, Sequence[Node]]]:
        """All calls, each with the expression of the called function and those of the arguments."""
        return [(call, called_in(call), arguments_of(call)) for call in self.of("function_call")]

    @cached_property
    def is_dynamic(self) -> bool:
        """True if the script can define globals in a way that parsing does not show, such as with ``load``."""
        return bool(self.globals & DYNAMIC or self.defined.keys() & DYNAMIC)

    @cached_property
    def may_share_globals(self) -> bool:
        """True if other code, such as code that the script loads, could assign globals."""
        return self._follows_others or self.is_dynamic

    @cached_property
    def may_bend_tables(self) -> bool:
        """True if tables could get fields or operators in a way that parsing does not show, such as by a metatable."""
        return self.may_share_globals or bool(self.globals & _BENDING)

    @cached_property
    def may_extend_tables(self) -> bool:
        """True if the script assigns a field with a computed name to a table that cannot be identified."""
        return self.may_bend_tables or any(each is None or not each.table or each.changes for each in self._filled)

    def may_extend(self, table: Node) -> bool:
        """Return True if the script might assign fields with computed names to the table that a constructor creates."""
        return self.may_extend_tables or any(each and each.table is table for each in self._filled)

    def several_values(self) -> list[int]:
        """Return where variables and parameters get values that may be several results of calls, as sorted offsets.

        These are the assignments to a variable that no constant and nothing computed is assigned to, and the names of
        functions with parameters that the script uses more than once.
        """
        places: defaultdict[Variable | str, list[int]] = defaultdict(list)
        plain: set[Variable | str] = set()
        for target, value in self.assigned:
            key = (self.variable(target) or target.text) if target.kind == "identifier" else ""
            if isinstance(key, str) or key.changes:
                places[key].append(target.start)
                if value is not None and not _may_be_result(value):
                    plain.add(key)
        found = [start for key, starts in places.items() if key and key not in plain for start in starts]
        used = [each for each in self.of(*FUNCTIONS) if parameters_of(each) and self.uses_of(each) > 1]
        named = {self.variable(name) or name.text for each in used if (name := self._named.get(each.start))}
        if named:
            names = self.of("identifier")
            found += [each.start for each in names if (self.variable(each) or each.text) in named]
        return sorted(found)

    @property
    def unread(self) -> set[str]:
        """The names of globals that the script assigns and never reads."""
        return self.defined.keys() - self._read

    @property
    def still(self) -> set[str]:
        """The names of locals that begin with a number, a text, a boolean or an empty table and are never changed."""
        variables = set(self._variables.values())
        return {
            each.name for each in variables if each.value and _is_start(each.value) and not each.changes + each.fills
        }

    @property
    def is_certain(self) -> bool:
        """True if nothing can end the script early, so that its statements certainly run in the order of the source."""
        return not (self._follows_others or self.is_dynamic or self.globals & _STOPPING)

    @cached_property
    def names(self) -> Mapping[Variable, Sequence[Node]]:
        """The places that name each local variable, in the order of the source, the declaration included."""
        found: defaultdict[Variable, list[Node]] = defaultdict(list)
        for node in self.of("identifier"):
            if variable := self.variable(node):
                found[variable].append(node)
        return found

    def origin(self, node: Node) -> Node:
        """Return the expression that a name is declared with, if nothing is assigned to it later; else the node."""
        variable = self.variable(node)
        return variable.value if variable and variable.value and not variable.changes else node

    def may_catch(self, function: Node) -> bool:
        """Return True if a function of the script might never run, or if its errors might be caught.

        This is meant for functions without a known call.
        """
        name = function.get("name")
        is_field = name is not None and name.kind != "identifier"
        return not is_field and (bool(self.globals & _CATCHING) or not self.uses_of(function))

    @cached_property
    def leaving(self) -> set[Node]:
        """The nodes that can leave their block or run for ever, so that the code after them might not run."""
        found: set[Node] = set()
        for node in filter(_leaves, self.of(*LEAVING, "while_statement", "function_call")):
            outer: Node | None = node
            while outer and outer not in found and outer.kind not in FUNCTIONS:
                found.add(outer)
                outer = outer.around
        return found

    def returns_value(self, function: Node) -> bool:
        """Return True if a function of the script can return something other than nil."""
        return function.start in self._returning

    @cached_property
    def _returning(self) -> set[int]:
        """The offsets of the functions that return something other than nil."""
        found: set[int] = set()
        for node in self.of("return_statement"):
            if any(value.kind != "nil" for value in values_of(node)):
                found.update(function.start for function in islice(node.outer(FUNCTIONS), 1))
        return found

    def dead_parts(self) -> Iterator[Node]:
        """Yield the blocks that certainly never run: under ``if false``, and of functions that nothing calls."""
        for node in self.of(*FUNCTIONS, *BRANCHES):
            never = not self.uses_of(node) if node.kind in FUNCTIONS else self._is_never_true(node.get("condition"))
            if never and (block := node.get("consequence") or node.get("body")):
                yield block

    def _is_never_true(self, condition: Node | None) -> bool:
        return condition is not None and self.origin(condition).kind in ("false", "nil")

    def uses_of(self, function: Node) -> int:
        """Return in how many places the script uses a function by its name, or 1 if the function has no name."""
        name = self._named.get(function.start)
        if name is None:
            return 1
        variable = self.variable(name)
        return variable.uses if variable else self._reads[name.text]

    def _block(self, block: Node | None, *declared: Node) -> None:
        self._scopes.append({})
        for name in declared:
            self._declare(name)
        for child in block.children if block else ():
            self._visit(child)
        self._scopes.pop()

    def _declare(self, name: Node) -> Variable:
        text = name.text
        self.locals.setdefault(text, name)
        variable = self._scopes[-1][text] = self._variables[name] = Variable(text, name)
        if text in DYNAMIC:
            self.defined[text] += 1
        return variable

    def _use(self, name: Node, *, assigns: bool = False) -> Variable | None:
        text = name.text
        for scope in reversed(self._scopes):
            if text in scope:
                variable = self._variables[name] = scope[text]
                variable.reads += 1
                variable.last = max(variable.last, name.start)
                return variable
        self.globals.add(text)
        if not assigns:
            self._read.add(text)
        return None

    def _visit(self, node: Node) -> None:
        if visit := _VISITS.get(node.kind):
            visit(self, node)
        else:
            for child in node.children:
                self._visit(child)

    def _visit_identifier(self, node: Node) -> None:
        if variable := self._use(node):
            variable.uses += 1
        else:
            self._reads[node.text] += 1
            self.escaping.add(node.text)

    def _visit_block(self, node: Node) -> None:
        self._block(node)

    def _visit_variable_declaration(self, node: Node) -> None:
        values, pairs = values_of(node), [*assigned(node)]
        self.assigned += pairs if values else ()
        for each in values:
            self._visit(each)
        for name, value in pairs:
            outer = next((scope[name.text] for scope in reversed(self._scopes) if name.text in scope), None)
            variable = self._declare(name)
            if outer and outer is not variable:
                self.hidden.append((variable, outer))
            variable.value = value
            self._name(name, value)

    def _visit_assignment_statement(self, node: Node) -> None:
        pairs = [*assigned(node)]
        self.assigned += pairs
        for each in values_of(node):
            self._visit(each)
        for target, value in pairs:
            self._assign(target)
            self._name(target, value)

    def _assign(self, target: Node) -> None:
        if target.kind != "identifier":
            key, table = key_of(target), target.get("table")
            self._visit(target)
            self._note_fill(target)
            if key is not None:
                self.fields.add(key)
            elif table and not self._is_number(target.get("field")):
                self._fill(table)
        elif variable := self._use(target, assigns=True):
            variable.changes += 1
        else:
            self.defined[target.text] += 1

    def _name(self, name: Node, value: Node | None) -> None:
        """Record the name that a function is assigned to. Do nothing if the value is not a function."""
        if name.kind == "identifier" and value and value.kind in FUNCTIONS:
            self._named[value.start] = name

    def _note_fill(self, target: Node) -> None:
        """Record an assignment to a field of a local variable's table, or of a table inside that table."""
        if variable := self.variable(base_of(target)):
            variable.fills += 1

    def _is_number(self, key: Node | None) -> bool:
        """Return True if the key of a field in brackets is certainly a number."""
        if key is None or key.kind in ("number", "unary_expression"):
            return True
        if key.kind == "binary_expression":
            return key.operator in ARITHMETIC
        variable = self.variable(key)
        return variable is not None and variable.is_counter and not variable.changes

    def _fill(self, table: Node) -> None:
        """Record an assignment to a field with a computed name."""
        self._filled.append(self.variable(table))
        if table.kind == "identifier" and table.text in LIBRARIES:
            self.escaping.add(table.text)

    def _visit_function_declaration(self, node: Node) -> None:
        name = node.get("name")
        if name and node.field == "local_declaration":
            self._declare(name)
        elif name:
            self._assign(name)
        if name:
            self._name(name, node)
        self._visit_function_definition(node)

    def _visit_function_definition(self, node: Node) -> None:
        self._scopes.append({})
        name = node.get("name")
        if name and name.kind == "method_index_expression":
            self._scopes[-1]["self"] = Variable("self", name)
        self._block(node.get("body"), *parameters_of(node))
        self._scopes.pop()

    def _visit_for_statement(self, node: Node) -> None:
        clause = node.get("clause")
        for child in clause.children if clause else ():
            if child.kind != "variable_list" and child.field != "name":
                self._visit(child)
        self._scopes.append({})
        items = next(map(first_argument, values_of(clause)), None)
        for name in [*targets_of(clause), *clause.all("name")] if clause else ():
            variable = self._declare(name)
            variable.is_counter = name.field == "name" and clause is not None and clause.kind == "for_numeric_clause"
            variable.items = items
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

    def _visit_method_index_expression(self, node: Node) -> None:
        self._visit_dot_index_expression(node)
        self._note_fill(node)

    def _visit_bracket_index_expression(self, node: Node) -> None:
        self._visit_dot_index_expression(node)
        field, table = node.get("field"), node.get("table")
        if field and table and field.kind == "number" and (variable := self.variable(table)):
            variable.picks += 1
        if field:
            self._visit(field)

    def _visit_field(self, node: Node) -> None:
        name, value = node.get("name"), node.get("value")
        if name and node.text.startswith("["):
            self._visit(name)
        if value:
            self._visit(value)

    def _visit_attribute(self, node: Node) -> None:
        """Ignore ``<const>`` and ``<close>``, since these words are not variables."""


_VISITS: dict[str, Callable[[Scopes, Node], None]] = {
    "identifier": Scopes._visit_identifier,
    "block": Scopes._visit_block,
    "variable_declaration": Scopes._visit_variable_declaration,
    "assignment_statement": Scopes._visit_assignment_statement,
    "function_declaration": Scopes._visit_function_declaration,
    "function_definition": Scopes._visit_function_definition,
    "for_statement": Scopes._visit_for_statement,
    "repeat_statement": Scopes._visit_repeat_statement,
    "dot_index_expression": Scopes._visit_dot_index_expression,
    "method_index_expression": Scopes._visit_method_index_expression,
    "bracket_index_expression": Scopes._visit_bracket_index_expression,
    "field": Scopes._visit_field,
    "attribute": Scopes._visit_attribute,
    "goto_statement": Scopes._visit_attribute,
    "label_statement": Scopes._visit_attribute,
}
