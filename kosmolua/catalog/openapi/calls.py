"""Calls: the arguments of a function as a request, and the answer as a value."""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl

from kosmolua.catalog.openapi.naming import Route
from kosmolua.catalog.openapi.operations import Body, Field, is_json
from kosmolua.catalog.openapi.paging import Page, Recipe, walk
from kosmolua.errors import BadArguments
from kosmolua.http.binary import binary, media_type
from kosmolua.http.client import Api, decode
from kosmolua.http.messages import Response
from kosmolua.http.multipart import OCTETS, Multipart, Part
from kosmolua.protocol import Json

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
_NDJSON = "application/x-ndjson"
_SEPARATORS = {"joined": ",", "pipes": "|", "spaces": " "}


class Client(Protocol):
    """An opened account."""

    def api(self, server: str) -> Api:
        """Return the client for an address, or for the usual one if it is empty."""

    def checked(self, response: Response) -> Response:
        """Return an answer, or raise the error that it is although its status says otherwise."""


@dataclass(frozen=True)
class Call:
    """How an operation is called.

    Args:
        method: In capitals.
        path: The template, with a fixed query if it has one.
        fields: What the arguments are.
        body: The body, or None.
        media: The media types of the answer.
        server: Where it is, if not where the rest is.
        recipe: How it is paged, or None.
        encode: How the body is written, if the overlay says so.
        safe: True if it changes nothing although its method could.
    """

    method: str
    path: str
    fields: Sequence[Field]
    body: Body | None = None
    media: Sequence[str] = ()
    server: str = ""
    recipe: Recipe | None = None
    encode: str = ""
    safe: bool = False

    def spelled(self, name: str) -> str:
        """Return the name of an argument that is not the document's: with ``_`` if the document has that name."""
        taken = {each.name for each in self.fields} | ({self.body.name} if self.body else set())
        while name in taken:
            name += "_"
        return name

    def make(self, client: Client, arguments: Mapping[str, Any]) -> Json:
        """Send the request, or the requests of all pages, and return the value."""
        given = dict(arguments)
        wants_all = given.pop(self.spelled("all"), False) if self.recipe else False
        most = given.pop(self.spelled("max_items"), 1000) if self.recipe else 0
        extra = given.pop(self.spelled("extra"), None) or {}
        api = client.api(self.server)

        def fetch(changed: Mapping[str, Json]) -> Page:
            response = client.checked(self._send(api, {**given, **self._by_name(changed)}, extra))
            return Page(value_of(response, self.method), response)

        if not wants_all or self.recipe is None:
            return fetch({}).value

        def follow(url: str) -> Page:
            response = client.checked(api.follow(url))
            return Page(value_of(response, "GET"), response)

        wires = {each.wire: given[each.name] for each in self.fields if each.name in given}
        return walk(self.recipe, wires, fetch, follow, most)

    def _by_name(self, changed: Mapping[str, Json]) -> dict[str, Json]:
        names = {each.wire: each.name for each in self.fields}
        return {names[wire]: value for wire, value in changed.items() if wire in names}

    def _send(self, api: Api, given: Mapping[str, Any], extra: Mapping[str, Any]) -> Response:
        path, _, fixed = self.path.partition("?")
        query = [*parse_qsl(fixed, keep_blank_values=True), *self._pairs("query", given)]
        query += _repeated(extra.get("query") or {})
        headers = {**dict(self._pairs("header", given)), **(extra.get("headers") or {})}
        if cookies := self._pairs("cookie", given):
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies)
        form, content = self._content(given, extra.get("body") or {}, headers)
        if self.media and "Accept" not in headers:
            headers["Accept"] = _accepted(self.media)
        slots = {each.wire: _segment(each, given[each.name]) for each in self.fields if each.place == "path"}
        slashes = [each.wire for each in self.fields if each.slashes]
        return api.fetch(
            self.method,
            Route(path.replace("{+", "{")),
            slots,
            query=query,
            headers=headers,
            form=form,
            body=content,
            safe=self.safe,
            slashes=slashes,
        )

    def _pairs(self, place: str, given: Mapping[str, Any]) -> list[tuple[str, str]]:
        return [
            pair
            for each in self.fields
            if each.place == place and each.name in given
            for pair in pairs_of(each.wire, given[each.name], each.style)
        ]

    def _content(
        self, given: Mapping[str, Any], extra: Mapping[str, Any], headers: dict[str, str]
    ) -> tuple[list[tuple[str, str]] | None, bytes | None]:
        """Return the form, or the bytes of the body; their media type is added to the headers."""
        body = self.body
        if body is None:
            if extra:
                headers.setdefault("Content-Type", "application/json")
                return None, encoded(dict(extra))
            return None, None
        media = given.get(self.spelled("content_type"), body.media[0]) if body.choose else body.media[0]
        if body.whole:
            if body.name not in given:
                return None, None
            headers.setdefault("Content-Type", media)
            return None, self._whole(given[body.name], media, headers)
        keys = [each for each in self.fields if each.place == "body" and each.name in given]
        filled = [each for each in self.fields if each.fills]
        media = next((each.only for each in keys if each.only), media)
        if not keys and not filled and not extra and not body.required:
            return None, None
        if self.encode in ("form", "multipart"):
            media = {"form": FORM, "multipart": MULTIPART}[self.encode]
        if media.startswith(FORM):
            pairs = [pair for each in keys for pair in pairs_of(each.wire, given[each.name], each.style)]
            pairs += [(each.fills, _word(given[each.name])) for each in filled]
            return [*pairs, *_repeated(extra)], None
        if media.startswith("multipart/"):
            parts = [(each.wire, given[each.name]) for each in keys]
            parts += [(each.fills, given[each.name]) for each in filled]
            form = multipart([*parts, *extra.items()])
            headers.setdefault("Content-Type", f"{media}; boundary={form.boundary}")
            return None, form.encode()
        headers.setdefault("Content-Type", media)
        whole = {each.wire: given[each.name] for each in keys} | {each.fills: given[each.name] for each in filled}
        return None, encoded({**whole, **extra})

    def _whole(self, value: Any, media: str, headers: dict[str, str]) -> bytes:
        if self.encode == "ndjson":
            headers["Content-Type"] = _NDJSON
            return b"".join(encoded(each) + b"\n" for each in (value if isinstance(value, list) else [value]))
        if is_json(media):
            return encoded(value)
        content, kind, _ = file_of(value, "body")
        if kind:
            headers["Content-Type"] = kind
        return content


