"""ASGI layers around the server's application: refuse requests, and keep the connections of slow answers open."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from time import monotonic

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kosmolua.errors import Busy, Unavailable
from kosmolua.limits import MIB, whole_number
from kosmolua.mcp.clients import SESSION
from kosmolua.mcp.http import NO_TOKEN
from kosmolua.mcp.transport import read_again
from kosmolua.memory import COPIES, SMALL, Passage

FIRST_BYTES = 5.0
"""Seconds after which the server begins the answer to an MCP request, even if the script is still running."""
SILENCE = 10.0
"""Seconds without data after which the server sends a comment. So a proxy keeps the connection open."""
MAX_DELAY = 5.0
FIRST_DELAY = 0.25
"""Seconds by which the first refusal for an address is delayed. The delay doubles with each refusal within a minute."""
FORGET = 60.0
MAX_ADDRESSES = 4_096
PACED, RATE = 32 * 1024, 3 * MIB
"""Requests above the first size, in bytes, have a pace: the bytes that a tenant's can have in a second."""
MAX_PACE = 20.0
"""Seconds that such a request waits at most."""
_SERVER_ERROR = -32000
"""The first of the codes of JSON-RPC that are free for servers."""


def _refusal(words: str, code: str, seconds: int) -> JSONResponse:
    """Return the answer to an MCP request that can be tried again after so many seconds."""
    data = {"code": code, "message": words, "retryable": True}
    error = {"code": _SERVER_ERROR, "message": words, "data": data}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, 503, {"Retry-After": str(seconds)})


