"""LuaCATS: how an integration's functions, arguments and results are declared for editors and for models.

The annotations are those of https://luals.github.io/wiki/annotations/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kosmolua.schema.arguments import Parameter
from kosmolua.schema.function import Function
from kosmolua.schema.names import KEYWORDS
from kosmolua.schema.types import Record, Type

_BETWEEN_VALUES = re.compile(r"\.\.|[\s']")
_NAME = re.compile(r"[A-Za-z_]\w*")


def description(parameter: Parameter, *, with_choices: bool = True, spelling: str = "") -> str:
    """Return a parameter's sentence, with its choices, bounds and default added where it does not say them itself.

    Args:
        parameter: What to describe.
        with_choices: Whether to say its choices.
        spelling: How its type is spelled, where that is to be said too.
    """
    sentence = _one_line(parameter.about)
    choices = _unsaid_choices(parameter, sentence) if with_choices else ()
    return _added(sentence, [*([f"`{spelling}`"] if spelling else []), *choices, *_unsaid(parameter, sentence)])


def with_bounds(about: str, kind: Type) -> str:
    """Return the sentence of a key, with the bounds of its type added where it does not say them itself."""
    sentence = _one_line(about)
    return _added(sentence, list(_unsaid_bounds(kind, sentence)))


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


def _unsaid_choices(parameter: Parameter, sentence: str) -> Iterator[str]:
    choices = choices_in(parameter.type)
    if not all(choice in sentence for choice in choices):
        yield "one of " + ", ".join(map(literal, choices))


def _unsaid(parameter: Parameter, sentence: str) -> Iterator[str]:
    yield from _unsaid_bounds(parameter.type, sentence)
    if not parameter.required and parameter.default is not None and "default" not in sentence.lower():
        yield f"default: {literal(parameter.default)}"
    if parameter.unless and parameter.unless not in sentence:
        yield f"not needed with {parameter.unless}"


def _unsaid_bounds(kind: Type, sentence: str) -> Iterator[str]:
    return (bound for bound in bounds_in(kind) if _last_value(bound) not in sentence)


def _last_value(bound: str) -> str:
    return [part for part in _BETWEEN_VALUES.split(bound) if part][-1]


def prose(text: str) -> str:
    """Return the text of a docstring as Markdown: code that reStructuredText has in two backticks has one."""
    return text.replace("``", "`")


def choices_in(kind: Type) -> tuple[str, ...]:
    """Return the only strings that fit a type, or its items where it is a list or a union; none where any fit."""
    if kind.record or kind.choices:
        return kind.choices
    return next(filter(None, map(choices_in, kind.parts)), ())


def bounds_in(kind: Type) -> tuple[str, ...]:
    """Return the bounds of a type and those of what is inside it, as in ``each in 1..9``."""
    inside = [bound for part in kind.parts for bound in bounds_in(part)]
    if kind.label in ("array", "object"):
        inside = [f"each {bound.removeprefix('each ')}" for bound in inside]
    return tuple(dict.fromkeys([*kind.bounds, *inside]))


def is_compound(kind: Type) -> bool:
    """Say whether a type is a list or a table, or may be one."""
    return kind.label in ("array", "object") or any(map(is_compound, kind.parts))


def label(kind: Type) -> str:
    """Return the word for a type in a reference table: ``integer``, or ``string or array`` where either fits."""
    if kind.label != "any" or not kind.parts:
        return kind.label
    return " or ".join(dict.fromkeys(label(part) for part in kind.parts))


def literal(value: object) -> str:
    """Return a JSON value as Lua writes it."""
    if isinstance(value, Mapping):
        return _braced(f"{_key(str(key))} = {literal(item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _braced(map(literal, value))
    return "nil" if value is None else json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if _NAME.fullmatch(name) else f"[{literal(name)}]"


def _braced(items: Iterator[str]) -> str:
    inside = ", ".join(items)
    return f"{{ {inside} }}" if inside else "{}"


def argument_types(functions: Iterable[Function], namespace: str) -> Iterator[str]:
    """Yield the declarations of the argument tables of these functions, and of the choices that they name.

    Args:
        functions: Of one integration.
        namespace: What the names start with, such as ``render2``.
    """
    for function in functions:
        yield from _aliases(function, namespace)
        if function.parameters:
            yield _argument_class(function, namespace)


def record_types(functions: Iterable[Function], namespace: str) -> Iterator[str]:
    """Yield the declarations of the records that these functions take or return, each once."""
    kinds = [kind for function in functions for kind in _types_of(function)]
    return (record_class(record, namespace) for record in records_in(kinds))


def function_stub(function: Function, namespace: str, holder: str) -> str:
    """Return the documented, empty definition of a function.

    Args:
        function: What to declare.
        namespace: What the names of its types start with.
        holder: The Lua variable that the function is a field of.
    """
    lines = [f"---{line}".rstrip() for line in [*prose(function.doc).splitlines(), "", f"Effect: {function.effect}."]]
    if function.parameters:
        lines.append(f"---@param args{_mark(function)} {_arguments_name(function, namespace)}")
    lines.append(f"---@return {returned(function, namespace)}")
    lines += _positional(function, namespace)
    arguments = "args" if function.parameters else ""
    return "\n".join([*lines, f"function {holder}.{function.name}({arguments}) end"])


def returned(function: Function, namespace: str) -> str:
    """Return the spelling of a function's result."""
    return spell(function.returns, namespace) if function.returns else "any"


