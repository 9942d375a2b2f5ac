"""The MCP server over HTTP: checks requests, and passes allowed ones to the SDK's transport."""

from __future__ import annotations

import asyncio
import hmac
import signal
import socket
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from kosmolua.mcp.addresses import PATH, SocketAddress, UnixAddress
from kosmolua.mcp.clients import Clients, find_token
from kosmolua.mcp.connections import IDLE_TIMEOUT, Connection
from kosmolua.mcp.hosts import is_loopback_name, is_own_host
from kosmolua.mcp.server import Handlers

if TYPE_CHECKING:
    import uvicorn

SHUTDOWN_TIMEOUT = 2
"""Seconds that open connections have to finish when the server is told to stop."""
SESSION_TIMEOUT = 600.0
"""Seconds after which the session of a client ends if the client has no connection."""
MAX_SESSIONS = 500
NO_TOKEN = "The header Authorization: Bearer TOKEN is missing, or its token is wrong.\n"


class HostCheck:
    """An ASGI layer that refuses requests from pages of other websites, and requests for a foreign host name.

    A browser names the page's website in Origin, and the URL's host in Host. An attacker can make any host name point
    here (DNS rebinding), so Host must be an IP address, ``localhost`` or one of ``hosts``. ``remedy`` says which.
    """

    def __init__(self, app: ASGIApp, hosts: Callable[[], Collection[str]], remedy: str) -> None:
        self._app = app
        self._hosts = hosts
        self._remedy = remedy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self.refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def refusal(self, headers: Headers) -> PlainTextResponse | None:
        """Return the answer to a request that is refused, or None."""
        host = headers.get("host", "")
        if not is_own_host(headers, self._hosts()):
            return PlainTextResponse(f"This server has no such host name. {self._remedy}\n", 421)
        if any(origin.partition("://")[2] != host for origin in headers.getlist("origin")):
            return PlainTextResponse("Requests from the pages of other sites are refused.\n", 403)
        return None


class Guard(HostCheck):
    """The layer that also refuses requests without the token; without a token, as on a Unix socket, foreign names.

    ``names`` are the host names of a server with a token.
    """

    def __init__(self, app: ASGIApp, token: str | None, names: Collection[str] = ()) -> None:
        super().__init__(app, lambda: names, "Use its IP address, or the name that --http was given.")
        self._token = token.encode() if token else None

    def refusal(self, headers: Headers) -> PlainTextResponse | None:
        """Return the answer to a request that is refused, or None."""
        if self._token is None and not is_loopback_name(headers.get("host", "")):
            return PlainTextResponse("The header Host must have a loopback name, such as localhost.", 421)
        if refused := super().refusal(headers):
            return refused
        if self._token is not None and not hmac.compare_digest(bearer(headers), self._token):
            return PlainTextResponse(NO_TOKEN, 401, {"WWW-Authenticate": "Bearer"})
        return None


def bearer(headers: Headers) -> bytes:
    """Return the bearer token of a request, or empty bytes."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip().encode("latin-1") if scheme.lower() == "bearer" else b""


def configured(app: ASGIApp, **more: Any) -> uvicorn.Config:
    """Return uvicorn's settings, with :class:`Connection`; ``more`` adds to them or replaces some."""
    import uvicorn

    timeouts = {"timeout_keep_alive": IDLE_TIMEOUT, "timeout_graceful_shutdown": SHUTDOWN_TIMEOUT}
    given: dict[str, Any] = {"http": Connection, **timeouts, **more}
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="error",  # its warnings are about malformed requests, which anybody can send without limit
        access_log=False,
        ws="none",
        server_header=False,
        backlog=1,  # the number of connections that asyncio accepts at once; the listener has its own backlog
        **given,
    )


def serve(
    handlers: Handlers,
    address: SocketAddress | UnixAddress,
    *,
    environ: Mapping[str, str],
    announce: Callable[[str], None],
    names: Collection[str] = (),
) -> None:
    """Serve clients over HTTP until a signal to stop.

    Over TCP, clients must send a token: that in the environment, or else in a file in the state folder, whose path is
    announced. ``names`` are the host names of the server, besides ``localhost`` and IP addresses.

    Raises:
        ConfigError: The server cannot listen on the address, or the token is blank or cannot be read.
    """
    token, file = find_token(environ) if isinstance(address, SocketAddress) else (None, None)
    listener, bound = address.listen()
    with listener:
        announce(f"serving on {bound.url}")
        if file:
            announce(f"clients must send the token in {file}")
        asyncio.run(_serve(handlers, listener, token, names))


async def _serve(handlers: Handlers, listener: socket.socket, token: str | None, names: Collection[str]) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Route

    from kosmolua.mcp.transport import McpTransport

    transport = McpTransport(handlers.server(), session_idle_timeout=SESSION_TIMEOUT, max_sessions=MAX_SESSIONS)
    app = Starlette(routes=[Route(PATH, transport)], lifespan=lambda app: transport.run())
    clients = Clients(app, has_runs=handlers.executions.has_runs, end_runs=handlers.executions.end_runs)
    config = configured(Guard(clients, token, names))
    if hasattr(signal, "SIGHUP"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, handlers.reopen_journal)
    try:
        await uvicorn.Server(config).serve([listener])
    finally:
        handlers.close()
