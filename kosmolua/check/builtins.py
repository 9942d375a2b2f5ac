"""Rules about calls of Lua's and KosmoLua's built-in functions: those that fail or do not do what was meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kosmolua.check.conditions import check_shown
from kosmolua.check.evaluator import Evaluator
from kosmolua.check.fields import NOUN
from kosmolua.check.findings import Mode
from kosmolua.check.tables import check_holes
from kosmolua.check.times import is_time, unit_of
from kosmolua.expressions import regex
from kosmolua.lua.library import RETURNING, CallSite, in_case
from kosmolua.lua.syntax import Node, arguments_of, called_in, key_of, keys_of, parameters_of, targets_of, values_of
from kosmolua.lua.texts import (
    has_placeholder,
    is_special,
    placeholders_in,
    wrong_in_date,
    wrong_in_expression,
    wrong_in_pattern,
)
from kosmolua.lua.values import (
    ARGUMENT,
    UNKNOWN,
    Builtin,
    Callee,
    Closure,
    Literal,
    Nil,
    Result,
    choices_of,
    is_builtin,
    is_page,
    is_table,
    item_in,
    item_of,
    kind_of,
    record_keys,
)

_INTERPOLATED = regex(r"\$\{\w+[.\[]")
_PLACEHOLDER = regex(r"[$#]\{(\w+)")
_QUARTER = 900
"""The seconds of a quarter of an hour: a multiple of it is hardly in milliseconds."""
MILLISECONDS = 1000
"""If ``sleep``, which takes seconds, gets a round number of at least this size, milliseconds are probably meant."""
_NEVER_NIL = frozenset({"string", "number", "true", "false", "table_constructor"})
_BY_NAME = "function(a, b) return a.NAME < b.NAME end"
_JOINED = 'join it with .., as in "name: " .. name'


def check_string(check: Evaluator, node: Node) -> None:
    """Look for variables inside a text, which Lua does not replace."""
    if _INTERPOLATED.search(node.text):
        check.findings.warn(node, "a text cannot contain variables", _JOINED)


def _goes_through(check: Evaluator, call: CallSite) -> None:
    name, node, value = call.name, call.given[0], call.values[0]
    if isinstance(value, Nil):
        check.findings.fail_on_nil(node, value, "go through")
    elif isinstance(value, (Closure, Callee)):
        check.findings.fail(node, f"{name} goes through a table, not a function", f"{name}({node.text[:40]}(...))")
    elif isinstance(value, Literal) and value.kind in ("number", "boolean"):
        check.findings.fail(node, f"{name} goes through a table, not a {value.kind}", "for i = 1, n do counts")
    elif isinstance(value, Literal) and value.kind == "string":
        hint = "json.decode, csv.parse and regex.split make a list from a text"
        check.findings.fail(node, f"{name} goes through a table, not a text", hint)
    elif name == "pairs" and isinstance(value, Result) and is_page(value.type) and not _takes_fields(check, call.node):
        check.fields.is_no_list(node, value, "a loop over items")
    elif name == "ipairs" and isinstance(value, Result) and record_keys(value.type) is not None:
        check.fields.is_no_list(node, value, "ipairs")


def _takes_fields(check: Evaluator, call: Node) -> bool:
    """Return True if a loop over ``pairs`` uses the key, and the value only as a whole, like the fields of a record."""
    clause = next(call.outer(("for_generic_clause",)), None)
    variables = [check.scopes.variable(name) for name in (targets_of(clause) if clause else ())]
    return len(variables) == 2 and all(each and each.reads == each.uses > 0 for each in variables)


def _has_no_holes(check: Evaluator, call: CallSite) -> None:
    check_holes(check, call.given[0], call.name)


def _prints_placeholders(check: Evaluator, call: CallSite) -> None:
    first, node = call.values[0], call.given[0]
    if len(call.given) > 1 and isinstance(first, Literal) and has_placeholder(str(first.value)):
        hint = f"{call.name}(string.format({node.text}, ...))"
        check.findings.warn(node, f"{call.name} does not replace placeholders", hint)


def _interpolates(check: Evaluator, call: CallSite) -> None:
    """Look for a local variable in ``${...}`` or ``#{...}``."""
    for node in call.given:
        names = _PLACEHOLDER.findall(node.text) if node.kind == "string" else []
        if any(name in check.scopes.locals for name in names):
            check.findings.warn(node, "Lua does not insert values into a text", _JOINED)


