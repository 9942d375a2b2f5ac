"""Checks operators and conditions: finds operands that make an operator fail, and comparisons without effect."""

from __future__ import annotations

import re

from kosmolua.lua.fields import CODE, Fields
from kosmolua.lua.findings import Findings
from kosmolua.lua.syntax import Node, operator_of
from kosmolua.lua.values import (
    Builtin,
    Literal,
    Missing,
    Nil,
    Result,
    Undefined,
    Value,
    choices_of,
    is_secret,
    is_text,
    kind_of,
    record_keys,
)
from kosmolua.schema.types import ANY
from kosmolua.suggestions import did_you_mean, listed

_NULL = Builtin("json.null")
ARITHMETIC = frozenset({"+", "-", "*", "/", "//", "%", "^"})
_ORDER = frozenset({"<", ">", "<=", ">="})
_NOUN = {
    "string": "text",
    "number": "number",
    "boolean": "boolean",
    "table": "table",
    "function": "function",
}
_KEPT = re.compile(r"'(?:created|updated)_?[aA]t'$")
"""Matches fields that services always send in practice, even if the documentation says that they are optional."""
TIME = re.compile(r"(?:At|_at|[tT]imestamp|_time|Time|[dD]ate)$")
"""Matches the end of the name of a field that holds a time as a text."""
_SORTABLE = re.compile(
    r"\d{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01])(?:[T ](?:[01]\d|2[0-4])(?::\d\d.*)?)?)?)?-?T?$"
)
"""Matches the beginning of a time as services write it, which sorts like the time itself."""
_INSTEAD = {
    "+": "texts are joined with ..",
    "*": "text:rep(n) repeats a text",
    "%": '("%s"):format(value) fills in values',
}


def check_operand(findings: Findings, fields: Fields, node: Node, value: Value, operator: str) -> None:
    """Add a finding if an operand makes a binary operator fail.

    Args:
        findings: The collection to which the finding is added.
        fields: Used to find out whether a value is a table without a metatable.
        node: The expression of the operand.
        value: What is known about the operand.
        operator: The operator, such as ``..``.
    """
    if operator == ".." and isinstance(value, Nil):
        findings.fail_on_nil(node, value, "join")
    elif operator == ".." and fields.is_plain_table(value):
        findings.fail(node, f"{node.text[:40]} is a table and cannot be joined to text", "print shows tables")
    elif operator == ".." and kind_of(value, or_nil=True) == "boolean":
        findings.fail(
            node, f"{node.text[:40]} is a boolean and cannot be joined to text", f"tostring({node.text[:40]})"
        )
    elif operator in (*ARITHMETIC, "..") and is_secret(value):
        findings.doubt(
            node, f"{value.source} is a secret, which a script can only pass on", "pass it whole to a function"
        )
    elif operator == ".." and isinstance(value, Result) and value.is_optional and not _KEPT.match(value.source):
        findings.warn(node, f"{value.source} may be nil, and Lua cannot join nil", f'({node.text} or "")')
    elif operator in ARITHMETIC and isinstance(value, Nil):
        findings.fail_on_nil(node, value, "compute with")
    elif operator in ARITHMETIC and isinstance(value, Literal) and _is_no_number(value):
        findings.fail(node, f"a text cannot be used with {operator}", _INSTEAD.get(operator, ""))
    elif operator in ARITHMETIC and isinstance(value, Result) and is_text(value.type):
        note = findings.doubt if is_time(node, value) else findings.warn
        note(node, f"{value.source} is a text, not a number", _INSTEAD.get(operator) or _number_of(node, value))
    elif operator in ("==", "~=") and isinstance(value, Undefined):
        findings.undefined(node, value)


def check_order(findings: Findings, node: Node, left: Value, right: Value, operator: str) -> None:
    """Add a finding if ``<``, ``>``, ``<=`` or ``>=`` compares nil, or a text with a number.

    Args:
        findings: The collection to which the finding is added.
        node: The node of the comparison.
        left: What is known about the left operand.
        right: What is known about the right operand.
        operator: The operator. Other operators are ignored.
    """
    for side, value in (("left", left), ("right", right)):
        if operator in _ORDER and isinstance(value, Nil):
            findings.fail_on_nil(node.get(side) or node, value, "compare")
        if operator in _ORDER and isinstance(value, Literal):
            other = right if side == "left" else left
            if isinstance(other, Result) and is_time(node.get("right" if side == "left" else "left") or node, other):
                _check_date(findings, node.get(side) or node, value.value)
    if operator not in _ORDER or {kind_of(left), kind_of(right)} != {"string", "number"}:
        return
    is_written = isinstance(left, Literal) and isinstance(right, Literal)
    is_vague = any(isinstance(each, Result) and each.is_vague for each in (left, right))
    note = findings.fail if is_written else findings.warn if is_vague else findings.doubt
    is_left = kind_of(left) == "string"
    text = node.get("left" if is_left else "right") or node
    note(node, "a text is compared with a number", _number_of(text, left if is_left else right))


