"""Finds conditions that have the same result whatever the values are, by the types of what they test."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kosmolua.lua.findings import Findings
from kosmolua.lua.flow import always_returns
from kosmolua.lua.scopes import Scopes
from kosmolua.lua.syntax import Node, operator_of
from kosmolua.lua.values import Builtin, Callee, Literal, Missing, Result, Value, choices_of, is_page, kind_of

_ALWAYS_TRUE = frozenset({"string", "number", "table"})
_PLACES = frozenset({"identifier", "dot_index_expression", "bracket_index_expression", "function_call"})
_TOLD_BY_TEXT = re.compile(r"\.(?:\w*[a-z]ed|(?!created|updated)\w+_at)$")
"""Matches a field whose name looks like that of a boolean, or of a time that can be nil."""
_SWITCHES = frozenset({"yes", "no", "on", "off", "true", "false", "enabled", "disabled"})
_LEAVING = frozenset({"return_statement", "goto_statement", "break_statement"})


class Test(NamedTuple):
    """A part of a condition that is tested for being true, or compared with nil.

    Args:
        node: The part.
        tested: The expression whose value decides.
        otherwise: True if the part is true where the value is false or nil.
        is_whole: True if the part is the whole condition.
        is_nil_test: True if the part compares with nil.
    """

    node: Node
    tested: Node
    otherwise: bool
    is_whole: bool
    is_nil_test: bool = False


class Conditions:
    """Checks the conditions of ``if``, ``elseif`` and ``while``.

    Args:
        findings: The collection to which findings are added.
        scopes: The variables of the script.
        value: Returns what is known about the value of an expression.
    """

    def __init__(self, findings: Findings, scopes: Scopes, value: Callable[[Node | None], Value]) -> None:
        self._findings = findings
        self._scopes = scopes
        self._value = value

    def check(self, statement: Node, end: int) -> None:
        """Add a finding for each part of a statement's condition that is always true, or always false.

        A script may test a value for being there before it uses it. So a value that is used elsewhere, or that only
        leads to ``error``, is no finding, unless a change would never be made.

        Args:
            statement: The node of the statement or branch that has the condition.
            end: Where the block around the statement ends.
        """
        for test in _tests(statement.get("condition"), otherwise=False, is_whole=True):
            value = self._value(test.tested)
            if self._check_alone(test, value):
                continue
            if test.tested.kind in _PLACES and _is_always_there(value):
                self._check_there(statement, test, value, end)
            elif test.otherwise:
                self._check_caught(statement, test)

    def check_choice(self, left: Node | None, operator: str) -> None:
        """Add a finding for each part of the left side of ``and``, or a length on that of ``or``, that is always true.

        A text before ``or`` may be meant: ``s.url or "none"`` is only careful.
        """
        for test in _tests(left, otherwise=False, is_whole=False):
            if operator == "and" or test.tested.kind == "unary_expression":
                self._check_alone(test, self._value(test.tested))

    def _check_alone(self, test: Test, value: Value) -> bool:
        """Add a finding if a part is a mistake whatever it decides, and return whether it is."""
        if test.tested.kind == "unary_expression":
            self._check_length(test)
        elif isinstance(value, Result) and _is_told_by_text(test.tested, value):
            self._check_told(test, value)
        elif isinstance(value, Missing) and test.tested.kind == "function_call":
            self._findings.mistake(test.node, f"there is no {value.what}: it is nil, which is never true", value.hint)
        else:
            return False
        return True

    def _check_length(self, test: Test) -> None:
        operator = test.tested.get("operator")
        if operator and operator.text == "#" and not test.is_nil_test:
            compared = "== 0" if test.otherwise else "> 0"
            self._findings.mistake(
                test.tested, f"{test.tested.text} is a number, and 0 is true in Lua", f"{test.tested.text} {compared}"
            )

    def _check_told(self, test: Test, value: Result) -> None:
        text = test.tested.text
        hint = f'{text} ~= ""' if text.endswith("_at") else f"compare it, as in {text} == ..."
        note = self._findings.warn if value.is_vague else self._findings.mistake
        note(test.node, f"{value.source} is a text, and any text is true, even an empty one", hint)

    def _check_there(self, statement: Node, test: Test, value: Value, end: int) -> None:
        kind = kind_of(value)
        never = _never_runs(statement, test) if test.is_whole else []
        source = value.source if isinstance(value, Result) else test.tested.text[:40]
        noun = {"string": "text"}.get(kind, kind)
        empty = {"string": ", even an empty one", "table": ", even an empty one", "number": ", even 0"}[kind]
        message = f"{source} is never nil: it is a {noun}, and any {noun} is true{empty}"
        instead = "== " if test.otherwise else "~= "
        hint = {
            "string": f'compare it, as in {test.tested.text[:60]} {instead}""',
            "table": f"next({test.tested.text[:60]}) {instead}nil",
        }.get(kind, f"{test.tested.text[:60]} {instead}0")
        is_used = self._is_used(test.tested)
        if isinstance(value, Literal) and (is_used or test.is_nil_test):
            return
        leads_on = [each for each in never if not _only_leaves(each, raises_only=kind != "table")]
        if not is_used and (leads_on or (kind != "table" and not never)):
            self._findings.mistake(test.node, message, hint)
        for block in leads_on:
            self._findings.suspect(test.node, message, hint, within=(block.start, block.end))
        if test.is_whole and not test.otherwise and always_returns(statement.get("consequence")):
            self._findings.suspect(test.node, message, hint, within=(statement.end, end))

    def _check_caught(self, statement: Node, test: Test) -> None:
        """Note a change that is made only if ``pcall`` of a list fails, as if an empty list were a failure."""
        call, block = test.tested, statement.get("consequence")
        variable = self._scopes.variable(call)
        if variable and variable.value and not variable.changes:
            if self._has_second(variable.node):
                return
            call = variable.value
        around = call.get("arguments") if call.kind == "function_call" else None
        if self._value(call.get("name")) != Builtin("pcall") or around is None or not around.children or block is None:
            return
        callee = self._value(around.children[0])
        if isinstance(callee, Callee) and callee.function.returns and is_page(callee.function.returns):
            message = f"pcall says only whether the call failed, and {callee.function.name} that finds nothing does not"
            hint = "local list = f(arguments): #list.NAME == 0"
            self._findings.suspect(test.node, message, hint, within=(block.start, block.end))

    def _has_second(self, name: Node) -> bool:
        """Return True if the declaration of a variable goes on with a comma."""
        return bool(re.match(rb"\s*,", name.source[name.end : name.end + 20]))

    def _is_used(self, tested: Node) -> bool:
        """Return True if the script also uses an expression elsewhere than in this condition."""
        if variable := self._scopes.variable(tested):
            return variable.reads > 1
        return (
            len(re.findall(rf"(?<![\w.]){re.escape(tested.text)}(?!\w)", tested.source.decode("utf-8", "replace"))) > 1
        )


def _tests(node: Node | None, *, otherwise: bool, is_whole: bool) -> Iterator[Test]:
    """Yield the parts of a condition that ``and``, ``or`` and ``not`` combine."""
    if node is None:
        return
    operator = operator_of(node)
    left, right = node.get("left"), node.get("right")
    if node.kind == "parenthesized_expression" and node.children:
        yield from _tests(node.children[0], otherwise=otherwise, is_whole=is_whole)
    elif operator == "not":
        yield from _tests(node.get("operand"), otherwise=not otherwise, is_whole=is_whole)
    elif operator in ("and", "or"):
        yield from _tests(left, otherwise=otherwise, is_whole=False)
        yield from _tests(right, otherwise=otherwise, is_whole=False)
    elif operator in ("==", "~=") and left and right and right.kind == "nil":
        yield Test(node, left, otherwise != (operator == "=="), is_whole, is_nil_test=True)
    elif not operator or operator == "#":
        yield Test(node, node, otherwise, is_whole)


def _is_always_there(value: Value) -> bool:
    """Return True if a value is certainly a text, a number or a table, by a type that a plugin declares."""
    if isinstance(value, Literal):
        return value.kind == "number" and value.value is None and value.node is None
    if not isinstance(value, Result) or value.is_optional or value.may_be_absent or value.is_vague:
        return False
    return kind_of(value) in _ALWAYS_TRUE


def _is_told_by_text(tested: Node, value: Result) -> bool:
    """Return True if a text that is never nil is named or used by the service like a boolean, or like a time."""
    if kind_of(value) != "string" or value.is_optional or value.may_be_absent:
        return False
    return bool(_TOLD_BY_TEXT.search(tested.text)) or (
        bool(choices := choices_of(value.type)) and _SWITCHES.issuperset(choices)
    )


def _never_runs(statement: Node, test: Test) -> list[Node]:
    """Return the blocks of an ``if`` that a test never lets run, if its value is never nil."""
    if test.otherwise:
        block = statement.get("consequence")
        return [block] if block else []
    blocks = [each.get("consequence") or each.get("body") for each in statement.all("alternative")]
    return [block for block in blocks if block]


def _only_leaves(block: Node, *, raises_only: bool) -> bool:
    """Return True if a block ends in ``error`` or ``exit`` or, unless ``raises_only``, leaves in another way."""
    last = block.children[-1] if block.children else None
    if last is None:
        return True
    name = last.get("name") if last.kind == "function_call" else None
    if name and name.text in ("error", "exit", "fail"):
        return True
    return not raises_only and last.kind in _LEAVING
