"""The clients of the MCP server over HTTP: which client sends a request, and whether that client is connected."""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from time import monotonic
from typing import Any

from opentelemetry import context, propagate
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kosmolua.errors import ConfigError
from kosmolua.folders import state_folder

VARIABLE = "KOSMOLUA_MCP_TOKEN"
"""The environment variable with the token that all clients must send."""
MAX_TOKEN = 4_096
PERSON = "kosmolua.person"
"""The key of the name of the person who is signed in, in the ASGI scope of a request."""
SUBJECT = "kosmolua.subject"
"""The key of the token of this person."""
SCOPE = "kosmolua.client"
"""The key of the client's name in the ASGI scope of a request."""
COOKIE = "kosmolua-client"
SESSION = "mcp-session-id"
MAX_SESSIONS_OF_ADDRESS = 100
"""The most sessions that clients at one address can have."""
FORGET_TIMEOUT = 3600.0
"""Seconds after which an unused session has certainly ended."""
MAX_NAME = 64
RECONNECT_TIMEOUT = 10.0
"""Seconds for which the scripts of a disconnected client continue, since the client may reconnect."""


@dataclass
class _Session:
    """A session: the client's address, and how it is used."""

    address: str
    requests: int = 0
    """The number of requests in the session that are being answered now."""
    uses: int = 0
    """The number of requests in the session so far."""
    used: float = 0.0
    """When the last request of the session ended, on the scale of :func:`time.monotonic`."""


class Clients:
    """An ASGI layer that finds out which client sent a request, and ends the scripts of disconnected ones.

    Later versions of the protocol have no sessions, so the first answer sets a cookie, which grants no rights: it only
    distinguishes clients at one address. An address has at most :data:`MAX_SESSIONS_OF_ADDRESS` sessions; one more ends
    one that was never used, or else the one idle for longest.
    """

    def __init__(self, app: ASGIApp, *, has_runs: Callable[[str], bool], end_runs: Callable[[str], None]) -> None:
        self._app = app
        self._has_runs = has_runs
        self._end_runs = end_runs
        self._requests: Counter[str] = Counter()
        self._sessions: dict[str, _Session] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        session, cookie = headers.get(SESSION), cookie_parser(headers.get("cookie", "")).get(COOKIE)
        if session:
            name = f"session {session[:MAX_NAME]}"
        elif cookie:
            name = f"cookie {cookie[:MAX_NAME]}"
        else:
            name, send = "", _with_cookie(send)
        scope[SCOPE] = name
        self._requests[name] += 1
        known = self._sessions.get(session or "")
        if known:
            known.uses, known.requests = known.uses + 1, known.requests + 1
        try:
            with _within_trace(headers):
                await self._app(scope, receive, send if session else self._noting_session(scope, send))
        finally:
            if known:
                known.requests, known.used = known.requests - 1, monotonic()
            if scope["method"] == "DELETE":
                self._sessions.pop(session or "", None)
            self._requests[name] -= 1
            if not self._requests[name]:
                del self._requests[name]
                if self._has_runs(name):
                    asyncio.get_running_loop().call_later(RECONNECT_TIMEOUT, self._end_unless_back, name)

    def _noting_session(self, scope: Scope, send: Send) -> Send:
        """Return a ``send`` that records the session that an answer opens."""
        address = str((scope.get("client") or [""])[0])

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start" and (opened := Headers(raw=message["headers"]).get(SESSION)):
                self._sessions[opened] = _Session(address, used=monotonic())
                self._make_room(address, scope, opened)
            await send(message)

        return send_and_note

    def _make_room(self, address: str, scope: Scope, newest: str) -> None:
        """End a session if an address has too many, and forget expired ones."""
        forgotten = monotonic() - FORGET_TIMEOUT
        self._sessions = {name: each for name, each in self._sessions.items() if each.requests or each.used > forgotten}
        own = {name: each for name, each in self._sessions.items() if each.address == address and name != newest}
        idle = {name: each for name, each in own.items() if not each.requests}
        if len(own) < MAX_SESSIONS_OF_ADDRESS or not idle:
            return
        name = min(idle, key=lambda each: (idle[each].uses > 1, idle[each].used))
        del self._sessions[name]
        task = asyncio.get_running_loop().create_task(self._end_session(name, scope))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end_session(self, name: str, scope: Scope) -> None:
        """End a session with a DELETE request, as its client would."""
        headers = [(SESSION.encode(), name.encode()), (b"host", b"localhost")]
        request = {**scope, "method": "DELETE", "headers": headers}

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            pass  # ignored: it is 404 if the session has ended by itself

        await self._app(request, receive, send)

    def _end_unless_back(self, name: str) -> None:
        if name not in self._requests:
            self._end_runs(name)


def client_of(request: Request | None, software: str) -> str | None:
    """Return the client that sent a request; ``software`` and the address name one without session and cookie."""
    if request is None or request.scope.get(SCOPE):
        return str(request.scope[SCOPE]) if request else None
    address = request.client.host if request.client else ""
    token = sha256(request.headers.get("authorization", "").encode()).hexdigest()[:8]
    return f"address {address} {token} {software[:MAX_NAME]}"


def is_exact(client: str | None) -> bool:
    """Return True if only one client can have this name, which is not from an address."""
    return client is None or not client.startswith("address ")


@contextmanager
def _within_trace(headers: Headers) -> Iterator[None]:
    """Continue the OpenTelemetry trace in the headers; one in the MCP message takes precedence."""
    if "traceparent" not in headers:
        yield
        return
    token = context.attach(propagate.extract(dict(headers)))
    try:
        yield
    finally:
        context.detach(token)


def _with_cookie(send: Send) -> Send:
    async def send_cookie(message: Message) -> None:
        if message["type"] == "http.response.start":
            value: Any = f"{COOKIE}={secrets.token_urlsafe(12)}; Path=/; HttpOnly; SameSite=Strict"
            MutableHeaders(scope=message).append("Set-Cookie", value)
        await send(message)

    return send_cookie


def find_token(environ: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the token that clients must send, and its file, which is created if missing; None for the variable.

    Raises:
        ConfigError: The environment variable is blank. Or the file cannot be created or read, is empty, or is readable
            for other users.
    """
    given = environ.get(VARIABLE)
    if given is None:
        path = os.path.join(state_folder(), "mcp-token")
        return _kept_in(path), path
    token = given.strip()
    if not token:
        raise ConfigError(
            f"The environment variable {VARIABLE} is blank",
            hint="set it to a long random string, or unset it to have a token created",
        )
    return token, None


def _kept_in(path: str) -> str:
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        try:
            return _make(path)
        except FileExistsError:
            return _read(path)
    except OSError as error:
        raise ConfigError(
            f"The token for clients cannot be kept in {path}: {error.strerror}",
            hint=f"set the environment variable {VARIABLE} to a long random string instead",
        ) from None


def _make(path: str) -> str:
    token = secrets.token_urlsafe(32)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(token + "\n")
    return token


def _read(path: str) -> str:
    with os.fdopen(
        os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), encoding="ascii", errors="replace"
    ) as file:
        found = os.fstat(file.fileno())
        token = file.read(MAX_TOKEN).strip()
    if os.name == "posix" and (found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077):
        raise ConfigError(
            f"Other users can read or write the token in {path}", hint="remove the file; a new one is created"
        )
    if not token:
        raise ConfigError(f"There is no token in {path}", hint="remove the file; a new one is created")
    return token
