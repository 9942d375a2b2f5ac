"""Rules about operators and conditions: what fails, and what has the same result whatever the values are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from kosmolua.check.evaluator import Evaluator
from kosmolua.check.fields import CODE, NOUN, letters_of
from kosmolua.check.tables import check_holes, check_window
from kosmolua.check.times import COMPARING, check_units, is_time
from kosmolua.expressions import regex
from kosmolua.lua.environment import ERROR_CODES
from kosmolua.lua.held import always_returns
from kosmolua.lua.library import in_case
from kosmolua.lua.syntax import (
    ARITHMETIC,
    BRANCHES,
    FUNCTIONS,
    LEAVING,
    Node,
    arguments_of,
    called_in,
    key_of,
    targets_of,
)
from kosmolua.lua.tested import has_word
from kosmolua.lua.values import (
    ARGUMENT,
    Builtin,
    Callee,
    Closure,
    Literal,
    Missing,
    Nil,
    Result,
    StdLib,
    Undefined,
    Value,
    choices_of,
    is_builtin,
    is_list,
    is_page,
    is_secret,
    is_text,
    kind_of,
    near_key,
    record_keys,
)
from kosmolua.schema.types import ANY
from kosmolua.suggestions import did_you_mean, listed

_ORDER = frozenset({"<", ">", "<=", ">="})
_TYPES = ("nil", "number", "string", "boolean", "table", "function", "thread", "userdata")
_OR_NIL = {"tonumber": "number", "find": "number", "match": "string"}
"""Functions that return a value of one type or nil."""
_PLAIN = frozenset({"number", "string", "boolean"})
_KEPT = regex(r"'(?:created|updated)_?[aA]t'$")
"""Matches fields that services always send in practice, even if the documentation says that they are optional."""
_SORTABLE = regex(
    r"\d{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01])(?:[T ](?:[01]\d|2[0-4])(?::\d\d.*)?)?)?)?-?T?$"
)
"""Matches the beginning of a time as services write it, which sorts like the time itself."""
_INSTEAD = {
    "+": "texts are joined with ..",
    "*": "text:rep(n) repeats a text",
    "%": '("%s"):format(value) fills in values',
}


def check_binary(check: Evaluator, node: Node) -> None:
    """Look at an expression with two operands."""
    operator, left, right = node.operator, node.get("left"), node.get("right")
    if left is None or right is None or operator in ("and", "or"):
        return
    first, second = check.value(left), check.value(right)
    is_nil_test = operator in ("==", "~=") and "nil" in (left.kind, right.kind)
    for side, value in ((left, first), (right, second)):
        if not is_nil_test and not (isinstance(value, Result) and _is_sorted_out(check, side, value)):
            _check_operand(check, side, value, operator)
        if operator == "..":
            check_shown(check, side, joined=True)
    check_units(check, node, left, right)
    if operator in _ORDER:
        _check_order(check, node, (left, first), (right, second))
        _check_order(check, node, (right, second), (left, first))
    if operator in ("==", "~="):
        _check_equality(check, node, left, right)


def _is_sorted_out(check: Evaluator, node: Node, value: Result) -> bool:
    """Return True if the script tests an expression: around it or, if the value may be nil, anywhere."""
    return check.tested.is_guarded(node) or (value.is_optional and check.tested.may_be_tested(node))


def _check_operand(check: Evaluator, node: Node, value: Value, operator: str) -> None:
    findings, text = check.findings, node.text[:40]
    if operator == ".." and isinstance(value, Nil):
        findings.fail_on_nil(node, value, "join")
    elif operator == ".." and check.fields.is_plain_table(value):
        findings.fail(node, f"{text} is a table and cannot be joined to text", "print shows tables")
    elif operator == ".." and kind_of(value, or_nil=True) == "boolean":
        findings.fail(node, f"{text} is a boolean and cannot be joined to text", f"tostring({text})")
    elif operator in (*ARITHMETIC, "..") and is_secret(value):
        hint = "pass it whole to a function"
        findings.doubt(node, f"{value.source} is a secret, which a script can only pass on", hint)
    elif operator == ".." and isinstance(value, Result) and value.is_optional and not _KEPT.match(value.source):
        findings.warn(node, f"{value.source} may be nil, and Lua cannot join nil", f'({node.text} or "")')
    elif operator in ARITHMETIC and isinstance(value, Nil):
        findings.fail_on_nil(node, value, "compute with")
    elif operator in ARITHMETIC and isinstance(value, Literal) and _is_no_number(value):
        findings.fail(node, f"a text cannot be used with {operator}", _INSTEAD.get(operator, ""))
    elif operator in ARITHMETIC and isinstance(value, Result) and is_text(value.type) and value is not ARGUMENT:
        note = findings.doubt if is_time(node, value) else findings.warn
        note(node, f"{value.source} is a text, not a number", _INSTEAD.get(operator) or _number_of(node, value))
    elif operator in ("==", "~=") and isinstance(value, Undefined):
        findings.undefined(node, value)


def _is_no_number(value: Literal) -> bool:
    text = value.value
    return isinstance(text, str) and not any(character.isdigit() for character in text)


def _check_order(check: Evaluator, node: Node, one: tuple[Node, Value], other: tuple[Node, Value]) -> None:
    """Look at one operand of ``<``, ``>``, ``<=`` or ``>=``, beside the other."""
    (side, value), (beside, compared) = one, other
    if isinstance(value, Nil):
        check.findings.fail_on_nil(side, value, "compare")
    if isinstance(value, Literal) and isinstance(compared, Result) and is_time(beside, compared):
        text = value.value or value.like
        if isinstance(text, str) and text and not _SORTABLE.match(text):
            hint = 'write it as "2026-02-01", or time.format(time.now() - 86400)'
            check.findings.mistake(side, f"times are compared as text, and {text!r} does not sort like them", hint)
    if (kind_of(value, or_nil=True), kind_of(compared, or_nil=True)) == ("string", "number"):
        is_written = isinstance(value, Literal) and isinstance(compared, Literal)
        is_vague = any(isinstance(each, Result) and each.is_vague for each in (value, compared))
        note = check.findings.fail if is_written else check.findings.warn if is_vague else check.findings.doubt
        note(node, "a text is compared with a number", _number_of(side, value))


def _number_of(text: Node, value: Value) -> str:
    """Return a hint on how to convert a text to a number or, if it holds a time, to seconds."""
    if is_time(text, value):
        return f"time.parse({text.text[:40]}) converts a time to seconds"
    return "tonumber(text) converts text to a number"


def _check_equality(check: Evaluator, node: Node, left: Node, right: Node) -> None:
    """Look at ``==`` or ``~=``: values of other types are never equal, nor a text and one that it never has."""
    if left.operator in COMPARING and kind_of(check.value(right)) in ("string", "number"):
        hint = f"{left.text[:40]} and {(left.get('right') or left).text[:40]} {node.operator} {right.text[:40]}"
        check.findings.mistake(node, "this compares the result of a comparison, which is a boolean", hint)
    if left.operator == "not":
        if right.kind == "nil" or kind_of(check.value(right)) in ("string", "number"):
            hint = f"write {(left.get('operand') or left).text} ~= ..."
            message = "not is applied before ==, so this compares a boolean with something else"
            check.findings.mistake(node, message, hint)
        return
    for side, beside in ((left, right), (right, left)):
        value, other = check.value(side), check.value(beside)
        if beside.kind == "table_constructor":
            hint = f"next({side.text[:40]}) == nil is true if a table is empty"
            check.findings.mistake(node, "a new table equals no other table", hint)
        if isinstance(value, Undefined) and _is_always_there(other):
            check.findings.suspect(side, f"nothing defines '{value.name}', and {beside.text} is never nil", value.hint)
        if isinstance(other, Literal):
            _check_called(check, node, side, other)
        if _is_function(value) and isinstance(other, Literal):
            message = f"{side.text[:40]} is a function, so it never equals a {NOUN[other.kind]}"
            check.findings.mistake(node, message, f"call it: {side.text[:40]}(...)")
        is_alone = node.around is None or node.around.operator not in ("and", "or")
        is_shown = beside.kind == "nil" and is_builtin(check.called(side), "pcall", "tostring", "type")
        if is_shown and is_alone and isinstance(value, Literal):
            hint = f"not {side.text[:40]}" if value.kind == "boolean" else "compare what is passed to it with nil"
            check.findings.mistake(node, f"{side.text[:40]} is a {NOUN[value.kind]}, and never nil", hint)
        if isinstance(other, StdLib) and is_builtin(check.called(check.scopes.origin(side)), "type"):
            check.findings.mistake(node, "type returns a text, and this is a library", f'"{other.name}"')
        if isinstance(value, Literal) and value.value is None and value.node is None and isinstance(other, Literal):
            kinds, text = {value.kind, other.kind}, side.text[:40]
            if kinds <= _PLAIN and len(kinds) > 1:
                message = f"{text} is a {NOUN[value.kind]}, so it never equals a {NOUN[other.kind]}"
                check.findings.mistake(node, message, _instead_of_kind(text, value.kind, other))
        is_field = "identifier" not in (side.kind, beside.kind)
        if is_field and all(isinstance(each, Result) and is_list(each.type) for each in (value, other)):
            hint = "compare their items, or table.concat of both"
            check.findings.mistake(node, "two lists are never equal, even with the same items", hint)
        default = check.scopes.origin(side).get("right") if value is ARGUMENT else None
        if isinstance(value, Result) and not (default and default.text == beside.text):
            _check_value(check, node, side.text[:60], value, other)


def _is_function(value: Value) -> bool:
    is_method = isinstance(value, Builtin) and value.name.startswith("text:")
    return is_method or isinstance(value, (Closure, Callee))


def _check_called(check: Evaluator, node: Node, call: Node, other: Literal) -> None:
    """Look at a call of a built-in function, or a method of a text, that never returns a literal."""
    call = check.scopes.origin(call)
    name, given = called_in(call), arguments_of(call)
    if name is None:
        return
    called, text = check.value(name), other.value if isinstance(other.value, str) else None
    if is_builtin(called, "type") and text is not None and text not in _TYPES:
        check.findings.mistake(node, f"type never returns {text!r}", f"it returns one of {listed(_TYPES)}")
        return
    if name.kind == "method_index_expression":
        word = key_of(name) or "" if kind_of(check.value(name.get("table")), or_nil=True) == "string" else ""
    else:
        word = called.name.removeprefix("string.") if isinstance(called, Builtin) else ""
        given = given[1:] if word != "tonumber" else given
    if text is not None and word in ("upper", "lower") and text != (changed := in_case(text, word)):
        check.findings.mistake(node, f"{word} never returns {text!r}", f"compare with {changed!r}")
    numbers = [value.value for each in given if isinstance(value := check.value(each), Literal)]
    if text and word == "sub" and len(given) == 2 and [type(each) for each in numbers] == [int, int]:
        first, last = int(str(numbers[0])), int(str(numbers[1]))
        base = name.get("table")
        is_longer = base is not None and last <= len("2026-01-31") and is_time(base, check.value(base))
        if 0 < first <= last != len(text) + first - 1 and (is_longer or last < len(text) + first - 1):
            message = f"{len(text)} characters never equal {last - first + 1}"
            check.findings.mistake(node, message, f"text:sub({first}, {first + len(text) - 1})")
    if word == "find" and isinstance(other.value, int) and other.value < 1:
        check.findings.mistake(node, "find returns nil where there is nothing", f"{call.text} {node.operator} nil")
    kind = _OR_NIL.get(word)
    if kind and kind != other.kind and not (word == "match" and other.kind == "number"):
        message = f"{word} returns a {NOUN[kind]} or nil, so it never equals a {NOUN[other.kind]}"
        check.findings.mistake(
            node, message, f"compare it with {'nil' if other.kind == 'boolean' else f'a {NOUN[kind]}'}"
        )


def _check_value(check: Evaluator, node: Node, text: str, value: Result, other: Value) -> None:
    """Look at a part of a result that is compared with a literal or ``json.null``."""
    findings = check.findings
    if is_builtin(other, "json.null") and value.part_of is not None and value.type is not ANY and not value.may_be_null:
        findings.mistake(
            node, f"{value.source} is never json.null: a field that is null is nil", f"{text} {node.operator} nil"
        )
    if not isinstance(other, Literal):
        return
    if value.may_be_call_error and other.kind != "table":
        hint = "err.code, err.status and err.message say what failed"
        findings.warn(node, f"the error of a failed call is a table and never equals a {NOUN[other.kind]}", hint)
        return
    if value.source == CODE and isinstance(other.value, str) and not check.fields.may_raise(other.value):
        findings.warn(node, f"no error of a call has the code {other.value!r}", _code_meant(text, other.value))
        return
    if is_secret(value):
        findings.warn(node, f"{value.source} is a secret, so it never equals a {NOUN[other.kind]}")
    if isinstance(other.value, str) and _has_both_cases(node, other.value):
        return
    choices = choices_of(value.type) or check.fields.choices(value)
    if choices and other.value is not None and kind_of(value) == other.kind and other.value not in choices:
        hint = did_you_mean(str(other.value), [str(each) for each in choices]) or f"it is one of {listed(choices)}"
        findings.mistake(node, f"{value.source} is never {other.value!r}", hint)
    elif (kind := kind_of(value, or_nil=True)) and kind != kind_of(other):
        note = findings.warn if value.is_vague else findings.mistake
        hint = "err.status is the HTTP status, a number" if value.source == CODE else ""
        message = f"{value.source} is a {NOUN[kind]}, so it never equals a {NOUN[other.kind]}"
        note(node, message, hint or _instead_of_kind(text, kind, other))
    elif hint := check.fields.other_case(value, other.value):
        findings.mistake(node, f"{value.source} is never {other.value!r}", hint)
    elif other.value == "" and value.is_optional and value.part_of and text and node.source.count(text.encode()) == 1:
        findings.mistake(
            node,
            f"{value.source} is nil where there is none, and never an empty text",
            f"{text} {node.operator} nil",
        )
    elif node.operator == "~=" and other.value is False and kind == "boolean" and value.is_optional:
        hint = f"{text} == true, or {text} ~= nil and {text}"
        findings.suspect(node, f"{value.source} may be nil, and nil ~= false is true", hint)


def _code_meant(text: str, word: str) -> str:
    """Return a hint for a text that is no code of an error: a status, if it names one, or the code that it is like."""
    from http import HTTPStatus

    letters = letters_of(word)
    status = next(
        (each for each in HTTPStatus if each >= 400 and letters in (str(each.value), letters_of(each.name))), 0
    )
    if status and status != HTTPStatus.TOO_MANY_REQUESTS:
        return f"{text.removesuffix('.code')}.status == {status}"
    likely = "rate_limited" if status else near_key(word.lower(), ERROR_CODES)
    return f"did you mean {likely!r}?" if likely else f"it is one of {listed(sorted(ERROR_CODES), len(ERROR_CODES))}"


def _has_both_cases(node: Node, text: str) -> bool:
    """Return True if a comparison is beside one with the same text in another case: ``x == "OK" or x == "ok"``."""
    outer = node.around
    quoted = f'"{text}"'.casefold()
    return outer is not None and outer.operator == "or" and outer.text.casefold().count(quoted) > 1


def _instead_of_kind(text: str, kind: str, other: Literal) -> str:
    """Return a hint for a value that is compared with a literal of another type, or an empty string."""
    if kind == "number" and isinstance(other.value, str) and other.value.isdigit():
        return f"{text} == {other.value}"
    if kind == "boolean" and other.value in ("true", "false"):
        return f"{text} == {other.value}"
    return f"next({text}) == nil is true if it is empty" if kind == "table" else ""


def check_length(check: Evaluator, node: Node) -> None:
    """Look at the operand of ``#``: nil, a table without list items, or a list that has lost some."""
    operand = node.get("operand")
    if operand is None or node.operator != "#":
        return
    value = check.value(operand)
    if operand.kind == "vararg_expression":
        check.findings.mistake(node, "# of ... is the length of the first value alone", 'select("#", ...) counts them')
    if isinstance(value, Nil):
        check.findings.fail_on_nil(operand, value, "take the length of")
    elif isinstance(value, (Closure, Callee)):
        check.findings.fail(
            operand, f"{operand.text[:40]} is a function and has no length", f"#{operand.text[:40]}(...)"
        )
    elif is_secret(value):
        hint = "pass it whole to a function"
        check.findings.doubt(operand, f"{value.source} is a secret, which a script can only pass on", hint)
    elif isinstance(value, Result) and record_keys(value.type) is not None:
        check.fields.is_no_list(operand, value, "#")
    elif (
        isinstance(value, Literal) and value.node and value.kind == "table" and check.fields.has_only_names(value.node)
    ):
        hint = "count in a loop over pairs(map)"
        check.findings.mistake(operand, "# counts list items, but this table has only named keys: it is 0", hint)
    check.gathered.measure(operand)
    check_holes(check, operand, "#")
    check_window(check, operand)


