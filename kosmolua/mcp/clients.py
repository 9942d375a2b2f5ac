"""Clients of the HTTP server: which request is whose, and who is still connected."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SCOPE = "kosmolua.client"
"""Where a request's scope has its client's name."""
COOKIE = "kosmolua-client"
MAX_NAME = 64
RECONNECT_TIMEOUT = 10.0
"""Seconds for which the scripts of a client without a connection run on, since it may come back."""


class Clients:
    """Names the client of each request, and ends the scripts of clients that have disconnected.

    Up to protocol 2025-11-25 a session is a client. Later ones have no sessions, so the first answer sets a cookie.
    It grants nothing; it only distinguishes clients that share an address.

    Args:
        app: What answers the requests.
        has_runs: Returns True if scripts of a client run.
        end_runs: Ends them.
    """

    def __init__(self, app: ASGIApp, *, has_runs: Callable[[str], bool], end_runs: Callable[[str], None]) -> None:
        self._app = app
        self._has_runs = has_runs
        self._end_runs = end_runs
        self._requests: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        session, cookie = headers.get("mcp-session-id"), cookie_parser(headers.get("cookie", "")).get(COOKIE)
        if session:
            name = f"session {session[:MAX_NAME]}"
        elif cookie:
            name = f"cookie {cookie[:MAX_NAME]}"
        else:
            name, send = "", _with_cookie(send)
        scope[SCOPE] = name
        self._requests[name] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._requests[name] -= 1
            if not self._requests[name]:
                del self._requests[name]
                if self._has_runs(name):
                    asyncio.get_running_loop().call_later(RECONNECT_TIMEOUT, self._end_unless_back, name)

    def _end_unless_back(self, name: str) -> None:
        if name not in self._requests:
            self._end_runs(name)


def client_of(request: Request | None, software: str) -> str | None:
    """Return the name of a request's client; None for the only client of a server on standard input.

    Args:
        request: The HTTP request.
        software: What the client says that it is, which has to do for one that keeps no cookie.
    """
    if request is None:
        return None
    address = request.client.host if request.client else ""
    return request.scope.get(SCOPE) or f"address {address} {software[:MAX_NAME]}"


def is_exact(client: str | None) -> bool:
    """Return True if no other client can have this name."""
    return client is None or not client.startswith("address ")


def _with_cookie(send: Send) -> Send:
    async def send_cookie(message: Message) -> None:
        if message["type"] == "http.response.start":
            value: Any = f"{COOKIE}={secrets.token_urlsafe(12)}; Path=/; HttpOnly; SameSite=Strict"
            MutableHeaders(scope=message).append("Set-Cookie", value)
        await send(message)

    return send_cookie
