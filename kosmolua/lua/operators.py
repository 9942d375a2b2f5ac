"""Operators: operands that an operator fails on."""

from __future__ import annotations

from kosmolua.lua.fields import Fields
from kosmolua.lua.findings import Findings
from kosmolua.lua.syntax import Node
from kosmolua.lua.values import Literal, Missing, Result, Undefined, Value, is_text, record_keys

_ARITHMETIC = frozenset({"+", "-", "*", "/", "//", "%", "^"})
_ORDER = frozenset({"<", ">", "<=", ">="})
_INSTEAD = {"+": "texts are joined with ..", "*": "text:rep(n) repeats a text"}


def check_operand(findings: Findings, fields: Fields, node: Node, value: Value, operator: str) -> None:
    """Report problems with one operand of a binary operator."""
    if operator == ".." and isinstance(value, (Missing, Undefined)):
        findings.fail_on_nil(node, value, "join")
    elif operator == ".." and fields.is_plain_table(value):
        findings.fail(node, f"{node.text[:40]} is a table and cannot be joined to text", "print shows tables")
    elif operator == ".." and isinstance(value, Result) and value.is_optional:
        findings.warn(node, f"{value.source} may be nil, and to join nil fails", f'({node.text} or "")')
    elif operator in _ARITHMETIC and isinstance(value, (Missing, Undefined)):
        findings.fail_on_nil(node, value, "compute with")
    elif operator in _ARITHMETIC and isinstance(value, Literal) and _is_no_number(value):
        findings.fail(node, f"a text cannot be used with {operator}", _INSTEAD.get(operator, ""))
    elif operator in _ARITHMETIC and isinstance(value, Result) and is_text(value.type):
        findings.warn(node, f"{value.source} is a text, not a number", _INSTEAD.get(operator, "tonumber(text)"))
    elif operator in ("==", "~=") and isinstance(value, Undefined):
        findings.undefined(node, value)


def check_order(findings: Findings, node: Node, left: Value, right: Value, operator: str) -> None:
    """Note a text that is compared with a number."""
    kinds = {value.kind for value in (left, right) if isinstance(value, Literal)}
    if operator in _ORDER and kinds == {"string", "number"}:
        findings.fail(node, "a text is compared with a number", "tonumber(text) makes a number")


def check_length(findings: Findings, fields: Fields, node: Node, value: Value) -> None:
    """Note the length of nil, or of a record."""
    if isinstance(value, (Missing, Undefined)):
        findings.fail_on_nil(node, value, "take the length of")
    elif isinstance(value, Result) and record_keys(value.type) is not None:
        fields.is_no_list(node, value, "#")
    elif isinstance(value, Literal) and value.node and value.kind == "table" and fields.has_only_names(value.node):
        findings.warn(node, "# counts a list, and this table has names: it is 0", "count in a loop over pairs(map)")


def _is_no_number(value: Literal) -> bool:
    text = value.value
    return isinstance(text, str) and not any(character.isdigit() for character in text)