def check_shown(check: Evaluator, node: Node, *, joined: bool = False) -> None:
    """Note a table, or a value that may be nil, that becomes part of a text, in case a change uses the text."""
    text, value = node.text[:60], check.value(node)
    if isinstance(value, Result) and kind_of(value) == "table" and not joined:
        hint = f"json.encode({text})" if is_list(value.type) else f"{text}.NAME is one field of it"
        check.findings.mistake(node, f"{value.source} is a table, and its text says nothing", hint)
    elif isinstance(value, Result) and value.is_optional and not check.tested.may_be_tested(node):
        check.findings.suspect(node, f"{value.source} may be nil, which the text would show", f'{text} or ""')
    elif isinstance(value, Missing) and value.what != "nil" and not joined:
        check.findings.suspect(node, f"there is no {value.what}: the text would be 'nil'", value.hint)


_ALWAYS_TRUE = frozenset({"string", "number", "table"})
_PLACES = frozenset({"identifier", "dot_index_expression", "bracket_index_expression", "function_call"})
_TOLD_BY_TEXT = regex(r"\.(?:\w*[a-z]ed|(?!created|updated)\w+_at)$")
"""Matches a field whose name looks like that of a boolean, or of a time that can be nil."""
_SWITCHES = frozenset({"yes", "no", "on", "off", "true", "false", "enabled", "disabled"})
_ALWAYS = {"or": ("~=", "true", "and"), "and": ("==", "false", "or")}
"""Operators between two comparisons that then have always the same result: comparison, result, what is meant."""


