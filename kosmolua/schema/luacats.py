"""LuaCATS: writes declarations of functions, arguments and results in Lua, for editors and language models.

The annotations are described at https://luals.github.io/wiki/annotations/.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile

from kosmolua.expressions import regex
from kosmolua.protocol import Json
from kosmolua.schema.arguments import Parameter
from kosmolua.schema.function import FULL, Function
from kosmolua.schema.names import KEYWORDS
from kosmolua.schema.sessions import SessionFunction
from kosmolua.schema.types import Choice, List, Map, Record, Scalar, Type, Union, types_inside, types_of_keys

_BETWEEN_VALUES = regex(r"\.\.|[\s']")
_NAME = regex(rf"(?!(?:{'|'.join(KEYWORDS)})\Z)[A-Za-z_][A-Za-z0-9_]*")
_CODE = regex(r"(?<!\\)((?:\\\\)*\\u)([0-9a-f]{4})")
"""Matches how JSON writes a control character, which Lua writes in braces."""
_EXTRA = "table<string, any>"


def description(parameter: Parameter, *, with_choices: bool = True, spelling: str = "") -> str:
    """Return a parameter's sentence, with what it does not mention in parentheses.

    These are ``spelling``, the type's choices (unless ``with_choices`` is false) and bounds, the default, and the
    parameter that can be passed instead.
    """
    sentence = _one_line(parameter.about)
    added = [f"`{spelling}`"] if spelling else []
    choices = choices_in(parameter.type) if with_choices else ()
    if not all(str(choice) in sentence for choice in choices):
        added.append("one of " + ", ".join(map(literal, choices)))
    added += _unsaid_bounds(parameter.type, sentence)
    if not parameter.required and parameter.default is not None and "default" not in sentence.lower():
        added.append(f"default: {literal(parameter.default)}")
    if parameter.unless and parameter.unless not in sentence:
        added.append(f"not needed with {parameter.unless}")
    return _added(sentence, added)


def _about_key(record: Record, key: str) -> str:
    """Return the sentence of a record's key, with bounds and default that it does not mention in parentheses."""
    sentence = _one_line(record.about.get(key, ""))
    has_default = key in record.defaults and "default" not in sentence.lower()
    default = [f"default: {literal(record.defaults[key])}"] if has_default else []
    return _added(sentence, [*_unsaid_bounds(record.fields[key], sentence), *default])


def _one_line(about: str) -> str:
    return " ".join(prose(about).split())


def _added(sentence: str, extras: Sequence[str]) -> str:
    if not extras:
        return sentence
    added = ", ".join(extras)
    if not sentence:
        return f"{added[0].upper()}{added[1:]}."
    stop = "." if sentence.endswith(".") else ""
    return f"{sentence.removesuffix('.')} ({added}){stop}"


def _unsaid_bounds(kind: Type, sentence: str) -> list[str]:
    """Return a type's bounds, in words, whose last word, such as ``100`` of ``in 1..100``, is not in a sentence."""
    return [bound for bound in bounds_in(kind) if [*filter(None, _BETWEEN_VALUES.split(bound))][-1] not in sentence]


def prose(text: str) -> str:
    """Convert a docstring to Markdown: double backticks become single ones."""
    return text.replace("``", "`")


def choices_in(kind: Type) -> tuple[Json, ...]:
    """Return the values of the first :class:`Choice` in a type; empty if there is none."""
    if isinstance(kind, Choice):
        return kind.values
    return next(filter(None, map(choices_in, types_inside(kind))), ())


def bounds_in(kind: Type) -> tuple[str, ...]:
    """Return a type's bounds in words, such as ``of length 1..5``, and those of its items, ``each in 1..9``."""
    own = [bound.words for bound in kind.bounds] if isinstance(kind, (Scalar, List, Map)) else []
    inside = [bound for part in types_inside(kind) for bound in bounds_in(part)]
    if isinstance(kind, (List, Map)):
        inside = [f"each {bound.removeprefix('each ')}" for bound in inside]
    return tuple(dict.fromkeys([*own, *inside]))


def is_compound(kind: Type) -> bool:
    """Return True if values of a type can be lists or tables."""
    return isinstance(kind, (List, Map, Record)) or any(map(is_compound, types_inside(kind)))


def label(kind: Type) -> str:
    """Return the JSON type in words, such as ``integer`` or ``string or array``."""
    if isinstance(kind, Union):
        return " or ".join(dict.fromkeys(label(member) for member in kind.members))
    if isinstance(kind, Scalar):
        return kind.kind
    if isinstance(kind, Choice):
        return " or ".join(dict.fromkeys(_LABELS.get(type(value), "any") for value in kind.values)) or "any"
    return "array" if isinstance(kind, List) else "object"


_LABELS = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


