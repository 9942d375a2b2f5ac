"""Annotations: the type that one stands for, and what else it says."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

from kosmolua.schema.types import ANY, BOOLEAN, INTEGER, NUMBER, STRING, Bound, Mismatch, Record, Type, must_be, one_of
from kosmolua.suggestions import did_you_mean

_SCALARS: dict[object, Type] = {
    int: INTEGER,
    float: NUMBER,
    str: STRING,
    bool: BOOLEAN,
    Any: ANY,
    object: ANY,
}
_KEY_MARKS = ("Required", "NotRequired", "ReadOnly")
_LISTS = (list, Sequence, tuple)
_MAPS = (dict, Mapping)
_TABLES: dict[type, str] = {list: "array", dict: "object"}
_UNIONS = (Union, types.UnionType)
_Known: TypeAlias = dict[object, Type]
"""The records that are being read, since one may contain itself."""


class Uncarriable(TypeError):
    """An annotation that Lua has no value for, or whose bounds fit none.

    Args:
        problem: What is wrong with it.
        hint: What to write in its place.
    """

    def __init__(self, problem: str, hint: str | None = None) -> None:
        super().__init__(problem)
        self.hint = hint


def type_of(annotation: object) -> Type:
    """Return the type that an annotation stands for.

    Args:
        annotation: ``int``, ``float``, ``str``, ``bool``, ``Literal``, ``list[T]``, ``tuple[T, ...]``,
            ``dict[str, T]``, a ``TypedDict``, ``T | None``, a union of these, ``Any``, or ``Annotated`` with bounds.

    Raises:
        Uncarriable: Lua has no such value, or a bound restricts nothing in it.
    """
    return _read(annotation, {})


def _read(annotation: object, known: _Known) -> Type:
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotated(arguments[0], [extra for extra in arguments[1:] if isinstance(extra, Bound)], known)
    if origin is Literal:
        return _choice(arguments)
    if origin in _UNIONS:
        return _union(arguments, [], known)
    if annotation in _LISTS or origin in _LISTS:
        return _list(_read(_item(annotation), known))
    if annotation in _MAPS or origin in _MAPS:
        return _map(arguments, known)
    if typing.is_typeddict(annotation):
        return known.get(annotation) or _record(annotation, known)
    hint = "write str, and carry them as base64" if annotation in (bytes, bytearray) else None
    raise Uncarriable(f"Lua cannot carry {getattr(annotation, '__name__', annotation)}", hint)


def _item(annotation: object) -> object:
    item, *rest = get_args(annotation) or (Any, ...)
    if get_origin(annotation) is tuple and rest != [...]:
        raise Uncarriable("Lua cannot carry a tuple of a fixed length", "write list[T] or a TypedDict")
    return item


def optional(annotation: object) -> bool:
    """Say whether an annotation allows None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return optional(get_args(annotation)[0])
    return origin in _UNIONS and type(None) in get_args(annotation)


def sentence(annotation: object) -> str:
    """Return the first string inside an ``Annotated``, or nothing."""
    if get_origin(annotation) is not Annotated:
        return ""
    return next((extra for extra in get_args(annotation)[1:] if isinstance(extra, str)), "")


def _annotated(annotation: object, bounds: Sequence[Bound], known: _Known) -> Type:
    members = get_args(annotation) if get_origin(annotation) in _UNIONS else (annotation,)
    return _union(members, bounds, known)


def _union(members: Sequence[object], bounds: Sequence[Bound], known: _Known) -> Type:
    parts = [_read(member, known) for member in members if member is not type(None)]
    for bound in bounds:
        if not any(map(bound.suits, parts)):
            raise _unsuitable(bound, parts)
    parts = [_bounded(part, [bound for bound in bounds if bound.suits(part) and not part.choices]) for part in parts]
    kind = parts[0] if len(parts) == 1 else _any_of(parts)
    return _nullable(kind) if type(None) in members else kind


def _unsuitable(bound: Bound, parts: Sequence[Type]) -> Uncarriable:
    has_items = any(part.label in ("array", "object") for part in parts)
    hint = "bound what is inside, as in list[Annotated[T, ...]]" if has_items else f"only a {bound.of} can"
    return Uncarriable(f"{_either(parts)} cannot be {bound.expected}", hint)


def _either(parts: Sequence[Type]) -> str:
    return " or ".join(part.article for part in parts)


def _nullable(kind: Type) -> Type:
    return replace(kind, accept=lambda value: None if value is None else kind.accept(value))


