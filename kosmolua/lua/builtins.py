"""Checks calls of Lua's and KosmoLua's built-in functions. Finds calls that fail or do not do what was meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from kosmolua.lua.fields import Fields
from kosmolua.lua.findings import Findings, Mode
from kosmolua.lua.operators import is_time
from kosmolua.lua.syntax import Node, key_of
from kosmolua.lua.values import (
    UNKNOWN,
    Builtin,
    Callee,
    Closure,
    Literal,
    Nil,
    Result,
    Value,
    choices_of,
    is_page,
    is_table,
    item_in,
    item_of,
    kind_of,
    record_keys,
)

_FORMAT = re.compile(r"%[-+ #0-9.]*[dsfqgxi]")
_FOREIGN_PATTERN = re.compile(r"\\\\?[dwsbDWS]")
_VERB = re.compile(r"%[-+ #0-9.]*[a-zA-Z]")
_ALTERNATIVES = re.compile(r"^[\"'](?:[^\[]*[^%\[])?\w\|\w")
_DASHED = re.compile(r"[A-Za-z0-9]-[A-Za-z]")
_SPECIAL = re.compile(r"%(?![-.])|[\[\]()*+?]")
_TIMES = re.compile(r"(?:%\w|\]|\.|\))\{\d+(?:,\d*)?\}")
MILLISECONDS = 1000
"""If ``sleep``, which takes seconds, gets a round number of at least this size, milliseconds are probably meant."""
_NEVER_NIL = frozenset({"string", "number", "true", "false", "table_constructor"})
_DATE_WITHOUT_PERCENT = re.compile(r"(?:YYYY|yyyy|MM|DD|dd|HH|hh|mm|ss)")
_SECONDS = frozenset({"os.date", "os.difftime", "time.format", "math.floor", "math.abs", "math.ceil"})
NOTHING = {
    "table.sort": "it sorts the list that it gets",
    "table.insert": "it changes the list that it gets",
    "print": "it returns nothing",
    "write": "it returns nothing",
}
"""Functions that return nothing, each with a phrase that says what it does instead."""
KINDS = {
    **dict.fromkeys(("os.time", "os.clock", "os.difftime", "string.len", "rawlen", "time.now", "time.parse"), "number"),
    **dict.fromkeys(("math.floor", "math.ceil", "math.abs", "math.max", "math.min", "math.random"), "number"),
    **dict.fromkeys(("tostring", "type", "string.format", "string.rep", "string.upper", "string.lower"), "string"),
    **dict.fromkeys(
        ("string.sub", "string.reverse", "table.concat", "json.encode", "base64.encode", "time.format"), "string"
    ),
}
"""Functions whose result is never nil and always has the same Lua type, each with that type."""
PATTERN_METHODS = frozenset({"match", "gmatch", "gsub", "find"})


class Reader(Protocol):
    """The interface of the script's checker, as the checks of built-in functions use it."""

    findings: Findings
    fields: Fields

    def value(self, node: Node | None) -> Value:
        """Return what is known about the value of an expression."""

    def enter(self, closure: Closure, values: Sequence[Value]) -> None:
        """Check the body of a function of the script, with what is known about the values of its parameters."""