class _Test(NamedTuple):
    """A part of a condition that is tested for being true, or compared with nil.

    The part is ``node``, and the value of ``tested`` decides. If ``otherwise``, it is true where that is false or nil.
    """

    node: Node
    tested: Node
    otherwise: bool
    is_whole: bool
    is_nil_test: bool = False


def check_branches(check: Evaluator, node: Node) -> None:
    """Look at the conditions of an ``if``, or at that of a ``while``.

    A script may test a value for being there before it uses it. So a value that is used elsewhere, or that only leads
    to ``error``, is no finding, unless a change would never be made.
    """
    branches = [node, *node.all("alternative")]
    for branch in branches:
        _check_comparisons(check, branch.get("condition"))
    for branch in branches:
        for test in _tests(branch.get("condition"), otherwise=False, is_whole=True):
            value = check.value(test.tested)
            if _check_alone(check, test, value):
                continue
            if test.tested.kind in _PLACES and _is_always_there(value):
                _check_there(check, branch, test, value)
            elif test.otherwise:
                _check_caught(check, branch, test)


def check_choice(check: Evaluator, node: Node) -> None:
    """Look at the left side of ``and``, or for a length at that of ``or``.

    A text before ``or`` may be meant: ``s.url or "none"`` is only careful. ``list and #list or 0`` is for no list.
    """
    operator, left, right = node.operator, node.get("left"), node.get("right")
    if operator == "or" and left and right and left.kind in ("string", "number", "table_constructor"):
        hint = "compare each: x == a or x == b"
        check.findings.mistake(right, f"{left.text[:40]} is always true, so this is never used", hint)
    middle = left.get("right") if operator == "or" and left and left.operator == "and" else None
    if middle and right and middle.kind in ("nil", "false") and right.kind not in ("nil", "false"):
        message = f"the value is always {right.text[:40]}, since {middle.text} before or is not true"
        check.findings.mistake(node, message, "write if ... then ... else ... end, or turn the condition round")
    for test in _tests(left, otherwise=False, is_whole=False) if operator in ("and", "or") else ():
        if operator == "and" or (test.tested.kind == "unary_expression" and not middle):
            _check_alone(check, test, check.value(test.tested))


