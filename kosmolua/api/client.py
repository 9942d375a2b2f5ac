"""A client for one service and account: URL templates, bodies, statuses. It does no I/O; it is given ``send``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Literal
from urllib.parse import parse_qsl, quote, urlsplit

from kosmolua.api.message import Pairs, Request, Response, Send, origin
from kosmolua.api.pace import retry_after, throttled
from kosmolua.api.reason import LOOK_FIRST, reason_of
from kosmolua.errors import ApiError, BadArguments, NetworkError, NotConfigured
from kosmolua.secret import Secret
from kosmolua.values import Json

_SLOT = re.compile(r"\{(\w+)\}")
_NEVER_IN_A_SEGMENT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

Scalar = str | int | float | bool
Query = Mapping[str, "Scalar | Sequence[Scalar] | None"]


class Api:
    """Sends requests to one service with one account's credential, and turns error statuses into errors.

    A template such as ``/services/{service_id}/deploys`` is filled from keyword arguments; each is quoted, so that no
    value can leave its path segment. In a query or a form None and an empty list are left out.

    Args:
        send: What carries a request and brings the answer.
        base_url: What every path starts with.
        bearer: Sent as ``Authorization: Bearer ...`` (RFC 6750).
        headers: Sent with every request.
        query: Sent with every request, for services that want their key there.
        lists: How a list goes into a query: ``joined`` by commas as Render wants it, or the name ``repeated``.

    Raises:
        NotConfigured: ``base_url`` is not an http or https address, or holds a user or a query.
    """

    def __init__(
        self,
        send: Send,
        base_url: str,
        *,
        bearer: Secret | None = None,
        headers: Mapping[str, str | Secret] | None = None,
        query: Mapping[str, str | Secret] | None = None,
        lists: Literal["joined", "repeated"] = "joined",
    ) -> None:
        self._send = send
        self._base_url = _checked(base_url).rstrip("/")
        self._headers: dict[str, str | Secret] = {"Accept": "application/json", **(headers or {})}
        if bearer:
            self._headers["Authorization"] = bearer.prefixed("Bearer")
        self._query = tuple((query or {}).items())
        self._lists = lists

    def get(self, template: str, /, *, query: Query | None = None, **segments: str | int) -> Json:
        """GET a path and return its JSON, or None when the answer is empty."""
        return decode(self._exchange("GET", template, segments, query=query))

    def post(
        self,
        template: str,
        /,
        *,
        query: Query | None = None,
        json: Json = None,
        form: Query | None = None,
        **segments: str | int,
    ) -> Json:
        """POST a JSON body, a form or nothing, and return the answer's JSON."""
        return decode(self._exchange("POST", template, segments, query=query, json=json, form=form))

    def put(self, template: str, /, *, query: Query | None = None, json: Json = None, **segments: str | int) -> Json:
        """PUT a JSON body and return the answer's JSON."""
        return decode(self._exchange("PUT", template, segments, query=query, json=json))

    def patch(self, template: str, /, *, query: Query | None = None, json: Json = None, **segments: str | int) -> Json:
        """PATCH with a JSON body and return the answer's JSON."""
        return decode(self._exchange("PATCH", template, segments, query=query, json=json))

    def delete(self, template: str, /, *, query: Query | None = None, **segments: str | int) -> Json:
        """DELETE a path and return the answer's JSON."""
        return decode(self._exchange("DELETE", template, segments, query=query))

    def request(
        self,
        method: str,
        template: str,
        /,
        *,
        query: Query | None = None,
        json: Json = None,
        form: Query | None = None,
        **segments: str | int,
    ) -> Json:
        """Send one request and return the answer's JSON, or None when it is empty.

        Args:
            method: In capitals.
            template: A path below the base URL, with ``{name}`` for each segment to fill.
            query: Names and values of the query.
            json: The body; None sends none.
            form: Names and values of a form, sent as the body instead.
            segments: The values of the template's names.

        Raises:
            BadArguments: A segment is empty, ``.``, ``..`` or holds a control character.
            ApiError: The service answered with a redirect or an error.
            NetworkError: The service could not be reached, or its answer is not JSON.
        """
        return decode(self._exchange(method, template, segments, query=query, json=json, form=form))

    def exchange(
        self,
        method: str,
        template: str,
        /,
        *,
        query: Query | None = None,
        json: Json = None,
        form: Query | None = None,
        **segments: str | int,
    ) -> Response:
        """Like :meth:`request`, but return the whole answer, headers included."""
        return self._exchange(method, template, segments, query=query, json=json, form=form)

    def url(self, template: str, /, **segments: str | int) -> str:
        """Return the absolute URL of a path, without a query."""
        return self._base_url + fill(template, segments)

    def follow(self, url: str) -> Response:
        """GET an absolute URL that the service gave, such as a next page's, and return the whole answer.

        Raises:
            NetworkError: It is at another origin, where no credential may go.
        """
        if origin(url) != origin(self._base_url):
            raise NetworkError(
                f"The service referred to {origin(url) or url!r}, which is not {origin(self._base_url)}: "
                "not fetched, since the account's credential must not go there",
                retryable=False,
            )
        target = urlsplit(url)
        own = dict(self._query)
        given = (pair for pair in parse_qsl(target.query, keep_blank_values=True) if pair[0] not in own)
        address = target._replace(query="", fragment="").geturl()
        return self._answer(Request("GET", address, (*self._query, *given), self._headers))

    def _exchange(
        self,
        method: str,
        template: str,
        segments: Mapping[str, str | int],
        *,
        query: Query | None = None,
        json: Json = None,
        form: Query | None = None,
    ) -> Response:
        body = None if json is None else _encode(json)
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        pairs = (*self._query, *self._pairs(query or {}))
        url = self._base_url + fill(template, segments)
        return self._answer(Request(method, url, pairs, headers, body, self._pairs(form or {}), route=template))

    def _answer(self, request: Request) -> Response:
        response = self._send(request)
        if response.status >= 300:
            raise error_of(request, response)
        return response

    def _pairs(self, query: Query) -> Pairs:
        return tuple(pair for name, value in query.items() for pair in self._spell(name, value))

    def _spell(self, name: str, value: object) -> list[tuple[str, str]]:
        if not isinstance(value, (list, tuple)):
            return [] if value is None else [(name, _word(value))]
        words = [_word(item) for item in value if item is not None]
        if self._lists == "repeated":
            return [(name, word) for word in words]
        return [(name, ",".join(words))] if words else []


