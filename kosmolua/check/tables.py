"""Rules about what a script goes through, fills, changes and names: loops, pages, tables and variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kosmolua.check.evaluator import Evaluator
from kosmolua.check.times import unit_of
from kosmolua.expressions import regex
from kosmolua.lua.held import always_returns
from kosmolua.lua.syntax import (
    LEAVING,
    LOOPS,
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
from kosmolua.lua.values import Callee, Closure, Literal, Result, is_builtin, is_list, is_page, near_key, record_keys

_NEXT = {"cursor": "cursor", "next_page": "page"}
"""The fields of a page that lead to the next page, each with the parameter to pass its value to."""
_SHOWING = frozenset({"print", "write", "dump"})
_CHANGING = regex(rb"table\.remove|\]\s*[=,]|\belse\b")
_UNIT = regex(r"(?:minutes|hours|days|weeks)$")
_SECONDS = {"minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800}
_WINDOW = regex(r"from this time on \(default: (.+?)\)")
"""Matches the description of a parameter for a start time that is not the beginning of everything."""


def check_for(check: Evaluator, node: Node) -> None:
    """Look at a ``for`` loop: where it begins and ends, and what it does with the items that it goes through."""
    clause, body = node.get("clause"), node.get("body")
    start, end = (clause.get("start"), clause.get("end")) if clause else (None, None)
    if start and end and start.text == "0" and end.text.startswith("#") and not _has_zero(check, end.get("operand")):
        check.findings.warn(start, "a list begins at 1, not at 0", "for i = 1, #list do")
    if clause and start and end and start.text.startswith("#") and end.text in ("0", "1") and not clause.get("step"):
        hint = f"for i = {start.text}, {end.text}, -1 do"
        check.findings.mistake(start, "this counts up, so the loop never runs for more than one item", hint)
    call = next(iter(values_of(clause)), None)
    items, place = first_argument(call), next(iter(targets_of(clause) if clause else ()), None)
    if start and end and start.text == "1" and end.operator == "#" and clause and not clause.get("step"):
        items, place = end.get("operand"), clause.get("name")
    if items is None or body is None or place is None or not _CHANGING.search(node.source, body.start, body.end):
        return
    way = "counting" if call is None else next((each for each in ("ipairs", "pairs") if _calls(check, call, each)), "")
    for block in body.walk() if way else ():
        if block.kind != "block" or not block.children or block.children[-1].kind in LEAVING:
            continue
        for statement in block.children:
            given = arguments_of(statement)
            if given and given[0].text == items.text and way != "pairs":
                is_place = len(given) == 2 and given[1].text == place.text
                if (way == "ipairs" or is_place) and _calls(check, statement, "table.remove"):
                    hint = "collect what stays in a new list, or count down with for i = #list, 1, -1 do"
                    check.findings.mistake(given[0], f"removing an item in {way} skips the one after it", hint)
            elif statement.kind == "assignment_statement":
                _check_items(check, node, statement, items, place, way)
    _check_last_decides(check, node, body)


def _calls(check: Evaluator, call: Node, name: str) -> bool:
    return is_builtin(check.called(call), name)


def _check_items(check: Evaluator, loop: Node, statement: Node, items: Node, place: Node, way: str) -> None:
    """Look for assignments to items at the place of a loop: ones that leave holes, or add keys to what it goes through.

    A list in which only some items of another one keep their places has holes, too.
    """
    for target, value in assigned(statement):
        table, key = target.get("table"), target.get("field")
        if table is None or key is None or target.kind != "bracket_index_expression":
            continue
        is_own, is_nil = table.text == items.text, value is None or value.kind == "nil"
        is_at_place = check.scopes.origin(key).text == place.text
        if way == "pairs" and is_own and not is_nil and not is_at_place:
            message = f"pairs may skip items while keys are added to {items.text}"
            check.findings.mistake(target, message, "fill another table in the loop")
        branch = next(statement.outer({"if_statement"}), loop)
        is_some = branch.start > loop.start and not branch.all("alternative") and not is_nil
        if way == "pairs" or not is_at_place or is_own != is_nil or not (is_own or is_some):
            continue
        filled = (each for each, given in check.scopes.assigned if given is None or given.kind != "nil")
        inside = [each for each in filled if loop.start < each.start < loop.end and each is not target]
        if any(each.text.startswith(f"{table.text}[") for each in inside):
            continue
        after = loop.source[loop.end :].decode("utf-8", "replace")
        if re.search(rf"(?:#|\b(?:ipairs|table\.\w+)\()\s*{re.escape(table.text)}\b", after):
            message = f"this leaves holes in {table.text}, where # and ipairs may stop"
            check.findings.mistake(target, message, "kept[#kept + 1] = item fills a list without holes")


def _check_last_decides(check: Evaluator, loop: Node, body: Node) -> None:
    """Look for ``if ... then found = true else found = false end``, where the last item of a loop decides."""
    for branch in (each for each in body.children if each.kind == "if_statement"):
        blocks = [branch.get("consequence"), *(each.get("body") for each in branch.all("alternative"))]
        if len(blocks) != 2 or not all(each and len(each.children) == 1 for each in blocks):
            continue
        pairs = [pair for block in blocks if block for pair in assigned(block.children[0])]
        names = {check.scopes.variable(target) for target, _ in pairs}
        variable, kinds = names.pop() if len(names) == 1 else None, [value and value.kind for _, value in pairs]
        if variable is None or variable.start > loop.start or kinds != ["true", "false"]:
            continue
        if sum(check.scopes.variable(each) is variable for each in body.walk()) == 2:
            message = f"each item sets {variable.name} again, so that only the last one counts"
            check.findings.mistake(pairs[1][0], message, "leave the else out, or write break where it is found")


def _has_zero(check: Evaluator, items: Node | None) -> bool:
    """Return True if the script makes a table with an item at 0."""
    variable = check.scopes.variable(items) if items else None
    return bool(variable and variable.table and "[0]" in variable.table.text)


def check_pages(check: Evaluator, node: Node) -> None:
    """Look for a loop that keeps the cursor of each page in a variable, but does not pass it to any call."""
    body = node.get("body")
    _check_size(check, node.get("condition"))
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


def _check_size(check: Evaluator, condition: Node | None) -> None:
    """Look for ``until #page.items < 100`` where a page never has so many."""
    counted, most = (condition.get("left"), condition.get("right")) if condition else (None, None)
    if condition is None or condition.operator != "<" or not counted or counted.operator != "#" or not most:
        return
    call, least = check.scopes.origin(base_of(counted.get("operand") or counted)), check.value(most)
    callee, given = check.called(call), first_argument(call)
    if not isinstance(callee, Callee) or not isinstance(least, Literal) or not isinstance(least.value, int):
        return
    fields = given.children if given and given.kind == "table_constructor" else ()
    passed = next((check.value(each.get("value")) for each in fields if key_of(each) == "limit"), None)
    default = next((each.default for each in callee.function.parameters if each.name == "limit"), None)
    size = default if passed is None else passed.value if isinstance(passed, Literal) else None
    if isinstance(size, int) and size < least.value:
        message = f"a page has at most {size} items here, so the loop ends after the first one"
        check.findings.mistake(condition, message, f"limit = {least.value}, or until not page.cursor")