def _takes_one(check: Evaluator, call: CallSite) -> None:
    if len(call.given) > 1:
        hint = '("%.1f"):format(x) has one digit behind the point'
        check.findings.mistake(call.given[1], f"{call.name} takes one number, and leaves this out", hint)


def _takes_seconds(check: Evaluator, call: CallSite) -> None:
    wrong = next((each for each, value in zip(call.given, call.values, strict=True) if is_time(each, value)), None)
    if wrong:
        check.findings.doubt(wrong, f"{call.name} takes seconds, not a text", f"time.parse({wrong.text[:40]})")
    if call.name in ("os.date", "time.format", "os.difftime"):
        for each in call.given:
            if unit_of(check, each) == "milliseconds":
                hint = "all times are in seconds: leave * 1000 out"
                check.findings.mistake(each, f"{call.name} takes seconds, not milliseconds", hint)


def _formats_date(check: Evaluator, call: CallSite) -> None:
    place = 0 if call.name == "os.date" else 1
    value = call.value_at(place)
    text = value.value if isinstance(value, Literal) and isinstance(value.value, str) else ""
    time = call.node_at(1 - place)
    is_now = time is None or (is_builtin(check.called(time), "os.time", "time.now") and not arguments_of(time))
    wrong = wrong_in_date(text, is_now=is_now)
    if wrong:
        check.findings.mistake(call.given[place], *wrong)


def _takes_table(check: Evaluator, call: CallSite) -> None:
    if kind_of(call.values[0], or_nil=True) == "string":
        check.findings.fail(call.given[0], "os.time takes a table, not a text", "time.parse reads a text")


def _decodes(check: Evaluator, call: CallSite) -> None:
    value = call.values[0]
    if check.fields.is_plain_table(value):
        hint = "the results of functions under app are decoded already" if isinstance(value, Result) else "json.encode"
        check.findings.fail(call.given[0], "json.decode takes a text, not a table", hint)


def _encodes(check: Evaluator, call: CallSite) -> None:
    value, options = call.given[0], call.node_at(1)
    fields = value.children if value.kind == "table_constructor" else []
    certain = {bool(field.get("name")) for field in fields if _kind_of(field) in _NEVER_NIL}
    if certain == {True, False} and all(key_of(field) is not None for field in fields if field.get("name")):
        check.findings.fail(value, "json.encode cannot mix a list with named keys", "put the list under a key")
    if options and options.kind in ("true", "false", "number"):
        check.findings.warn(options, "json.encode takes a table of options", "{ pretty = true }")
    _has_options(check, call, ("pretty",), "{ pretty = true }")


def _has_options(check: Evaluator, call: CallSite, names: Sequence[str], example: str) -> None:
    """Look for options, in the table that is the second argument of a call, that the function does not have."""
    options = call.node_at(1)
    for field in options.children if options and options.kind == "table_constructor" else ():
        if (key := key_of(field)) is not None and key not in names:
            check.findings.warn(field, f"{call.name} has no option '{key}'", example)


def _runs_all(check: Evaluator, call: CallSite) -> None:
    node, value = call.given[0], call.values[0]
    if isinstance(value, Closure) or (isinstance(value, Result) and record_keys(value.type) is not None):
        check.findings.fail(node, "parallel.all takes one list of functions", "parallel.all({ f, g })")
    if node.kind != "table_constructor":
        return
    if any(field.get("name") and _kind_of(field) == "function_definition" for field in node.children):
        hint = "parallel.all({ f, g })"
        check.findings.fail(node, "parallel.all takes a list, not a table with named keys", hint)
    for field in node.children:
        called = field.get("value")
        branch = check.value(called)
        if isinstance(branch, Closure):
            check.enter(branch, [])
        elif isinstance(branch, Result) and called and called.kind == "function_call":
            hint = f"function() return {called.text[:60]} end"
            check.findings.fail(called, "parallel.all takes functions, but this calls the function first", hint)


def _maps(check: Evaluator, call: CallSite) -> None:
    node, first = call.given[0], call.values[0]
    item, second = item_in(first), call.value_at(1)
    if isinstance(first, Result) and record_keys(first.type) is not None:
        check.fields.is_no_list(node, first, "parallel.map", fails=True)
    elif isinstance(first, Closure):
        check.findings.fail(node, "parallel.map takes the list first, then the function", "parallel.map(list, f)")
    elif isinstance(second, Callee) and isinstance(item, Result):
        _check_passed(check, node, second, item)
    elif isinstance(second, Closure):
        with check.findings.at_least(Mode.POSSIBLE):
            place = Literal("number", None, None, item.type) if isinstance(item, Result) else UNKNOWN
            check.enter(second, [item, place])
    if (
        isinstance(second, Closure)
        and not check.uses.is_statement(call.node)
        and not check.scopes.returns_value(second.node)
    ):
        message = "the function returns nothing, so the list is empty"
        check.findings.warn(call.given[1], message, "return a value in it")