def check_end(check: Evaluator, node: Node) -> None:
    """Look for a loop that never ends: the comparison in its condition always has the same result."""
    condition = node.get("condition")
    if condition and condition.operator == ("~=" if node.kind == "while_statement" else "=="):
        check.findings.fails_if_reached(condition)
    if condition and node.kind == "while_statement" and _stays(check, condition, node):
        message = f"nothing in the loop changes {condition.text[:40]}, so it never ends"
        check.findings.mistake(condition, message, "call the function that reads it again inside the loop")


def _stays(check: Evaluator, condition: Node, loop: Node) -> bool:
    """Return True if a condition is about plain fields of results that stay, and nothing else ends the loop."""
    body, names = loop.get("body"), [each for each in condition.walk() if each.kind == "identifier"]
    if body is None or any(each.kind == "function_call" for each in condition.walk()):
        return False
    bases = [each for each in names if each.field != "field"]
    for name in bases:
        variable, path = check.scopes.variable(name), name.around
        if variable is None or variable.uses or variable.fills or path is None or name.field != "table":
            return False
        if not isinstance(check.value(name), Result) or kind_of(check.value(path)) not in _PLAIN:
            return False
        places = [each for each in check.scopes.names[variable] if each.around and each.around.kind == "variable_list"]
        if any(each.start > loop.start or any(each.outer(FUNCTIONS)) for each in places):
            return False
    return bool(bases) and not any(each in check.scopes.leaving for each in body.walk())


