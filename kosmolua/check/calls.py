"""Rules about calls: arguments of functions of integrations, as far as they are known, and what is no function."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from kosmolua.check.evaluator import Evaluator
from kosmolua.check.findings import Mode
from kosmolua.expressions import regex
from kosmolua.lua.environment import LIBRARIES
from kosmolua.lua.syntax import Node, arguments_of, key_of, keys_of
from kosmolua.lua.values import (
    ARGUMENT,
    ID,
    SCRIPT,
    UNKNOWN,
    Absent,
    Branch,
    Builtin,
    Callee,
    Literal,
    Missing,
    Nil,
    Result,
    StdLib,
    Undefined,
    Value,
    choices_of,
    example_of,
    field_of,
    has_field,
    id_of,
    is_builtin,
    is_list,
    is_number,
    is_text,
    item_of,
    kind_of,
    near_field,
    record_keys,
    snake,
    table_in,
    takes_tables,
)
from kosmolua.schema.arguments import Parameter
from kosmolua.schema.function import Function
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.names import lua_path
from kosmolua.schema.sessions import SessionFunction
from kosmolua.schema.types import Type
from kosmolua.suggestions import as_hint, listed, parameters_meant


class _Misuse(NamedTuple):
    """A problem with the arguments of a call that KosmoLua would refuse.

    If ``is_undefined``, it would still be made, without the argument, as nothing defines that name; if ``is_accepted``,
    with an argument that is wrong by the types. If ``is_likely``, the argument is only probably wrong.
    """

    node: Node
    message: str
    hint: str = ""
    is_undefined: bool = False
    is_likely: bool = False
    is_accepted: bool = False


class _NotWritten(Exception):
    """The value of an expression is not known, since it is not written in the script as a literal."""


_URL_NAME = regex(r"(?:^|[._])ur[il]$|[a-z]Ur[il]$")
_DOMAIN = regex(r"(?:[\w-]+\.)+[A-Za-z]{2,}(?::\d+)?(?:[/?#]\S*)?")

_Evaluate = Callable[[Node], Value]


def check_call(check: Evaluator, node: Node) -> None:
    """Look at a call: of an integration's function, directly or by ``pcall``, or of what is no function."""
    name, given = node.get("name"), arguments_of(node)
    if name is None or name.kind == "method_index_expression":
        return
    called = check.value(name)
    passed = check.value(given[0]) if given and is_builtin(called, "pcall") else UNKNOWN
    if isinstance(passed, Callee):
        _check_arguments(check, node, given[0], passed, given[1:], is_caught=True)
    elif isinstance(called, Callee):
        _check_arguments(check, node, name, called, given, is_caught=False)
    else:
        _check_called(check, name, called, given)


def _check_called(check: Evaluator, name: Node, called: Value, given: Sequence[Node]) -> None:
    """Look for a call of what is no function."""
    findings, text, may_bend = check.findings, name.text[:40], check.scopes.may_bend_tables
    if isinstance(called, Nil):
        findings.fail_on_nil(name, called, "call")
    elif isinstance(called, Literal) and called.kind != "table" and not may_bend:
        findings.fail(name, f"{text} is a {called.kind}, not a function")
    elif isinstance(called, Builtin) and not given and called.name.startswith("string."):
        findings.fail(name, "a method of a text is called with a colon", f"text:{called.name[7:]}()")
    elif isinstance(called, Builtin) and called.name.startswith("text:"):
        table, method = name.get("table"), called.name[5:]
        is_passed = table and any(table.text in each.text for each in given)
        if table and not is_passed and (not given or isinstance(check.value(table), Result)):
            hint = f"{table.text[:40]}:{method}({', '.join(each.text for each in given)[:40]})"
            note = findings.doubt if given else findings.fail
            note(name, f"a dot does not pass the text to {method}", hint)
    elif isinstance(called, Result) and kind_of(called) in ("string", "number", "boolean") and not may_bend:
        findings.doubt(name, f"{called.source} is a {kind_of(called)}, not a function", text)
    elif isinstance(called, Result) and check.fields.is_plain_table(called):
        findings.fail(name, f"{called.source} is a table, not a function")
    elif isinstance(called, Branch) and called.depth < 2:
        findings.fail(name, f"{name.text} is a table of names, not a function")
    elif isinstance(called, Branch) and called.account != "*" and not may_bend:
        first = given[0].text.strip("\"'") if given and given[0].kind == "string" else "ACCOUNT"
        hint = f"an account is part of the path: {name.text}.{first}.FUNCTION(...)"
        findings.fail(name, f"{name.text} is a table of functions, not a function", hint)
    elif isinstance(called, StdLib) and not may_bend:
        functions = ", ".join(f"{called.name}.{each}" for each in sorted(LIBRARIES[called.name])[:3])
        findings.fail(name, f"{called.name} is a library, not a function", f"it has {functions} and so on")