def _check_passed(check: Evaluator, node: Node, callee: Callee, item: Result) -> None:
    """Look for a list of records whose items a function would get as its arguments, but does not take."""
    keys, names = record_keys(item.type) or [], [each.name for each in callee.function.parameters]
    if keys and not set(keys) <= set(names):
        example = f"{names[0]} = item.{'id' if 'id' in keys else keys[0]}" if names else ""
        hint = f"function(item) return {callee.function.name}({{ {example} }}) end"
        check.findings.fail(node, f"{callee.function.name} would get {item.source} as its arguments", hint)


def _needs_list(check: Evaluator, call: CallSite) -> None:
    value = call.values[0]
    if isinstance(value, Result) and record_keys(value.type) is not None and not value.may_be_error:
        check.fields.is_no_list(call.given[0], value, call.name)


def _joins(check: Evaluator, call: CallSite) -> None:
    value = call.values[0]
    if isinstance(value, Result) and is_table(item_of(value.type) or value.type):
        hint = "collect the texts in a loop first"
        check.findings.doubt(call.given[0], "table.concat joins texts and numbers, not tables", hint)


def _gives_two(check: Evaluator, call: CallSite) -> None:
    """Look for a ``gsub`` whose second value, the count, becomes an item or an argument too."""
    around = call.node.around
    outer = around.around if around else None
    if around is None or outer is None or around.children[-1] is not call.node or around.get("name"):
        return
    is_item = around.kind == "field" and outer.children[-1] is around
    if is_item or (around.kind == "arguments" and is_builtin(check.called(outer), "table.insert", "tonumber")):
        message = "gsub returns the text and a count, and both are passed here"
        check.findings.mistake(call.node, message, f"({call.node.text[:60]})")


def _inserts(check: Evaluator, call: CallSite) -> None:
    if len(call.given) == 3 and kind_of(call.values[1]) == "string":
        hint = f"{call.given[0].text[:40]}[{call.given[1].text[:40]}] = {call.given[2].text[:40]}"
        check.findings.fail(call.given[1], "table.insert takes a place in a list, not a key", hint)


def _sorts(check: Evaluator, call: CallSite) -> None:
    item, order = item_in(call.values[0]), call.value_at(1)
    if len(call.values) == 1 and isinstance(item, Result) and is_table(item.type):
        hint = f"table.sort({call.given[0].text[:40]}, {_BY_NAME})"
        check.findings.doubt(call.given[0], f"table.sort cannot compare tables such as {item.source}", hint)
    if isinstance(order, (Literal, Result)):
        check.findings.fail(call.given[1], "table.sort takes a function that compares two items", _BY_NAME)
    if not isinstance(order, Closure):
        return
    if len(parameters_of(order.node)) == 1:
        message = "the function gets two items, and says whether the first comes first"
        check.findings.mistake(call.given[1], message, _BY_NAME)
    body = order.node.get("body")
    returned = body.children[-1] if body and len(body.children) == 1 else None
    operator = next((each.operator for each in values_of(returned)), "")
    if operator in ("<=", ">="):
        hint = f"write {operator[0]}: the function must return false for equal items"
        check.findings.warn(call.given[1], f"a sort with {operator} is invalid", hint)
    with check.findings.at_least(Mode.POSSIBLE):
        check.enter(order, [item] * 2)
    for each in values_of(returned)[:1]:
        if (kind := kind_of(check.value(each))) in ("number", "string"):
            message = f"the function has to say whether a comes first, and any {NOUN[kind]} is true"
            check.findings.mistake(each, message, "return a.NAME < b.NAME")


def _unpacks(check: Evaluator, call: CallSite) -> None:
    node = call.given[0]
    if is_builtin(check.called(node), "pcall"):
        check.findings.fail(node, "pcall returns several values, not a list", "local ok, result = pcall(f)")
    elif node.children and len(keys_of(node)) == len(node.children):
        check.findings.mistake(node, "table.unpack gives list items, and this table has none", "f(row.name, row.id)")


