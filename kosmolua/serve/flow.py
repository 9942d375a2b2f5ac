"""The flow of requests and answers: which requests are let in at all, and how long answers stay silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from ipaddress import ip_address
from time import monotonic
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FIRST_BYTES = 5.0
"""Seconds after which an answer to a request of the protocol begins, though the script still runs."""
SILENCE = 10.0
"""Seconds of silence after which a proxy is told that an answer still comes."""
MAX_DELAY = 5.0
FIRST_DELAY = 0.25
"""Seconds that the first refusal of an address takes; each further one within a minute takes twice as long."""
FORGET = 60.0
MAX_ADDRESSES = 4_096
_EVENTS = b"text/event-stream"
_COMMENT = b": \r\n\r\n"
_STREAM = [
    (b"content-type", _EVENTS),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class Gate:
    """Lets in requests that call the server by a name that is its own, and that no page of another site can have made.

    A browser says in Origin which page made a request, and in Host the name that was asked for: if the name of another
    site was made to point here (DNS rebinding), it is that name. An IP address is not a name.

    Args:
        app: What is guarded.
        hosts: Returns the names that are its own, beside those of this machine.
    """

    def __init__(self, app: ASGIApp, hosts: Callable[[], Collection[str]]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        refusal = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "")
        if len(headers.getlist("host")) > 1 or not self._is_own(host):
            return PlainTextResponse("This server has no such name; [serve] hosts lists its names.\n", 421)
        if any(origin.partition("://")[2] != host for origin in headers.getlist("origin")):
            return PlainTextResponse("Requests from the pages of other sites are refused.\n", 403)
        return None

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name == "localhost" or name in self._hosts():
                return True
            ip_address(name)
        except ValueError:
            return False
        return True


class Refusals:
    """Refuses requests without a tenant's token, the slower the more of them an address sends.

    Args:
        note: Called with the address of each request that is refused.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._counts: dict[str, tuple[int, float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        address = scope["client"][0] if scope.get("client") else ""
        self._note(address)
        await asyncio.sleep(self._delay(address))
        challenge = {"WWW-Authenticate": "Bearer"}
        said = "Authorization: Bearer TOKEN is missing or wrong.\n"
        await PlainTextResponse(said, 401, challenge)(scope, receive, send)

    def _delay(self, address: str) -> float:
        now = monotonic()
        count, latest = self._counts.pop(address, (0, now))
        count = 0 if now - latest > FORGET else count
        self._counts[address] = count + 1, now
        while len(self._counts) > MAX_ADDRESSES:
            del self._counts[next(iter(self._counts))]
        return float(min(FIRST_DELAY * 2**count, MAX_DELAY))


class Heartbeat:
    """Begins the answer to a request of the protocol before its script has ended, and sends something now and then.

    A proxy gives up on a connection that is silent for long. An answer that a client takes as a stream of events begins
    after :data:`FIRST_BYTES`; one that the application sends as JSON after that becomes an event.

    Args:
        app: What answers the requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        takes_events = _EVENTS.decode() in Headers(scope=scope).get("accept", "")
        if not takes_events:
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, may_begin=scope["method"] == "POST")
        beating = asyncio.create_task(answer.beat())
        try:
            await self._app(scope, receive, answer.send)
        finally:
            beating.cancel()
            with suppress(asyncio.CancelledError):
                await beating


class _Answer:
    """One answer, which the application and the heartbeat write.

    Args:
        send: Sends to the client.
        may_begin: True if the heartbeat may begin the answer.
    """

    def __init__(self, send: Send, *, may_begin: bool) -> None:
        self._send = send
        self._may_begin = may_begin
        self._writing = asyncio.Lock()
        self._latest = monotonic()
        self._is_stream = False
        self._has_begun = False
        self._is_over = False
        self._json: bytearray | None = None

    async def send(self, message: Message) -> None:
        """Pass on a message of the application."""
        async with self._writing:
            self._latest = monotonic()
            if message["type"] == "http.response.start":
                await self._start(message)
            elif self._json is not None:
                await self._add(message)
            else:
                self._is_over = not message.get("more_body", False)
                await self._send(message)

    async def _start(self, message: Message) -> None:
        is_stream = MutableHeaders(scope=message).get("content-type", "").startswith(_EVENTS.decode())
        if self._has_begun:
            self._json = None if is_stream else bytearray()
            return
        self._has_begun, self._is_stream = True, is_stream
        await self._send(message)
        if is_stream:
            await self._send({"type": "http.response.body", "body": _COMMENT, "more_body": True})

    async def _add(self, message: Message) -> None:
        """Gather an answer in JSON that comes where a stream has begun, and send it as an event."""
        assert self._json is not None
        self._json += message.get("body", b"")
        if not message.get("more_body", False):
            self._is_over = True
            event = b"event: message\r\ndata: " + bytes(self._json).replace(b"\n", b" ") + b"\r\n\r\n"
            await self._send({"type": "http.response.body", "body": event, "more_body": False})

    async def beat(self) -> None:
        """Begin the answer after a while, and break each silence, until it is over."""
        if self._may_begin:
            await asyncio.sleep(FIRST_BYTES)
        while not self._is_over:
            async with self._writing:
                if not self._has_begun and self._may_begin:
                    self._has_begun = self._is_stream = True
                    await self._send({"type": "http.response.start", "status": 200, "headers": _STREAM})
                    await self._beat()
                elif self._is_stream and not self._is_over and monotonic() - self._latest >= SILENCE:
                    await self._beat()
            await asyncio.sleep(max(SILENCE - (monotonic() - self._latest), 0.1))

    async def _beat(self) -> None:
        self._latest = monotonic()
        await self._send({"type": "http.response.body", "body": _COMMENT, "more_body": True})