def _check_arguments(
    check: Evaluator, call: Node, name: Node, callee: Callee, given: Sequence[Node], *, is_caught: bool
) -> None:
    """Look at a call of an integration's function: its account, and its arguments."""
    if callee.account != "*":
        integration, _, function = callee.path.rpartition(".")
        with check.findings.at_least(Mode.PROTECTED if is_caught else Mode.CERTAIN):
            check.fields.resolve(name, f"{integration}.{callee.account}.{function}")
    for value in _passed(given, check.value):
        if isinstance(value, Absent):
            check.findings.fail_on_nil(name, value, "pass")
    if isinstance(callee.function, SessionFunction):
        return
    siblings = check.fields.siblings(callee)
    for misuse in _misuses(callee, call, given, check.argument, siblings):
        mode = Mode.CERTAIN if misuse.is_undefined else Mode.POSSIBLE if misuse.is_likely else None
        if misuse.is_accepted or (is_caught and mode is None):
            check.findings.mistake(misuse.node, misuse.message, misuse.hint)
        else:
            mode = Mode.POSSIBLE if callee.may_have_changed else mode
            code = "undefined" if misuse.is_undefined else "fails"
            check.findings.fail(misuse.node, misuse.message, misuse.hint, mode=mode, code=code)


def _passed(given: Sequence[Node], evaluate: _Evaluate) -> Iterator[Value]:
    """Yield what is known about the value of each argument, whether passed by name or by position."""
    for argument in given:
        fields = argument.children if argument.kind == "table_constructor" else ()
        inner = [value for field in fields if (value := field.get("value"))]
        yield from map(evaluate, inner if argument.kind == "table_constructor" else [argument])


