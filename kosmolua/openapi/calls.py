"""The request of an operation, with the arguments of a call, and the value of its response for a script."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as made_by
from typing import Any, Protocol
from urllib.parse import parse_qsl

from kosmolua.errors import BadArguments
from kosmolua.expressions import regex
from kosmolua.http.binary import media_type
from kosmolua.http.client import Api, Quoted, decode
from kosmolua.http.headers import merged, plain
from kosmolua.http.messages import Response
from kosmolua.openapi.aws_query import AwsQuery
from kosmolua.openapi.bodies import (
    NOTHING,
    OVERRIDE,
    EncodedBody,
    Member,
    content_of,
    is_override,
    joined,
    object_of,
    overriding,
    pairs_of,
    repeated,
    segment_of,
    whole_beside,
    word_of,
)
from kosmolua.openapi.operations import JSON_PATCH, Body, Field, is_json
from kosmolua.openapi.paging import Recipe, ResultPage
from kosmolua.openapi.replies import value_of, whole_of
from kosmolua.openapi.routes import Route
from kosmolua.openapi.walking import walk
from kosmolua.openapi.xml_values import XmlReader, XmlWriter, is_xml
from kosmolua.protocol import Json
from kosmolua.schema.arguments import Parameter
from kosmolua.schema.function import FULL

MAX_ITEMS = 1000
"""The most items that ``all = true`` returns, unless a call names a number."""
_NEVER_IN_A_COOKIE = regex(r"[;\x00-\x1f\x7f]")


class ApiClient(Protocol):
    """The client of an opened account."""

    def api(self, server: str, *, is_open: bool = False) -> Api:
        """Return the HTTP client for a base URL; empty: the service's usual one. An open operation needs no login."""

    def checked(self, response: Response) -> Response:
        """Return a response, or raise an ApiError if it reports an error with status 200."""