def spell(kind: Type, namespace: str, choices: str = "") -> str:
    """Return the spelling of a type.

    Args:
        kind: The type.
        namespace: What the names of records start with, or nothing.
        choices: What stands for the choices in the type, if they are not to be spelled out.
    """
    if kind.record:
        return f"{namespace}.{kind.record.name}" if namespace else kind.record.name
    if not kind.parts:
        return choices if kind.choices and choices else kind.lua
    parts = [spell(part, namespace, choices) for part in kind.parts]
    if kind.label == "array":
        return f"({parts[0]})[]" if "|" in parts[0] else f"{parts[0]}[]"
    return f"table<string, {parts[0]}>" if kind.label == "object" else "|".join(parts)


def class_of(name: str, about: str, fields: Iterable[str]) -> str:
    """Return the declaration of a class.

    Args:
        name: The class, and after a colon its parents.
        about: One line.
        fields: As :func:`field` returns them.
    """
    return "\n".join([*([f"---{about}"] if about else []), f"---@class {name}", *fields])


def field(name: str, kind: str, about: str = "", *, may_be_absent: bool = False) -> str:
    """Return the annotation of one field of a class."""
    plain = name.isidentifier() and name.isascii() and name not in KEYWORDS
    key = name if plain else f"[{literal(name)}]"
    return f"---@field {key}{'?' if may_be_absent else ''} {kind} {about}".rstrip()


def _types_of(function: Function) -> list[Type]:
    kinds = [parameter.type for parameter in function.parameters]
    return [*kinds, function.returns] if function.returns else kinds


def records_in(kinds: Iterable[Type]) -> list[Record]:
    """Return the records in some types and those inside them, each once, though it may contain itself."""
    found: dict[str, Record] = {}
    _find_records(kinds, found)
    return list(found.values())


def _find_records(kinds: Iterable[Type], found: dict[str, Record]) -> None:
    for kind in kinds:
        _find_records(kind.parts, found)
        if kind.record and kind.record.name not in found:
            found[kind.record.name] = kind.record
            _find_records(kind.record.fields.values(), found)


def _aliases(function: Function, namespace: str) -> Iterator[str]:
    for parameter in function.parameters:
        choices = [f"---| {literal(choice)}" for choice in choices_in(parameter.type)]
        if choices:
            yield "\n".join([f"---@alias {_alias_name(function, parameter, namespace)}", *choices])


def _alias_name(function: Function, parameter: Parameter, namespace: str) -> str:
    return f"{namespace}.{function.name}.{parameter.name}"


def _arguments_name(function: Function, namespace: str) -> str:
    return f"{namespace}.{function.name}.args"


def _argument_class(function: Function, namespace: str) -> str:
    fields = [
        field(
            parameter.name,
            _argument(function, parameter, namespace),
            description(parameter, with_choices=False),
            may_be_absent=parameter.may_be_absent,
        )
        for parameter in function.parameters
    ]
    return class_of(_arguments_name(function, namespace), "", fields)


def _argument(function: Function, parameter: Parameter, namespace: str) -> str:
    return spell(parameter.type, namespace, _alias_name(function, parameter, namespace))


def record_class(record: Record, namespace: str) -> str:
    """Return the declaration of a record."""
    fields = [
        field(
            key,
            spell(kind, namespace),
            with_bounds(record.about.get(key, ""), kind),
            may_be_absent=key not in record.required,
        )
        for key, kind in record.fields.items()
    ]
    return class_of(f"{namespace}.{record.name}", "", fields)


def _mark(function: Function) -> str:
    return "?" if all(parameter.may_be_absent for parameter in function.parameters) else ""


def _positional(function: Function, namespace: str) -> list[str]:
    values = list(_plain_values(function.parameters))
    if not values or not all(parameter.may_be_absent for parameter in function.parameters[len(values) :]):
        return []
    names = ", ".join(_positional_argument(function, parameter, namespace) for parameter in values)
    return [f"---@overload fun({names}): {returned(function, namespace)}"]


def _positional_argument(function: Function, parameter: Parameter, namespace: str) -> str:
    name = f"{parameter.name}_" if parameter.name in KEYWORDS else parameter.name
    return f"{name}{'?' if parameter.may_be_absent else ''}: {_argument(function, parameter, namespace)}"


def _plain_values(parameters: Sequence[Parameter]) -> Iterator[Parameter]:
    for parameter in parameters:
        if parameter.type.label in ("array", "object", "any"):
            return
        yield parameter