def check_dropped(check: Evaluator, node: Node) -> None:
    """Look for a call that does nothing but return a value, which nothing uses."""
    name = node.get("name") if check.uses.is_statement(node) else None
    is_measured = b"os.clock(" in node.source
    if name is None or is_measured or check.is_chunk_of_session or check.findings.mode is Mode.PROTECTED:
        return
    called, word = check.value(name), ""
    if isinstance(called, Builtin):
        word = called.name
    elif name.kind == "method_index_expression" and kind_of(check.value(name.get("table")), or_nil=True) == "string":
        word = f"string.{key_of(name)}"
    if word in RETURNING and (word != "string.gsub" or kind_of(check.value(arguments_of(node)[-1])) == "string"):
        hint = "coroutine.wrap(f)() runs it" if word.startswith("coroutine") else f"local changed = {node.text[:60]}"
        check.findings.mistake(node, f"{word} only returns a value, and nothing uses it", hint)


def _formats(check: Evaluator, call: CallSite) -> None:
    """Look for arguments of ``string.format`` that do not fit their placeholders, as text for ``%d``."""
    template, findings = call.given[0], check.findings
    if template.kind == "parenthesized_expression" and template.children:
        template = template.children[0]
    if template.kind != "string":
        return
    if len(call.given) > 1 and "%" not in template.text and "{" in template.text:
        findings.mistake(template, "format replaces %s, not braces", 'as in ("%s: %d"):format(name, count)')
    verbs, last = placeholders_in(template.text), call.given[-1]
    if len(verbs) >= len(call.given) and last.kind not in ("function_call", "vararg_expression"):
        hint = "%% is a percent sign" if "% " in template.text else "give one value for each placeholder"
        findings.fail(template, f"this has {len(verbs)} placeholders, and fewer values", hint)
    elif len(verbs) < len(call.given) - 1:
        message = f"this has {len(verbs) or 'no'} placeholder{'s' * (len(verbs) != 1)}, and more values"
        findings.mistake(call.given[len(verbs) + 1], message, "write %s where the value belongs")
    for verb, each, value in zip(verbs, call.given[1:], call.values[1:], strict=False):
        if each.kind == "nil":
            problem = "nil is formatted" if verb in "sq" else f"nil cannot be formatted with %{verb}"
            findings.warn(each, problem, "name the value that is meant" if verb in "sq" else "%s formats any value")
        elif verb in "sq":
            check_shown(check, each)
        elif isinstance(value, Result) and is_table(value.type) and not value.may_be_error:
            message = f"{value.source} is a table and cannot be formatted with %{verb}"
            findings.fail(each, message, "%s formats any value")
        elif isinstance(value, Result) and kind_of(value) == "string" and value is not ARGUMENT:
            is_word = is_time(each, value) or choices_of(value.type) or check.fields.choices(value)
            note = findings.doubt if is_word else findings.warn
            note(each, f"{value.source} is a text, and %{verb} formats a number", "%s formats any value")


def _shows(check: Evaluator, call: CallSite) -> None:
    check_shown(check, call.given[0])


def _raises(check: Evaluator, call: CallSite) -> None:
    """Look for a message of ``error`` or ``assert`` with placeholders such as ``%s``, which stay so."""
    place = 0 if call.name == "error" else 1
    message = call.values[place] if len(call.values) > place + 1 else None
    if not isinstance(message, Literal) or not has_placeholder(str(message.value)):
        return
    follows, node = call.values[place + 1], call.given[place]
    if not isinstance(follows, Literal) or follows.value not in (0, 1, 2):
        hint = f"string.format({node.text[:60]}, ...)"
        check.findings.warn(node, f"{call.name} does not replace placeholders", hint)


def _sleeps(check: Evaluator, call: CallSite) -> None:
    seconds = call.values[0].value if isinstance(call.values[0], Literal) else None
    if isinstance(seconds, (int, float)) and seconds >= MILLISECONDS and seconds % 500 == 0 and seconds % _QUARTER:
        check.findings.warn(call.given[0], "sleep takes seconds, not milliseconds", f"sleep({seconds / 1000:g})")


