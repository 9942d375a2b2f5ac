"""A client for one service and account: fills URL templates, encodes bodies, checks statuses. It does no I/O itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from functools import wraps
from inspect import Signature, signature
from types import MappingProxyType
from typing import Concatenate, Literal, ParamSpec, TypeAlias, cast
from urllib.parse import parse_qsl, quote, urlsplit

from kosmolua.errors import BadArguments, CallError, NetworkError, NotConfigured
from kosmolua.expressions import regex
from kosmolua.http.auth import Auth, Bearer
from kosmolua.http.binary import Binary, binary, bytes_of
from kosmolua.http.errors import LOOK_FIRST, error_of, id_suffix, message_of
from kosmolua.http.headers import merged, objection, plain
from kosmolua.http.messages import SAFE_METHODS, Headers, Pairs, Request, Response, Send, kind, location, origin
from kosmolua.http.multipart import Multipart, Part
from kosmolua.protocol import MAX_MEMORY_PER_BYTE, Json, memory_of
from kosmolua.secret import Secret

MAX_DECODED = 128 * 1024 * 1024
"""The most bytes of memory that the decoded values of an answer can take."""
_P = ParamSpec("_P")
_SLOT = regex(r"\{([^{}]+)\}")
NEVER_IN_A_SEGMENT = regex(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

Scalar = str | int | float | bool
Query = Mapping[str, "Scalar | Secret | Sequence[Scalar] | None"] | Sequence[tuple[str, str]]
"""Names and values of a query or a form. Pairs are sent in the order of the sequence."""
File = tuple[str, "bytes | str | Secret", str]
"""A file of a multipart form: its name, its content, and its media type."""
Field: TypeAlias = "Scalar | Secret | File | Binary"
Fields: TypeAlias = "Mapping[str, Field | Sequence[Field] | None] | Sequence[tuple[str, Field]]"
"""The fields of a multipart form by name: a value, a file, or a list of values and files."""
Body = bytes | str | Secret
Sendable: TypeAlias = "None | bool | int | float | str | Secret | Sequence[object] | Mapping[str, object]"
"""A value that can be sent as JSON, with Secrets in place of strings. A TypedDict can be passed as well."""


def _decoded(exchange: Callable[Concatenate[Api, _P], Response]) -> Callable[Concatenate[Api, _P], Json]:
    """Return the method ``request`` of :class:`Api`, made of the method ``exchange``."""

    @wraps(exchange)
    def request(api: Api, /, *args: _P.args, **options: _P.kwargs) -> Json:
        return decode(exchange(api, *args, **options))

    request.__name__ = "request"
    request.__doc__ = """Send a request like :meth:`exchange`, and return the decoded JSON of the answer.

        It is None if the answer is empty. An answer that is not JSON is a NetworkError.
        """
    return request


def _by(method: str, exchange: Callable[Concatenate[Api, str, _P], Response]) -> Callable[Concatenate[Api, _P], Json]:
    """Return the method of :class:`Api` that sends requests with one HTTP method."""

    def send(api: Api, /, *args: _P.args, **options: _P.kwargs) -> Json:
        return decode(exchange(api, method, *args, **options))

    parameters = signature(exchange).parameters
    send.__name__ = method.lower()
    send.__doc__ = f"Send a {method} request like :meth:`request`."
    send.__signature__ = Signature([each for each in parameters.values() if each.name != "method"])  # type: ignore[attr-defined]
    return send


class Quoted(str):
    """A segment of a path that is percent-encoded already."""

    __slots__ = ()


class Api:
    """Sends requests to one service with one account's credential, and turns error statuses into errors.

    A template such as ``/services/{service_id}/deploys`` is filled from keyword arguments. Their values are quoted, so
    that no value can leave its path segment. None and empty lists are left out of a query or a form. If a service
    answers a write with status 303 and an address at the same origin, the write has succeeded. The client then fetches
    that address, and returns what it finds there as the answer to the write (RFC 9110, 15.4.4).

    Args:
        send: The function that sends a request and returns the response.
        base_url: The beginning of every URL.
        bearer: A token to send as ``Authorization: Bearer ...`` (RFC 6750); short for ``auth=Bearer(bearer)``.
        auth: Adds the credential to every request; see :mod:`kosmolua.http.auth`.
        headers: Headers to send with every request.
        query: Query parameters to send with every request, for services that expect their key there.
        lists: How to write a list in a query. ``joined`` writes all items with commas between them, as Render expects.
            ``repeated`` repeats the parameter's name for each item.
        url_secrets: Credentials that are part of the base URL, by name. The credential ``name`` replaces ``{name}`` in
            the URL.

    Raises:
        NotConfigured: ``base_url`` is not an http or https address, or it contains a user name or a query.
        TypeError: Both ``bearer`` and ``auth`` were passed.
    """

    def __init__(
        self,
        send: Send,
        base_url: str,
        *,
        bearer: Secret | None = None,
        auth: Auth | None = None,
        headers: Headers | None = None,
        query: Query | None = None,
        lists: Literal["joined", "repeated"] = "joined",
        url_secrets: Mapping[str, Secret] | None = None,
    ) -> None:
        if bearer is not None and auth:
            raise TypeError("bearer and auth exclude each other: pass only one of them")
        self._send = send
        host = origin(base_url).partition("://")[2]
        if not re.match(r"https?://", base_url) or not host or re.search(r"[@?#\s\\]", base_url):
            raise NotConfigured(
                "base_url is not an address such as https://api.example.com/v1",
                hint="it must not contain a user name, a query, a fragment, a backslash or a space",
            )
        self._base_url = base_url.rstrip("/")
        self._url_secrets = dict(url_secrets or {})
        self._auth = Bearer(bearer) if bearer is not None else auth
        self._headers: dict[str, str | Secret] = {"Accept": "application/json", **(headers or {})}
        self._lists = lists
        self._query = self._pairs(query or {})

    def get(
        self,
        template: str,
        /,
        *,
        query: Query | None = None,
        headers: Headers | None = None,
        timeout: float | None = None,
        **segments: str | int,
    ) -> Json:
        """Send a GET request like :meth:`request`."""
        return decode(self.fetch("GET", template, segments, query=query, headers=headers, timeout=timeout))

    def download(
        self,
        template: str,
        /,
        *,
        query: Query | None = None,
        headers: Headers | None = None,
        timeout: float | None = None,
        **segments: str | int,
    ) -> Binary:
        """Send a GET request and return the bytes of the answer, whatever its media type.

        They are a table of ``content_type``, ``base64`` and ``bytes`` (the size). Else this is as :meth:`request`.
        """
        own = merged({"Accept": "*/*"}, headers or {})
        return binary(self.fetch("GET", template, segments, query=query, headers=own, timeout=timeout))

    def exchange(
        self,
        method: str,
        template: str,
        /,
        *,
        query: Query | None = None,
        headers: Headers | None = None,
        json: Sendable = None,
        form: Query | None = None,
        multipart: Fields | None = None,
        body: Body | None = None,
        timeout: float | None = None,
        safe: bool = False,
        **segments: str | int,
    ) -> Response:
        """Send one request and return the whole response.

        Args:
            method: The HTTP method, in capitals.
            template: A path below the base URL, with ``{name}`` for each segment to fill.
            query: The names and values of the query.
            headers: Headers of this request. They replace headers of the same name that the client always sends, except
                those that carry the account's credential.
            json: The value to send as a JSON body. None sends no JSON. A Secret can stand in place of any string in it.
            form: The names and values of a form to send as the body.
            multipart: The fields and files of a form to send as ``multipart/form-data``. A file is a ``Binary``, or a
                tuple of its name, its content and its media type. A list is sent as several fields of the same name.
            body: A body of any other media type. Pass its ``Content-Type`` in ``headers``. Text is sent as UTF-8.
            timeout: Seconds that the request can take, including retries and waits. The time limit of the script's call
                applies too.
            safe: True if the request changes nothing, although its method could, such as a query by POST. The request
                is then retried after a fault, like a GET.
            segments: The values of the names in the template.

        Raises:
            BadArguments: A segment is empty, is ``.`` or ``..``, or contains a control character. Or a header
                belongs to the transport, to a proxy, or to the account's credential.
            ApiError: The service answered with an error, or with a redirect that was not followed.
            NetworkError: The service could not be reached.
            TypeError: A value has a type that cannot be sent, or more than one body was passed.
            ValueError: The timeout is not more than 0.
        """
        return self.fetch(
            method,
            template,
            segments,
            query=query,
            headers=headers,
            json=json,
            form=form,
            multipart=multipart,
            body=body,
            timeout=timeout,
            safe=safe,
        )

    request = _decoded(exchange)
    post, put = _by("POST", exchange), _by("PUT", exchange)
    patch, delete = _by("PATCH", exchange), _by("DELETE", exchange)

    def fetch(
        self,
        method: str,
        template: str,
        segments: Mapping[str, str | int],
        /,
        *,
        query: Query | None = None,
        headers: Headers | None = None,
        json: Sendable = None,
        form: Query | None = None,
        multipart: Fields | None = None,
        body: Body | None = None,
        timeout: float | None = None,
        safe: bool = False,
        mutates: bool = False,
        slashes: Collection[str] = (),
        answers: Collection[int] = (),
    ) -> Response:
        """Send a request like :meth:`exchange`, with the template's values in ``segments``.

        ``slashes`` are the names whose values can have several path segments. ``mutates``: the request certainly
        changes something, so functions with the effect ``read`` cannot send it. ``answers`` are statuses such as 304
        that are no error.
        """
        if sum(given is not None for given in (json, form, multipart, body)) > 1:
            raise TypeError("json, form, multipart and body exclude each other: pass only one of them")
        own = self._with(headers) if headers else self._headers
        parts = None if multipart is None else Multipart(tuple(_parts(multipart)))
        if parts:
            own = merged(own, {"Content-Type": parts.content_type})
        if json is not None:
            own, body = merged({"Content-Type": "application/json"}, own), _encode(json)
        sent = body.encode() if isinstance(body, str) else body
        pairs = (*self._query, *self._pairs(query)) if query else self._query
        url = self._base_url + fill(template, segments, slashes)
        fields = self._pairs(form) if form else ()
        return self._answer(
            Request(
                method,
                url,
                pairs,
                own,
                sent,
                fields,
                template,
                declared_safe=safe,
                url_secrets=self._url_secrets,
                timeout=timeout,
                multipart=parts,
                mutates=mutates,
            ),
            headers or {},
            answers,
        )

    def _with(self, headers: Headers) -> Headers:
        keys = {plain(name) for name, value in self._headers.items() if isinstance(value, Secret)}
        for name, value in headers.items():
            if problem := objection(name, value if isinstance(value, str) else "", keys):
                raise BadArguments(f"the header {name[:80]!r} {problem}")
        return merged(self._headers, headers)

    @property
    def base_url(self) -> str:
        """The beginning of every URL, without a slash at the end."""
        return self._base_url

    def at(self, base_url: str) -> Api:
        """Return a copy for another base URL of the same service."""
        other = copy(self)
        other._base_url = base_url.rstrip("/")
        return other

    def url(self, template: str, /, **segments: str | int) -> str:
        """Fill a template, and return the absolute URL without a query."""
        return self._base_url + fill(template, segments)

    def follow(self, url: str, *, timeout: float | None = None) -> Response:
        """Send a GET request to a URL that the service named, such as that of the next page; ``timeout`` as for
        :meth:`request`.

        Raises:
            NetworkError: The URL is at another origin, which must not receive the credential, or the service could not
                be reached.
            ApiError: The service answered with an error.
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
        query = (*self._query, *given)
        return self._answer(
            Request("GET", address, query, self._headers, url_secrets=self._url_secrets, timeout=timeout)
        )

    def _answer(self, request: Request, own: Headers = MappingProxyType({}), answers: Collection[int] = ()) -> Response:
        """Sign and send a request; ``own`` are the headers that its caller set."""
        if self._auth:
            request = _signed(self._auth, request, own) if own else self._auth.sign(request)
        response = self._send(request)
        if response.request is None:  # else a redirect led elsewhere
            response = replace(response, request=request)
        if response.is_success or response.status in answers:
            return response
        target = location(request, response)
        if response.status == 303 and request.method not in SAFE_METHODS and origin(target) == origin(self._base_url):
            return self.follow(target, timeout=request.timeout) if request.safe else self._see_other(request, target)
        raise error_of(request, response)

    def _see_other(self, write: Request, url: str) -> Response:
        """Fetch the address in the 303 that answered a write. If this fails, the error suggests no retry."""
        try:
            return self.follow(url, timeout=write.timeout)
        except CallError as error:
            raise NetworkError(
                f"{write.method} {urlsplit(write.url).path} was answered 303, but the address that it refers to "
                f"could not be fetched: {error.what}",
                retryable=False,
                hint=LOOK_FIRST,
            ) from error

    def _pairs(self, query: Query) -> Pairs:
        if not isinstance(query, Mapping):
            return tuple(query)
        pairs: list[tuple[str, str | Secret]] = []
        for name, value in query.items():
            if isinstance(value, Secret):
                pairs.append((name, value))
            elif isinstance(value, (list, tuple)):
                words = [_word(name, item) for item in value if item is not None]
                if self._lists == "joined" and words:
                    words = [",".join(words)]
                pairs += [(name, word) for word in words]
            elif value is not None:
                pairs.append((name, _word(name, value)))
        return tuple(pairs)