def _segment(each: Field, value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(_word, value))
    return _word(value)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return encoded(value).decode() if isinstance(value, (dict, list)) else str(value)


def _repeated(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [pair for key, value in given.items() for pair in pairs_of(key, value, "repeated")]


def pairs_of(name: str, value: Any, style: str) -> Iterator[tuple[str, str]]:
    """Yield the names and values that an argument becomes in a query or a form.

    Args:
        name: As the service spells it.
        value: What the call gives.
        style: ``repeated``, ``joined``, ``pipes``, ``spaces``, ``deep``, ``deep[]`` or ``json``.
    """
    if style == "json":
        yield name, value if isinstance(value, str) else _word(value)
    elif style in ("deep", "deep[]"):
        yield from _deep(name, value, "[]" if style == "deep[]" else "")
    elif isinstance(value, Mapping):
        if style == "repeated":
            for key, each in value.items():
                yield from pairs_of(key, each, "repeated")
        else:
            yield name, _SEPARATORS[style].join(f"{key},{_word(each)}" for key, each in value.items())
    elif isinstance(value, (list, tuple)):
        words = [_word(each) for each in value if each is not None]
        if style in _SEPARATORS:
            yield from [(name, _SEPARATORS[style].join(words))] if words else []
        else:
            yield from ((name, word) for word in words)
    elif value is not None:
        yield name, _word(value)


def _deep(name: str, value: Any, brackets: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _deep(f"{name}[{key}]", each, brackets)
    elif isinstance(value, (list, tuple)):
        for number, each in enumerate(value):
            yield from _deep(f"{name}{brackets or f'[{number}]'}", each, brackets)
    elif value is not None:
        yield name, _word(value)


def encoded(value: Any) -> bytes:
    """Return a value as JSON."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def file_of(value: Any, name: str) -> tuple[bytes, str, str]:
    """Return the bytes, the media type and the file name of what a script passes for a file.

    Raises:
        BadArguments: Its base64 or its media type is none.
    """
    if not isinstance(value, Mapping) or "base64" not in value:
        return (value if isinstance(value, str) else _word(value)).encode(), "", ""
    try:
        content = b64decode("".join(str(value["base64"]).split()), validate=True)
    except (NotBase64, ValueError):
        raise BadArguments(f"{name}.base64 is not base64", param=name) from None
    kind = str(value.get("content_type") or "")
    if not kind.isprintable():
        raise BadArguments(f"{name}.content_type is not a media type", param=name)
    return content, kind, str(value.get("filename") or "")


def multipart(parts: Sequence[tuple[str, Any]]) -> Multipart:
    """Return a form with files of what a script passes."""
    return Multipart(tuple(part for name, value in parts for part in _parts(name, value)))


def _parts(name: str, value: Any) -> Iterator[Part]:
    """Yield each part that an argument becomes."""
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
        yield Part(name, _word(value).encode())


def _accepted(media: Sequence[str]) -> str:
    """Return the ``Accept`` of a request: JSON if there is any."""
    known = [each for each in media if is_json(each) and each != "*/*"]
    return (known or [each for each in media if "/" in each] or ["application/json"])[0]


def value_of(response: Response, method: str) -> Json:
    """Return what a script gets of an answer.

    JSON is decoded, text is a string, an empty answer is ``{ status }``, anything else is
    ``{ content_type, base64, bytes }``.
    """
    if method == "HEAD" or not response.body:
        return {"status": response.status}
    kind = media_type(response)
    if is_json(kind):
        return decode(response)
    if not kind:
        return _unnamed(response)
    if kind.startswith("text/") or kind.endswith("xml") or kind in ("application/javascript", "application/x-yaml"):
        return response.text()
    return cast("Json", binary(response))


def _unnamed(response: Response) -> Json:
    """Return the value of an answer that does not say what it is."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        pass
    try:
        return response.body.decode()
    except UnicodeDecodeError:
        return cast("Json", binary(response))