def _waits(check: Evaluator, call: CallSite) -> None:
    function = call.values[0]
    if isinstance(function, Closure):
        check.enter(function, [])
        if not check.scopes.returns_value(function.node) and "error(" not in function.node.text:
            message = "the function never returns true, so this waits until its limit of time"
            check.findings.mistake(call.given[0], message, "return a condition in it")
    elif call.given[0].kind == "function_call" and isinstance(function, (Result, Literal)):
        hint = f"wait_until(function() return {call.given[0].text[:60]} end)"
        check.findings.fail(call.given[0], "wait_until takes a function, but this calls the function first", hint)
    _has_options(check, call, ("every", "timeout"), '{ every = 10, timeout = "30m" }')
    options = call.node_at(1)
    for field in options.children if options and options.kind == "table_constructor" else ():
        seconds, most = check.value(field.get("value")), {"every": MILLISECONDS, "timeout": 30 * MILLISECONDS}
        number = seconds.value if isinstance(seconds, Literal) and isinstance(seconds.value, int) else 0
        if number >= most.get(key_of(field) or "", number + 1) and number % 500 == 0 and number % _QUARTER:
            check.findings.mistake(field, f"{key_of(field)} is in seconds, not milliseconds", f"{number / 1000:g}")


def _reads_page(check: Evaluator, call: CallSite) -> None:
    details = call.node_at(1)
    if details and details.kind == "string":
        hint = '{ detail = "signatures" }'
        check.findings.fail(details, "lua_read_doc takes a page, then a table", hint)


def _matches(check: Evaluator, call: CallSite) -> None:
    """Look for a pattern that does not mean what it says elsewhere, such as ``a|b``, or ``-`` in a name."""
    node, name = call.node_at(1), call.name.removeprefix("string.")
    if node is None or node.kind != "string":
        return
    if call.name.startswith("regex."):
        wrong = wrong_in_expression(node.text)
    else:
        put = call.value_at(2)
        is_mask = not isinstance(put, Literal) or put.value not in ("", ",")
        is_plain = name == "find" and len(call.given) > 3
        wrong = wrong_in_pattern(node.text, is_plain=is_plain, is_mask=is_mask if name == "gsub" else name != "find")
    if wrong:
        check.findings.mistake(node, *wrong)


def _cuts(check: Evaluator, call: CallSite) -> None:
    if [each.text for each in call.given[1:]] == ["1", "-1"]:
        hint = "sub(1, -2) leaves the last character out"
        check.findings.mistake(call.node, "sub(1, -1) is the whole text", hint)


def _finds_case(check: Evaluator, call: CallSite) -> None:
    """Look for capitals that are searched in the result of ``lower``, or small letters in that of ``upper``."""
    node = call.node_at(1)
    name = called_in(check.scopes.origin(call.given[0]))
    word = key_of(name) if name and name.kind == "method_index_expression" else ""
    if node is None or node.kind != "string" or word not in ("lower", "upper") or is_special(node.text):
        return
    if node.text != (changed := in_case(node.text, word)) and "\\" not in node.text:
        check.findings.mistake(node, f"{word} never returns {node.text}", f"search for {changed}")


def _kind_of(field: Node) -> str:
    value = field.get("value")
    return value.kind if value else ""


CALLS: Mapping[str, Sequence[Callable[[Evaluator, CallSite], None]]] = {
    "ipairs": (_goes_through, _has_no_holes),
    "pairs": (_goes_through,),
    **dict.fromkeys(("print", "write"), (_prints_placeholders, _interpolates)),
    "error": (_raises, _interpolates),
    "assert": (_raises,),
    "os.difftime": (_takes_seconds,),
    **dict.fromkeys(("math.floor", "math.abs", "math.ceil"), (_takes_seconds, _takes_one)),
    **dict.fromkeys(("os.date", "time.format"), (_takes_seconds, _formats_date)),
    "os.time": (_takes_table,),
    "json.decode": (_decodes,),
    "json.encode": (_encodes,),
    "parallel.all": (_runs_all,),
    "parallel.map": (_maps,),
    "table.concat": (_needs_list, _joins),
    "table.insert": (_inserts,),
    "table.remove": (_needs_list,),
    "table.sort": (_needs_list, _sorts),
    "table.unpack": (_needs_list, _unpacks),
    **dict.fromkeys(("string.format", "text:format"), (_formats,)),
    **{
        f"{of}{name}": (_matches, _finds_case, *((_gives_two,) if name == "gsub" else ()))
        for of in ("string.", "text:")
        for name in ("match", "gmatch", "gsub", "find")
    },
    **dict.fromkeys(("regex.match", "regex.match_all", "regex.gsub", "regex.split"), (_matches,)),
    **dict.fromkeys(("string.sub", "text:sub"), (_cuts,)),
    "tostring": (_shows,),
    "sleep": (_sleeps,),
    "wait_until": (_waits,),
    "lua_read_doc": (_reads_page,),
}
"""The rules for each built-in function, and for methods of texts, such as ``text:find``."""