def check_builtin(reader: Reader, name: str, given: Sequence[Node], values: Sequence[Value]) -> None:
    """Add findings about a call of a built-in function. The call has at least one argument.

    Args:
        reader: The object that checks the script. New findings are added to its findings.
        name: The name of the function, such as ``ipairs`` or ``table.sort``.
        given: The expressions of the arguments.
        values: What is known about the value of each argument.
    """
    findings, node, first = reader.findings, given[0], values[0]
    options = given[1] if len(given) > 1 else None
    if name in ("ipairs", "pairs"):
        _check_loop(reader, name, node, first)
    elif name in ("print", "write") and options and isinstance(first, Literal) and _FORMAT.search(str(first.value)):
        findings.warn(node, f"{name} does not replace placeholders", f"{name}(string.format({node.text}, ...))")
    elif name in _SECONDS and (wrong := _time_in(given, values)):
        findings.doubt(wrong, f"{name} takes seconds, not a text", f"time.parse({wrong.text[:40]})")
    elif name == "os.time" and isinstance(first, Literal) and first.kind == "string":
        findings.fail(node, "os.time takes a table, not a text", "time.parse reads a text")
    elif name == "os.date" and isinstance(first, Literal) and _is_foreign_date(first.value):
        findings.warn(node, "os.date needs % before each letter", '"%Y-%m-%d %H:%M:%S"')
    elif name == "json.decode" and reader.fields.is_plain_table(first):
        hint = "the results of functions under app are decoded already" if isinstance(first, Result) else "json.encode"
        findings.fail(node, "json.decode takes a text, not a table", hint)
    elif name == "parallel.all":
        _check_all(reader, node, first)
    elif name == "parallel.map":
        _check_map(reader, node, values)
    elif name == "table.concat" and isinstance(first, Result) and is_table(item_of(first.type) or first.type):
        findings.warn(node, "table.concat joins texts and numbers, not tables", "collect the texts in a loop first")
    elif name == "table.sort" and options:
        _check_order(reader, options, first, values[1])
    elif name == "table.unpack" and node.kind == "function_call" and (called := node.get("name")):
        if reader.value(called) == Builtin("pcall"):
            findings.fail(node, "pcall returns several values, not a list", "local ok, result = pcall(f)")
    elif name == "json.encode":
        _check_encode(findings, node, options)
    elif name == "string.format":
        _check_format(reader, node, given[1:], values[1:])
    elif name in ("error", "assert"):
        _check_message(findings, name, given, values)
    elif name == "sleep" and isinstance(first, Literal) and _is_in_milliseconds(first.value):
        findings.warn(node, "sleep takes seconds, not milliseconds", f"sleep({float(str(first.value)) / 1000:g})")
    elif name == "time.format" and len(values) > 1 and _is_foreign_date(getattr(values[1], "value", None)):
        findings.warn(given[1], "time.format needs % before each letter", '"%Y-%m-%d %H:%M:%S"')
    elif name == "lua_read_doc" and options and options.kind == "string":
        findings.fail(options, "lua_read_doc takes a page, then a table", '{ detail = "signatures" }')
    elif name.startswith("string.") and name[7:] in PATTERN_METHODS and options:
        check_pattern(findings, name[7:], given[1:])


def _time_in(given: Sequence[Node], values: Sequence[Value]) -> Node | None:
    return next((each for each, value in zip(given, values, strict=True) if is_time(each, value)), None)


def check_pattern(findings: Findings, name: str, given: Sequence[Node]) -> None:
    """Add a finding if a Lua pattern does not mean what it says elsewhere, such as ``a|b``, or ``-`` in a name.

    Args:
        findings: The collection to which the finding is added.
        name: The name of the function, such as ``find``.
        given: The expressions of the arguments from the pattern on.
    """
    node = given[0]
    if node.kind != "string":
        return
    if _FOREIGN_PATTERN.search(node.text):
        hint = "Lua's patterns have %d for \\d; regex.match takes regular expressions"
        findings.mistake(node, "a backslash has no special meaning in a Lua pattern", hint)
    elif _ALTERNATIVES.search(node.text):
        hint = "match each alternative separately, or use regex.match(text, pattern)"
        findings.mistake(node, "a Lua pattern has no alternatives: | matches itself", hint)
    elif _TIMES.search(node.text):
        hint = "repeat the part, as in %d%d%d%d, or use regex.match(text, pattern)"
        findings.mistake(node, "a Lua pattern has no repetition counts: braces match themselves", hint)
    elif _is_name_with_dash(node.text) and not (name == "find" and len(given) > 2):
        hint = f"{node.text.replace('-', '%-')[:60]}, or text:find(part, 1, true)"
        findings.mistake(node, "in a Lua pattern, - repeats the letter before it, and does not match itself", hint)


