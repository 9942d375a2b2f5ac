"""The arguments of a call as the body of a request: JSON, a form, multipart, or plain bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote

from kosmolua.errors import BadArguments
from kosmolua.expressions import regex
from kosmolua.http.binary import decoded
from kosmolua.http.client import NEVER_IN_A_SEGMENT
from kosmolua.http.multipart import OCTETS, Multipart, Part
from kosmolua.http.nesting import nested_pairs
from kosmolua.openapi.operations import is_json

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
_NDJSON = "application/x-ndjson"
_SEPARATORS = {"joined": ",", "simple*": ",", "pipes": "|", "spaces": " ", "tabs": "\t"}
_OVERRIDING = regex(r"\s*[_. \[]method($|[\[\x00-\x20]).*", re.IGNORECASE | re.DOTALL)
"""Matches a name by which a form or a query overrides the HTTP method, in each spelling that some service accepts."""
_MAY_OVERRIDE = regex(rb"method|\\u", re.IGNORECASE)
_OVERRIDING_PART = regex(rb"disposition:[^\r\n]*?\bname\s*=\s*\"?\s*[_. \[]method[\"\[\s;\x00]", re.IGNORECASE)
OVERRIDE = "cannot be set, since it would override the HTTP method"
NOTHING: Any = object()
"""Stands for an argument that a call does not pass, since None is a JSON value."""


class EncodedBody(NamedTuple):
    """The body of a request: a form, or bytes with their media type; none if both are None."""

    form: list[tuple[str, str]] | None = None
    body: bytes | None = None
    media: str = ""


class Member(NamedTuple):
    """One key of a body that is an object, its value, a style of :func:`pairs_of` for a form, and of its part of a
    multipart body the media type, and whether that is a file.
    """

    name: str
    value: Any
    style: str = "repeated"
    part: str = ""
    is_file: bool = False


def object_of(
    members: Sequence[Member], media: str, encode: str = "", write: Callable[[Any], bytes] | None = None
) -> EncodedBody:
    """Encode a body that is an object; of members with one name, JSON has the last.

    ``encode``, from the overlay, overrides ``media`` if it is ``form`` or ``multipart``; ``write`` writes XML.
    """
    media = {"form": FORM, "multipart": MULTIPART}.get(encode, media)
    if media.startswith(FORM):
        return EncodedBody(form=[pair for each in members for pair in pairs_of(*each[:3])])
    if media.startswith("multipart/"):
        parts = tuple(part for each in members for part in _parts(each))
        form = Multipart(parts, media.partition(";")[0].removeprefix("multipart/"))
        return EncodedBody(body=form.encode(), media=f"{media}; boundary={form.boundary}")
    return EncodedBody(body=(write or encoded)({each.name: each.value for each in members}), media=media)


def content_of(value: Any, media: str, encode: str = "", write: Callable[[Any], bytes] | None = None) -> EncodedBody:
    """Encode a body that is one value: any for JSON, else text, or a table with ``base64``.

    ``encode``, from the overlay, overrides ``media`` if it is ``ndjson``; ``write`` writes XML.

    Raises:
        BadArguments: The value cannot be sent as this media type.
    """
    if encode == "ndjson":
        lines = (encoded(each) + b"\n" for each in (value if isinstance(value, list) else [value]))
        return EncodedBody(body=b"".join(lines), media=_NDJSON)
    if is_json(media):
        return EncodedBody(body=encoded(value), media=media)
    if isinstance(value, list) or (isinstance(value, Mapping) and "base64" not in value):
        if write:
            return EncodedBody(body=write(value), media=media)
        raise BadArguments(
            f"the body is sent as {media}, so pass a string, or a table with the key base64", param="body"
        )
    content, kind, _ = file_of(value, "body")
    return EncodedBody(body=content, media=kind or media)


def is_override(name: str) -> bool:
    """Return True if a field of this name, in a query or body, overrides the HTTP method at some services."""
    return bool(_OVERRIDING.fullmatch(name))


def overriding(content: EncodedBody, media: str) -> bool:
    """Return True if a body sent with this media type has such a field at its top level."""
    if content.form is not None:
        return any(is_override(name) for name, _ in content.form)
    body, kind = content.body or b"", media.strip().lower()
    if kind.startswith("multipart/"):
        return bool(_OVERRIDING_PART.search(body))
    if kind.startswith(FORM):
        return any(is_override(name) for name, _ in parse_qsl(body.decode("latin-1"), keep_blank_values=True))
    if not is_json(kind) or not _MAY_OVERRIDE.search(body):
        return False
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and any(map(is_override, value))


def joined(given: Any, added: Any, name: str, media: str) -> Any:
    """Combine the argument for the whole body and ``extra.body``; two tables are merged if the body is JSON.

    Each, and the result, is :data:`NOTHING` if it is absent. ``name`` is that of the argument, for messages.

    Raises:
        BadArguments: The call passes both, but they are not both tables, or the body is not JSON.
    """
    if given is NOTHING or added is NOTHING:
        return added if given is NOTHING else given
    if isinstance(given, Mapping) and isinstance(added, Mapping) and is_json(media):
        return {**given, **added}
    raise whole_beside([name])


def whole_beside(names: Iterable[str]) -> BadArguments:
    """Return the error for a call with ``extra.body`` and the parts of the body that ``names`` lists."""
    what = "extra.body is the whole body in this call, so no other argument can be a part of the body"
    return BadArguments(what, param="extra", hint=f"leave out {', '.join(names)}")


def word_of(value: Any) -> str:
    """Return a value as text for a form or URL: ``true``, or JSON for tables and lists."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return encoded(value).decode() if isinstance(value, (dict, list)) else str(value)


