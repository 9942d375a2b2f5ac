"""Converts Python annotations to types of the schema."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin
from weakref import WeakKeyDictionary

from kosmolua.schema.bounds import Bound
from kosmolua.schema.types import (
    ANY,
    BOOLEAN,
    INTEGER,
    NUMBER,
    SECRET,
    STRING,
    Choice,
    List,
    Map,
    Record,
    Scalar,
    Type,
    Union,
)
from kosmolua.secret import Secret

_SCALARS: dict[object, Type] = {
    int: INTEGER,
    float: NUMBER,
    str: STRING,
    bool: BOOLEAN,
    Secret: SECRET,
    Any: ANY,
    object: ANY,
}
_KEY_MARKS = ("Required", "NotRequired", "ReadOnly")
_LISTS = (list, Sequence, tuple)
_MAPS = (dict, Mapping)
_UNIONS = (typing.Union, types.UnionType)
_Known: TypeAlias = dict[object, Record]
"""The records that are being converted, by their TypedDict. A record that contains itself is looked up here."""
_records: WeakKeyDictionary[object, Record] = WeakKeyDictionary()
"""The converted records by their TypedDict, kept because many functions take or return the same record."""
_Restriction: TypeAlias = Bound | Choice
"""A restriction inside ``Annotated``. A choice replaces the string type that it restricts."""


class Uncarriable(TypeError):
    """An annotation cannot be used: its values cannot be passed to Lua, or one of its bounds restricts nothing."""

    def __init__(self, problem: str, hint: str | None = None) -> None:
        super().__init__(problem)
        self.hint = hint


def type_of(annotation: object) -> Type:
    """Return the type of the schema that corresponds to a Python annotation.

    Args:
        annotation: ``int``, ``float``, ``str``, ``bool``, ``Literal``, ``list[T]``, ``tuple[T, ...]``,
            ``dict[str, T]``, a ``TypedDict``, ``T | None``, a union of these, ``Any``, ``Secret``, or ``Annotated``
            with bounds.

    Raises:
        Uncarriable: Such values cannot be passed to Lua, or a bound does not apply to any of them.
    """
    known: _Known = {}
    kind = _read(annotation, known)
    _records.update(known)
    return kind


def optional(annotation: object) -> bool:
    """Return True if an annotation allows None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return optional(get_args(annotation)[0])
    return origin in _UNIONS and type(None) in get_args(annotation)


def sentence(annotation: object) -> str:
    """Return the first string inside ``Annotated``, or an empty string."""
    if get_origin(annotation) is not Annotated:
        return ""
    return next((extra for extra in get_args(annotation)[1:] if isinstance(extra, str)), "")


def _read(annotation: object, known: _Known) -> Type:
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner, *extras = arguments
        members = get_args(inner) if get_origin(inner) in _UNIONS else (inner,)
        return _union(members, [extra for extra in extras if isinstance(extra, (Bound, Choice))], known)
    if origin is Literal:
        if not all(isinstance(choice, str) for choice in arguments):
            raise Uncarriable("a Literal must list strings only")
        return Choice(arguments)
    if origin in _UNIONS:
        return _union(arguments, [], known)
    if annotation in _LISTS or origin in _LISTS:
        return List(_read(_item(annotation), known))
    if annotation in _MAPS or origin in _MAPS:
        if arguments and arguments[0] is not str:
            raise Uncarriable("the keys of a dict must be str")
        return Map(_read(arguments[1], known) if arguments else ANY)
    if typing.is_typeddict(annotation):
        return known.get(annotation) or _records.get(annotation) or _record(annotation, known)
    hint = "write str, and pass the bytes as base64" if annotation in (bytes, bytearray) else None
    name = getattr(annotation, "__name__", annotation)
    raise Uncarriable(f"values of type {name} cannot be passed between Lua and Python", hint)


def _item(annotation: object) -> object:
    item, *rest = get_args(annotation) or (Any, ...)
    if get_origin(annotation) is tuple and rest != [...]:
        problem = "a tuple of a fixed length cannot be passed between Lua and Python"
        raise Uncarriable(problem, "write list[T] or a TypedDict")
    return item


def _union(members: Sequence[object], restrictions: Sequence[_Restriction], known: _Known) -> Type:
    parts = [_read(member, known) for member in members if member is not type(None)]
    for restriction in restrictions:
        if not any(_suits(restriction, part) for part in parts):
            raise _unsuitable(restriction, parts)
    parts = [_restricted(part, [each for each in restrictions if _suits(each, part)]) for part in parts]
    kind = parts[0] if len(parts) == 1 else Union(tuple(parts))
    return replace(kind, nullable=True) if type(None) in members else kind


def _suits(restriction: _Restriction, kind: Type) -> bool:
    """Return True if a bound, or a choice such as ``one_of("asc", "desc")``, can restrict the values of a type."""
    word = "list" if isinstance(kind, List) else "string" if isinstance(kind, Choice) else ""
    if isinstance(kind, Scalar):
        word = "number" if kind.kind == "integer" else kind.kind
    return word in _restricts(restriction).split(" or ")


def _restricts(restriction: _Restriction) -> str:
    """Return the kinds of values that a bound or choice applies to, as in ``string or list``."""
    return restriction.of if isinstance(restriction, Bound) else "string"


def _restricted(kind: Type, restrictions: Sequence[_Restriction]) -> Type:
    bounds = tuple(each for each in restrictions if isinstance(each, Bound))
    choice = next((each for each in restrictions if isinstance(each, Choice)), None)
    if isinstance(kind, (Scalar, List)) and not choice:
        return replace(kind, bounds=kind.bounds + bounds) if bounds else kind
    if isinstance(kind, Scalar) and choice:
        values = tuple(each for each in choice.values if all(bound.holds(each) for bound in kind.bounds + bounds))
        return Choice(values, nullable=kind.nullable)
    return kind


def _unsuitable(restriction: _Restriction, parts: Sequence[Type]) -> Uncarriable:
    has_items = any(isinstance(part, (List, Map, Record)) for part in parts)
    inside = "bound what is inside, as in list[Annotated[T, ...]]"
    hint = inside if has_items else f"only a {_restricts(restriction)} can"
    return Uncarriable(f"{' or '.join(part.words for part in parts)} cannot be {restriction.words}", hint)


def _record(annotation: Any, known: _Known) -> Record:
    keys = _keys_of(annotation)
    must = frozenset(key for key, (_, must) in keys.items() if must)
    filled = frozenset(key for key in must if optional(keys[key][0]))
    about = {key: said for key, (hint, _) in keys.items() if (said := sentence(hint))}
    fields: dict[str, Type] = {}
    known[annotation] = Record(annotation.__name__, fields, about, required=must - filled, filled=filled)
    fields.update((key, _read(hint, known)) for key, (hint, _) in keys.items())
    return known[annotation]


def _keys_of(annotation: Any) -> dict[str, tuple[object, bool]]:
    keys = {}
    for key, hint in typing.get_type_hints(annotation, include_extras=True).items():
        mark = getattr(get_origin(hint), "_name", None)
        must = mark != "NotRequired" and (mark == "Required" or key in annotation.__required_keys__)
        keys[key] = (get_args(hint)[0] if mark in _KEY_MARKS else hint, must)
    return keys