def _check_date(findings: Findings, node: Node, text: object) -> None:
    """Add a finding if a text that is compared with a time does not sort like the times of services."""
    if isinstance(text, str) and text and not _SORTABLE.match(text):
        hint = 'write it as "2026-02-01", or time.format(time.now() - 86400)'
        findings.mistake(node, f"times are compared as text, and {text!r} does not sort like them", hint)


def is_time(node: Node, value: Value) -> bool:
    """Return True if an expression is a text whose field name, such as ``created_at``, says that it holds a time."""
    source = value.source.strip("'") if isinstance(value, Result) else ""
    return kind_of(value, or_nil=True) == "string" and bool(TIME.search(node.text) or TIME.search(source))


def _number_of(text: Node, value: Value) -> str:
    """Return a hint on how to convert a text to a number or, if it holds a time, to seconds."""
    if is_time(text, value):
        return f"time.parse({text.text[:40]}) converts a time to seconds"
    return "tonumber(text) converts text to a number"


def check_equality(findings: Findings, fields: Fields, node: Node, left: Value, right: Value) -> None:
    """Add a finding if ``==`` or ``~=`` compares values that are never equal, or has ``not`` on its left side.

    Values are never equal if their types differ, or if one is a text that the other cannot have as its value.

    Args:
        findings: The collection to which the finding is added.
        fields: Used to look up the values that text fields can have.
        node: The node of the comparison.
        left: What is known about the left operand.
        right: What is known about the right operand.
    """
    negated = node.get("left")
    if negated and operator_of(negated) == "not":
        if kind_of(right) in ("string", "number"):
            operand = negated.get("operand")
            hint = f"write {operand.text if operand else 'a'} ~= ..."
            findings.mistake(node, "not is applied before ==, so this compares a boolean with something else", hint)
        return
    for one, other, place in ((left, right, "left"), (right, left, "right")):
        _check_new_table(findings, node, node.get("right" if place == "left" else "left"), node.get(place))
        if isinstance(one, Missing) and one.what.endswith(" of a text") and isinstance(other, Literal):
            findings.mistake(
                node, f"there is no {one.what}: it is nil, so it never equals a {_NOUN[other.kind]}", one.hint
            )
        if isinstance(one, Literal) and one.value is None and one.node is None and isinstance(other, Literal):
            _check_kinds(findings, node, node.get(place), one, other)
        if not isinstance(one, Result):
            continue
        if other == _NULL and _is_never_null(one):
            findings.mistake(
                node, f"{one.source} is never json.null: a field that is null is nil", f"{_text(node, place)} == nil"
            )
        if not isinstance(other, Literal):
            continue
        if one.may_be_call_error and other.kind != "table":
            hint = "err.code, err.status and err.message say what failed"
            findings.warn(node, f"the error of a failed call is a table and never equals a {_NOUN[other.kind]}", hint)
            continue
        if is_secret(one):
            findings.warn(node, f"{one.source} is a secret, so it never equals a {_NOUN[other.kind]}")
        choices = choices_of(one.type) or fields.choices(one)
        if choices and isinstance(other.value, str) and other.value not in choices:
            hint = did_you_mean(other.value, [str(each) for each in choices]) or f"it is one of {listed(choices)}"
            findings.mistake(node, f"{one.source} is never {other.value!r}", hint)
        elif (kind := kind_of(one, or_nil=True)) and kind != kind_of(other):
            note = findings.warn if one.is_vague else findings.mistake
            hint = _hint_for_code(one) or _instead_of_kind(_text(node, place), kind, other)
            note(node, f"{one.source} is a {_NOUN[kind]}, so it never equals a {_NOUN[other.kind]}", hint)
        elif operator_of(node) == "~=" and other.value is False and kind == "boolean" and one.is_optional:
            text = _text(node, place)
            findings.suspect(
                node,
                f"{one.source} may be nil, and nil ~= false is true",
                f"{text} == true, or {text} ~= nil and {text}",
            )