def _check_comparisons(check: Evaluator, node: Node | None) -> None:
    """Look for conditions such as ``x == "a" or "b"``, and ``x ~= "a" or x ~= "b"``."""
    if node is None or node.kind != "binary_expression":
        return
    operator, left, right = node.operator, node.get("left"), node.get("right")
    if left is None or right is None:
        return
    if operator in _ALWAYS and _compares_again(left, right, _ALWAYS[operator][0]):
        _, result, meant = _ALWAYS[operator]
        message = f"one of these comparisons is always {result}, so the condition is too"
        check.findings.doubt(node, message, f"write {meant}")
    if operator == "or" and right.kind in ("string", "number"):
        compared = left.get("left") if left.kind == "binary_expression" else None
        hint = f"compare again: {left.text} or {compared.text if compared else 'x'} == {right.text}"
        check.findings.doubt(right, f"{right.text} alone is always true, so the condition is too", hint)


def _compares_again(left: Node, right: Node, comparison: str) -> bool:
    """Return True if both comparisons have the same left side, and compare it with different texts or numbers."""
    sides = []
    for each in (left, right):
        operand, other = each.get("left"), each.get("right")
        if each.operator != comparison or operand is None or other is None:
            return False
        if other.kind not in ("string", "number", "nil", "true", "false"):
            return False
        sides.append((operand.text, other.text))
    return sides[0][0] == sides[1][0] and sides[0][1] != sides[1][1]