def _is_name_with_dash(pattern: str) -> bool:
    """Return True if a pattern has a dash between letters, and is otherwise a text without special characters."""
    return bool(_DASHED.search(pattern)) and not _SPECIAL.search(pattern)


def verbs_in(text: str) -> list[str]:
    """Return the letters of the placeholders in a format, such as ``s`` for ``%5s``, in order."""
    return [verb[-1] for verb in _VERB.findall(text.replace("%%", ""))]


def _check_format(reader: Reader, node: Node, given: Sequence[Node], values: Sequence[Value]) -> None:
    """Add a finding for each argument of ``string.format`` that does not fit its placeholder, as text for ``%d``."""
    findings, text = reader.findings, node.text if node.kind == "string" else ""
    for verb, each, value in zip(verbs_in(text), given, values, strict=False):
        if each.kind == "nil":
            problem = "nil is formatted" if verb in "sq" else f"nil cannot be formatted with %{verb}"
            findings.warn(each, problem, "name the value that is meant" if verb in "sq" else "%s formats any value")
        elif verb in "sq":
            continue
        elif isinstance(value, Result) and is_table(value.type) and not value.may_be_error:
            findings.fail(
                each, f"{value.source} is a table and cannot be formatted with %{verb}", "%s formats any value"
            )
        elif isinstance(value, Result) and kind_of(value) == "string":
            is_word = is_time(each, value) or choices_of(value.type) or reader.fields.choices(value)
            note = findings.doubt if is_word else findings.warn
            note(each, f"{value.source} is a text, and %{verb} formats a number", "%s formats any value")


def _check_message(findings: Findings, name: str, given: Sequence[Node], values: Sequence[Value]) -> None:
    """Add a finding if the message of ``error`` or ``assert`` has placeholders such as ``%s``, which stay so."""
    place = 0 if name == "error" else 1
    message = values[place] if len(values) > place + 1 else None
    if not isinstance(message, Literal) or not _FORMAT.search(str(message.value)):
        return
    follows = values[place + 1]
    if not isinstance(follows, Literal) or follows.value not in (0, 1, 2):
        node = given[place]
        findings.warn(node, f"{name} does not replace placeholders", f"string.format({node.text[:60]}, ...)")


def _is_in_milliseconds(value: object) -> bool:
    """Return True if an argument of ``sleep`` is so large and round that it is probably meant in milliseconds."""
    return isinstance(value, (int, float)) and value >= MILLISECONDS and value % 500 == 0


def _is_foreign_date(text: object) -> bool:
    return isinstance(text, str) and "%" not in text and bool(_DATE_WITHOUT_PERCENT.search(text))


def returns_value(function: Node) -> bool:
    """Return True if a function of the script can return something other than nil."""
    body = function.get("body")
    waiting = list(body.children) if body else []
    while waiting:
        node = waiting.pop()
        returned = node.first("expression_list") if node.kind == "return_statement" else None
        if returned and any(each.kind != "nil" for each in returned.children):
            return True
        if node.kind not in ("function_definition", "function_declaration"):
            waiting.extend(node.children)
    return False


def _check_loop(reader: Reader, name: str, node: Node, value: Value) -> None:
    if isinstance(value, Nil):
        reader.findings.fail_on_nil(node, value, "go through")
    elif isinstance(value, Literal) and value.kind in ("number", "boolean"):
        reader.findings.fail(node, f"{name} goes through a table, not a {value.kind}", "for i = 1, n do counts")
    elif isinstance(value, Literal) and value.kind == "string":
        hint = "json.decode, csv.parse and regex.split make a list from a text"
        reader.findings.fail(node, f"{name} goes through a table, not a text", hint)
    elif name == "pairs" and isinstance(value, Result) and is_page(value.type):
        reader.fields.is_no_list(node, value, "a loop over items")
    elif name == "ipairs" and isinstance(value, Result) and record_keys(value.type) is not None:
        reader.fields.is_no_list(node, value, "ipairs")


