"""Rules about what a script goes through, fills, changes and names: loops, pages, tables and variables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kosmolua.check.evaluator import Evaluator
from kosmolua.expressions import regex
from kosmolua.lua.held import always_returns
from kosmolua.lua.syntax import (
    LEAVING,
    Node,
    arguments_of,
    assigned,
    base_of,
    called_in,
    first_argument,
    key_of,
    keys_of,
    targets_of,
    values_of,
)
from kosmolua.lua.values import Callee, Closure, Result, is_builtin, is_list, is_page, near_key, record_keys

_NEXT = {"cursor": "cursor", "next_page": "page"}
"""The fields of a page that lead to the next page, each with the parameter to pass its value to."""
_SHOWING = frozenset({"print", "write", "dump"})
_WINDOW = regex(r"from this time on \(default: (.+?)\)")
"""Matches the description of a parameter for a start time that is not the beginning of everything."""


def check_for(check: Evaluator, node: Node) -> None:
    """Look at a ``for`` loop: one that begins at 0, or removes items from its own list and goes on."""
    clause, body = node.get("clause"), node.get("body")
    start, end = (clause.get("start"), clause.get("end")) if clause else (None, None)
    if start and end and start.text == "0" and end.text.startswith("#") and not _has_zero(check, end.get("operand")):
        check.findings.warn(start, "a list begins at 1, not at 0", "for i = 1, #list do")
    if clause and start and end and start.text.startswith("#") and end.text in ("0", "1") and not clause.get("step"):
        hint = f"for i = {start.text}, {end.text}, -1 do"
        check.findings.mistake(start, "this counts up, so the loop never runs for more than one item", hint)
    call = next(iter(values_of(clause)), None)
    items = first_argument(call)
    if items is None or call is None or b"table.remove" not in node.source:
        return
    if not is_builtin(check.called(call), "ipairs"):
        return
    for block in (each for each in (body.walk() if body else ()) if each.kind == "block"):
        for statement in block.children if block.children[-1:] and block.children[-1].kind not in LEAVING else ():
            removed = first_argument(statement)
            if removed is None or removed.text != items.text:
                continue
            if is_builtin(check.called(statement), "table.remove"):
                hint = "collect what stays in a new list, or count down with for i = #list, 1, -1 do"
                check.findings.mistake(removed, "removing an item in ipairs skips the one after it", hint)


def _has_zero(check: Evaluator, items: Node | None) -> bool:
    """Return True if the script makes a table with an item at 0."""
    variable = check.scopes.variable(items) if items else None
    return bool(variable and variable.table and "[0]" in variable.table.text)


def check_pages(check: Evaluator, node: Node) -> None:
    """Look for a loop that keeps the cursor of each page in a variable, but does not pass it to any call."""
    body = node.get("body")
    nodes = body.walk() if body else []
    kept = dict(_cursors(nodes))
    calls = [each for each in nodes if each.kind == "function_call"]
    if not kept or any(name.text in kept for call in calls for each in arguments_of(call) for name in each.walk()):
        return
    for call in calls:
        for name, parameter in kept.items():
            if _passes_no_cursor(check, call, parameter):
                message = f"each round fetches the same page, since {name} is not passed to any call"
                check.findings.warn(call, message, f"{parameter} = {name}")
                return


def check_last_page(check: Evaluator, node: Node) -> None:
    """Look for a loop that ends when a page has no cursor, before it uses the items of that last page."""
    condition, body = node.get("condition"), node.get("body")
    if condition and condition.operator == "~=" and (compared := condition.get("right")) and compared.kind == "nil":
        condition = condition.get("left")
    table = condition.get("table") if condition and key_of(condition) in _NEXT else None
    last = body.children[-1] if body and body.children else None
    if condition is None or table is None or last is None or last.kind != "assignment_statement":
        return
    variable = check.scopes.variable(table)
    for target, value in assigned(last):
        is_next = value is not None and value.kind == "function_call" and condition.text in value.text
        if is_next and target.text == table.text and variable and variable.last < node.end:
            message = f"the last page has no {key_of(condition)}, so the loop ends before it uses that page"
            check.findings.mistake(condition, message, f"repeat ... until not {condition.text}, or all = true")


def check_window(check: Evaluator, counted: Node) -> None:
    """Look for a count of what a filter finds in a list that covers a short time by default."""
    call = base_of(check.scopes.origin(base_of(counted)))
    callee, given = check.called(call), arguments_of(call)
    if not isinstance(callee, Callee) or len(given) != 1 or given[0].kind != "table_constructor":
        return
    keys, parameters = keys_of(given[0]), callee.function.parameters
    has_filter = any(not each.required and each.name in keys for each in parameters)
    for parameter in parameters if has_filter else ():
        window = _WINDOW.search(parameter.about)
        if window and not {parameter.name, "limit", "all", "cursor", "page"}.intersection(keys):
            message = f"{callee.function.name} returns one page, from {window[1]} on"
            check.findings.warn(counted, message, f"give {parameter.name} and limit")


def _cursors(nodes: Sequence[Node]) -> Iterator[tuple[str, str]]:
    """Yield each variable to which a next page's cursor is assigned, and the parameter to pass the cursor to."""
    for node in nodes:
        if node.kind in ("assignment_statement", "variable_declaration"):
            for target, value in assigned(node):
                key = key_of(value) if value and value.kind == "dot_index_expression" else None
                if target.kind == "identifier" and key in _NEXT:
                    yield target.text, _NEXT[key]