@dataclass(frozen=True)
class OperationCall:
    """Sends the request of one operation, as the document describes it.

    Args:
        method: The HTTP method, in capitals.
        path: The template of the path, such as ``/pets/{id}``, perhaps with a query.
        fields: The arguments: parameters, and keys of the body.
        body: The body, or None.
        media: The media types that the response can have.
        server: The operation's own base URL.
        recipe: Its paging, or None.
        encode: The overlay's encoding of the body.
        safe: Whether the overlay says that the request changes nothing, whatever its method.
        is_open: Whether it needs no credential, as a login.
        xml: Reads replies in XML by the document's schema; None if it has none for them.
        written: Writes bodies in XML by the document's schema; None if it has none for them.
        aws: Writes arguments as AWS's query protocol has them; None for any other operation.
        graphql: What the request of a GraphQL field needs: see :mod:`kosmolua.openapi.graphql`; empty for any other.
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
    is_open: bool = False
    xml: XmlReader | None = None
    written: XmlWriter | None = None
    aws: AwsQuery | None = None
    graphql: Mapping[str, Any] = made_by(default_factory=dict)

    def more_parameters(self) -> Iterator[Parameter]:
        """Yield parameters that the document does not have."""
        return iter(())

    def spelled(self, name: str) -> str:
        """Return the name for an argument that KosmoLua adds, such as ``all``, with ``_`` if the operation has such a
        one.
        """
        taken = {each.name for each in self.fields} | ({self.body.name} if self.body else set())
        while name in taken:
            name += "_"
        return name

    def inside_extra(self, each: Field | None = None) -> tuple[str, ...]:
        """Return where in ``extra`` a call can also pass a part of the body, or with None the body: ``("extra",
        "body", "name")``.

        It is empty if the argument is no part of the body.
        """
        if each is None:
            return self.spelled("extra"), "body"
        return (self.spelled("extra"), "body", each.wire) if each.place == "body" else ()

    def make(self, client: ApiClient, arguments: Mapping[str, Any]) -> Json:
        """Send the request, or those for all pages if the argument ``all`` is true, and return the value for the
        script.

        Raises:
            BadArguments: The body cannot be sent, or the call wants both all pages and one whole reply.
            CallError: A request failed, or the service reported an error.
        """
        given = dict(arguments)
        wants_all = given.pop(self.spelled("all"), False) if self.recipe else False
        most = given.pop(self.spelled("max_items"), MAX_ITEMS) if self.recipe else 0
        extra = given.pop(self.spelled("extra"), None) or {}
        api = client.api(self.server, is_open=self.is_open)
        if given.pop(self.spelled("reply"), "") == FULL:
            if wants_all:
                raise BadArguments('reply = "full" is one reply, so it excludes all = true', param="reply")
            return whole_of(client.checked(self._send(api, given, extra, answers=[304])), self.media, self.xml)

        def fetch(changed: Mapping[str, Json]) -> ResultPage:
            response = client.checked(self._send(api, {**given, **self._by_name(changed)}, extra))
            return ResultPage(self._value(response), response)

        if not wants_all or self.recipe is None:
            return fetch({}).value

        def follow(url: str) -> ResultPage:
            response = client.checked(api.follow(url))
            return ResultPage(self._value(response), response)

        wires = {each.wire: given[each.name] for each in self.fields if each.name in given}
        return walk(self.recipe, wires, fetch, follow, most, f"{self.method} {self.path}")

    def _value(self, response: Response) -> Json:
        is_usual = response.body and media_type(response) == "application/json"
        return decode(response) if is_usual else value_of(response, self.media, self.xml)

    def _content(self, given: Mapping[str, Any], extra: Mapping[str, Any]) -> EncodedBody:
        """Encode the body of the request."""
        added = extra.get("body", NOTHING)
        body = self.body
        if body is None:
            return EncodedBody() if added is NOTHING else content_of(added, "application/json")
        media = given.get(self.spelled("content_type"), body.media[0]) if body.choose else body.media[0]
        if body.whole:
            whole = joined(given.get(body.name, NOTHING), added, body.name, media)
            media = _for_patch(media, body.media, whole)
            return EncodedBody() if whole is NOTHING else content_of(whole, media, self.encode, self._writer(media))
        keys = [each for each in self.fields if each.place == "body" and (each.constant or each.name in given)]
        filled = [each for each in self.fields if each.fills]
        media = next((each.only for each in keys if each.only), media)
        if added is not NOTHING and not isinstance(added, Mapping):
            if keys:
                raise whole_beside(each.name for each in keys)
            return content_of(added, _for_patch(media, body.media, added), self.encode, self._writer(media))
        if not keys and not filled and added is NOTHING and not body.required:
            return EncodedBody()
        others = {} if added is NOTHING else added
        media = _for_patch(media, body.media, others)
        if body.order:
            keys.sort(key=lambda each: body.order.index(each.wire) if each.wire in body.order else len(body.order))
        members = [
            Member(each.wire, given.get(each.name, each.constant), each.style, each.part, each.is_file)
            for each in keys
            if each.wire not in others
        ]
        members += [Member(each.fills, given[each.name]) for each in filled if each.fills not in others]
        members += [Member(key, value) for key, value in others.items()]
        return object_of(members, media, self.encode, self._writer(media))

    def _writer(self, media: str) -> Callable[[Any], bytes] | None:
        return self.written.write if self.written and is_xml(media) else None

    def _by_name(self, changed: Mapping[str, Json]) -> dict[str, Json]:
        names = {each.wire: each.name for each in self.fields}
        return {names[wire]: value for wire, value in changed.items() if wire in names}

    def _send(
        self, api: Api, given: Mapping[str, Any], extra: Mapping[str, Any], answers: Collection[int] = ()
    ) -> Response:
        given = self.aws.flattened(self.fields, given) if self.aws else given
        path, _, fixed = self.path.replace("{+", "{").partition("#")[0].partition("?")
        query = [*(self._fixed(fixed, given) if fixed else ()), *self._pairs("query", given)]
        query += repeated(extra.get("query") or {})
        content = self._content(given, extra)
        usual = {"Content-Type": content.media} if content.media else {}
        usual |= {"Accept": _accepted(self.media)} if self.media else {}
        headers = merged(merged(usual, dict(self._pairs("header", given))), extra.get("headers") or {})
        if cookies := self._pairs("cookie", given):
            headers["Cookie"] = "; ".join(map(_cookie, cookies))
        media = next((value for name, value in headers.items() if plain(name) == "content-type"), "")
        if any(is_override(name) for name, _ in query) or overriding(content, media):
            raise BadArguments(f"_method {OVERRIDE}")
        slots = {
            each.wire: _segment(each, given[each.name])
            for each in self.fields
            if each.place == "path" and f"{{{each.wire}}}" in path
        }
        slashes = [each.wire for each in self.fields if each.slashes]
        return api.fetch(
            self.method,
            Route(path, self.path),
            slots,
            query=query,
            headers=headers,
            form=content.form,
            body=content.body,
            safe=self.safe,
            slashes=slashes,
            answers=answers,
        )

    def _fixed(self, query: str, given: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return the query in the template of the path, with what the call passes for its names in braces."""
        values = {f"{{{each.wire}}}": word_of(given[each.name]) for each in self.fields if each.name in given}
        pairs = parse_qsl(query, keep_blank_values=True)
        named = {each.wire for each in self.fields if each.place == "query"}
        return [(name, values.get(value, value)) for name, value in pairs if name not in named or value[:1] != "{"]

    def _pairs(self, place: str, given: Mapping[str, Any]) -> list[tuple[str, str]]:
        return [
            pair
            for each in self.fields
            if each.place == place and (each.constant or each.name in given)
            for pair in pairs_of(each.wire, given.get(each.name, each.constant), each.style)
        ]


def _for_patch(media: str, others: Sequence[str], whole: Any) -> str:
    """Return the media type for a body: of a service that takes both, a list is a JSON Patch, and a table is none."""
    if isinstance(whole, list) and JSON_PATCH in others:
        return JSON_PATCH
    if media == JSON_PATCH and isinstance(whole, Mapping):
        hint = f"content_type can be {', '.join(each for each in others if each != media) or 'nothing else'}"
        raise BadArguments(f"a body of {media} is a list of changes, not a table", param="body", hint=hint)
    return media


def _cookie(pair: tuple[str, str]) -> str:
    name, value = pair
    if _NEVER_IN_A_COOKIE.search(value):
        raise BadArguments(f"{name} cannot be sent in a cookie, since it contains a semicolon", param=name)
    return f"{name}={value}"


def _segment(each: Field, value: Any) -> str:
    if each.style in ("repeated", "json") or (each.style == "joined" and not isinstance(value, (list, tuple, Mapping))):
        return word_of(value)
    return Quoted(segment_of(each.wire, value, each.style))


def _accepted(media: Sequence[str]) -> str:
    """Return the ``Accept`` header: JSON, or else the first."""
    if "application/json" in media:
        return "application/json"
    known = [each for each in media if is_json(each) and each != "*/*"]
    return (known or [each for each in media if "/" in each] or ["application/json"])[0]