def _check_all(reader: Reader, node: Node, value: Value) -> None:
    if isinstance(value, Closure) or (isinstance(value, Result) and record_keys(value.type) is not None):
        reader.findings.fail(node, "parallel.all takes one list of functions", "parallel.all({ f, g })")
    if node.kind != "table_constructor":
        return
    if any(field.get("name") and _kind_of(field) == "function_definition" for field in node.children):
        hint = "parallel.all({ f, g })"
        reader.findings.fail(node, "parallel.all takes a list, not a table with named keys", hint)
    for field in node.children:
        branch = reader.value(field.get("value"))
        called = field.get("value")
        if isinstance(branch, Closure):
            reader.enter(branch, [])
        elif isinstance(branch, Result) and called and called.kind == "function_call":
            hint = f"function() return {called.text[:60]} end"
            reader.findings.fail(called, "parallel.all takes functions, but this calls the function first", hint)


def _check_map(reader: Reader, node: Node, values: Sequence[Value]) -> None:
    first = values[0]
    if isinstance(first, Result) and record_keys(first.type) is not None:
        reader.fields.is_no_list(node, first, "parallel.map", fails=True)
    elif isinstance(first, Closure):
        reader.findings.fail(node, "parallel.map takes the list first, then the function", "parallel.map(list, f)")
    elif len(values) > 1 and isinstance(values[1], Callee) and isinstance(item := item_in(first), Result):
        _check_passed(reader, node, values[1], item)
    elif len(values) > 1 and isinstance(values[1], Closure):
        with reader.findings.at_least(Mode.POSSIBLE):
            item = item_in(first)
            place = Literal("number", None, None, item.type) if isinstance(item, Result) else UNKNOWN
            reader.enter(values[1], [item, place])


def _check_passed(reader: Reader, node: Node, callee: Callee, item: Result) -> None:
    """Add a finding if ``parallel.map`` passes the records of a list to a function that does not take such records."""
    keys, names = record_keys(item.type) or [], [each.name for each in callee.function.parameters]
    if keys and not set(keys) <= set(names):
        example = f"{names[0]} = item.{'id' if 'id' in keys else keys[0]}" if names else ""
        hint = f"function(item) return {callee.function.name}({{ {example} }}) end"
        reader.findings.fail(node, f"{callee.function.name} would get {item.source} as its arguments", hint)


def _check_order(reader: Reader, node: Node, value: Value, order: Value) -> None:
    if not isinstance(order, Closure):
        return
    body = order.node.get("body")
    returned = body.children[-1] if body and len(body.children) == 1 else None
    expressions = returned.first("expression_list") if returned else None
    comparison = expressions.first("binary_expression") if expressions else None
    operator = comparison.get("operator") if comparison else None
    if operator and operator.text in ("<=", ">="):
        hint = f"write {operator.text[0]}: the function must return false for equal items"
        reader.findings.warn(node, f"a sort with {operator.text} is invalid", hint)
    with reader.findings.at_least(Mode.POSSIBLE):
        reader.enter(order, [item_in(value), item_in(value)])


def _check_encode(findings: Findings, value: Node, options: Node | None) -> None:
    fields = value.children if value.kind == "table_constructor" else []
    certain = {bool(field.get("name")) for field in fields if _kind_of(field) in _NEVER_NIL}
    if certain == {True, False} and all(key_of(field) is not None for field in fields if field.get("name")):
        findings.fail(value, "json.encode cannot mix a list with named keys", "put the list under a key")
    if options and options.kind in ("true", "false", "number"):
        findings.warn(options, "json.encode takes a table of options", "{ pretty = true }")
    for field in options.children if options and options.kind == "table_constructor" else ():
        if key_of(field) not in (None, "pretty"):
            findings.warn(field, f"json.encode has no option '{key_of(field)}'", "{ pretty = true }")


def _kind_of(field: Node) -> str:
    value = field.get("value")
    return value.kind if value else ""
