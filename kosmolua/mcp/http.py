"""Serving clients over HTTP: where to listen, which requests are let in, and the SDK's transport behind that."""

from __future__ import annotations

import asyncio
import hmac
import os
import signal
import socket
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from kosmolua.errors import ConfigError, UsageError
from kosmolua.mcp.clients import Clients, find_token
from kosmolua.mcp.connections import Connection, Listener
from kosmolua.mcp.server import Handlers

PATH = "/mcp"
UNIX = "unix:"
SHUTDOWN_TIMEOUT = 2
"""Seconds for connections that are open when the server is told to stop."""
SESSION_TIMEOUT = 600.0
"""Seconds after which a session ends if its client has no connection."""
MAX_SESSIONS = 500


@dataclass(frozen=True)
class Address:
    """Where to listen for programs on this machine or on others.

    Args:
        family: The kind of address, as :mod:`socket` has it.
        ip: The address itself.
        port: 0 for any free one.
    """

    family: int
    ip: str
    port: int

    @classmethod
    def read(cls, text: str) -> Address | UnixAddress:
        """Return the address in ``HOST:PORT`` or ``unix:PATH``; a name that has several means its IPv4 address.

        Raises:
            UsageError: The text is not of that form.
            ConfigError: The name has no address.
        """
        if text.startswith(UNIX):
            return UnixAddress(text.removeprefix(UNIX))
        host, port = _read(text)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ConfigError(f"Cannot listen on {text}: {error.strerror}") from None
        family, *_, where = min(found, key=lambda each: each[0] != socket.AF_INET)
        return cls(family, str(where[0]), port)

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"http://{self}{PATH}"

    def listen(self) -> tuple[Listener, Address]:
        """Return a socket that listens here, and the address with its real port.

        Raises:
            ConfigError: It cannot.
        """
        listener = Listener(self.family)
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self.family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((self.ip, self.port))
            listener.listen()
        except OSError as error:
            listener.close()
            raise ConfigError(f"Cannot listen on {self}: {os.strerror(error.errno or 0)}") from None
        return listener, replace(self, port=listener.getsockname()[1])


@dataclass(frozen=True)
class UnixAddress:
    """A Unix socket: where to listen for programs of the same user, and for no others.

    Args:
        path: The file.
    """

    path: str

    def __post_init__(self) -> None:
        if not self.path:
            raise UsageError(f"{UNIX!r} names no file", hint=f"such as {UNIX}/run/user/1000/kosmolua.sock")
        if not hasattr(socket, "AF_UNIX"):
            raise UsageError("This system has no Unix sockets", hint="give HOST:PORT")

    def __str__(self) -> str:
        return UNIX + self.path

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"{self}, as http://localhost{PATH}"

    def listen(self) -> tuple[Listener, UnixAddress]:
        """Return a socket that listens here, in place of one that an earlier server has left.

        Raises:
            ConfigError: It cannot.
        """
        listener = Listener(socket.AF_UNIX)
        mask = os.umask(0o177)
        try:
            self._remove_unused()
            listener.bind(self.path)
            listener.listen()
        except OSError as error:
            listener.close()
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise ConfigError(f"Cannot listen on {self}: {reason}") from None
        finally:
            os.umask(mask)
        return listener, self

    def _remove_unused(self) -> None:
        with suppress(FileNotFoundError, ConnectionRefusedError), socket.socket(socket.AF_UNIX) as probe:
            if not stat.S_ISSOCK(os.stat(self.path).st_mode):
                return
            probe.connect(self.path)
            return
        with suppress(FileNotFoundError):
            os.unlink(self.path)


class Guard:
    """Lets in requests that bear the token, if there is one, and that no page of another site can have made.

    A browser says in Origin which page made a request. Without a token, as on a Unix socket, Host has to be a loopback
    name too: if a page's own name was made to point here (DNS rebinding), Host is that name.

    Args:
        app: What is guarded.
        token: What the Authorization header has to bear, or None.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token.encode() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        refusal = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "")
        if self._token is None and not _is_loopback_name(host):
            return PlainTextResponse("This server answers to loopback names only.", 421)
        if any(origin.partition("://")[2] != host for origin in headers.getlist("origin")):
            return PlainTextResponse("Requests from the pages of other sites are refused.", 403)
        if self._token is not None and not hmac.compare_digest(_bearer(headers), self._token):
            challenge = {"WWW-Authenticate": "Bearer"}
            return PlainTextResponse("Authorization: Bearer TOKEN is missing or wrong.", 401, challenge)
        return None


def _bearer(headers: Headers) -> bytes:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip().encode("latin-1") if scheme.lower() == "bearer" else b""


def _read(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
        if host and port is not None and parts.netloc == text and parts.username is None:
            return host, port
    except ValueError:
        pass
    raise UsageError(
        f"{text!r} is not of the form HOST:PORT", hint="such as 127.0.0.1:8000, [::1]:8000 or unix:/path/of.sock"
    )


def _is_loopback_name(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def serve(
    handlers: Handlers, address: Address | UnixAddress, *, environ: Mapping[str, str], announce: Callable[[str], None]
) -> None:
    """Serve until the process receives a signal to stop.

    Args:
        handlers: Answers the requests.
        address: Where to listen. Over TCP, clients have to send a token.
        environ: The environment, which may hold the token; the default is a file.
        announce: Called with the server's address and the token's place, once clients can connect.

    Raises:
        ConfigError: The address cannot be listened on, or there is no usable token.
    """
    token, file = find_token(environ) if isinstance(address, Address) else (None, None)
    listener, bound = address.listen()
    with listener:
        announce(f"serving on {bound.url}")
        if file:
            announce(f"clients have to send the token in {file}")
        asyncio.run(_serve(handlers, listener, token))


async def _serve(handlers: Handlers, listener: socket.socket, token: str | None) -> None:
    import uvicorn
    from mcp.server.transport_security import TransportSecuritySettings

    app = handlers.server().streamable_http_app(
        streamable_http_path=PATH,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        session_idle_timeout=SESSION_TIMEOUT,
        max_sessions=MAX_SESSIONS,
    )
    clients = Clients(app, has_runs=handlers.has_runs, end_runs=handlers.end_runs)
    config = uvicorn.Config(
        Guard(clients, token),
        http=Connection,
        log_config=None,
        access_log=False,
        ws="none",
        server_header=False,
        backlog=1,  # how many connections asyncio accepts at once; the listener has a backlog of its own
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
    )
    if hasattr(signal, "SIGHUP"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, handlers.reopen_journal)
    try:
        await uvicorn.Server(config).serve([listener])
    finally:
        handlers.close()
