"""The SDK's transport of MCP over HTTP, in the cheapest of its forms that a request allows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.types import Message, Receive, Scope, Send

PATIENCE = 0.1
"""Seconds after which it is watched whether the client of an unanswered request disconnects."""
_VERSION = b"mcp-protocol-version"
_MODERN = frozenset(version.encode() for version in MODERN_PROTOCOL_VERSIONS)


class McpTransport:
    """The ASGI application that answers MCP requests with a server of the SDK, while :meth:`run` is entered.

    A stream of events, which the SDK would make for each request, takes it as long as all else. So a request of a
    version without sessions has one only if it asks for progress; others are answered with JSON. ``given`` are the
    options of the SDK's manager.
    """

    def __init__(self, server: Server[Any], **given: Any) -> None:
        self._events = StreamableHTTPSessionManager(server, **given)
        self._json = StreamableHTTPSessionManager(server, json_response=True, **given)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Answer requests until the end of the block."""
        async with self._events.run(), self._json.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not any(name == _VERSION and value in _MODERN for name, value in scope["headers"]):
            return await self._events.handle_request(scope, receive, send)
        first = await receive()
        body, has_more = first.get("body", b""), first.get("more_body", False)
        again = read_again(body, receive, has_more=has_more)
        if has_more or b'"progressToken"' in body:
            return await self._events.handle_request(scope, again, send)
        loop, watching = asyncio.get_running_loop(), list[asyncio.Task[None]]()
        with anyio.CancelScope() as work:
            timer = loop.call_later(PATIENCE, lambda: watching.append(loop.create_task(_watch(receive, work))))
            try:
                await self._json.handle_request(scope, again, send)
            finally:
                timer.cancel()
                for task in watching:
                    task.cancel()


async def _watch(receive: Receive, work: anyio.CancelScope) -> None:
    """End the work when the client disconnects, which the SDK notices only for a stream of events."""
    while (await receive())["type"] != "http.disconnect":
        pass
    work.cancel()


def read_again(body: bytes, receive: Receive, *, has_more: bool) -> Receive:
    """Return a function that gives the part of a body that was read already, and then what follows it."""
    given: list[Message] = [{"type": "http.request", "body": body, "more_body": has_more}]

    async def receive_again() -> Message:
        return given.pop() if given else await receive()

    return receive_again
