"""Bodies of requests: encodes a call's arguments as a form, or as bytes of a media type."""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kosmolua.catalog.openapi.operations import is_json
from kosmolua.errors import BadArguments
from kosmolua.http.multipart import OCTETS, Multipart, Part
from kosmolua.http.nesting import nested_pairs

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
_NDJSON = "application/x-ndjson"
_SEPARATORS = {"joined": ",", "pipes": "|", "spaces": " "}
NOTHING: Any = object()
"""Stands for an argument that a call does not give, since None is a JSON value."""


class Content(NamedTuple):
    """The body of a request.

    Args:
        form: The names and values, if it is a form.
        body: Its bytes, if it is not a form.
        media: Its media type; empty for a form, whose media type the request sets itself.
    """

    form: list[tuple[str, str]] | None = None
    body: bytes | None = None
    media: str = ""


class Member(NamedTuple):
    """A key of a body.

    Args:
        name: The name that the service uses.
        value: The value that the call gives.
        style: How a form writes a list or a table: a style of :func:`pairs_of`.
    """

    name: str
    value: Any
    style: str = "repeated"


def object_of(members: Sequence[Member], media: str, encode: str = "") -> Content:
    """Return a body that is an object. If two members have the same name, the later one counts, except in a form.

    Args:
        members: Its keys.
        media: Its media type.
        encode: The encoding that the overlay sets instead, ``form`` or ``multipart``; or empty.
    """
    media = {"form": FORM, "multipart": MULTIPART}.get(encode, media)
    if media.startswith(FORM):
        return Content(form=[pair for each in members for pair in pairs_of(*each)])
    if media.startswith("multipart/"):
        form = multipart([(each.name, each.value) for each in members])
        return Content(body=form.encode(), media=f"{media}; boundary={form.boundary}")
    return Content(body=encoded({each.name: each.value for each in members}), media=media)


def content_of(value: Any, media: str, encode: str = "") -> Content:
    """Return a body that is one value.

    Args:
        value: The value that the call gives: any value for JSON, else text or a table with base64.
        media: Its media type.
        encode: The encoding that the overlay sets instead, ``ndjson``; or empty.

    Raises:
        BadArguments: The value cannot be sent as this media type.
    """
    if encode == "ndjson":
        lines = (encoded(each) + b"\n" for each in (value if isinstance(value, list) else [value]))
        return Content(body=b"".join(lines), media=_NDJSON)
    if is_json(media):
        return Content(body=encoded(value), media=media)
    if isinstance(value, list) or (isinstance(value, Mapping) and "base64" not in value):
        raise BadArguments(f"the body is {media}: give text, or a table with its base64", param="body")
    content, kind, _ = file_of(value, "body")
    return Content(body=content, media=kind or media)


def joined(given: Any, added: Any, name: str, media: str) -> Any:
    """Return a body that is one argument, with what ``extra.body`` adds to it.

    Args:
        given: The argument, or :data:`NOTHING`.
        added: The value of ``extra.body``, or :data:`NOTHING`.
        name: The name of the argument.
        media: The media type of the body.

    Raises:
        BadArguments: Both are given, and they are not both tables.
    """
    if given is NOTHING or added is NOTHING:
        return added if given is NOTHING else given
    if isinstance(given, Mapping) and isinstance(added, Mapping) and is_json(media):
        return {**given, **added}
    raise whole_beside([name])


def whole_beside(names: Iterable[str]) -> BadArguments:
    """Return the error for arguments of a body if ``extra.body`` is the whole body."""
    return BadArguments("extra.body is the whole body here", param="extra", hint=f"leave out {', '.join(names)}")


def word_of(value: Any) -> str:
    """Return a value as text for a form or an address."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return encoded(value).decode() if isinstance(value, (dict, list)) else str(value)


def repeated(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the pairs of name and value for a table, with one pair for each item of a list."""
    return [pair for key, value in given.items() for pair in pairs_of(key, value, "repeated")]


def pairs_of(name: str, value: Any, style: str) -> Iterator[tuple[str, str]]:
    """Yield the pairs of name and value for an argument in a query or a form.

    Args:
        name: The name that the service uses.
        value: The value that the call gives.
        style: ``repeated``, ``joined``, ``pipes``, ``spaces``, ``deep``, ``deep[]`` or ``json``.
    """
    if style == "json":
        yield name, value if isinstance(value, str) else word_of(value)
    elif style in ("deep", "deep[]"):
        found = nested_pairs(name, value, "[]" if style == "deep[]" else "")
        yield from ((key, word_of(each)) for key, each in found)
    elif isinstance(value, Mapping):
        if style == "repeated":
            for key, each in value.items():
                yield from pairs_of(key, each, "repeated")
        else:
            yield name, _SEPARATORS[style].join(f"{key},{word_of(each)}" for key, each in value.items())
    elif isinstance(value, (list, tuple)):
        words = [word_of(each) for each in value if each is not None]
        if style in _SEPARATORS:
            yield from [(name, _SEPARATORS[style].join(words))] if words else []
        else:
            yield from ((name, word) for word in words)
    elif value is not None:
        yield name, word_of(value)


def encoded(value: Any) -> bytes:
    """Return a value as JSON."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def file_of(value: Any, name: str) -> tuple[bytes, str, str]:
    """Return the bytes, the media type and the file name of a file that a script passes.

    Raises:
        BadArguments: Its base64 or its media type is not valid.
    """
    if not isinstance(value, Mapping) or "base64" not in value:
        return (value if isinstance(value, str) else word_of(value)).encode(), "", ""
    try:
        content = b64decode("".join(str(value["base64"]).split()), validate=True)
    except (NotBase64, ValueError):
        raise BadArguments(f"{name}.base64 is not base64", param=name) from None
    kind = str(value.get("content_type") or "")
    if not kind.isprintable():
        raise BadArguments(f"{name}.content_type is not a media type", param=name)
    return content, kind, str(value.get("filename") or "")


def multipart(parts: Sequence[tuple[str, Any]]) -> Multipart:
    """Return a multipart form of the values that a script passes."""
    return Multipart(tuple(part for name, value in parts for part in _parts(name, value)))


def _parts(name: str, value: Any) -> Iterator[Part]:
    """Yield the parts of a multipart form for an argument."""
    is_list = isinstance(value, (list, tuple))
    if is_list and not all(isinstance(each, (dict, list)) and "base64" not in each for each in value):
        for each in value:
            yield from _parts(name, each)
    elif isinstance(value, Mapping) and "base64" in value:
        content, kind, filename = file_of(value, name)
        yield Part(name, content, kind or OCTETS, filename or "file")
    elif isinstance(value, (Mapping, list, tuple)):
        yield Part(name, encoded(value), "application/json")
    elif value is not None:
        yield Part(name, word_of(value).encode())
