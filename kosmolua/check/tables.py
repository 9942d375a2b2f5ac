"""Rules about what a script goes through, fills, changes and names: loops, pages, tables and variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kosmolua.check.evaluator import Evaluator
from kosmolua.check.times import unit_of
from kosmolua.expressions import regex
from kosmolua.lua.held import always_returns
from kosmolua.lua.syntax import (
    BRANCHES,
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
from kosmolua.lua.values import Callee, Closure, Literal, Result, is_builtin, is_list, is_page, near_key, record_keys

_NEXT = {"cursor": "cursor", "next_page": "page"}
"""The fields of a page that lead to the next page, each with the parameter to pass its value to."""
_SHOWING = frozenset({"print", "write", "dump"})
_CHANGING = regex(rb"table\.remove|\]\s*[=,]")
_HALVING = regex(rb"%\s*2|&|//|fmod|floor|tointeger")
"""Matches where a script may see to it that a half is a whole number."""
_OF_LISTS = ("ipairs", "table.concat", "table.insert", "table.remove", "table.sort", "table.unpack")
_UNIT = regex(r"(?:minutes|hours|days|weeks)$")
_SECONDS = {"minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800}
_DAYS = regex(rb"\s*[<>]=?\s*[1-9]\d{0,2}\b(?!\s*\*)")
"""Matches a comparison with a number that is hardly in seconds."""
_WINDOW = regex(r"from this time on \(default: (.+?)\)")
"""Matches the description of a parameter for a start time that is not the beginning of everything."""


def check_for(check: Evaluator, node: Node) -> None:
    """Look at a ``for`` loop: where it begins and ends, and what it does with the items that it goes through."""
    clause, body = node.get("clause"), node.get("body")
    start, end = (clause.get("start"), clause.get("end")) if clause else (None, None)
    if start and end and start.text == "0" and end.text.startswith("#") and _has_no_zero(check, node, end):
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
    called = check.called(call) if call else None
    way = next((each for each in ("ipairs", "pairs") if called and is_builtin(called, each)), "")
    way = "a loop that counts up" if call is None else way
    for block in body.walk() if way else ():
        if block.kind != "block" or not block.children or block.children[-1].kind in LEAVING:
            continue
        for statement in block.children:
            given = arguments_of(statement)
            if given and given[0].text == items.text and way != "pairs":
                is_place = len(given) == 2 and given[1].text == place.text and not _is_care_taken(body, given[0])
                if (way == "ipairs" or is_place) and is_builtin(check.called(statement), "table.remove"):
                    hint = "collect what stays in a new list, or count down with for i = #list, 1, -1 do"
                    check.findings.mistake(given[0], f"removing an item in {way} skips the one after it", hint)
            elif statement.kind == "assignment_statement":
                _check_items(check, node, statement, items, place, way)


def _is_care_taken(body: Node, items: Node) -> bool:
    """Return True if a loop may end after it has removed an item, or put another one there."""
    return any(each.kind in LEAVING for each in body.walk_own()) or f"insert({items.text}," in body.text


def _check_items(check: Evaluator, loop: Node, statement: Node, items: Node, place: Node, way: str) -> None:
    """Look for assignments to items in a loop: ones that leave holes, or add keys to what it goes through.

    A list in which only some items of another one keep their places has holes, too.
    """
    for target, value in assigned(statement):
        table, key = target.get("table"), target.get("field")
        if table is None or key is None or target.kind != "bracket_index_expression":
            continue
        is_own, is_nil = table.text == items.text, value is None or value.kind == "nil"
        if way == "pairs":
            made = check.scopes.origin(key)
            is_same = check.scopes.variable(base_of(table)) is check.scopes.variable(base_of(items))
            is_new = made.operator == ".." and not any(each.start > loop.start for each in statement.outer(BRANCHES))
            if is_own and is_same and is_new and not is_nil and value and target.text not in value.text:
                message = f"pairs may skip items while keys are added to {items.text}"
                check.findings.mistake(target, message, "fill another table in the loop")
        elif is_own == is_nil and check.scopes.origin(key).text == place.text:
            branch = next(statement.outer({"if_statement"}), loop)
            sides = (each.get(side) for each in branch.walk_own() if each.operator for side in ("left", "right"))
            is_branch = branch.start > loop.start and not branch.all("alternative")
            is_care = any(each and each.text == place.text for each in sides) or _runs_in_order(check, branch, table)
            if is_branch and not is_care:
                _check_gaps(check, loop, target, table, is_own=is_own)


def _runs_in_order(check: Evaluator, branch: Node, table: Node) -> bool:
    """Return True if a branch asks for what is always there, or for the length of the list that it fills."""
    condition = branch.get("condition")
    return condition is not None and (check.is_there(condition) or f"#{table.text}" in condition.text)


def _check_gaps(check: Evaluator, loop: Node, target: Node, table: Node, *, is_own: bool) -> None:
    """Look for ``#`` or ``ipairs`` of a list in which a loop leaves holes, and that nothing else fills."""
    variable = check.scopes.variable(table)
    is_empty = variable is not None and variable.table is not None and not variable.table.children
    if variable is None or variable.fills > 1 or variable.changes or not (is_own or is_empty):
        return
    names = check.scopes.names[variable]
    if not is_own and any(variable.start < each.start < loop.start for each in names):
        return
    if any(each.start > loop.end and _needs_list(check, each) for each in names):
        message = f"this leaves holes in {table.text}, where # and ipairs may stop"
        check.findings.mistake(target, message, "kept[#kept + 1] = item fills a list without holes")