def check_last_page(check: Evaluator, node: Node) -> None:
    """Look for a loop that uses all pages but the first, or all but the last, which has no cursor."""
    condition, body = node.get("condition"), node.get("body")
    if condition and condition.operator == "~=" and (compared := condition.get("right")) and compared.kind == "nil":
        condition = condition.get("left")
    table = condition.get("table") if condition and key_of(condition) in _NEXT else None
    variable = check.scopes.variable(table) if table else None
    if condition is None or table is None or variable is None or body is None:
        return
    for statement in (body.children[0], body.children[-1]) if body.children else ():
        pairs = assigned(statement) if statement.kind == "assignment_statement" else ()
        fetched = [value for target, value in pairs if value and target.text == table.text]
        if not any(value.kind == "function_call" and condition.text in value.text for value in fetched):
            continue
        hint = f"repeat ... until not {condition.text}, or all = true"
        names = [each for each in check.scopes.of("identifier") if check.scopes.variable(each) is variable]
        if statement is body.children[-1] and variable.last < node.end:
            message = f"the last page has no {key_of(condition)}, so the loop ends before it uses that page"
            check.findings.mistake(condition, message, hint)
        elif statement is body.children[0] and not any(variable.start < each.start < node.start for each in names):
            check.findings.mistake(condition, "the loop begins with the second page, so nothing uses the first", hint)


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


