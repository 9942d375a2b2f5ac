"""Calls tools of an MCP server directly over the server's pipes, in half the processor time of the MCP SDK's session.

The SDK's session uses the same pipes. It opens the connection and does everything else, such as answering what a server
asks during a call. The session also makes the calls that are traced or whose progress is shown.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError
from opentelemetry.trace import get_current_span

METHOD = "tools/call"
PREFIX = "call-"
"""The beginning of the id of each direct call, by which its answer is told from those of the session's requests."""
CANCEL_TIMEOUT = 1.0
"""Seconds to wait until a server has read the notice that a call is cancelled."""
_OF_ONE_REQUEST = {"progressToken", "traceparent", "tracestate", "baggage"}
"""The metadata that differs from request to request, so that direct calls do not repeat it."""


class DirectCalls:
    """Calls tools over one connection without the SDK's session. Use it only in the event loop's thread."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._write: Callable[[bytes], Awaitable[None]] | None = None
        self._meta: dict[str, Any] = {}
        self._count = 0

    @property
    def can_call(self) -> bool:
        """True if :meth:`call` can be used: the session has sent a request, and no OpenTelemetry trace is active."""
        return self._write is not None and not get_current_span().get_span_context().is_valid

    def learn(self, message: object, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Keep what later calls need from a message that the MCP SDK's session sends: its metadata and the writer.

        Args:
            message: A message that the session sends. The first request, ``initialize``, is ignored.
            write: Sends a line to the server.
        """
        if isinstance(message, types.JSONRPCRequest) and message.method != "initialize":
            meta = (message.params or {}).get("_meta") or {}
            self._meta = {name: value for name, value in meta.items() if name not in _OF_ONE_REQUEST}
            self._write = write

    async def call(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Call a tool, and return the result as the protocol defines it. :attr:`can_call` must be true.

        Args:
            params: The name and the arguments of the tool.

        Raises:
            MCPError: The server answered with an error, or the connection ended.
        """
        write = self._write
        assert write
        self._count += 1
        number = f"{PREFIX}{self._count}"
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        sent = {**params, "_meta": self._meta} if self._meta else params
        try:
            await write(_line({"id": number, "method": METHOD, "params": sent}))
            return await answer
        except anyio.BrokenResourceError:
            raise MCPError(types.CONNECTION_CLOSED, "Connection closed") from None
        except asyncio.CancelledError:
            cancelled = _line({"method": "notifications/cancelled", "params": {"requestId": number}})
            with suppress(anyio.BrokenResourceError, asyncio.TimeoutError):
                await asyncio.wait_for(write(cancelled), CANCEL_TIMEOUT)
            raise
        finally:
            del self._waiting[number]

    def take(self, message: object) -> bool:
        """Pass a message of the server to the call that it answers, if :meth:`call` made that call.

        Returns:
            True if the message answers such a call, even one that no longer waits; False if the session needs it.
        """
        if not isinstance(message, dict) or "method" in message or not str(message.get("id")).startswith(PREFIX):
            return False
        answer = self._waiting.get(message["id"])
        if answer is None or answer.done():
            return True
        if isinstance(result := message.get("result"), dict):
            answer.set_result(result)
        else:
            answer.set_exception(_error_of(message.get("error")))
        return True

    def end(self) -> None:
        """Make all waiting calls fail, because the server sends no more messages."""
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(MCPError(types.CONNECTION_CLOSED, "Connection closed"))


def _line(fields: Mapping[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **fields}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _error_of(error: object) -> MCPError:
    try:
        return MCPError.from_error_data(types.ErrorData.model_validate(error))
    except ValueError:
        return MCPError(types.INTERNAL_ERROR, "the server sent neither a result nor an error")