def _misuses(
    callee: Callee, call: Node, arguments: Sequence[Node], evaluate: _Evaluate, others: Mapping[str, Function]
) -> Iterator[_Misuse]:
    """Yield the problems with the arguments of a call."""
    parameters = callee.function.parameters
    names = [parameter.name for parameter in parameters]
    spellings = {parameter.alias: parameter.name for parameter in parameters if parameter.alias}
    given, is_complete = _arguments_by_name(arguments, names, evaluate)
    if given == {}:
        yield from _undefined_inside(evaluate(arguments[0]) if len(arguments) == 1 else UNKNOWN, evaluate)
    if given is None:
        usage = f"call it as {callee.function.signature}"
        yield _Misuse(call, f"{callee.path} takes at most {len(names)} arguments, but gets more", usage)
        return
    named = arguments[0].children if len(arguments) == 1 and keys_of(arguments[0]) else []
    plain = (each.get("value") for each in named if not each.get("name"))
    if beside := next((each for each in plain if isinstance(each and evaluate(each), (Literal, Result))), None):
        yield _Misuse(beside, f"{callee.path}: a list cannot be mixed with named keys", "give it a name, NAME = ...")
        return
    if mixed := _mixed_arguments(arguments, names):
        usage = f"call it as {callee.function.signature}"
        yield _Misuse(mixed, f"{callee.path} takes its arguments in one table or by position, not both", usage)
        return
    given = {spellings.get(name, name): each for name, each in given.items()}
    meant: set[str] = set()
    for name, (node, value) in given.items():
        if name == "extra" and callee.function.extra:
            yield from _undefined_inside(value, evaluate)
        elif name not in names:
            likely = parameters_meant(name, names)
            meant.update(likely[:1])
            hint = _meant_by(callee, name, value, names) or _set_elsewhere(callee, name, others) or as_hint(likely)
            hint = hint or (f"its parameters are {', '.join(names)}" if names else "it takes no arguments")
            key = next((key for field in named if (key := field.get("name")) and key.text == name), node)
            yield _Misuse(key, f"{callee.path} has no parameter '{name}'", hint)
        elif isinstance(value, Missing) and value.what != "nil":
            message = f"there is no {value.what}, so {name} would be left out"
            yield _Misuse(node, message, value.hint, is_accepted=True)
        elif isinstance(value, Undefined):
            hint = value.hint or "define it, or leave the argument out"
            yield _Misuse(node, f"nothing defines '{value.name}', so {name} would be left out", hint, is_undefined=True)
        else:
            yield from _undefined_inside(value, evaluate)
    for parameter in parameters:
        if parameter.name in given:
            node, value = given[parameter.name]
            if is_builtin(value, "json.null") and parameter.required and not parameter.null:
                message = f"{callee.path} needs {parameter.name}, {parameter.type.words}, and json.null leaves it out"
                yield _Misuse(node, message, f"call it as {callee.function.signature}")
                continue
            yield from _misfit(callee, parameter, node, value, evaluate)
            yield from _id_of_another(parameter, node, value, others)
        elif is_complete and parameter.required and not _instead_of(parameter) & (given.keys() | meant):
            instead = f", or {parameter.unless}" if parameter.unless else ""
            usage = f"call it as {callee.function.signature}"
            yield _Misuse(call, f"{callee.path} needs {parameter.name}, {parameter.type.words}{instead}", usage)


def _undefined_inside(table: Value, evaluate: _Evaluate) -> Iterator[_Misuse]:
    """Yield a problem for each name that nothing defines in the constructor of a table."""
    for field in _fields_of(table):
        if not (inner := field.get("value")):
            continue
        value = evaluate(inner)
        if isinstance(value, Undefined):
            hint = value.hint or "define it, or leave the field out"
            message = f"nothing defines '{value.name}', so the field would be left out"
            yield _Misuse(inner, message, hint, is_undefined=True)
        yield from _undefined_inside(value, evaluate)


def _mixed_arguments(arguments: Sequence[Node], names: list[str]) -> Node | None:
    """Return the table of named arguments that a call has after positional arguments, or None if it has none."""
    keys = keys_of(arguments[-1]) if len(arguments) > 1 else []
    return arguments[-1] if keys and set(keys) <= set(names) else None


def _meant_by(callee: Callee, name: str, value: Value, names: list[str]) -> str | None:
    """Return a hint for an argument with an unknown name, or None if there is no hint.

    There is a hint for an account that was passed as an argument, and for a table with the arguments inside.
    """
    if name in ("account", "account_name", "profile"):
        integration, _, function = callee.path.rpartition(".")
        account = value.value if isinstance(value, Literal) and isinstance(value.value, str) else "NAME"
        return f"an account is part of the path: {lua_path(integration)}.{account}.{function}(...)"
    inside = dict.fromkeys(key for key in _keys_inside(value) if key in names)
    return f"{', '.join(inside)} belong beside the other arguments, not in a table" if inside else None


def _set_elsewhere(callee: Callee, name: str, others: Mapping[str, Function]) -> str:
    """Return a hint for an argument that another function of the integration sets, or an empty string."""
    if callee.function.effect == "read":
        return ""
    meant = [f"{verb}_{word}" for verb in ("set", "update") for word in (name.removesuffix("s"), name)]
    needed = {each.name for each in callee.function.parameters if each.required}
    meant += [
        each.name
        for each in others.values()
        if each.effect != "read" and needed and needed | {name} <= {every.name for every in each.parameters}
    ]
    found = next((each for each in meant if each in others and each != callee.function.name), "")
    return f"{found} does that" if found else ""


