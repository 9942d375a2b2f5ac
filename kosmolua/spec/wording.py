"""Wording: how a parameter and its type read in a reference, and how a default is written in Lua."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from kosmolua.spec.parameter import Parameter
from kosmolua.spec.types import Type

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
