"""Calls tools of an MCP server directly over the server's pipes, in half the processor time of the MCP SDK's session.

The thread that makes a call writes the request itself and waits for the answer, which the event loop reads.

The SDK's session uses the same pipes. It opens the connection and does everything else, such as answering what a server
asks during a call. The session also makes the calls that are traced or whose progress is shown, and those whose request
cannot be written at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError
from opentelemetry.trace import get_current_span

from kosmolua.catalog.mcp_servers.pending import Pending

METHOD = "tools/call"
PREFIX = "call-"
"""The beginning of the id of each direct call, by which its answer is told from those of the session's requests."""
_OF_ONE_REQUEST = {"progressToken", "traceparent", "tracestate", "baggage"}
"""The metadata that differs from request to request, so that direct calls do not repeat it."""


class DirectCalls:
    """Calls tools of one server without the session of the MCP SDK."""

    def __init__(self) -> None:
        self._waiting: dict[str, DirectCall] = {}
        self._numbers = count(1)
        self._write: Callable[[bytes], bool] | None = None
        self._meta: dict[str, Any] = {}
        self._is_over = False

    # In any thread

    def start(self, params: Mapping[str, Any]) -> DirectCall | None:
        """Call a tool. Return the call, which waits for the result; None if the SDK's session has to make the call.

        Args:
            params: The name and the arguments of the tool.
        """
        if self._write is None or get_current_span().get_span_context().is_valid:
            return None
        number = f"{PREFIX}{next(self._numbers)}"
        call = self._waiting[number] = DirectCall(self, number)
        sent = {**params, "_meta": self._meta} if self._meta else params
        if not self._is_over and self._write(_line({"id": number, "method": METHOD, "params": sent})):
            return call
        del self._waiting[number]
        return None

    def cancel(self, number: str) -> None:
        """Forget a call whose result nobody waits for any longer, and tell the server so if it reads at once."""
        self._waiting.pop(number, None)
        if self._write:
            self._write(_line({"method": "notifications/cancelled", "params": {"requestId": number}}))

    # In the loop's thread

    def learn(self, message: object, write: Callable[[bytes], bool]) -> None:
        """Keep what later calls need from a message that the MCP SDK's session sends: its metadata and ``write``.

        Args:
            message: A message that the session sends. The first request, ``initialize``, is ignored.
            write: Writes a line to the server from any thread, and returns True; returns False, without writing, if
                the line cannot be written at once.
        """
        if isinstance(message, types.JSONRPCRequest) and message.method != "initialize":
            meta = (message.params or {}).get("_meta") or {}
            self._meta = {name: value for name, value in meta.items() if name not in _OF_ONE_REQUEST}
            self._write = write

    def take(self, message: object) -> bool:
        """Pass a message of the server to the call that it answers, if it answers a direct call.

        Returns:
            True if the message answers such a call, even one that no longer waits; False if the session needs it.
        """
        if not isinstance(message, dict) or "method" in message or not str(message.get("id")).startswith(PREFIX):
            return False
        if call := self._waiting.pop(message["id"], None):
            if isinstance(result := message.get("result"), dict):
                call.deliver(result)
            else:
                call.fail(_error_of(message.get("error")))
        return True

    def end(self) -> None:
        """Make all waiting calls fail, because the server sends no more messages."""
        self._is_over = True
        for call in list(self._waiting.values()):
            call.fail(MCPError(types.CONNECTION_CLOSED, "Connection closed"))


class DirectCall(Pending[dict[str, Any]]):
    """A call whose result, as the protocol defines it, a thread waits for. A refused call raises an MCPError.

    Args:
        calls: The object that sent the call.
        number: The id of the request.
    """

    def __init__(self, calls: DirectCalls, number: str) -> None:
        super().__init__()
        self._calls = calls
        self._number = number

    def give_up(self) -> None:
        """Tell the server that nobody waits for the result any longer."""
        self._calls.cancel(self._number)


def _line(fields: Mapping[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **fields}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _error_of(error: object) -> MCPError:
    try:
        return MCPError.from_error_data(types.ErrorData.model_validate(error))
    except ValueError:
        return MCPError(types.INTERNAL_ERROR, "the server sent neither a result nor an error")
