"""Finds places where a script loses items or changes without an error, such as a list that shrinks in its own loop."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from kosmolua.lua.findings import Findings
from kosmolua.lua.flow import always_returns
from kosmolua.lua.scopes import Scopes
from kosmolua.lua.syntax import Node, base_of, first_argument, key_of
from kosmolua.lua.values import Builtin, Closure, Result, Value, record_keys

_FUNCTIONS = frozenset({"function_definition", "function_declaration"})
MIN_LIKENESS = 0.8
"""How similar two names must be, from 0 to 1, for one to be a misspelling of the other."""


class Losses:
    """Checks what becomes of the items and changes of a script's lists, records and variables.

    Args:
        findings: The collection to which findings are added.
        scopes: The variables of the script.
        value: Returns what is known about the value of an expression.
    """

    def __init__(self, findings: Findings, scopes: Scopes, value: Callable[[Node | None], Value]) -> None:
        self._findings = findings
        self._scopes = scopes
        self._value = value

    def check_removal(self, loop: Node, iterator: Node | None) -> None:
        """Add a finding if a loop over a list with ``ipairs`` removes items of the list, and then goes on.

        Args:
            loop: The node of the loop.
            iterator: The expression after ``in``.
        """
        given = first_argument(iterator)
        if given is None or b"table.remove" not in loop.source or iterator is None:
            return
        if self._value(iterator.get("name")) != Builtin("ipairs"):
            return
        body = loop.get("body")
        for block in (each for each in (body.walk() if body else ()) if each.kind == "block"):
            for call in block.children:
                removed = first_argument(call)
                if removed is None or removed.text != given.text:
                    continue
                is_last = block.children[-1].kind in ("return_statement", "break_statement", "goto_statement")
                if self._value(call.get("name")) == Builtin("table.remove") and not is_last:
                    hint = "collect what stays in a new list, or count down with for i = #list, 1, -1 do"
                    self._findings.mistake(removed, "removing an item in ipairs skips the one after it", hint)

    def check_holes(self, node: Node, use: str) -> None:
        """Add a finding if ``#`` or ``ipairs`` is used on a result of ``parallel.map`` that may have holes.

        Args:
            node: The expression of the list.
            use: What stops at the first hole, for the message.
        """
        variable = self._scopes.variable(node)
        call = variable.value if variable and not (variable.changes or variable.fills) else node
        arguments = call.get("arguments") if call and call.kind == "function_call" else None
        if call is None or arguments is None or len(arguments.children) < 2:
            return
        if self._value(call.get("name")) != Builtin("parallel.map"):
            return
        function = self._value(arguments.children[1])
        if isinstance(function, Closure) and _returns_sometimes(function.node):
            message = (
                f"the function of parallel.map returns nothing for some items, and {use} stops at the first of them"
            )
            self._findings.mistake(node, message, "add the items that count to a list inside the function")

    def check_change(self, target: Node, given: Node | None) -> None:
        """Add a finding if a script assigns to a field of a result that it then throws away.

        Args:
            target: The node of the field.
            given: The expression that is assigned.
        """
        table, key = target.get("table"), key_of(target)
        variable = self._scopes.variable(table) if table else None
        if variable is None or key is None or given is None or variable.uses or variable.changes:
            return
        value, origin = self._value(table), variable.value or variable.items
        if not isinstance(value, Result) or value.may_be_error or key not in (record_keys(value.type) or ()):
            return
        if origin is None or base_of(origin).kind != "function_call" or variable.name in given.text:
            return
        message = f"this changes only the script's copy of {value.source}, not the service"
        self._findings.mistake(target, message, "a function such as update_NAME changes it there")

    def check_names(self, root: Node) -> None:
        """Add a finding for each global that is assigned and never read, beside a similar one that is only read."""
        unread = self._scopes.unread
        if not unread or self._scopes.may_share_globals:
            return
        for node in root.walk():
            if node.kind != "assignment_statement" or not (targets := node.first("variable_list")):
                continue
            for target in targets.all("name"):
                if target.kind == "identifier" and target.text in unread and self._scopes.variable(target) is None:
                    self._check_name(target, node.first("expression_list"))

    def _check_name(self, target: Node, given: Node | None) -> None:
        read = {each.text for each in (given.walk() if given else ()) if each.kind == "identifier"}
        near = get_close_matches(target.text, self._scopes.still - {target.text}, 1, MIN_LIKENESS)
        if near and (near[0] in read or self._scopes.defined[target.text] == 1):
            message = f"nothing reads '{target.text}', and nothing changes '{near[0]}'"
            self._findings.warn(target, message, f"did you mean '{near[0]}'?")


def _returns_sometimes(function: Node) -> bool:
    """Return True if a function returns a value for some arguments, and nothing or nil for others."""
    body = function.get("body")
    returned = list(_returns(body)) if body else []
    values = [each for each in returned if each is not None and each.kind != "nil"]
    return bool(values) and (len(values) < len(returned) or not always_returns(body))


def _returns(node: Node) -> list[Node | None]:
    """Return the first expression of each ``return`` in a function's body, or None for a ``return`` without one."""
    found: list[Node | None] = []
    waiting = list(node.children)
    while waiting:
        each = waiting.pop()
        if each.kind == "return_statement":
            given = each.first("expression_list")
            found.append(given.children[0] if given and given.children else None)
        elif each.kind not in _FUNCTIONS:
            waiting.extend(each.children)
    return found