def _passes_no_cursor(check: Evaluator, call: Node, parameter: str) -> bool:
    """Return True if a call of an integration's function could pass a cursor, but does not."""
    callee, given = check.known(called_in(call)), arguments_of(call)
    if not isinstance(callee, Callee) or all(each.name != parameter for each in callee.function.parameters):
        return False
    if not given:
        return True
    return given[0].kind == "table_constructor" and not {parameter, "all"} & set(keys_of(given[0]))


MIN_LIKENESS = 0.8
"""How similar two names must be, from 0 to 1, for one to be a misspelling of the other."""


def check_holes(check: Evaluator, node: Node, use: str) -> None:
    """Look for ``#`` or ``ipairs`` of a result of ``parallel.map`` that may have holes."""
    variable = check.scopes.variable(node)
    call = variable.value if variable and not (variable.changes or variable.fills) else node
    given = arguments_of(call)
    if len(given) < 2 or not is_builtin(check.called(call), "parallel.map"):
        return
    function = check.value(given[1])
    if not isinstance(function, Closure) or not check.scopes.returns_value(function.node):
        return
    body = function.node.get("body")
    returned = [values_of(each) for each in (body.walk_own() if body else ()) if each.kind == "return_statement"]
    if not always_returns(body) or any(not values or values[0].kind == "nil" for values in returned):
        message = f"the function of parallel.map returns nothing for some items, and {use} stops at the first of them"
        check.findings.mistake(node, message, "add the items that count to a list inside the function")


def check_changes(check: Evaluator, node: Node) -> None:
    """Look for assignments to a field of a result that the script then throws away."""
    for target, source in zip(targets_of(node), values_of(node), strict=False):
        table, key = target.get("table"), key_of(target) if target.kind != "identifier" else None
        variable = check.scopes.variable(table) if table else None
        if variable is None or key is None or variable.uses or variable.changes:
            continue
        value, origin = check.value(table), variable.value or variable.items
        if not isinstance(value, Result) or value.may_be_error or key not in (record_keys(value.type) or ()):
            continue
        if origin and base_of(origin).kind == "function_call" and variable.name not in source.text:
            message = f"this changes only the script's copy of {value.source}, not the service"
            hint = "a function such as update_NAME changes it there"
            check.findings.warn(target, message, hint)
            check.findings.suspect(target, message, hint, within=(node.end, check.root.end))


def check_names(check: Evaluator) -> None:
    """Look for globals that are assigned and never read, each beside a similar one that is only read."""
    unread, scopes = check.scopes.unread, check.scopes
    for target, given in scopes.assigned if unread and not scopes.may_share_globals else ():
        if target.kind == "identifier" and target.text in unread and scopes.variable(target) is None:
            _check_name(check, target, given)


def _check_name(check: Evaluator, target: Node, given: Node | None) -> None:
    read = {each.text for each in (given.walk() if given else ()) if each.kind == "identifier"}
    near = near_key(target.text, check.scopes.still - {target.text}, MIN_LIKENESS)
    if near and (near in read or check.scopes.defined[target.text] == 1):
        message = f"nothing reads '{target.text}', and nothing changes '{near}'"
        check.findings.warn(target, message, f"did you mean '{near}'?")


def check_use(check: Evaluator) -> None:
    """Look for a script that only defines functions and calls none of them."""
    statements = [each for each in check.root.children if each.kind != "hash_bang_line"]
    functions = [each for each in statements if each.kind == "function_declaration"]
    if check.is_chunk_of_session or not functions or any(map(_acts, statements)):
        return
    name = functions[-1].get("name")
    hint = f"{name.text if name else 'it'}()"
    check.findings.warn(functions[-1], "nothing is called here, so the script does nothing", hint)


def check_lists(check: Evaluator) -> None:
    """Look for lists that a script fetches and throws away, although it shows or changes something."""
    scopes = check.scopes
    shows = bool(scopes.globals & _SHOWING) or bool(scopes.of("return_statement"))
    if check.is_chunk_of_session or not (shows or any(charge.effect != "read" for charge in check.fields.bill)):
        return
    for node, name, _ in scopes.calls:
        called = check.known(name) if check.uses.is_statement(node) else None
        kind = called.function.returns if isinstance(called, Callee) and called.function.effect == "read" else None
        if isinstance(called, Callee) and kind and (is_list(kind) or is_page(kind)):
            check.findings.warn(node, f"nothing uses the result of {called.function.name}", "give it a name")


def _acts(statement: Node) -> bool:
    """Return True if a statement does more than define a function or a variable."""
    if statement.kind == "function_declaration":
        return False
    return statement.kind != "variable_declaration" or any(node.kind == "function_call" for node in statement.walk())
