"""Finds loops over pages of a list that fetch the same page again and again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from kosmolua.lua.findings import Findings
from kosmolua.lua.scopes import Scopes
from kosmolua.lua.syntax import Node, assigned, base_of, key_of, keys_of, operator_of
from kosmolua.lua.values import Callee, Value

_WINDOW = re.compile(r"from this time on \(default: (.+?)\)")
"""Matches the description of a parameter for a start time that is not the beginning of everything."""
_NEXT = {"cursor": "cursor", "next_page": "page"}
"""The fields of a page that lead to the next page, each with the parameter to pass its value to."""


def check_pages(findings: Findings, body: Node | None, known: Callable[[Node], Value | None]) -> None:
    """Add a finding if a loop stores the cursor of each page in a variable, but does not pass it to any call.

    Args:
        findings: The collection to which the finding is added.
        body: The body of the loop, which has been checked already.
        known: Returns what is known about an expression, or None if the expression was not checked.
    """
    nodes = list(body.walk()) if body else []
    kept = dict(_cursors(nodes))
    calls = [node for node in nodes if node.kind == "function_call"]
    if not kept or any(name.text in kept for call in calls for name in _names_in(call.get("arguments"))):
        return
    for call in calls:
        for name, parameter in kept.items():
            if _passes_no_cursor(call, parameter, known):
                message = f"each round fetches the same page, since {name} is not passed to any call"
                findings.warn(call, message, f"{parameter} = {name}")
                return


def check_last_page(findings: Findings, loop: Node, reads: Callable[[Node], int]) -> None:
    """Add a finding if a loop ends when a page has no cursor, before it uses the items of that last page.

    Args:
        findings: The collection to which the finding is added.
        loop: The node of the ``while`` loop.
        reads: Returns the offset of the last place in the script that reads a variable.
    """
    condition, body = loop.get("condition"), loop.get("body")
    if condition and operator_of(condition) == "~=" and (compared := condition.get("right")) and compared.kind == "nil":
        condition = condition.get("left")
    table = condition.get("table") if condition and key_of(condition) in _NEXT else None
    last = body.children[-1] if body and body.children else None
    if condition is None or table is None or last is None or last.kind != "assignment_statement":
        return
    for target, value in assigned(last):
        is_next = value is not None and value.kind == "function_call" and condition.text in value.text
        if is_next and target.text == table.text and reads(table) < loop.end:
            message = f"the last page has no {key_of(condition)}, so the loop ends before it uses that page"
            hint = f"repeat ... until not {condition.text}, or all = true"
            findings.mistake(condition, message, hint)


def check_window(findings: Findings, scopes: Scopes, counted: Node, known: Callable[[Node | None], Value]) -> None:
    """Add a finding if a script counts what a filter finds in a list that covers a short time by default.

    Args:
        findings: The collection to which the finding is added.
        scopes: The variables of the script.
        counted: The operand of ``#``.
        known: Returns what is known about an expression.
    """
    call = base_of(counted)
    variable = scopes.variable(call)
    if variable and variable.value and not variable.changes:
        call = base_of(variable.value)
    callee = known(call.get("name")) if call.kind == "function_call" else None
    arguments = call.get("arguments")
    given = arguments.children if arguments else []
    if not isinstance(callee, Callee) or len(given) != 1 or given[0].kind != "table_constructor":
        return
    keys = keys_of(given[0])
    has_filter = any(not each.required and each.name in keys for each in callee.function.parameters)
    for parameter in callee.function.parameters if has_filter else ():
        window = _WINDOW.search(parameter.about)
        if window and not {parameter.name, "limit", "all", "cursor", "page"}.intersection(keys):
            message = f"{callee.function.name} returns one page, from {window[1]} on"
            findings.warn(counted, message, f"give {parameter.name} and limit")


def _cursors(nodes: list[Node]) -> Iterator[tuple[str, str]]:
    """Yield each variable to which a next page's cursor is assigned, and the parameter to pass the cursor to."""
    for node in nodes:
        if node.kind in ("assignment_statement", "variable_declaration"):
            for target, value in assigned(node):
                key = key_of(value) if value and value.kind == "dot_index_expression" else None
                if target.kind == "identifier" and key in _NEXT:
                    yield target.text, _NEXT[key]


def _names_in(arguments: Node | None) -> Iterator[Node]:
    return (node for node in (arguments.walk() if arguments else ()) if node.kind == "identifier")


def _passes_no_cursor(call: Node, parameter: str, known: Callable[[Node], Value | None]) -> bool:
    """Return True if a call of an integration's function could pass a cursor, but does not."""
    name, arguments = call.get("name"), call.get("arguments")
    callee = known(name) if name else None
    if not isinstance(callee, Callee) or all(each.name != parameter for each in callee.function.parameters):
        return False
    given = arguments.children if arguments else []
    if not given:
        return True
    return given[0].kind == "table_constructor" and not {parameter, "all"} & set(keys_of(given[0]))