def _needs_list(check: Evaluator, name: Node) -> bool:
    """Return True if a name is the operand of ``#``, or an argument of a function that goes through a list."""
    around = name.around
    if around and around.around and around.kind == "arguments":
        return is_builtin(check.called(around.around), *_OF_LISTS)
    return around is not None and around.operator == "#"


def _has_no_zero(check: Evaluator, loop: Node, end: Node) -> bool:
    """Return True if a loop over numbers looks up its items by them, in a table that is not made with an item at 0."""
    clause, items = loop.get("clause"), end.get("operand") or (end.get("left") or end).get("operand")
    name = clause.get("name") if clause else None
    table = variable.table if items and (variable := check.scopes.variable(items)) else None
    has_zero = table is not None and "[0]" in table.text
    return name is not None and items is not None and not has_zero and f"{items.text}[{name.text}]" in loop.text


def check_pages(check: Evaluator, node: Node) -> None:
    """Look for a loop that keeps the cursor of each page in a variable, but does not pass it to any call."""
    body = node.get("body")
    if node.kind == "repeat_statement":
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
    if given and (given.kind != "table_constructor" or "all" in keys_of(given)):
        return
    fields = given.children if given else ()
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
    if condition is None or table is None or variable is None or body is None or variable.last > node.end:
        return
    names = check.scopes.names[variable]
    is_used_before = any(variable.start < each.start < node.start for each in names)
    inside = [each.around for each in names if body.start < each.start < body.end]
    if all(each is None or each.kind == "variable_list" or key_of(each) in _NEXT for each in inside):
        return
    for statement in (body.children[0], body.children[-1]) if body.children else ():
        pairs = assigned(statement) if statement.kind == "assignment_statement" else ()
        fetched = [value for target, value in pairs if value and target.text == table.text]
        if not any(condition.text in value.text and isinstance(check.called(value), Callee) for value in fetched):
            continue
        hint = f"repeat ... until not {condition.text}, or all = true"
        if statement is body.children[-1]:
            message = f"the last page has no {key_of(condition)}, so the loop ends before it uses that page"
            check.findings.mistake(condition, message, hint)
        elif isinstance(check.called(variable.value or table), Callee) and not is_used_before:
            check.findings.warn(condition, "the loop begins with the second page, so nothing uses the first", hint)


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
        call = base_of(origin) if origin else target
        is_date = is_builtin(check.called(call), "os.date")
        if call.kind == "function_call" and not is_date and variable.name not in source.text:
            message = f"this changes only the script's copy of {value.source}, not the service"
            hint = "a function such as update_NAME changes it there"
            check.findings.warn(target, message, hint)
            check.findings.suspect(target, message, hint, within=(node.end, check.root.end))


def check_index(check: Evaluator, node: Node) -> None:
    """Look for an index that is no whole number, or a table that is only made there."""
    index, is_read = node.get("field"), node.around is None or node.around.kind != "variable_list"
    half = check.scopes.origin(index.get("left") or index) if index and index.operator == "/" else None
    if index and half and half.operator == "#" and not _HALVING.search(node.source):
        hint = f"{(index.get('left') or index).text} // {(index.get('right') or index).text}"
        check.findings.mistake(index, "/ gives a fraction for some numbers, at which there is no item", hint)
    elif index and index.kind == "table_constructor" and "setmetatable" not in check.scopes.globals and is_read:
        hint = 'join what identifies it to a text, as in a .. ":" .. b'
        check.findings.mistake(index, "a new table is no key of any table", hint)


def check_defaults(check: Evaluator, node: Node) -> None:
    """Look for ``x = x or true``, which is always true, and for seconds that are compared like days."""
    is_computed = any(each.operator in ("or", "-") for each in values_of(node))
    for target, value in assigned(node) if is_computed else ():
        left, right = (value.get("left"), value.get("right")) if value else (None, None)
        if value is None or left is None or right is None:
            continue
        name, variable = key_of(target) or target.text, check.scopes.variable(target)
        if value.operator == "or" and right.kind == "true" and name == (key_of(left) or left.text):
            is_first = node.kind == "variable_declaration" or (variable and any(variable.node.outer({"parameters"})))
            if is_first and not re.search(rf"\b{re.escape(name)}\s*[=~]=".encode(), node.source[node.end :]):
                message = f"{value.text[:40]} is never false, also where {left.text[:40]} is"
                check.findings.mistake(value, message, f"{left.text[:40]} ~= false")
        unit = _UNIT.search(name) if value.operator == "-" else None
        is_between = unit and {unit_of(check, each) for each in (left, right)} == {"seconds"}
        names = check.scopes.names[variable] if is_between and variable and not variable.changes else ()
        if unit and any(_DAYS.match(node.source, each.end) for each in names):
            hint = f"({value.text[:40]}) / {_SECONDS[unit[0]]}"
            check.findings.mistake(value, f"this is in seconds, not in {unit[0]}", hint)


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