def fill(template: str, segments: Mapping[str, str | int]) -> str:
    """Return the path of a template with each segment quoted.

    Raises:
        BadArguments: A segment is empty, ``.``, ``..`` or holds a control character.
        TypeError: A name of the template has no value, or a value no name.
    """
    if unmatched := set(_SLOT.findall(template)) ^ segments.keys():
        raise TypeError(f"{template} and its arguments do not agree on {', '.join(sorted(unmatched))}")
    return _SLOT.sub(lambda slot: _segment(slot[1], str(segments[slot[1]])), template)


def _segment(name: str, value: str) -> str:
    if value in ("", ".", "..") or _NEVER_IN_A_SEGMENT.search(value):
        raise BadArguments(f"{name} cannot be {value[:80]!r}, since it names one part of an address", param=name)
    return quote(value, safe="")


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _encode(body: Json) -> bytes:
    return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()


def _checked(base_url: str) -> str:
    host = origin(base_url).partition("://")[2]
    if not re.match(r"https?://", base_url) or not host or re.search(r"[@?#\s\\]", base_url):
        raise NotConfigured(
            "The account's base_url is not an address such as https://api.example.com/v1",
            hint="it has no user, query or space in it",
        )
    return base_url


def decode(response: Response) -> Json:
    """Return an answer's JSON, or None when it is empty.

    Raises:
        NetworkError: It is not JSON.
    """
    try:
        return response.json()
    except (ValueError, RecursionError):
        raise NetworkError(
            f"The service answered {response.status} with something that is not JSON: {reason_of(response)}",
            retryable=False,
        ) from None


def error_of(request: Request, response: Response) -> ApiError:
    """Return the error that a redirect or an error status stands for."""
    path = urlsplit(request.url).path
    known_as = f" [request {response.request_id}]" if response.request_id else ""
    wait = retry_after(response)
    error = ApiError(
        f"{request.method} {path} was answered {response.status}: {_reason(response)}{known_as}",
        status=response.status,
        retryable=throttled(response) or (request.safe and response.status >= 500),
        retry_after=wait,
        request_id=response.request_id,
        hint=_hint(request, response, wait),
    )
    if throttled(response):
        error.code = "rate_limited"
    return error


def _reason(response: Response) -> str:
    if response.status < 400:
        return (
            f"it redirects to {origin(response.header('Location') or '') or 'another address'}, which was not followed"
        )
    return reason_of(response)


def _hint(request: Request, response: Response, wait: float | None) -> str | None:
    if throttled(response):
        return None if wait is None else f"the service wants to be left alone for {wait:.0f} s"
    if response.status == 401:
        return "the account's credential is missing, wrong or expired; see kosmolua accounts check"
    if response.status == 403:
        return "the account's credential may not do this"
    if response.status >= 500 and not request.safe:
        return LOOK_FIRST
    return None
