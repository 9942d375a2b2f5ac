"""Types: how a Python annotation checks a value from Lua, and how Lua spells it."""

from __future__ import annotations

import json
import math
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

from kosmolua.suggestions import did_you_mean
from kosmolua.values import LARGEST_INTEGER, SMALLEST_INTEGER

LONGEST_QUOTED_VALUE = 60
_MAY_BE_WIDE = re.compile(r"-?[1-9][0-9]{18,99}")
"""The digits of an integer that Lua may have got, and gives back, as a string, since it has none beyond 64 bits."""


class Mismatch(Exception):
    """A value does not fit its type.

    Args:
        problem: What is wrong with it, as in ``must be an integer, not 1.5``.
        where: The place inside the value, such as ``.env[2]``, or nothing.
    """

    def __init__(self, problem: str, where: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = where


class Uncarriable(TypeError):
    """An annotation that Lua has no value for, or whose bounds fit none.

    Args:
        problem: What is wrong with it.
        hint: What to write in its place.
    """

    def __init__(self, problem: str, hint: str | None = None) -> None:
        super().__init__(problem)
        self.hint = hint


@dataclass(frozen=True)
class Bound:
    """A restriction on a value, written inside ``Annotated``.

    Args:
        expected: What would fit, as in ``in 1..100``.
        holds: Says whether a value fits.
        of: What it restricts, such as ``number`` or ``string or list``.
        choices: The only values that fit, where they can be listed.
        example: A value that fits, where one is known.
    """

    expected: str
    holds: Callable[[Any], bool]
    of: str
    choices: tuple[str, ...] = ()
    example: object = None

    def suits(self, kind: Type) -> bool:
        """Say whether it restricts values of a type."""
        return {"integer": "number", "array": "list"}.get(kind.label, kind.label) in self.of.split(" or ")


@dataclass(frozen=True)
class Unless:
    """The name of the parameter that may be given in place of a required one, written inside ``Annotated``."""

    other: str


def unless(other: str) -> Unless:
    """Let a required parameter be left out, and be None, when another one is given instead."""
    return Unless(other)


def between(low: float, high: float) -> Bound:
    """Bound a number: both ends are allowed."""
    if not (isinstance(low, (int, float)) and isinstance(high, (int, float)) and low <= high):
        raise TypeError(f"between takes two numbers, the lower one first, not {low!r} and {high!r}")
    return Bound(f"in {low}..{high}", lambda value: low <= value <= high, "number", example=low)


def one_of(*choices: str) -> Bound:
    """Bound a string to a list of choices."""
    if not choices or not all(isinstance(choice, str) for choice in choices):
        raise TypeError(f"one_of takes strings, not {', '.join(map(repr, choices)) or 'nothing'}")
    return Bound("one of " + ", ".join(map(repr, choices)), lambda value: value in choices, "string", choices)


def matching(pattern: str, example: str) -> Bound:
    """Bound a string to a regular expression that has to match all of it.

    Args:
        pattern: In the syntax of Python's ``re``.
        example: A value that fits, for the message and the reference page.
    """
    compiled = re.compile(pattern)
    return Bound(f"like {example!r}", lambda value: compiled.fullmatch(value) is not None, "string", example=example)


def non_empty() -> Bound:
    """Bound a string or a list: it has something in it, as a filter needs that would otherwise let everything pass."""
    return Bound("with something in it", bool, "string or list")


@dataclass(frozen=True)
class Record:
    """The keys of a ``TypedDict``.

    Args:
        name: The name of its class.
        fields: Each key with its type, in order.
        about: The sentence of each key that has one.
        required: The keys that are never absent. In Lua a key that may be None is one that may be absent.
        filled: The keys that are None where Lua leaves them out.
    """

    name: str
    fields: Mapping[str, Type]
    about: Mapping[str, str]
    required: frozenset[str]
    filled: frozenset[str]


@dataclass(frozen=True)
class Type:
    """A type that Lua can carry.

    Args:
        label: The word in a reference table, such as ``integer``.
        lua: The LuaCATS spelling, such as ``table<string, string>``.
        article: The words of a message, such as ``an integer``.
        fits: Returns the value to hand to the function, or raises :class:`Mismatch`.
        parts: The types inside, for lists, maps and unions.
        choices: The only strings that fit, where they can be listed.
        record: The keys of the ``TypedDict`` this came from, if it did.
        bounds: The restrictions on a value beside its choices, as in ``in 1..100``.
        example: A value that fits its bounds, where it has any.
    """

    label: str
    lua: str
    article: str
    fits: Callable[[object], object]
    parts: tuple[Type, ...] = ()
    choices: tuple[str, ...] = ()
    record: Record | None = None
    bounds: tuple[str, ...] = ()
    example: object = None

    def read(self, text: str) -> object:
        """Return the value that a command-line argument stands for; where a string fits, the text itself.

        Lists and tables are JSON. Text that is no JSON stays text, so that :attr:`fits` can refuse it in its own words.
        """
        if self.label == "string":
            return text
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text
        may_be_text = self.label == "any" and any(part.label == "string" for part in self.parts)
        return text if may_be_text and not isinstance(value, (dict, list)) else value


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _fits_integer(value: object) -> object:
    if (
        isinstance(value, str)
        and _MAY_BE_WIDE.fullmatch(value)
        and not SMALLEST_INTEGER <= int(value) <= LARGEST_INTEGER
    ):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if not _is_integer(value):
        raise _mismatch("an integer", value)
    return value


def _fits_number(value: object) -> object:
    if not _is_integer(value) and not (isinstance(value, float) and math.isfinite(value)):
        raise _mismatch("a number", value)
    return value


def _fits_string(value: object) -> object:
    if not isinstance(value, str):
        raise _mismatch("a string", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Mismatch("is a string that is not UTF-8") from None
    return value


def _fits_boolean(value: object) -> object:
    if not isinstance(value, bool):
        raise _mismatch("a boolean", value)
    return value


def _mismatch(article: str, value: object) -> Mismatch:
    return Mismatch(f"must be {article}, not {quoted(value)}")


ANY = Type("any", "any", "anything", lambda value: value)
INTEGER = Type("integer", "integer", "an integer", _fits_integer)
NUMBER = Type("number", "number", "a number", _fits_number)
STRING = Type("string", "string", "a string", _fits_string)
BOOLEAN = Type("boolean", "boolean", "a boolean", _fits_boolean)
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
    parts = [_bounded(part, [bound for bound in bounds if bound.suits(part)]) for part in parts]
    kind = parts[0] if len(parts) == 1 else _any_of(parts)
    return _nullable(kind) if type(None) in members else kind


def _unsuitable(bound: Bound, parts: Sequence[Type]) -> Uncarriable:
    has_items = any(part.label in ("array", "object") for part in parts)
    hint = "bound what is inside, as in list[Annotated[T, ...]]" if has_items else f"only a {bound.of} can"
    return Uncarriable(f"{_either(parts)} cannot be {bound.expected}", hint)


def _either(parts: Sequence[Type]) -> str:
    return " or ".join(part.article for part in parts)


def _nullable(kind: Type) -> Type:
    return replace(kind, fits=lambda value: None if value is None else kind.fits(value))


def _bounded(inner: Type, bounds: Sequence[Bound]) -> Type:
    if not bounds:
        return inner

    def fits(value: object) -> object:
        try:
            fitting = inner.fits(value)
        except Mismatch as mismatch:
            if mismatch.where:
                raise
            raise _mismatch(article, value) from None
        if fitting is not None and not all(bound.holds(fitting) for bound in bounds):
            raise _mismatch(article, fitting)
        return fitting

    kind = [] if any(bound.choices for bound in bounds) else [inner.article]
    article = " ".join([*kind, *(bound.expected for bound in bounds)])
    choices = next((bound.choices for bound in bounds if bound.choices), inner.choices)
    spelling = "|".join(f'"{choice}"' for choice in choices) if choices else inner.lua
    said = inner.bounds + tuple(bound.expected for bound in bounds if not bound.choices)
    example = next((bound.example for bound in bounds if bound.example is not None), inner.example)
    return replace(inner, lua=spelling, article=article, fits=fits, choices=choices, bounds=said, example=example)


def _choice(choices: tuple[object, ...]) -> Type:
    if not all(isinstance(choice, str) for choice in choices):
        raise Uncarriable("a Literal must list strings only")
    return _bounded(STRING, [one_of(*map(str, choices))])


def _any_of(parts: Sequence[Type]) -> Type:
    article = _either(parts)

    def fits(value: object) -> object:
        for part in parts:
            try:
                return part.fits(value)
            except Mismatch:
                continue
        same = [part for part in parts if part.label == _TABLES.get(type(value))]
        if len(same) == 1:
            same[0].fits(value)  # says what inside it does not fit
        raise _mismatch(article, value)

    return Type("any", "|".join(part.lua for part in parts), article, fits, tuple(parts))


def _list(item: Type) -> Type:
    def fits(value: object) -> object:
        if value == {}:
            return []
        if not isinstance(value, (list, tuple)):
            raise _mismatch("a list", value)
        return [_within(item, each, f"[{index}]") for index, each in enumerate(value, start=1)]

    spelling = f"({item.lua})[]" if "|" in item.lua else f"{item.lua}[]"
    return Type("array", spelling, "a list", fits, (item,))


def _map(arguments: tuple[object, ...], known: _Known) -> Type:
    if arguments and arguments[0] is not str:
        raise Uncarriable("the keys of a dict must be str")
    item = _read(arguments[1], known) if arguments else ANY

    def fits(value: object) -> object:
        if value == []:
            return {}
        if not isinstance(value, dict):
            raise _mismatch("a table with string keys", value)
        return {key: _within(item, each, f".{key}") for key, each in value.items()}

    return Type("object", f"table<string, {item.lua}>", "a table with string keys", fits, (item,))


def _record(annotation: Any, known: _Known) -> Type:
    fields: dict[str, Type] = {}
    keys = _keys_of(annotation)
    record = _described(annotation, keys, fields)

    def fits(value: object) -> object:
        value = {} if value == [] else value
        if not isinstance(value, dict):
            raise _mismatch(f"a table with the keys {', '.join(fields)}", value)
        _check_keys(record, value)
        present = [key for key in fields if key in value or key in record.filled]
        return {key: _within(fields[key], value.get(key), f".{key}") for key in present}

    known[annotation] = Type("object", record.name, "a table", fits, record=record)
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
        return inner.fits(value)
    except Mismatch as mismatch:
        raise Mismatch(mismatch.problem, where + mismatch.where) from None


def quoted(value: object) -> str:
    """Return a value as a message shows it, cut and with its kind: ``"5" (a string)``."""
    if isinstance(value, str):
        text = value if len(value) <= LONGEST_QUOTED_VALUE else value[:LONGEST_QUOTED_VALUE] + "..."
        return f"{json.dumps(text, ensure_ascii=False)} (a string)"
    if isinstance(value, (dict, list)) and not value:
        return "an empty table"
    if isinstance(value, (dict, list)):
        return "a list" if isinstance(value, list) else "a table"
    if value is None:
        return "nil"
    return str(value).lower() if isinstance(value, bool) else str(value)