def _keys_inside(value: Value) -> Iterator[str]:
    """Yield the keys of a table constructor and of those nested in it, in snake case, like parameter names."""
    for node in value.node.walk() if isinstance(value, Literal) and value.kind == "table" and value.node else ():
        if node.kind == "field" and (key := key_of(node)):
            yield snake(key)


def _instead_of(parameter: Parameter) -> set[str]:
    """Return the names of arguments that satisfy a required parameter: its own name, and names that can replace it."""
    return {parameter.name, parameter.unless, *parameter.inside[:1]}


def _arguments_by_name(
    arguments: Sequence[Node], names: list[str], evaluate: _Evaluate
) -> tuple[dict[str, tuple[Node, Value]] | None, bool]:
    """Return the arguments of a call by name, and whether these are certainly all of them."""
    if len(arguments) == 1 and names and _is_sequence(arguments[0]):
        return {names[0]: (arguments[0], evaluate(arguments[0]))}, True
    if len(arguments) == 1 and arguments[0].kind == "table_constructor":
        fields = [field for field in arguments[0].children if field.kind == "field"]
        keys = [key_of(field) for field in fields]
        given = {
            key: (value, evaluate(value))
            for key, field in zip(keys, fields, strict=True)
            if key is not None and (value := field.get("value")) and value.kind != "nil"
        }
        return given, None not in keys
    plain = [argument for argument in arguments if argument.kind != "nil"]
    values = [evaluate(argument) for argument in plain]
    if len(plain) < len(arguments) or any(
        argument.kind in ("function_call", "vararg_expression") for argument in plain
    ):
        return {}, False
    if len(plain) == 1 and not isinstance(values[0], (Literal, Undefined)):
        return {}, False  # it may be a table of named arguments
    if any(isinstance(value, Literal) and value.kind == "table" for value in values):
        return {}, False
    if len(plain) > len(names):
        return None, True
    return dict(zip(names, zip(plain, values, strict=True), strict=False)), True


def _is_sequence(node: Node) -> bool:
    """Return True if an expression is the constructor of a list with at least one item."""
    fields = node.children if node.kind == "table_constructor" else []
    return bool(fields) and all(field.kind == "field" and field.get("name") is None for field in fields)


def _misfit(callee: Callee, parameter: Parameter, node: Node, value: Value, evaluate: _Evaluate) -> Iterator[_Misuse]:
    name = parameter.name
    try:
        written = _json(value, evaluate)
        parameter.accept(written)
        yield from _without_scheme(callee, name, node, written)
        if isinstance(written, (dict, list)):
            yield from _undocumented(callee, parameter, node, written)
    except Mismatch as mismatch:
        hint = mismatch.hint or _id_meant(value, parameter, callee.function.parameters)
        yield _Misuse(node, f"{callee.path}: {name}{mismatch.where} {mismatch.problem}", hint)
    except _NotWritten:
        yield from _type_misuses(callee, parameter, node, value)
        yield from _misfits_inside(f"{callee.path}: {name}", parameter.checked or parameter.type, value, evaluate)
        return
    yield from _misspelt(parameter.type, value, evaluate)


def _without_scheme(callee: Callee, name: str, node: Node, written: object) -> Iterator[_Misuse]:
    """Yield a problem for each domain that is written where a name says that a URL belongs."""
    if isinstance(written, dict):
        for key, value in written.items():
            yield from _without_scheme(callee, f"{name}.{key}", node, value)
    elif isinstance(written, str) and _URL_NAME.search(name) and _DOMAIN.fullmatch(written):
        message = f"{callee.path}: {name} is a URL, and {written[:40]!r} has no scheme"
        yield _Misuse(node, message, f'"https://{written[:40]}"', is_likely=True)