def _check_alone(check: Evaluator, test: _Test, value: Value) -> bool:
    """Look at a part that is a mistake whatever it decides, and return whether it is."""
    text = test.tested.text
    if test.tested.kind == "identifier" and test.is_whole and not test.is_nil_test and _decides(test):
        check.gathered.ask(test.tested, test.node)
    if test.tested.kind == "unary_expression":
        if test.tested.operator == "#" and not test.is_nil_test:
            hint = f"{text} {'== 0' if test.otherwise else '> 0'}"
            check.findings.mistake(test.tested, f"{text} is a number, and 0 is true in Lua", hint)
    elif isinstance(value, Result) and _is_told_by_text(test.tested, value):
        hint = f'{text} ~= ""' if text.endswith("_at") else f"compare it, as in {text} == ..."
        note = check.findings.warn if value.is_vague else check.findings.mistake
        note(test.node, f"{value.source} is a text, and any text is true, even an empty one", hint)
    elif isinstance(value, Result) and value.may_be_error and not value.may_be_absent and _is_only_caught(check, test):
        message = f"{text} is the result where the call succeeds, so this does not tell whether it failed"
        check.findings.mistake(test.node, message, f"local ok, {text} = pcall(...), and test ok")
    elif isinstance(value, (Closure, Callee)) and test.tested.kind in _PLACES and not _is_used(check, test.tested):
        hint = f"call it: {text}(...)"
        check.findings.mistake(test.node, f"{text} is a function, and any function is true", hint)
    elif isinstance(value, Missing) and (
        test.tested.kind == "function_call" or (value.of == "list" and not _is_used(check, test.tested))
    ):
        check.findings.mistake(test.node, f"there is no {value.what}: it is nil, which is never true", value.hint)
    else:
        return False
    return True


