"""What can be known about the values of a script's expressions before the script runs.

In this package, only this module inspects the declared types of ``kosmolua.schema``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple, TypeGuard

from kosmolua.expressions import regex
from kosmolua.lua.syntax import Node, string_of
from kosmolua.schema.arguments import Parameter
from kosmolua.schema.function import Function
from kosmolua.schema.luacats import label
from kosmolua.schema.types import ANY, STRING, Choice, List, Map, Record, Scalar, Type, Union

MIN_LIKENESS = 0.75
"""How similar a name must be to be suggested, from 0 to 1. Many short names are slightly similar to each other."""

ID = regex(r"[a-z]{2,5}-\w*\d\w*")
"""Matches ids that begin with what they are the id of."""
_LUA_TYPES = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean"}
_OF_PAGES = frozenset(
    ("cursor", "next_cursor", "next_page", "data", "result", "results", "items", "ok", "error", "success", "has_more")
)
"""Keys that only whole responses of services have, but no parts of responses."""
_PAGING = frozenset(("cursor", "next_page", "has_more", "next_start_time", "next_end_time", "total", "incomplete"))
"""Keys that a page of a list can have in addition to the list itself."""


class Unknown:
    """A value about which nothing is known."""


class Missing(NamedTuple):
    """A value that is certainly nil; ``of`` is ``text`` or ``list`` if it would be a field of one."""

    what: str
    hint: str = ""
    of: str = ""


class Undefined(NamedTuple):
    """The value of a global that nothing defines. It is nil."""

    name: str
    hint: str = ""


class Absent(NamedTuple):
    """The value of a field that the type of a result does not declare. It is probably nil."""

    node: Node


class Branch(NamedTuple):
    """The table ``app``, or a table inside it that leads to functions.

    ``depth`` is 0 for ``app``, 1 for ``app.integrations``, 2 for an integration, and 3 for an account. ``account`` is
    ``*`` if the script computes its name.
    """

    depth: int
    integration: str = ""
    account: str = ""


class Callee(NamedTuple):
    """A function of an integration.

    The parameters of tools of an MCP server ``may_have_changed`` since they were read. Results that a document
    describes, and not a plugin's code, are vague: they could have more fields.
    """

    path: str
    function: Function
    account: str
    may_have_changed: bool = False
    is_vague: bool = False


class Result(NamedTuple):
    """A value of a known type: the result of an integration's function, or a field or item of such a result.

    Args:
        type: The type of the value.
        source: What messages call the value, such as ``the result of list_services``.
        is_optional: True if the value can be nil.
        may_be_null: True if the value can be ``json.null``, which counts as true in conditions.
        may_be_error: True if the value can be an error instead, like the second value of ``pcall``.
        may_be_call_error: True if such an error would come from a failed call: a table with ``code`` and so on.
        part_of: If the value is a field, the record that contains it and its key there, else None.
        is_vague: True if a document, and not a plugin's code, has the type. The value can then have further fields.
        may_be_absent: True if the value can be nil for another reason than its type, as an item behind a list's end.
    """

    type: Type
    source: str
    is_optional: bool = False
    may_be_null: bool = False
    may_be_error: bool = False
    may_be_call_error: bool = False
    part_of: tuple[Record, str] | None = None
    is_vague: bool = False
    may_be_absent: bool = False


class Secrets(NamedTuple):
    """The table ``secrets``, in which a script finds the secrets of its run."""

    names: tuple[str, ...]
    is_complete: bool = True
    way: str = "--secret {name}=SOURCE gives one"


class StdLib(NamedTuple):
    """The table of a library that every script has, such as ``string`` or ``json``."""

    name: str


class Builtin(NamedTuple):
    """A function that every script has, such as ``ipairs`` or ``parallel.map``."""

    name: str


def is_builtin(value: object, *names: str) -> TypeGuard[Builtin]:
    """Return True if a value is a function that every script has, with one of these names."""
    return isinstance(value, Builtin) and value.name in names


class Closure(NamedTuple):
    """A function that the script defines."""

    node: Node


class Literal(NamedTuple):
    """A value that is written in the source, or a value of which only the Lua type is known.

    ``kind`` is the type in Lua. ``value`` is None for tables and strings with escapes; it and ``node`` are None if only
    the type is known. ``counts`` is the type of a list's items, if the value is the place of one in a loop. ``like`` is
    a text of the same form, if only the form is known, as of a date.
    """

    kind: str
    value: object = None
    node: Node | None = None
    counts: Type | None = None
    like: str = ""


Value = (
    Unknown | Missing | Undefined | Absent | Branch | Callee | Result | Secrets | StdLib | Builtin | Closure | Literal
)
Known = Callable[["Node | None"], Value | None]
"""Returns what the check has found out about an expression; None if it has not evaluated it, or for None."""
Nil = Missing | Undefined | Absent
"""A value that is nil, or probably nil."""
UNKNOWN = Unknown()
ARGUMENT = Result(STRING, "an argument of the script", may_be_absent=True)
"""An item of the list ``arg``."""
SCRIPT = Result(STRING, "the name of the script")
"""The item ``arg[0]``."""


def record_keys(kind: Type) -> list[str] | None:
    """Return the keys of a record type, or of a union of records, and None for any other type."""
    records = kind.members if isinstance(kind, Union) else (kind,)
    if not all(isinstance(each, Record) for each in records):
        return None
    return [*dict.fromkeys(key for each in records if isinstance(each, Record) for key in each.fields)]


def field_of(kind: Type, key: str) -> Type | None:
    """Return the type of a record's field, or of a map's values; None if the type has no such field, or several."""
    if isinstance(kind, Record):
        return kind.fields.get(key)
    if isinstance(kind, Union):
        found = [field for each in kind.members if (field := field_of(each, key)) is not None]
        return found[0] if len(found) == 1 else None
    return kind.value if isinstance(kind, Map) else None


def is_optional(kind: Type, key: str) -> bool:
    """Return True if a field can be missing in values of a record type."""
    return isinstance(kind, Record) and key not in kind.required


def depends(kind: Type, key: str) -> bool:
    """Return True if it depends on the other fields of a value whether it has a field, as Python's types say."""
    return isinstance(kind, Record) and key not in kind.required | kind.filled


