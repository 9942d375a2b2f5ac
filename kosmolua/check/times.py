"""Rules about times: texts of services, which are compared as such, and seconds, which are not milliseconds."""

from __future__ import annotations

from kosmolua.check.evaluator import Evaluator
from kosmolua.expressions import regex
from kosmolua.lua.syntax import Node, arguments_of
from kosmolua.lua.values import Literal, Result, Value, is_builtin, kind_of

_TIME = regex(r"(?:At|_at|[tT]imestamp|_time|Time|[dD]ate)$")
"""Matches the end of the name of a field that holds a time as a text."""
_MILLISECONDS = regex(r"\*\s*1000\b|\d000000\b")
_DURATION = regex(r"\b(?:60|24|3600|86400)\b.*\*\s*1000\b")
_FAR = 10**11
"""A number of at least this size is a time in milliseconds: in seconds, it would be in the year 5138."""
_ROUNDED = ("math.floor", "math.ceil", "math.tointeger", "tonumber")
COMPARING = frozenset({"<", ">", "<=", ">=", "==", "~="})


def is_time(node: Node, value: Value) -> bool:
    """Return True if an expression is a text whose field name, such as ``created_at``, says that it holds a time."""
    source = value.source.strip("'") if isinstance(value, Result) else ""
    return kind_of(value, or_nil=True) == "string" and bool(_TIME.search(node.text) or _TIME.search(source))


def check_units(check: Evaluator, node: Node, left: Node, right: Node) -> None:
    """Look for seconds that are compared with milliseconds, or of which milliseconds are subtracted."""
    operator = node.operator
    if operator not in ("+", "-") and operator not in COMPARING:
        return
    units = {unit_of(check, left), unit_of(check, right)}
    if units == {"seconds", "milliseconds"} and operator != "+":
        verb = "compares" if operator in COMPARING else "subtracts"
        hint = "all times are in seconds: leave * 1000 out"
        check.findings.mistake(node, f"this {verb} seconds and milliseconds", hint)
    elif units == {"seconds", ""} and (_DURATION if operator in COMPARING else _MILLISECONDS).search(right.text):
        check.findings.mistake(right, "times are in seconds, not milliseconds", "7 * 86400 is a week")


def unit_of(check: Evaluator, node: Node | None, depth: int = 0) -> str:
    """Return ``seconds`` or ``milliseconds`` if an expression is a time, or between two, in this unit; else ``""``."""
    if node is None or depth > 8:
        return ""
    if (origin := check.scopes.origin(node)) is not node:
        return unit_of(check, origin, depth + 1)
    if node.kind == "parenthesized_expression":
        return unit_of(check, node.children[0], depth + 1) if node.children else ""
    if node.kind == "number":
        value = check.value(node)
        number = value.value if isinstance(value, Literal) else None
        return "milliseconds" if isinstance(number, (int, float)) and number >= _FAR else ""
    if node.kind == "function_call":
        called, given = check.called(node), arguments_of(node)
        if is_builtin(called, "time.now", "time.parse", "os.time"):
            return "seconds"
        return unit_of(check, given[0], depth + 1) if given and is_builtin(called, *_ROUNDED) else ""
    operator, left, right = node.operator, node.get("left"), node.get("right")
    units = (
        [unit_of(check, each, depth + 1) for each in (left, right)] if operator in ("+", "-", "*", "/", "//") else []
    )
    if operator in ("+", "-"):
        return units[0] or units[1]
    is_thousand = any(side is not None and side.text in ("1000", "1e3", "1000.0") for side in (left, right))
    if is_thousand and operator == "*" and "seconds" in units:
        return "milliseconds"
    return "seconds" if is_thousand and units and units[0] == "milliseconds" and operator != "*" else ""