def fill(template: str, segments: Mapping[str, str | int], slashes: Collection[str] = ()) -> str:
    """Fill a template, and return the path, with each value quoted as one segment or, in ``slashes``, as several.

    Raises:
        BadArguments: A segment is empty, is ``.`` or ``..``, or contains a control character.
        TypeError: A name has no value or a value no name, or a value is neither text, a number nor a boolean.
    """
    if unmatched := set(_SLOT.findall(template)) ^ segments.keys():
        names = ", ".join(sorted(unmatched))
        raise TypeError(f"{template} and its arguments must have the same names; only one of them has {names}")

    def segment(slot: re.Match[str]) -> str:
        name = slot[1]
        value = _word(name, segments[name])
        if isinstance(segments[name], Quoted) and value.strip("."):
            return value
        parts = value.split("/") if name in slashes else [value]
        if any(part in ("", ".", "..") or NEVER_IN_A_SEGMENT.search(part) for part in parts):
            what = "a path" if name in slashes else "one segment of a path"
            raise BadArguments(f"{name} cannot be {value[:80]!r}, since it becomes {what} in a URL", param=name)
        return "/".join(quote(part, safe="") for part in parts)

    return _SLOT.sub(segment, template)


def _word(name: str, value: object) -> str:
    if not isinstance(value, (str, int, float)):
        raise TypeError(
            f"{name} must be text, a number or a boolean to be part of an address or a form, not {kind(value)}"
        )
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parts(fields: Fields) -> Iterator[Part]:
    for name, value in fields.items() if isinstance(fields, Mapping) else fields:
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, tuple):
                yield _file(name, each)
            elif isinstance(each, dict) and "base64" in each:
                file = cast("Binary", each)
                yield Part(name, bytes_of(file), file["content_type"], file.get("filename") or "file")
            elif each is not None:
                yield Part(name, each if isinstance(each, Secret) else _word(name, each).encode())