def item_of(kind: Type) -> Type | None:
    """Return the type of the items of a list type, or None for any other type."""
    return kind.item if isinstance(kind, List) else None


def item_in(value: Value) -> Value:
    """Return what is known about the items of a list. An item that is null is ``json.null`` in Lua, not nil."""
    if isinstance(value, Literal) and value.node and value.kind == "table":
        items = [each.get("value") for each in value.node.children if each.get("name") is None]
        are_texts = bool(items) and all(item and item.kind == "string" for item in items)
        return Literal("string") if are_texts and len(items) == len(value.node.children) else UNKNOWN
    item = item_of(value.type) if isinstance(value, Result) else None
    if item is None or not isinstance(value, Result):
        return UNKNOWN
    return Result(item, f"an item of {value.source}", may_be_null=item.nullable, is_vague=value.is_vague)


def decoded(text: str) -> Value:
    """Return what is known about the value of a JSON text: whether it is a list, and whether items are null."""
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
    """Return True if all values of a type are lists."""
    return isinstance(kind, List)


def is_text(kind: Type) -> bool:
    """Return True if all values of a type are strings."""
    return label(kind) == "string"


def is_secret(value: Value) -> TypeGuard[Result]:
    """Return True if a value is a secret, which a script can only pass to functions."""
    return isinstance(value, Result) and isinstance(value.type, Scalar) and value.type.kind == "secret"


def takes_tables(kind: Type) -> bool:
    """Return True if a Lua table can be a value of a type."""
    if isinstance(kind, Union):
        return any(map(takes_tables, kind.members))
    return (
        is_table(kind)
        or (isinstance(kind, Scalar) and kind.kind not in _LUA_TYPES)
        or not isinstance(kind, (Scalar, Choice))
    )


def table_in(kind: Type) -> Type:
    """Return the only member of a union that is a type of tables; for any other type, the type itself."""
    members = [each for each in kind.members if is_table(each)] if isinstance(kind, Union) else []
    return members[0] if len(members) == 1 else kind


def is_page(kind: Type) -> bool:
    """Return True if a type describes a page of a list: a record with one list, and keys such as ``cursor``."""
    others = set(kind.fields) - {*lists_in(kind)} if isinstance(kind, Record) else set()
    return len(lists_in(kind)) == 1 and bool(others) and others <= _PAGING


def is_number(kind: Type) -> bool:
    """Return True if all values of a type are numbers."""
    return label(kind) in ("integer", "number")


def has_field(value: Value, key: str) -> bool:
    """Return True if a value is known to be a record with a field called ``key``."""
    return isinstance(value, Result) and isinstance(value.type, Record) and key in value.type.fields


