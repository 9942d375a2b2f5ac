"""A client for one service and account: URL templates, bodies, statuses. It does no I/O; it is given ``send``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from urllib.parse import quote

from kosmolua.api.message import Request, Response, Send
from kosmolua.errors import ApiError, BadArguments, NetworkError
from kosmolua.secret import Secret
from kosmolua.values import Json

REQUEST_ID_HEADERS = ("Render-Request-Id", "X-Request-Id", "X-GitHub-Request-Id", "Request-Id")
LONGEST_QUOTED_BODY = 300
_SLOT = re.compile(r"\{(\w+)\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Query = Mapping[str, "str | int | float | bool | None | list[str] | tuple[str, ...]"]


class Api:
    """Sends requests to one service with one account's credential, and turns error statuses into errors.

    A template such as ``/services/{service_id}/deploys`` is filled from keyword arguments; each is quoted, so
    that no value can leave its path segment. In a query None is left out and a list is joined by commas.

    Args:
        send: What carries a request and brings the answer.
        base_url: What every path starts with.
        bearer: Sent as ``Authorization: Bearer ...``.
        headers: Sent with every request.
        query: Sent with every request, for services that want their key there.
    """

    def __init__(
        self,
        send: Send,
        base_url: str,
        *,
        bearer: Secret | None = None,
        headers: Mapping[str, str | Secret] | None = None,
        query: Mapping[str, str | Secret] | None = None,
    ) -> None:
        self._send = send
        self._base_url = base_url.rstrip("/")
        self._headers: dict[str, str | Secret] = {"Accept": "application/json", **(headers or {})}
        if bearer:
            self._headers["Authorization"] = bearer.prefixed("Bearer")
        self._query = tuple((query or {}).items())

    def get(self, template: str, /, *, query: Query | None = None, **segments: str) -> Json:
        """GET a path and return its JSON, or None when the answer is empty."""
        return self.request("GET", template, query=query, **segments)

    def post(self, template: str, /, *, query: Query | None = None, json: Json = None, **segments: str) -> Json:
        """POST a JSON body, or none, and return the answer's JSON."""
        return self.request("POST", template, query=query, json=json, **segments)

    def put(self, template: str, /, *, query: Query | None = None, json: Json = None, **segments: str) -> Json:
        """PUT a JSON body and return the answer's JSON."""
        return self.request("PUT", template, query=query, json=json, **segments)

    def patch(self, template: str, /, *, query: Query | None = None, json: Json = None, **segments: str) -> Json:
        """PATCH with a JSON body and return the answer's JSON."""
        return self.request("PATCH", template, query=query, json=json, **segments)

    def delete(self, template: str, /, *, query: Query | None = None, **segments: str) -> Json:
        """DELETE a path and return the answer's JSON."""
        return self.request("DELETE", template, query=query, **segments)

    def request(
        self,
        method: str,
        template: str,
        /,
        *,
        query: Query | None = None,
        json: Json = None,
        **segments: str,
    ) -> Json:
        """Send one request and return the answer's JSON, or None when it is empty.

        Args:
            method: In capitals.
            template: A path below the base URL, with ``{name}`` for each segment to fill.
            query: Names and values; None is left out, a list is joined by commas.
            json: The body; None sends none.
            segments: The values of the template's names.

        Raises:
            BadArguments: A segment is empty, ``.``, ``..`` or holds a control character.
            ApiError: The service answered with a status of 400 or more.
            NetworkError: The service could not be reached, or its answer is not JSON.
        """
        return _decode(self.exchange(method, template, query=query, json=json, **segments))

    def exchange(
        self,
        method: str,
        template: str,
        /,
        *,
        query: Query | None = None,
        json: Json = None,
        **segments: str,
    ) -> Response:
        """Like :meth:`request`, but return the whole answer, headers included."""
        body = None if json is None else _encode(json)
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        url = self._base_url + fill(template, segments)
        response = self._send(Request(method, url, (*self._query, *_pairs(query or {})), headers, body))
        if response.status >= 400:
            raise error_of(method, fill(template, segments), response)
        return response


def fill(template: str, segments: Mapping[str, str]) -> str:
    """Return the path of a template with each segment quoted.

    Raises:
        BadArguments: A segment is empty, ``.``, ``..`` or holds a control character.
    """
    return _SLOT.sub(lambda slot: _segment(slot[1], segments[slot[1]]), template)


def _segment(name: str, value: str) -> str:
    if value in ("", ".", "..") or _CONTROL.search(value):
        raise BadArguments(f"{name} cannot be {value[:80]!r}", param=name)
    return quote(value, safe="")


def _pairs(query: Query) -> list[tuple[str, str | Secret]]:
    return [(name, _spell(value)) for name, value in query.items() if value is not None and value != []]


def _spell(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _encode(body: Json) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()


def _decode(response: Response) -> Json:
    try:
        return response.json()
    except (ValueError, RecursionError):
        raise NetworkError(
            f"The service answered {response.status} with something that is not JSON: {quoted(response)}",
            retryable=False,
        ) from None


def quoted(response: Response) -> str:
    """Return the beginning of an answer's body on one line, for a message."""
    line = " ".join(response.text().split())
    return line if len(line) <= LONGEST_QUOTED_BODY else line[:LONGEST_QUOTED_BODY] + "..."


def error_of(method: str, path: str, response: Response) -> ApiError:
    """Return the error that an answer with a status of 400 or more stands for."""
    request_id = next(filter(None, map(response.header, REQUEST_ID_HEADERS)), None)
    return ApiError(
        f"{method} {path} was answered {response.status}: {_reason(response)}",
        status=response.status,
        retryable=response.status == 429 or response.status >= 500,
        request_id=request_id,
    )


def _reason(response: Response) -> str:
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return quoted(response)
    if isinstance(body, dict):
        return str(body.get("message") or body.get("error") or quoted(response))
    return quoted(response) or "no reason given"