def repeated(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a table as pairs for a query or form, one for each item of a list."""
    return [pair for key, value in given.items() for pair in pairs_of(key, value, "repeated")]


def pairs_of(name: str, value: Any, style: str) -> Iterator[tuple[str, str]]:
    """Yield the pairs of name and value that an argument becomes in a query or a form.

    ``style`` is how lists and tables are written: ``repeated`` (a pair for each item), ``joined``, ``pipes``,
    ``spaces`` or ``tabs`` (one text with ``,``, ``|``, a space or a tab between), ``simple*`` (the first, but keys
    and values with ``=``), ``deep`` (keys in brackets), ``deep[]`` (the same, with ``[]`` for list items) or ``json``.
    """
    if style == "json":
        yield name, value if isinstance(value, str) else word_of(value)
    elif style in ("deep", "deep[]"):
        found = nested_pairs(name, value, "[]" if style == "deep[]" else "")
        yield from ((key, word_of(each)) for key, each in found)
    elif isinstance(value, Mapping):
        if style not in _SEPARATORS:
            for key, each in value.items():
                yield from pairs_of(key, each, "repeated")
        else:
            between = "=" if style == "simple*" else ","
            yield name, _SEPARATORS[style].join(f"{key}{between}{word_of(each)}" for key, each in value.items())
    elif isinstance(value, (list, tuple)):
        words = [word_of(each) for each in value if each is not None]
        if style in _SEPARATORS:
            yield from [(name, _SEPARATORS[style].join(words))] if words else []
        else:
            yield from ((name, word) for word in words)
    elif value is not None:
        yield name, word_of(value)


def segment_of(name: str, value: Any, style: str) -> str:
    """Return an argument as a part of a path, percent-encoded (RFC 6570).

    ``style`` is how lists and tables are written: ``simple``, ``label`` (after a point) or ``matrix`` (as
    ``;name=value``); a star at the end of the style says that each item or key is written by itself.
    """

    def word(each: Any) -> str:
        if NEVER_IN_A_SEGMENT.search(said := word_of(each)):
            raise BadArguments(f"{name} cannot be {said[:80]!r}, since it becomes one segment of a path", param=name)
        return quote(said, safe="")

    kind, is_exploded = style.rstrip("*"), style.endswith("*")
    first, between = {"label": (".", "."), "matrix": (";", ";")}.get(kind, ("", ","))
    if isinstance(value, Mapping):
        pairs = [(word(key), word(each)) for key, each in value.items()]
        words = [f"{key}={each}" for key, each in pairs] if is_exploded else [each for pair in pairs for each in pair]
    else:
        words = [word(each) for each in (value if isinstance(value, (list, tuple)) else [value])]
        words = [f"{name}={each}" for each in words] if kind == "matrix" and is_exploded else words
    if is_exploded:
        return first + between.join(words)
    return first + (f"{name}=" if kind == "matrix" else "") + ",".join(words)


def encoded(value: Any) -> bytes:
    """Return JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def file_of(value: Any, name: str) -> tuple[bytes, str, str]:
    """Return bytes, media type and name of a file: a string, or ``base64``, ``content_type`` and ``filename``.

    Raises:
        BadArguments: ``base64`` or ``content_type`` is not valid.
    """
    if not isinstance(value, Mapping) or "base64" not in value:
        return (value if isinstance(value, str) else word_of(value)).encode(), "", ""
    content = decoded(value["base64"], f"{name}.base64 is not valid base64", name)
    kind = str(value.get("content_type") or "")
    if not kind.isprintable():
        raise BadArguments(f"{name}.content_type is not a media type such as image/png", param=name)
    return content, kind, str(value.get("filename") or "")


def _parts(member: Member) -> Iterator[Part]:
    """Yield the parts of a key, one for each item of a list.

    The text of a file has a file name, since services take a part without one for a plain field.
    """
    name, value, media = member.name, member.value, member.part
    is_list = isinstance(value, (list, tuple))
    if is_list and not all(isinstance(each, (dict, list)) and "base64" not in each for each in value):
        for each in value:
            yield from _parts(member._replace(value=each))
    elif isinstance(value, Mapping) and "base64" in value:
        content, kind, filename = file_of(value, name)
        yield Part(name, content, kind or media or OCTETS, filename or "file")
    elif isinstance(value, (Mapping, list, tuple)):
        yield Part(name, encoded(value), media or "application/json")
    elif value is not None:
        kind, filename = (OCTETS, "file") if member.is_file else ("", "")
        yield Part(name, word_of(value).encode(), media or kind, filename)