def check_index(check: Evaluator, node: Node) -> None:
    """Look for an index that is no whole number, or a table that is only made there."""
    index = node.get("field")
    if index and index.operator == "/" and "#" in check.scopes.origin(index.get("left") or index).text:
        hint = f"{(index.get('left') or index).text} // {(index.get('right') or index).text}"
        check.findings.mistake(index, "/ gives a fraction for some numbers, at which there is no item", hint)
    elif index and index.kind == "table_constructor":
        hint = 'join what identifies it to a text, as in a .. ":" .. b'
        check.findings.mistake(index, "a new table is no key of any table", hint)


def check_defaults(check: Evaluator, node: Node) -> None:
    """Look for ``x = x or true``, which is always true, and for seconds in a variable named like days."""
    is_computed = any(each.operator in ("or", "-") for each in values_of(node))
    for target, value in assigned(node) if is_computed else ():
        if value is None:
            continue
        left, right = value.get("left"), value.get("right")
        name = key_of(target) or target.text
        if value.operator == "or" and left and right and right.kind == "true" and name == (key_of(left) or left.text):
            message = f"{value.text[:40]} is never false, also where {left.text[:40]} is"
            check.findings.mistake(value, message, f"{left.text[:40]} ~= false")
        unit = _UNIT.search(name) if value.operator == "-" else None
        if unit and unit_of(check, value) == "seconds":
            hint = f"({value.text[:40]}) / {_SECONDS[unit[0]]}"
            check.findings.mistake(value, f"this is in seconds, not in {unit[0]}", hint)


def check_captured(check: Evaluator, node: Node) -> None:
    """Look for functions that a loop keeps for later, with a variable that the loop gives another value each time."""
    loop, outer = next(node.outer(LOOPS), None), node.around
    while outer and outer.kind in ("field", "table_constructor", "expression_list"):
        outer = outer.around
    if loop is None or outer is None:
        return
    is_inserted = outer.kind == "arguments" and outer.around is not None and _calls(check, outer.around, "table.insert")
    if not is_inserted and not any(each.kind == "bracket_index_expression" for each in targets_of(outer)):
        return
    for name in (each for each in node.walk() if each.kind == "identifier"):
        variable = check.scopes.variable(name)
        if variable is None or not variable.changes or variable.start > loop.start:
            continue
        changes = [each for each, _ in check.scopes.assigned if check.scopes.variable(each) is variable]
        is_own = any(node.start < each.start < node.end for each in changes)
        if not is_own and any(loop.start < each.start < loop.end for each in changes):
            message = f"when this function runs, {variable.name} has the value that it got last"
            check.findings.mistake(name, message, f"local own = {variable.name} inside the loop, and use that")


def check_arguments(check: Evaluator, node: Node) -> None:
    """Look for a function with ``...`` that reads ``arg`` instead, as in Lua 5.0."""
    parameters, body = node.get("parameters"), node.get("body")
    if parameters is None or body is None or parameters.text.find("...") < 0:
        return
    inside = body.walk()
    names = (each for each in inside if each.kind == "identifier" and each.text == "arg")
    name = next((each for each in names if check.scopes.variable(each) is None), None)
    if name and not any(each.kind == "vararg_expression" for each in inside):
        message = "arg has the arguments of the script, not those of this function"
        check.findings.mistake(name, message, "local given = { ... }")


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
