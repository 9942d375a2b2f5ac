"""Values: the known values of a script's expressions, found without running it.

In this package, only this module and ``kosmolua.lua.calls`` inspect the types of the schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches
from typing import NamedTuple, TypeGuard

from kosmolua.lua.syntax import Node
from kosmolua.schema.function import Function
from kosmolua.schema.luacats import label
from kosmolua.schema.types import ANY, Choice, List, Map, Record, Scalar, Type, Union

MIN_LIKENESS = 0.75
"""How similar a name must be to be suggested, since many short names are slightly similar."""


_LUA_TYPES = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean"}


_OF_PAGES = frozenset(
    ("cursor", "next_cursor", "next_page", "data", "result", "results", "items", "ok", "error", "success", "has_more")
)
"""Keys that only whole answers of services have, not their parts."""


_PAGING = frozenset(("cursor", "next_page", "has_more", "next_start_time", "next_end_time", "total", "incomplete"))
"""Keys that a page has beside its list."""


class Unknown:
    """A value of which nothing is known."""


class Missing(NamedTuple):
    """A value that is certainly nil.

    Args:
        what: The missing thing, such as ``the global 'prnt'``.
        hint: What to write instead, or empty.
    """

    what: str
    hint: str = ""


class Undefined(NamedTuple):
    """A global that nothing defines, and which is therefore nil."""

    name: str
    hint: str = ""


class Absent(NamedTuple):
    """A field that a result is not known to have, and that is therefore probably nil.

    Args:
        node: The place where it is looked up.
    """

    node: Node


class Branch(NamedTuple):
    """A table under ``app``.

    Args:
        integration: The name of the integration; empty above the integrations.
        account: The name of the account if the script names one; ``*`` if it is computed.
        depth: 0 for ``app``, 1 for ``app.integrations``, 2 and 3 for an integration and an account.
    """

    depth: int
    integration: str = ""
    account: str = ""


class Callee(NamedTuple):
    """A function of an integration.

    Args:
        path: The path, in the form for the catalog.
        function: Its description.
        account: The account that the script names, ``default``, or ``*`` if it is computed.
        may_have_changed: True if its parameters may have changed since they were read, like those of a server's tools.
        is_vague: True if its results are described by a service's document.
    """

    path: str
    function: Function
    account: str
    may_have_changed: bool = False
    is_vague: bool = False


class Result(NamedTuple):
    """The result of an integration's function, or a part of it.

    Args:
        type: Its type.
        source: Its name in messages, such as ``the result of list_services``.
        is_optional: True if it may be nil.
        may_be_null: True if it may be ``json.null``, which counts as true.
        may_be_error: True if it may be an error instead, like a result of ``pcall``.
        may_be_call_error: True if that error can only come from a call: a table with ``code``, ``message`` and so on.
        part_of: The record that contains it and its key there, if it is a field.
        is_vague: True if the type is from a service's document, so that there may be more fields than it says.
    """

    type: Type
    source: str
    is_optional: bool = False
    may_be_null: bool = False
    may_be_error: bool = False
    may_be_call_error: bool = False
    part_of: tuple[Record, str] | None = None
    is_vague: bool = False


class Secrets(NamedTuple):
    """The table ``secrets``.

    Args:
        names: The names of the secrets.
        is_complete: True if the run has no other secrets.
    """

    names: tuple[str, ...]
    is_complete: bool = True


class Library(NamedTuple):
    """One of Lua's libraries, such as ``string``."""

    name: str


class Builtin(NamedTuple):
    """A function that every script has, such as ``ipairs`` or ``parallel.map``."""

    name: str


class Closure(NamedTuple):
    """A function of the script."""

    node: Node


class Literal(NamedTuple):
    """A literal in the source.

    Args:
        kind: ``string``, ``number``, ``boolean`` or ``table``.
        value: Its value; None for a table, and for a string with escapes.
        node: Its node in the source.
    """

    kind: str
    value: object = None
    node: Node | None = None


Value = (
    Unknown | Missing | Undefined | Absent | Branch | Callee | Result | Secrets | Library | Builtin | Closure | Literal
)
Nil = Missing | Undefined | Absent
"""A value that is nil, or probably nil."""
UNKNOWN = Unknown()


def record_keys(kind: Type) -> list[str] | None:
    """Return the keys of a record, or None for any other type."""
    return list(kind.fields) if isinstance(kind, Record) else None


def field_of(kind: Type, key: str) -> Type | None:
    """Return the type of a record's field or of a map's items, or None."""
    if isinstance(kind, Record):
        return kind.fields.get(key)
    return kind.value if isinstance(kind, Map) else None


def is_optional(kind: Type, key: str) -> bool:
    """Return True if a record may lack a field."""
    return isinstance(kind, Record) and key not in kind.required


def item_of(kind: Type) -> Type | None:
    """Return the type of a list's items, or None for any other type."""
    return kind.item if isinstance(kind, List) else None