def _id_of_another(parameter: Parameter, node: Node, value: Value, others: Mapping[str, Function]) -> Iterator[_Misuse]:
    """Yield the problem with an id from a result, such as ``deploy.id``, that a parameter for other ids refuses."""
    if not isinstance(value, Result) or value.part_of is None or not ID.fullmatch(example_of(parameter)):
        return
    name, example = id_of(value.part_of, others.values())
    try:
        parameter.accept(example or example_of(parameter))
    except Mismatch:
        message = (
            f"{parameter.name} takes an id such as {example_of(parameter)!r}, and {node.text[:40]} is one for {name}"
        )
        yield _Misuse(node, message, is_accepted=True)


def _misspelt(kind: Type, value: Value, evaluate: _Evaluate) -> Iterator[_Misuse]:
    """Yield a problem for each key in a table constructor that is similar to a declared key, but is none."""
    keys, item = record_keys(kind), item_of(kind)
    for field in _fields_of(value):
        key, inner = key_of(field) if field.get("name") else None, field.get("value")
        if keys is not None and key is not None and key not in keys:
            if near := near_field(kind, key):
                yield _Misuse(field, f"this table has no key '{key}'", f"did you mean '{near}'?", is_likely=True)
        elif inner and (part := field_of(kind, key) if key is not None else item):
            yield from _misspelt(part, evaluate(inner), evaluate)


def _undocumented(callee: Callee, parameter: Parameter, node: Node, written: object) -> Iterator[_Misuse]:
    """Yield the problem with a table that a call takes, but that does not fit the type which a document says."""
    try:
        parameter.type.accept(written)
    except Mismatch as mismatch:
        message = f"{callee.path}: by its document, {parameter.name}{mismatch.where} {mismatch.problem}"
        yield _Misuse(node, message, mismatch.hint, is_likely=True)


def _misfits_inside(place: str, kind: Type, table: Value, evaluate: _Evaluate) -> Iterator[_Misuse]:
    """Yield the problems with what is written inside a table constructor that also has parts which are not known."""
    kind, fields = table_in(kind), _fields_of(table)
    for index, field in enumerate(fields, start=1):
        key, inner = key_of(field) if field.get("name") else None, field.get("value")
        part = field_of(kind, key) if key is not None else None if field.get("name") else item_of(kind)
        if inner is None or part is None:
            continue
        value, where = evaluate(inner), f"{place}.{key}" if key is not None else f"{place}[{index}]"
        try:
            part.accept(_json(value, evaluate))
        except Mismatch as mismatch:
            yield _Misuse(inner, f"{where}{mismatch.where} {mismatch.problem}", mismatch.hint)
        except _NotWritten:
            yield from _misfits_inside(where, part, value, evaluate)
    yield from _misspelt(kind, table, evaluate)


def _fields_of(table: Value) -> Sequence[Node]:
    return table.node.children if isinstance(table, Literal) and table.kind == "table" and table.node else ()


