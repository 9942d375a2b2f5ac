"""Serving clients over HTTP: where to listen, who may come in, and the SDK's streamable transport behind that."""

from __future__ import annotations

import asyncio
import hmac
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from kosmolua.errors import ConfigError, UsageError
from kosmolua.mcp.server import Handlers

PATH = "/mcp"
TOKEN_VARIABLE = "KOSMOLUA_MCP_TOKEN"
SECONDS_TO_LEAVE = 2
"""For connections that are open when the server is told to stop."""


@dataclass(frozen=True)
class Address:
    """Where to listen.

    Args:
        family: The kind of address, as :mod:`socket` has it.
        ip: The address itself.
        port: 0 for any free one.
    """

    family: int
    ip: str
    port: int

    @classmethod
    def read(cls, text: str) -> Address:
        """Return the address that ``HOST:PORT`` stands for; a name with several addresses means its IPv4 one.

        Raises:
            UsageError: The text is not of that form.
            ConfigError: The name has no address.
        """
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
    def loopback(self) -> bool:
        """Whether only programs on this machine can reach it."""
        return ip_address(self.ip).is_loopback

    def listen(self) -> socket.socket:
        """Return a socket that listens here.

        Raises:
            ConfigError: It cannot.
        """
        try:
            return socket.create_server((self.ip, self.port), family=self.family, backlog=128)
        except OSError as error:
            raise ConfigError(f"Cannot listen on {self}: {os.strerror(error.errno or 0)}") from None


class Guard:
    """Lets in requests that bear the token, if there is one, and that no other site's page can have made.

    A browser says in Origin which page made a request. Without a token, which such a page cannot know, Host has to be a
    loopback name too: a page whose own name was made to point here (DNS rebinding) gives itself away by it.

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
        host, origin = headers.get("host", ""), headers.get("origin")
        if self._token is None and not _is_loopback_name(host):
            return PlainTextResponse("This server answers to loopback names only.", 421)
        if origin is not None and origin.partition("://")[2] != host:
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
    raise UsageError(f"{text!r} is not of the form HOST:PORT", hint="such as 127.0.0.1:8000 or [::1]:8000")


def _is_loopback_name(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def serve(handlers: Handlers, address: Address, *, token: str | None, announce: Callable[[str], None]) -> None:
    """Serve until the process is told to stop.

    Args:
        handlers: Answers the requests.
        address: Where to listen.
        token: What clients have to bear; without it only the loopback interface is served.
        announce: Told the URL once clients can connect.

    Raises:
        ConfigError: The address cannot be listened on, or is not a loopback one and there is no token.
    """
    if token is None and not address.loopback:
        raise ConfigError(
            f"Without a token only the loopback interface is served, not {address}",
            hint=f"set {TOKEN_VARIABLE} to a long random string, or listen on 127.0.0.1:{address.port}",
        )
    with address.listen() as listening:
        bound = replace(address, port=listening.getsockname()[1])
        announce(f"http://{bound}{PATH}")
        asyncio.run(_serve(handlers, listening, token))


async def _serve(handlers: Handlers, listening: socket.socket, token: str | None) -> None:
    import uvicorn
    from mcp.server.transport_security import TransportSecuritySettings

    app = handlers.server().streamable_http_app(
        streamable_http_path=PATH,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    config = uvicorn.Config(
        Guard(app, token),
        log_level="warning",
        access_log=False,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=SECONDS_TO_LEAVE,
    )
    try:
        await uvicorn.Server(config).serve([listening])
    finally:
        handlers.close()