_STOPPING = "This server is stopping; nothing was run, try again in a moment."
STOPPING = PlainTextResponse(f"{_STOPPING}\n", 503, {"Retry-After": "1"})
STOPPING_MCP = _refusal(_STOPPING, Unavailable.code, 1)
TOO_MUCH = _refusal("Too many large requests wait already; nothing was run, try again later.", Busy.code, 10)
_BEGINS = re.compile(rb'"method"\s*:\s*"(?:initialize|tools/call)"')
_GOES_ON = re.compile(rb'"(?:requestState"\s*:\s*"|page"\s*:\s*"run:)')
_EVENTS = b"text/event-stream"
_COMMENT = b": \r\n\r\n"
_STREAM = [
    (b"content-type", _EVENTS),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class Draining:
    """An ASGI layer that sends clients to another server while this one is about to stop.

    Each answer closes its connection. Only ``paths`` are still answered, and what is below one that ends with a slash;
    for others the status is 503.
    """

    def __init__(self, app: ASGIApp, is_draining: Callable[[], bool], paths: Collection[str]) -> None:
        self._app = app
        self._is_draining = is_draining
        self._paths = paths
        self._folders = tuple(path for path in paths if path.endswith("/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start" and self._is_draining():
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        path = scope["path"]
        is_answered = not self._is_draining() or path in self._paths or path.startswith(self._folders)
        await (self._app if is_answered else STOPPING)(scope, receive, send_and_close)


class Newcomers:
    """An ASGI layer that refuses what would begin a session or a run of MCP while the server is about to stop.

    The refusal is a JSON-RPC error with status 503, so that proxies and clients alike can go to another server. The
    requests of a session, and those that go on with a run, are answered.
    """

    def __init__(self, app: ASGIApp, max_request: int) -> None:
        self._app = app
        self._max_request = max_request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if SESSION in Headers(scope=scope):
            await self._app(scope, receive, send)
            return
        body, has_more = await read_body(receive, self._max_request)
        if _BEGINS.search(body) and not _GOES_ON.search(body):
            await STOPPING_MCP(scope, receive, send)
        else:
            await self._app(scope, read_again(body, receive, has_more=has_more), send)


async def body_of(request: Request, limit: int) -> bytes | None:
    """Return the body of a request, or None if it is larger than the limit, in bytes."""
    read = bytearray()
    async for part in request.stream():
        read += part
        if len(read) > limit:
            return None
    return bytes(read)


async def read_body(receive: Receive, limit: int) -> tuple[bytes, bool]:
    """Return the body of a request, and False; or, if it is longer than ``limit``, its beginning and True."""
    body, has_more = bytearray(), True
    while has_more and len(body) <= limit:
        message = await receive()
        body += message.get("body", b"")
        has_more = message.get("more_body", False)
    return bytes(body), has_more


class Refusals:
    """The ASGI application that answers requests without a valid token, and tells ``note`` the address of the client.

    ``challenge`` returns the header ``WWW-Authenticate``.

    The answer is delayed, so that tokens cannot be guessed quickly. The delay grows with each refusal for an address.
    """

    def __init__(self, note: Callable[[str], None], challenge: Callable[[Request], str] = lambda _: "Bearer") -> None:
        self._note = note
        self._challenge = challenge
        self._counts: dict[str, tuple[int, float]] = {}

    async def __call__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        body: object = NO_TOKEN,
        answer: type[Response] = PlainTextResponse,
    ) -> None:
        address = scope["client"][0] if scope.get("client") else ""
        self._note(address)
        await asyncio.sleep(self._delay(address))
        headers = {"WWW-Authenticate": self._challenge(Request(scope))}
        await answer(body, 401, headers)(scope, receive, send)

    def _delay(self, address: str) -> float:
        now = monotonic()
        count, latest = self._counts.pop(address, (0, now))
        count = 0 if now - latest > FORGET else count
        self._counts[address] = count + 1, now
        while len(self._counts) > MAX_ADDRESSES:
            del self._counts[next(iter(self._counts))]
        return float(min(FIRST_DELAY * 2**count, MAX_DELAY))


class Pace:
    """Spreads the large requests of a tenant over time: while one is decoded, no other thread of the process runs."""

    def __init__(self) -> None:
        self._next = 0.0

    def delay(self, size: int) -> float:
        """Return after how many seconds a request of so many bytes can begin, and count it unless that is too late."""
        now = monotonic()
        begins = max(now, self._next) if size > PACED else now
        if begins - now <= MAX_PACE and size > PACED:
            self._next = begins + size / RATE
        return begins - now


class Weighing:
    """An ASGI layer for requests with large bodies: they begin one after another, and reserve memory until the answer.

    ``room`` returns what reserves memory for one request. ``most`` is the largest size of a body, in bytes.
    """

    def __init__(self, app: ASGIApp, room: Callable[[], Passage], pace: Pace, most: int) -> None:
        self._app = app
        self._room = room
        self._pace = pace
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        told = whole_number(headers.get("content-length", ""))
        if told is None:
            told = self._most if "transfer-encoding" in headers else 0
        delay = self._pace.delay(min(told, self._most))
        if delay > MAX_PACE:
            await TOO_MUCH(scope, receive, send)
            return
        if delay:
            await asyncio.sleep(delay)
        room, size = self._room(), 0

        async def weighed() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > SMALL:
                await room.need_soon(COPIES * size)
            return message

        async def answered(message: Message) -> None:
            room.close()
            await send(message)

        try:
            await self._app(scope, weighed, answered)
        finally:
            room.close()


class Heartbeat:
    """An ASGI layer that keeps the connection of a slow answer open, since proxies close silent connections.

    If the client accepts server-sent events, the answer begins as a stream of events after :data:`FIRST_BYTES` seconds,
    even if the script has not ended. While there is no data, comments are sent, which clients ignore. If the
    application then answers in JSON, its JSON is sent as an event of the stream.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        takes_events = _EVENTS.decode() in Headers(scope=scope).get("accept", "")
        if not takes_events:
            await self._app(scope, receive, send)
            return
        may_begin = scope["method"] == "POST"
        answer, loop = _Answer(send, may_begin=may_begin), asyncio.get_running_loop()
        beating: list[asyncio.Task[None]] = []
        # Most answers are complete before the first beat, so there is no task until then.
        first = loop.call_later(
            FIRST_BYTES if may_begin else 0, lambda: beating.append(loop.create_task(answer.beat()))
        )
        try:
            await self._app(scope, receive, answer.send)
        finally:
            first.cancel()
            for task in beating:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


class _Answer:
    """One HTTP answer, to which the application and :class:`Heartbeat` write; ``may_begin`` a stream of events here."""

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
        """Pass a message to the client; a JSON answer as an event if a stream has begun."""
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
        """Collect the parts of a JSON answer, and send them as one event of a stream that has begun."""
        assert self._json is not None
        self._json += message.get("body", b"")
        if not message.get("more_body", False):
            self._is_over = True
            event = b"event: message\r\ndata: " + bytes(self._json).replace(b"\n", b" ") + b"\r\n\r\n"
            await self._send({"type": "http.response.body", "body": event, "more_body": False})

    async def beat(self) -> None:
        """Begin the stream if the answer has not, and send a comment after each ``SILENCE`` seconds until it is
        complete.
        """
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