def kind_of(value: Value, *, or_nil: bool = False) -> str:
    """Return the Lua type that a value certainly has, such as ``string``, or an empty string if that is not known."""
    if isinstance(value, Literal):
        return value.kind
    if isinstance(value, Closure):
        return "function"
    if not isinstance(value, Result) or value.may_be_error or (value.type.nullable and not or_nil):
        return ""
    if is_table(value.type):
        return "table"
    if isinstance(value.type, Union):  # a secret is not compared or joined either
        members = [each for each in value.type.members if not (isinstance(each, Scalar) and each.kind == "secret")]
        kinds = {kind_of(value._replace(type=each), or_nil=or_nil) for each in members}
        return kinds.pop() if len(kinds) == 1 else ""
    if (
        isinstance(value.type, Choice)
        and value.type.values
        and all(isinstance(each, str) for each in value.type.values)
    ):
        return "string"
    return _LUA_TYPES.get(label(value.type), "")


def choices_of(kind: Type) -> tuple[object, ...]:
    """Return the values of a choice, which is a type that lists its values, such as ``"live"|"failed"``.

    For a union, return the values of all choices in it, unless it also allows any other text. For any other type,
    return an empty tuple.
    """
    if isinstance(kind, Union):
        if any(isinstance(each, Scalar) and each.kind in ("string", "any") for each in kind.members):
            return ()
        return tuple(value for each in kind.members if isinstance(each, Choice) for value in each.values)
    return kind.values if isinstance(kind, Choice) else ()


def items_of(kind: Type) -> list[Record]:
    """Return the record types of the items of all lists that are fields of a record type."""
    lists = (
        [field.item for field in kind.fields.values() if isinstance(field, List)] if isinstance(kind, Record) else []
    )
    return [item for item in lists if isinstance(item, Record)]


def is_table(kind: Type) -> bool:
    """Return True if all values of a type are tables in Lua: lists, maps or records."""
    return isinstance(kind, (List, Map, Record))


def lists_in(kind: Type) -> list[str]:
    """Return the keys of a record type whose values are lists; an empty list for any other type."""
    return [key for key, field in kind.fields.items() if is_list(field)] if isinstance(kind, Record) else []


def near_key(key: str, names: Iterable[str], likeness: float = 0.6) -> str:
    """Return the name in ``names`` that is most similar to a misspelled key; an empty string if none is similar."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(key, names, 1, likeness)), "")


def near_field(kind: Type, key: str) -> str:
    """Return the field of a type that an unknown key probably stands for, or an empty string.

    If the field is inside another field, the result is a path such as ``owner.name``.
    """
    fields = {name: field_of(kind, name) for name in record_keys(kind) or ()}
    plain = key.replace("_", "").lower()
    for field in fields:
        if field.replace("_", "").lower() == plain:
            return field
    for field, inner in fields.items():
        if isinstance(inner, Record) and key in inner.fields:
            return f"{field}.{key}"
    if near := near_key(key, fields, MIN_LIKENESS):
        return near
    maps = [field for field, inner in fields.items() if isinstance(inner, Map)]
    return f"{maps[0]}.{key}" if len(maps) == 1 and key not in _OF_PAGES else ""


def number_of(text: str) -> int | float | None:
    """Return the value of a number in Lua's notation, or None if Python cannot read this notation."""
    try:
        return int(text, 16) if text[:2].lower() == "0x" else int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


def literal_of(node: Node) -> Literal | None:
    """Return a :class:`Literal` for the node of a literal, or None for the node of any other expression."""
    if node.kind == "string":
        return Literal("string", string_of(node), node)
    if node.kind == "number":
        return Literal("number", number_of(node.text), node)
    if node.kind in ("true", "false"):
        return Literal("boolean", node.kind == "true", node)
    return Literal("table", None, node) if node.kind == "table_constructor" else None


def snake(name: str) -> str:
    """Return a name in snake case, like those of parameters."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def example_of(parameter: Parameter) -> str:
    """Return an example of the texts that a parameter takes, if it declares one, or an empty string."""
    bounds = parameter.type.bounds if isinstance(parameter.type, Scalar) else ()
    return next((str(bound.example) for bound in bounds if bound.example), "")


def id_of(part: tuple[Record, str], functions: Iterable[Function]) -> tuple[str, str]:
    """Return what functions call the id in a field, such as ``service_id``, and an example of it, or an empty text."""
    record, key = part
    own = snake(record.name if key == "id" else key.removesuffix("Id"))
    name = own if own.endswith("_id") else f"{own}_id"
    same = (each for function in functions for each in function.parameters if each.name == name)
    return name, next((found for each in same if (found := example_of(each))), "")