def _decides(test: _Test) -> bool:
    """Return True if a test is more than care: it leads to what does not use the value, and does not only leave."""
    block = next(test.node.outer(BRANCHES), test.node).get("consequence")
    if block is None or has_word(block.text, test.tested.text, is_whole=True):
        return False
    return not (test.otherwise and _only_leaves(block, raises_only=False))


def _is_only_caught(check: Evaluator, test: _Test) -> bool:
    """Return True if a test asks for the second value of ``pcall``, and nothing asks for the first."""
    variable = check.scopes.variable(test.tested) if test.is_whole else None
    names = next((targets_of(each) for each in variable.node.outer({"variable_declaration"})), []) if variable else []
    first = check.scopes.variable(names[0]) if len(names) == 2 and names[1] is (variable and variable.node) else None
    block = next(test.node.outer(BRANCHES), test.node).get("consequence")
    asked = block.children[0].get("condition") if block and len(block.children) == 1 else None
    is_asked = asked is not None and has_word(asked.text, test.tested.text, is_whole=True)
    return first is not None and not first.reads and not is_asked


def _check_there(check: Evaluator, statement: Node, test: _Test, value: Value) -> None:
    """Look at a test of a value that is never nil."""
    kind, is_used = kind_of(value), _is_used(check, test.tested)
    if isinstance(value, Literal) and (is_used or test.is_nil_test):
        return
    never = _never_runs(statement, test) if test.is_whole else []
    source = value.source if isinstance(value, Result) else test.tested.text[:40]
    noun, text, instead = NOUN[kind], test.tested.text[:60], "==" if test.otherwise else "~="
    empty, hint = {
        "string": ("an empty one", f'compare it, as in {text} {instead} ""'),
        "table": ("an empty one", f"next({text}) {instead} nil"),
        "number": ("0", f"{text} {instead} 0"),
    }[kind]
    message = f"{source} is never nil: it is a {noun}, and any {noun} is true, even {empty}"
    leads_on = [each for each in never if not _only_leaves(each, raises_only=kind != "table")]
    if not is_used and (leads_on or (not never and (kind != "table" or _lists(value)))):
        check.findings.mistake(test.node, message, hint)
    for block in leads_on:
        check.findings.suspect(test.node, message, hint, within=(block.start, block.end))
    if test.is_whole and not test.otherwise and always_returns(statement.get("consequence")):
        check.findings.suspect(test.node, message, hint, within=(statement.end, check.block_end()))