def _bounded(inner: Type, bounds: Sequence[Bound]) -> Type:
    if not bounds:
        return inner

    def accept(value: object) -> object:
        try:
            fitting = inner.accept(value)
        except Mismatch as mismatch:
            if mismatch.where:
                raise
            raise must_be(article, value) from None
        if fitting is not None and not all(bound.holds(fitting) for bound in bounds):
            raise must_be(article, fitting)
        return fitting

    kind = [] if any(bound.choices for bound in bounds) else [inner.article]
    article = " ".join([*kind, *(bound.expected for bound in bounds)])
    choices = next((bound.choices for bound in bounds if bound.choices), inner.choices)
    spelling = "|".join(f'"{choice}"' for choice in choices) if choices else inner.lua
    said = inner.bounds + tuple(bound.expected for bound in bounds if not bound.choices)
    example = next((bound.example for bound in bounds if bound.example is not None), inner.example)
    return replace(inner, lua=spelling, article=article, accept=accept, choices=choices, bounds=said, example=example)


def _choice(choices: tuple[object, ...]) -> Type:
    if not all(isinstance(choice, str) for choice in choices):
        raise Uncarriable("a Literal must list strings only")
    return _bounded(STRING, [one_of(*map(str, choices))])


def _any_of(parts: Sequence[Type]) -> Type:
    article = _either(parts)

    def accept(value: object) -> object:
        # Digits are text where text is allowed too.
        for part in sorted(parts, key=lambda part: part.label == "integer") if isinstance(value, str) else parts:
            try:
                return part.accept(value)
            except Mismatch:
                continue
        same = [part for part in parts if part.label == _TABLES.get(type(value))]
        if len(same) == 1:
            same[0].accept(value)  # says what inside it does not fit
        raise must_be(article, value)

    return Type("any", "|".join(part.lua for part in parts), article, accept, tuple(parts))


def _list(item: Type) -> Type:
    def accept(value: object) -> object:
        if value == {}:
            return []
        if not isinstance(value, (list, tuple)):
            raise must_be("a list", value)
        return [_within(item, each, f"[{index}]") for index, each in enumerate(value, start=1)]

    spelling = f"({item.lua})[]" if "|" in item.lua else f"{item.lua}[]"
    return Type("array", spelling, "a list", accept, (item,))


def _map(arguments: tuple[object, ...], known: _Known) -> Type:
    if arguments and arguments[0] is not str:
        raise Uncarriable("the keys of a dict must be str")
    item = _read(arguments[1], known) if arguments else ANY

    def accept(value: object) -> object:
        if value == []:
            return {}
        if not isinstance(value, dict):
            raise must_be("a table with string keys", value)
        return {key: _within(item, each, f".{key}") for key, each in value.items()}

    return Type("object", f"table<string, {item.lua}>", "a table with string keys", accept, (item,))


def _record(annotation: Any, known: _Known) -> Type:
    fields: dict[str, Type] = {}
    keys = _keys_of(annotation)
    record = _described(annotation, keys, fields)

    def accept(value: object) -> object:
        value = {} if value == [] else value
        if not isinstance(value, dict):
            raise must_be(f"a table with the keys {', '.join(fields)}", value)
        _check_keys(record, value)
        present = [key for key in fields if key in value or key in record.filled]
        return {key: _within(fields[key], value.get(key), f".{key}") for key in present}

    known[annotation] = Type("object", record.name, "a table", accept, record=record)
    fields.update((key, _read(hint, known)) for key, (hint, _) in keys.items())
    return known[annotation]


def _keys_of(annotation: Any) -> dict[str, tuple[object, bool]]:
    """Return for each key of a TypedDict its annotation, and whether it has to be there."""
    keys = {}
    for key, hint in typing.get_type_hints(annotation, include_extras=True).items():
        mark = getattr(get_origin(hint), "_name", None)
        needed = mark != "NotRequired" and (mark == "Required" or key in annotation.__required_keys__)
        keys[key] = (get_args(hint)[0] if mark in _KEY_MARKS else hint, needed)
    return keys


def _described(annotation: Any, keys: Mapping[str, tuple[object, bool]], fields: Mapping[str, Type]) -> Record:
    about = {key: said for key, (hint, _) in keys.items() if (said := sentence(hint))}
    needed = frozenset(key for key, (_, needed) in keys.items() if needed)
    filled = frozenset(key for key in needed if optional(keys[key][0]))
    return Record(annotation.__name__, fields, about, needed - filled, filled)


def _check_keys(record: Record, value: Mapping[str, object]) -> None:
    for key in sorted(map(str, value.keys() - record.fields.keys())):
        hint = did_you_mean(key, record.fields) or f"its keys are {', '.join(record.fields)}"
        raise Mismatch(f"has no key {key[:80]!r} ({hint})")
    for key in sorted(record.required - value.keys()):
        raise Mismatch(f"needs the key {key!r}")


def _within(inner: Type, value: object, where: str) -> object:
    try:
        return inner.accept(value)
    except Mismatch as mismatch:
        raise Mismatch(mismatch.problem, where + mismatch.where) from None
