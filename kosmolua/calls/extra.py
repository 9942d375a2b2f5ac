"""The argument ``extra`` of a plugin's function: parts of its request that the function has no parameter for.

What a function reads gets them in each request, as in each page of a list; a write in the first request that changes
something. If ``Accept`` is among the headers and the reply is no JSON, the call returns that reply.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from kosmolua.errors import BadArguments, KosmoError
from kosmolua.http.binary import binary, media_type
from kosmolua.http.headers import merged, plain
from kosmolua.http.messages import SAFE_METHODS, Request, Response
from kosmolua.openapi.bodies import repeated
from kosmolua.openapi.operations import is_json
from kosmolua.protocol import Json
from kosmolua.schema.function import Function
from kosmolua.schema.types import has_secrets
from kosmolua.secret import Secret


class Addition:
    """What ``extra`` adds to the requests of one call, and the reply in another media type than the function reads."""

    def __init__(self, extra: Mapping[str, Any], *, is_read: bool) -> None:
        self._extra = extra
        self._is_read = is_read
        self._is_over = False
        self.reply: Json = None

    def around(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function's handler that also takes ``extra``."""

        def handle(opened: Any, /, *, extra: object, **arguments: Any) -> Any:
            try:
                value = handler(opened, **arguments)
            except KosmoError:
                if self.reply is None:  # else the function could not read what was asked for instead of JSON
                    raise
            return value if self.reply is None else self.reply

        return handle

    def added_to(self, request: Request) -> Request:
        """Return a request with the parts that are added to it."""
        if self._is_over or (request.safe and not self._is_read):
            return request
        self._is_over = not self._is_read
        pairs = repeated(self._extra.get("query") or {})
        self._refuse_to_replace(request)
        query = (*[pair for pair in request.query if pair[0] not in dict(pairs)], *pairs)
        headers = merged(request.headers, self._extra.get("headers") or {})
        request = replace(request, query=query, headers=headers)
        return _with_body(request, self._extra["body"]) if "body" in self._extra else request

    def _refuse_to_replace(self, request: Request) -> None:
        """Refuse another credential than the account's own and, in a read, another request than the function's own."""
        extra, body = self._extra, self._extra.get("body")
        keys = {plain(name) for name, value in request.headers.items() if isinstance(value, Secret)}
        keys &= {plain(name) for name in extra.get("headers") or {}}
        keys |= {name for name, value in request.query if isinstance(value, Secret)} & (extra.get("query") or {}).keys()
        if keys:
            what = f"extra cannot set {min(keys)[:80]!r}, since it is for the account's credential"
            raise BadArguments(what, param="extra")
        if self._is_read and request.body and request.method not in SAFE_METHODS:
            own = _decoded(request)
            given = {*(extra.get("query") or {}), *(body if isinstance(body, Mapping) else ())}
            taken = given & own.keys() if isinstance(own, dict) else set()
            if taken or not isinstance(body or {}, Mapping):
                what = f"extra cannot replace {min(taken, default='the body')[:80]!r} in a function that only reads"
                raise BadArguments(what, param="extra")

    def note(self, response: Response) -> None:
        """Keep a reply that is no JSON, if the call asked for another media type."""
        wants = any(plain(name) == "accept" for name in self._extra.get("headers") or {})
        if wants and response.is_success and response.body and not is_json(media_type(response)):
            try:
                self.reply = response.body.decode()
            except UnicodeDecodeError:
                self.reply = cast(Json, binary(response))


def check_media_type(function: Function, extra: Any) -> None:
    """Refuse ``extra`` that asks for another media type, for a function whose declared result has secrets.

    Raises:
        BadArguments: A header ``Accept`` is among the headers.
    """
    if has_secrets(function.returns) and any(plain(name) == "accept" for name in extra.get("headers") or {}):
        what = f"{function.name}: extra cannot set 'Accept', since secrets in its result are found in JSON alone"
        raise BadArguments(what, param="extra.headers")


def _decoded(request: Request) -> Json:
    """Return the JSON of a request's body, or None."""
    own = request.body.reveal().encode() if isinstance(request.body, Secret) else request.body
    try:
        return cast(Json, json.loads(own)) if own else None
    except ValueError:
        what = "extra.body cannot be added to what this function sends, which is no JSON"
        raise BadArguments(what, param="extra") from None


def _with_body(request: Request, added: Json) -> Request:
    """Return a request with keys added to its JSON, or with another body."""
    if request.multipart or (request.form and not isinstance(added, Mapping)):
        raise BadArguments("extra.body cannot be added to the form that this function sends", param="extra")
    if request.form and isinstance(added, Mapping):
        return replace(request, form=(*request.form, *repeated(added)))
    known = _decoded(request) or {}
    whole = {**known, **added} if isinstance(known, dict) and isinstance(added, Mapping) else added
    text = json.dumps(whole, ensure_ascii=False)
    body = Secret(text, holding=request.body.roots) if isinstance(request.body, Secret) else text.encode()
    return replace(request, body=body, headers=merged({"Content-Type": "application/json"}, request.headers))