def _file(name: str, file: Sequence[object]) -> Part:
    match file:
        case (str(filename), bytes() | str() | Secret() as content, str(content_type)):
            return Part(name, content.encode() if isinstance(content, str) else content, content_type, filename)
    raise TypeError(f"the file {name} must be a tuple of its name, its content and its media type")


def _signed(auth: Auth, request: Request, own: Headers) -> Request:
    signed = auth.sign(request)
    changed = {plain(name) for name, value in signed.headers.items() if request.headers.get(name) is not value}
    for name in own:
        if plain(name) in changed - {"cookie"}:
            raise BadArguments(f"the header {name[:80]!r} {objection(name, keys=changed)}")
    return signed


def _encode(body: Sendable) -> bytes | Secret:
    held: list[Secret] = []

    def reveal(value: object) -> str:
        if not isinstance(value, Secret):
            raise TypeError(f"a JSON body cannot contain {kind(value)}")
        held.append(value)
        return value.reveal()

    text = json.dumps(body, allow_nan=False, separators=(",", ":"), default=reveal)
    return Secret(text, holding=held) if held else text.encode()


def decode(response: Response) -> Json:
    """Return the decoded JSON of a response, or None if it is empty.

    Raises:
        NetworkError: The response is not JSON, or its values would take too much memory.
    """
    if len(response.body) * MAX_MEMORY_PER_BYTE > MAX_DECODED and memory_of(response.body) > MAX_DECODED:
        raise NetworkError(
            f"{response.asked} was answered with more values than the host has memory for",
            retryable=False,
            hint="request less at a time",
        )
    with suppress(ValueError, RecursionError):
        return response.json()
    request = response.request
    raise NetworkError(
        f"{response.asked} was answered {response.status} with something that is not JSON: "
        f"{message_of(response)}{id_suffix(response)}",
        retryable=False,
        hint=None if request is None or request.safe else LOOK_FIRST,
    )