def literal(value: object) -> str:
    """Return a JSON value as a Lua literal."""
    if isinstance(value, Mapping):
        keys = {key: str(key) if _NAME.fullmatch(str(key)) else f"[{literal(str(key))}]" for key in value}
        return _braced(f"{keys[key]} = {literal(item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _braced(map(literal, value))
    return "nil" if value is None else _CODE.sub(r"\1{\2}", json.dumps(value, ensure_ascii=False))


def _braced(items: Iterator[str]) -> str:
    inside = ", ".join(items)
    return f"{{ {inside} }}" if inside else "{}"


def argument_types(functions: Iterable[Function], namespace: str) -> Iterator[str]:
    """Yield declarations of the argument tables of one integration's functions, and of the choices in them."""
    for function in functions:
        for parameter in function.parameters:
            if choices := choices_in(parameter.type):
                lines = [f"---| {literal(choice)}" for choice in choices]
                yield "\n".join([f"---@alias {_alias(function, parameter, namespace)}", *lines])
        fields = [
            field(
                parameter.name,
                _argument(function, parameter, namespace),
                description(parameter, with_choices=False),
                may_be_absent=parameter.may_be_absent,
            )
            for parameter in function.parameters
        ]
        if function.extra:
            fields.append(field("extra", _EXTRA, "What the function does not describe.", may_be_absent=True))
        if fields:
            yield class_of(_arguments(function, namespace), "", fields)
        if function.reply:
            yield class_of(_of_whole_reply(function, namespace), "", [field(function.reply, literal(FULL))])
            whole = {"status": "integer", "headers": "table<string, string>", "body": returned(function, namespace)}
            yield class_of(
                f"{_arguments(function, namespace)}.{FULL}.reply", "", [field(key, whole[key]) for key in whole]
            )


def record_types(functions: Iterable[Function], namespace: str) -> Iterator[str]:
    """Yield a declaration of each record that one integration's functions take or return."""
    kinds: list[Type] = []
    for function in functions:
        kinds += [parameter.type for parameter in function.parameters]
        kinds += [function.returns] if function.returns else []
    return (record_class(record, namespace) for record in records_by_depth(kinds))


def record_class(record: Record, namespace: str) -> str:
    """Declare a record as a LuaCATS class."""
    fields = [
        field(key, kind.spell(namespace), _about_key(record, key), may_be_absent=key not in record.required)
        for key, kind in record.fields.items()
    ]
    return class_of(record.spell(namespace), "", fields)


def function_stub(function: Function, namespace: str, holder: str) -> str:
    """Define a function in Lua for editors, without a body, as a field of the Lua variable ``holder``."""
    lines = [f"---{line}".rstrip() for line in [*prose(function.doc).splitlines(), "", f"Effect: {function.effect}."]]
    if function.parameters or function.extra:
        mark = "?" if all(parameter.may_be_absent for parameter in function.parameters) else ""
        lines.append(f"---@param args{mark} {_arguments(function, namespace)}")
    lines.append(f"---@return {returned(function, namespace)}")
    lines += _overload(function, namespace)
    if function.reply:
        name = _of_whole_reply(function, namespace).partition(":")[0]
        lines.append(f"---@overload fun(args: {name}): {_arguments(function, namespace)}.{FULL}.reply")
    arguments = "args" if function.parameters or function.extra else ""
    return "\n".join([*lines, f"function {holder}.{function.name}({arguments}) end"])


def returned(function: Function, namespace: str) -> str:
    """Return the type of a function's result, ``any`` if it is not declared."""
    if isinstance(function, SessionFunction):
        return f"{namespace}.account"
    return function.returns.spell(namespace) if function.returns else "any"


def class_of(name: str, about: str, fields: Iterable[str]) -> str:
    """Declare a LuaCATS class.

    A colon and the names of its parents can follow the name; the fields are as :func:`field` returns them.
    """
    return "\n".join([*([f"---{about}"] if about else []), f"---@class {name}", *fields])


def field(name: str, kind: str, about: str = "", *, may_be_absent: bool = False) -> str:
    """Annotate one field of a LuaCATS class; ``kind`` is its type in LuaCATS."""
    plain = name.isidentifier() and name.isascii() and name not in KEYWORDS
    key = name if plain else f"[{literal(name)}]"
    return f"---@field {key}{'?' if may_be_absent else ''} {kind} {about}".rstrip()


def records_by_depth(kinds: Iterable[Type]) -> Iterator[Record]:
    """Yield all records in some types and in each other, each once, the outer ones first.

    The fields of each are read when the next is needed.
    """
    seen: set[str] = set()
    left = deque(kinds)
    while left:
        kind = left.popleft()
        left.extendleft(reversed(types_inside(kind)))
        if isinstance(kind, Record) and kind.name not in seen:
            seen.add(kind.name)
            yield kind
            left.extend(types_of_keys(kind))


def _alias(function: Function, parameter: Parameter, namespace: str) -> str:
    return f"{namespace}.{function.name}.{parameter.name}"


def _arguments(function: Function, namespace: str) -> str:
    return f"{namespace}.{function.name}.args"


def _of_whole_reply(function: Function, namespace: str) -> str:
    """Return the class of the arguments of a call that wants the whole reply, with its parent."""
    name = _arguments(function, namespace)
    return f"{name}.{FULL}: {name}"


def _argument(function: Function, parameter: Parameter, namespace: str) -> str:
    return parameter.type.spell(namespace, _alias(function, parameter, namespace))


def _overload(function: Function, namespace: str) -> list[str]:
    """Return the lines that annotate positional calls; none if the function takes no positional arguments."""
    plain = [*takewhile(lambda parameter: _is_plain(parameter.type), function.parameters)]
    if not plain or not all(parameter.may_be_absent for parameter in function.parameters[len(plain) :]):
        return []
    arguments = [
        f"{parameter.name}{'_' if parameter.name in KEYWORDS else ''}{'?' if parameter.may_be_absent else ''}: "
        f"{_argument(function, parameter, namespace)}"
        for parameter in plain
    ]
    return [f"---@overload fun({', '.join(arguments)}): {returned(function, namespace)}"]


def _is_plain(kind: Type) -> bool:
    return isinstance(kind, Choice) or (isinstance(kind, Scalar) and kind.kind != "any")