def _type_misuses(callee: Callee, parameter: Parameter, node: Node, value: Value) -> Iterator[_Misuse]:
    """Yield the problems with an argument that is not a literal. At most the type of its value is known."""
    if isinstance(value, Result) and value.is_vague:
        return
    if isinstance(value, Literal) and value.counts and (own := _own_key(parameter.name, value.counts)):
        message = f"{node.text} is the place in the list, and each item has its own {own}"
        yield _Misuse(node, message, f"item.{own}", is_accepted=True)
    wanted, kind = parameter.type, kind_of(value)
    name, text = parameter.name, node.text[:40]
    if value is SCRIPT:
        yield _Misuse(node, f"{text} is the name of the script", "the first argument is arg[1]", is_accepted=True)
    if isinstance(value, Literal) and value.like:
        yield from _refused(callee, parameter, node, value.like)
    needs = "string" if is_text(wanted) else "number" if is_number(wanted) else "table" if is_list(wanted) else ""
    if kind == "table" and not needs and not takes_tables(wanted):
        needs = "value"
    if needs and kind not in ("", needs):
        field = next((each for each in (name, "id") if kind == "table" and has_field(value, each)), "")
        hint = f"{text}.{field}" if field else ""
        if kind == "number":
            hint = f"time.format({text})" if "T12:00:00Z" in wanted.words else f"tostring({text})"
        if needs == "table":
            hint = f"{{ {text} }}"
        message = f"{callee.path}: {name} must be {wanted.words}, not a {kind}"
        yield _Misuse(node, message, hint or "tonumber(text)" * (kind == "string"), is_likely=value is ARGUMENT)
    elif isinstance(value, Result) and value.part_of and name == "number" and value.part_of[1] == "id":
        yield _Misuse(node, "number takes the number of an issue or pull request, not an id", is_accepted=True)
    elif isinstance(value, Result) and (said := choices_of(value.type)) and _never_fits(said, wanted):
        hint = f"it is one of {listed(choices_of(wanted))}"
        yield _Misuse(node, f"{callee.path}: {name} is never one of the values of {value.source}", hint)
    elif isinstance(value, Result) and value.part_of and value.part_of[1] in ("name", "slug", "url"):
        example = example_of(parameter)
        if ID.fullmatch(example) and has_field(value._replace(type=value.part_of[0]), "id"):
            hint = f"{text.rpartition('.')[0] or 'item'}.id, such as {example!r}"
            yield _Misuse(node, f"{name} takes an id, not the {value.part_of[1]}", hint, is_accepted=True)


def _refused(callee: Callee, parameter: Parameter, node: Node, example: str) -> Iterator[_Misuse]:
    """Yield the problem with a text of which only the form is known."""
    try:
        parameter.accept(example)
    except Mismatch as mismatch:
        hint = "time.format(time.now() - 86400) is a time" if "T12:00:00Z" in parameter.type.words else ""
        yield _Misuse(node, f"{callee.path}: {parameter.name} {mismatch.problem}", hint)


def _never_fits(said: Sequence[object], wanted: Type) -> bool:
    allowed = choices_of(wanted)
    return bool(allowed) and not set(allowed) & set(said)


def _own_key(name: str, item: Type) -> str:
    """Return the key of the number by which a parameter names one of these items, or an empty string."""
    word = name.rpartition("_")[2]
    if word not in ("id", "number"):
        return ""
    keys = (name, re.sub("_([a-z])", lambda found: found[1].upper(), name), word)
    return next((key for key in keys if (field := field_of(item, key)) and is_number(field)), "")


def _id_meant(value: Value, parameter: Parameter, parameters: Sequence[Parameter]) -> str:
    """Return a hint for a text that is no id of the kind that a parameter takes, or an empty string."""
    text = value.value if isinstance(value, Literal) else None
    if not isinstance(text, str) or not ID.fullmatch(example_of(parameter)):
        return ""
    prefix = text.partition("-")[0]
    if other := next((each.name for each in parameters if example_of(each).startswith(f"{prefix}-")), ""):
        return f"it looks like an id for {other}"
    return "look the id up by name, in the result of a function that lists them"


def _json(value: Value, evaluate: _Evaluate) -> object:
    """Return the value of a literal argument, as the Python value that the function would receive."""
    if not isinstance(value, Literal) or (value.kind != "table" and value.value is None):
        raise _NotWritten
    if value.node is None or value.kind != "table":
        return value.value
    fields = [field for field in value.node.children if field.kind == "field"]
    keys = [key_of(field) if field.get("name") else None for field in fields]
    if len(fields) < len(value.node.children) or any(field.get("name") and key_of(field) is None for field in fields):
        raise _NotWritten
    items = [_json(evaluate(inner), evaluate) for field in fields if (inner := field.get("value"))]
    if all(key is None for key in keys):
        return items if items else {}
    if None in keys:
        raise _NotWritten
    return dict(zip(keys, items, strict=True))