def _check_new_table(findings: Findings, node: Node, table: Node | None, other: Node | None) -> None:
    """Add a finding if a comparison has a table constructor on one side: a new table equals no other."""
    if table and other and table.kind == "table_constructor":
        findings.mistake(
            node, "a new table equals no other table", f"next({other.text[:40]}) == nil is true if a table is empty"
        )


def _check_kinds(findings: Findings, node: Node, place: Node | None, one: Literal, other: Literal) -> None:
    """Add a finding if a computed number or text is compared with a literal of another type."""
    plain = ("number", "string", "boolean")
    if place and one.kind in plain and other.kind in plain and one.kind != other.kind:
        message = f"{place.text[:40]} is a {_NOUN[one.kind]}, so it never equals a {_NOUN[other.kind]}"
        findings.mistake(node, message, _instead_of_kind(place.text[:40], one.kind, other))


def _text(node: Node, place: str) -> str:
    side = node.get(place)
    return side.text[:60] if side else ""


def _is_never_null(value: Result) -> bool:
    """Return True if a value is certainly not ``json.null``: a field of an object that has a known type."""
    return value.part_of is not None and value.type is not ANY and not value.may_be_null


def _instead_of_kind(text: str, kind: str, other: Literal) -> str:
    """Return a hint for a value that is compared with a literal of another type, or an empty string."""
    if kind == "number" and isinstance(other.value, str) and other.value.isdigit():
        return f"{text} == {other.value}"
    if kind == "boolean" and other.value in ("true", "false"):
        return f"{text} == {other.value}"
    return f"next({text}) == nil is true if it is empty" if kind == "table" else ""


def _hint_for_code(value: Result) -> str:
    """Return a hint for a script that compares an error's code with a number.

    The hint is empty if ``value`` is not the code of an error.
    """
    return "err.status is the HTTP status, a number" if value.source == CODE else ""


def check_condition(findings: Findings, node: Node | None) -> None:
    """Add a finding if a condition always has the same result.

    Examples are ``x == "a" or "b"``, and ``x ~= "a" or x ~= "b"``.
    """
    if node is None or node.kind != "binary_expression":
        return
    operator, left, right = node.get("operator"), node.get("left"), node.get("right")
    always = {"or": ("~=", "true", "and"), "and": ("==", "false", "or")}.get(operator.text if operator else "")
    if always and left and right and _compares_again(left, right, always[0]):
        findings.doubt(
            node, f"one of these comparisons is always {always[1]}, so the condition is too", f"write {always[2]}"
        )
    if operator and operator.text == "or" and left and right and right.kind in ("string", "number"):
        compared = left.get("left") if left.kind == "binary_expression" else None
        hint = f"compare again: {left.text} or {compared.text if compared else 'x'} == {right.text}"
        findings.doubt(right, f"{right.text} alone is always true, so the condition is too", hint)


def _compares_again(left: Node, right: Node, comparison: str) -> bool:
    """Return True if both comparisons have the same left side, and compare it with different texts or numbers."""
    sides = []
    for each in (left, right):
        operator, operand, other = each.get("operator"), each.get("left"), each.get("right")
        if each.kind != "binary_expression" or not (operator and operand and other) or operator.text != comparison:
            return False
        if other.kind not in ("string", "number"):
            return False
        sides.append((operand.text, other.text))
    return sides[0][0] == sides[1][0] and sides[0][1] != sides[1][1]


def check_length(findings: Findings, fields: Fields, node: Node, value: Value) -> None:
    """Add a finding if the script takes the length of nil, or of a table without list items.

    Args:
        findings: The collection to which the finding is added.
        fields: Used to find out whether a table has only named keys.
        node: The operand of ``#``.
        value: What is known about the operand.
    """
    if isinstance(value, Nil):
        findings.fail_on_nil(node, value, "take the length of")
    elif is_secret(value):
        hint = "pass it whole to a function"
        findings.doubt(node, f"{value.source} is a secret, which a script can only pass on", hint)
    elif isinstance(value, Result) and record_keys(value.type) is not None:
        fields.is_no_list(node, value, "#")
    elif isinstance(value, Literal) and value.node and value.kind == "table" and fields.has_only_names(value.node):
        findings.mistake(
            node, "# counts list items, but this table has only named keys: it is 0", "count in a loop over pairs(map)"
        )


def _is_no_number(value: Literal) -> bool:
    text = value.value
    return isinstance(text, str) and not any(character.isdigit() for character in text)