def _lists(value: Value) -> bool:
    return isinstance(value, Result) and (is_list(value.type) or is_page(value.type))


def _check_caught(check: Evaluator, statement: Node, test: _Test) -> None:
    """Note a change that is made only if ``pcall`` of a list fails, as if an empty list were a failure."""
    call, block = test.tested, statement.get("consequence")
    variable = check.scopes.variable(call)
    if variable and variable.value and not variable.changes:
        name = variable.node
        if re.match(rb"\s*,", name.source[name.end : name.end + 20]):  # a second variable has the list
            return
        call = variable.value
    given = arguments_of(call)
    if not given or block is None or not is_builtin(check.called(call), "pcall"):
        return
    callee = check.value(given[0])
    if isinstance(callee, Callee) and callee.function.returns and is_page(callee.function.returns):
        message = f"pcall says only whether the call failed, and {callee.function.name} that finds nothing does not"
        hint = "local list = f(arguments): #list.NAME == 0"
        check.findings.suspect(test.node, message, hint, within=(block.start, block.end))


def _is_used(check: Evaluator, tested: Node) -> bool:
    """Return True if the script also uses an expression elsewhere than in this condition."""
    if variable := check.scopes.variable(tested):
        return variable.reads > 1
    whole = rf"(?<![\w.]){re.escape(tested.text)}(?!\w)"
    return len(re.findall(whole, tested.source.decode("utf-8", "replace"))) > 1


def _tests(node: Node | None, *, otherwise: bool, is_whole: bool) -> Iterator[_Test]:
    """Yield the parts of a condition that ``and``, ``or`` and ``not`` combine."""
    if node is None:
        return
    operator, left, right = node.operator, node.get("left"), node.get("right")
    if node.kind == "parenthesized_expression" and node.children:
        yield from _tests(node.children[0], otherwise=otherwise, is_whole=is_whole)
    elif operator == "not":
        yield from _tests(node.get("operand"), otherwise=not otherwise, is_whole=is_whole)
    elif operator in ("and", "or"):
        yield from _tests(left, otherwise=otherwise, is_whole=False)
        yield from _tests(right, otherwise=otherwise, is_whole=False)
    elif operator in ("==", "~=") and left and right and right.kind == "nil":
        yield _Test(node, left, otherwise != (operator == "=="), is_whole, is_nil_test=True)
    elif not operator or operator == "#":
        yield _Test(node, node, otherwise, is_whole)


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
    choices = choices_of(value.type)
    return bool(_TOLD_BY_TEXT.search(tested.text)) or (bool(choices) and _SWITCHES.issuperset(choices))


def _never_runs(statement: Node, test: _Test) -> list[Node]:
    """Return the blocks of an ``if`` that a test never lets run, if its value is never nil."""
    if test.otherwise:
        blocks = [statement.get("consequence")]
    else:
        blocks = [each.get("consequence") or each.get("body") for each in statement.all("alternative")]
    return [block for block in blocks if block]


def _only_leaves(block: Node, *, raises_only: bool) -> bool:
    """Return True if a block ends in ``error`` or ``exit`` or, unless ``raises_only``, leaves in another way."""
    last = block.children[-1] if block.children else None
    if last is None:
        return True
    name = called_in(last)
    if name and name.text in ("error", "exit", "fail"):
        return True
    return not raises_only and last.kind in LEAVING
