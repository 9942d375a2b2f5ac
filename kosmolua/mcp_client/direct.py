"""Calls tools of an MCP server directly over its pipes. This takes half the processor time of the MCP SDK's session.

The thread that makes a call writes the request itself. Then it waits until the event loop has read the response.

The SDK's session uses the same pipes. It opens the connection and does everything else, such as answering a server's
questions during a call. The session also makes a call if it is traced, if its progress is shown, or if the request
cannot be written at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Protocol

import mcp_types as types
from mcp.shared.exceptions import MCPError
from opentelemetry.trace import get_current_span

from kosmolua.mcp_client.pending import Pending
from kosmolua.mcp_client.tools import CALL

PROGRESS = "notifications/progress"
FIRST_NUMBER = 1 << 40
"""The id of the first direct call. The session numbers its requests from 0 and never gets that far."""
_OF_ONE_REQUEST = {"progressToken", "traceparent", "tracestate", "baggage"}
"""The metadata that differs from request to request, so that direct calls do not repeat it."""


class Gone(Exception):
    """The connection ended while a request was under way."""


class LineWriter(Protocol):
    """Writes lines to a server, from any thread."""

    def write_at_once(self, line: bytes) -> bool:
        """Write a line and return True, or return False if it would have to wait."""

    def write_later(self, line: bytes) -> None:
        """Write a line as soon as the server reads what was written before."""


class DirectCalls:
    """The direct calls of one server."""

    def __init__(self) -> None:
        self._waiting: dict[int, DirectCall] = {}
        self._numbers = count(FIRST_NUMBER)
        self._writer: LineWriter | None = None
        self._meta: dict[str, Any] = {}
        self._is_over = False

    # In any thread

    def start(self, params: Mapping[str, Any], progressed: Callable[[], None]) -> DirectCall | None:
        """Send a call of a tool; return what waits for its result, or None if the session must send it.

        ``progressed`` is called in the loop's thread each time that the server says how far it is.
        """
        writer = self._writer
        if writer is None or self._is_over or get_current_span().get_span_context().is_valid:
            return None
        number = next(self._numbers)
        meta = {**self._meta, "progressToken": number}
        line = _line({"id": number, "method": CALL, "params": {**params, "_meta": meta}})
        call = self._waiting[number] = DirectCall(self, number, progressed)
        try:
            is_sent = writer.write_at_once(line)
        except BaseException:  # such as KeyboardInterrupt: nobody knows whether the line was written
            call.give_up()
            raise
        if not is_sent:
            self._waiting.pop(number, None)
        return call if is_sent else None

    def cancel(self, number: int) -> None:
        """Forget a call that nobody waits for any longer, and tell the server."""
        if not self._waiting.pop(number, None) or self._writer is None:
            return  # the response has come
        line = _line({"method": "notifications/cancelled", "params": {"requestId": number}})
        if not self._writer.write_at_once(line):
            self._writer.write_later(line)

    # In the loop's thread

    def learn(self, message: object, writer: LineWriter) -> None:
        """Keep ``writer``, and the ``_meta`` (name, capabilities, version) of a request that the session sends.

        Direct calls repeat it, except the parts that differ from request to request. ``initialize`` is ignored.
        """
        if isinstance(message, types.JSONRPCRequest) and message.method != "initialize":
            meta = (message.params or {}).get("_meta") or {}
            self._meta = {name: value for name, value in meta.items() if name not in _OF_ONE_REQUEST}
            self._writer = writer

    def take(self, message: object) -> bool:
        """Pass a message to its direct call. Return True if it is the response to one, even a forgotten one."""
        if not isinstance(message, dict) or "method" in message:
            return isinstance(message, dict) and self._take_progress(message)
        number = message.get("id")
        if not isinstance(number, int) or number < FIRST_NUMBER:
            return False
        if call := self._waiting.pop(number, None):
            if isinstance(result := message.get("result"), dict):
                call.deliver(result)
            else:
                call.fail(_error_of(message.get("error")))
        return True

    def _take_progress(self, message: Mapping[str, Any]) -> bool:
        params = message.get("params")
        token = params.get("progressToken") if message["method"] == PROGRESS and isinstance(params, dict) else None
        if not isinstance(token, int) or token < FIRST_NUMBER:
            return False
        if call := self._waiting.get(token):
            call.progressed()
        return True

    def end(self) -> None:
        """Raise :class:`Gone` in all waiting threads: the server sends no more messages."""
        self._is_over = True
        for number in list(self._waiting):
            if call := self._waiting.pop(number, None):
                call.fail(Gone())


class DirectCall(Pending[dict[str, Any]]):
    """A direct call, with the id of its request: a result, or the server's MCPError."""

    def __init__(self, calls: DirectCalls, number: int, progressed: Callable[[], None]) -> None:
        super().__init__()
        self.progressed = progressed
        self._calls = calls
        self._number = number

    def give_up(self) -> None:
        """Tell the server that nobody waits any longer."""
        self._calls.cancel(self._number)


def _line(fields: Mapping[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **fields}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _error_of(error: object) -> MCPError:
    try:
        return MCPError.from_error_data(types.ErrorData.model_validate(error))
    except ValueError:
        return MCPError(types.INTERNAL_ERROR, "the server sent neither a result nor an error")