def item_in(value: Value) -> Value:
    """Return the known value of a list's items. A null is nil as a field of a table, but ``json.null`` in a list."""
    item = item_of(value.type) if isinstance(value, Result) else None
    if item is None or not isinstance(value, Result):
        return UNKNOWN
    return Result(item, f"an item of {value.source}", may_be_null=item.nullable, is_vague=value.is_vague)


def decoded(text: str) -> Value:
    """Return what is known about the value of a JSON text: whether it is a list, and whether it may contain null."""
    try:
        kind = _list_of(json.loads(text))
    except (ValueError, RecursionError):
        return UNKNOWN
    return Result(kind, "the decoded text") if kind else UNKNOWN


def _list_of(value: object) -> Type | None:
    if not isinstance(value, list):
        return None
    inner = [_list_of(each) for each in value if each is not None]
    item = inner[0] if inner and all(each == inner[0] for each in inner) else None
    return List(replace(item or ANY, nullable=None in value))


def is_list(kind: Type) -> bool:
    """Return True if only lists fit."""
    return isinstance(kind, List)


def is_text(kind: Type) -> bool:
    """Return True if only strings fit."""
    return label(kind) == "string"


def is_secret(value: Value) -> TypeGuard[Result]:
    """Return True if a value is a secret, which scripts can only pass on."""
    return isinstance(value, Result) and isinstance(value.type, Scalar) and value.type.kind == "secret"


def takes_tables(kind: Type) -> bool:
    """Return True if a table may fit."""
    if isinstance(kind, Union):
        return any(map(takes_tables, kind.members))
    return (
        is_table(kind)
        or (isinstance(kind, Scalar) and kind.kind not in _LUA_TYPES)
        or not isinstance(kind, (Scalar, Choice))
    )


def is_page(kind: Type) -> bool:
    """Return True if a record is a page: one list, and a key that leads to the next page."""
    others = set(kind.fields) - {*lists_in(kind)} if isinstance(kind, Record) else set()
    return len(lists_in(kind)) == 1 and bool(others) and others <= _PAGING


def is_number(kind: Type) -> bool:
    """Return True if only numbers fit."""
    return label(kind) in ("integer", "number")


def has_field(value: Value, key: str) -> bool:
    """Return True if a value is a record with a field."""
    return isinstance(value, Result) and isinstance(value.type, Record) and key in value.type.fields


def kind_of(value: Value, *, or_nil: bool = False) -> str:
    """Return the Lua type that a value certainly has, or an empty string if that is unclear.

    Args:
        value: The known value.
        or_nil: True if it may also be nil.
    """
    if isinstance(value, Literal):
        return value.kind
    if isinstance(value, Closure):
        return "function"
    if not isinstance(value, Result) or value.may_be_error or (value.type.nullable and not or_nil):
        return ""
    if is_table(value.type):
        return "table"
    if (
        isinstance(value.type, Choice)
        and value.type.values
        and all(isinstance(each, str) for each in value.type.values)
    ):
        return "string"
    return _LUA_TYPES.get(label(replace(value.type, nullable=False)), "")


def choices_of(kind: Type) -> tuple[object, ...]:
    """Return the values of a choice, or of a union of a choice and a list of it; empty for any other type."""
    if isinstance(kind, Union):
        return next((member.values for member in kind.members if isinstance(member, Choice)), ())
    return kind.values if isinstance(kind, Choice) else ()


def items_of(kind: Type) -> list[Record]:
    """Return the types of the records in a record's lists."""
    lists = (
        [field.item for field in kind.fields.values() if isinstance(field, List)] if isinstance(kind, Record) else []
    )
    return [item for item in lists if isinstance(item, Record)]


def is_table(kind: Type) -> bool:
    """Return True if only tables fit."""
    return isinstance(kind, (List, Map, Record))


def lists_in(kind: Type) -> list[str]:
    """Return the keys of a record whose values are lists."""
    return [key for key, field in kind.fields.items() if is_list(field)] if isinstance(kind, Record) else []


def near_key(key: str, names: Iterable[str]) -> str:
    """Return the name that a key probably means, or an empty string if that is unclear."""
    near = get_close_matches(key, names, 1, 0.6)
    return near[0] if near else ""


def near_field(kind: Type, key: str) -> str:
    """Return the path of the field that an unknown key probably means, or an empty string if that is unclear."""
    fields = kind.fields if isinstance(kind, Record) else {}
    plain = key.replace("_", "").lower()
    for field in fields:
        if field.replace("_", "").lower() == plain:
            return field
    for field, inner in fields.items():
        if isinstance(inner, Record) and key in inner.fields:
            return f"{field}.{key}"
    if near := get_close_matches(key, fields, 1, MIN_LIKENESS):
        return near[0]
    maps = [field for field, inner in fields.items() if isinstance(inner, Map)]
    return f"{maps[0]}.{key}" if len(maps) == 1 and key not in _OF_PAGES else ""
