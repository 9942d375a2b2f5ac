"""The MCP server for one client, over standard input and output."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, NoReturn

import anyio
from mcp.server.stdio import stdio_server
from mcp.shared._stream_protocols import ReadStream
from mcp.shared.message import SessionMessage
from mcp_types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError

from kosmolua.mcp.pipes import Stream, streams
from kosmolua.mcp.server import Handlers
from kosmolua.runs.telemetry import flush_spans
from kosmolua.truncation import decodable


def serve(handlers: Handlers, pipes: tuple[int, int] | None, *, complain: Callable[[str], None]) -> None:
    """Serve one client until it closes standard input. Only messages are written to standard output.

    ``pipes`` are the descriptors of standard input and output if both are pipes; None to use the SDK's transport.
    """
    # A thread may wait for the next line and cannot be interrupted by an exception, so these signals end the process,
    # and its scripts end with it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)

    def end() -> NoReturn:
        complain("Writing to standard output failed, so the server has ended")
        os._exit(1)

    asyncio.run(_serve(handlers, streams(*pipes, end) if pipes else stdio_server(), end))


def _leave(number: int, frame: object) -> None:
    """Send the remaining spans, and end as the signal would.

    By exiting: in a container, a signal without a handler does not end the first process.
    """
    flush_spans()
    if os.getpid() == 1:
        os._exit(128 + number)
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


async def _serve(handlers: Handlers, transport: AbstractAsyncContextManager[Any], end: Callable[[], NoReturn]) -> None:
    server = handlers.server()
    try:
        async with transport as (incoming, outgoing):
            try:
                await server.run(_Sifted(incoming, outgoing.send), outgoing, server.create_initialization_options())
            except anyio.get_cancelled_exc_class():
                # The SDK cancels this when it cannot write. The thread that waits for a line would keep the process
                # alive.
                end()
    finally:
        handlers.close()


class _Sifted(Stream):
    """A stream that answers what is no message with an error, since the client may wait for it, and leaves it out."""

    def __init__(
        self,
        incoming: ReadStream[SessionMessage | Exception],
        answer: Callable[[SessionMessage], Awaitable[None]],
    ) -> None:
        self._incoming = incoming
        self._answer = answer

    async def __aenter__(self) -> _Sifted:
        return self

    def __aiter__(self) -> _Sifted:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        async for item in self._incoming:
            if not isinstance(item, ValidationError):
                return item
            if refused := _refusal(item):
                await self._answer(SessionMessage(refused))
        raise StopAsyncIteration

    async def receive(self) -> SessionMessage | Exception:
        async for item in self:
            return item
        raise anyio.EndOfStream

    async def aclose(self) -> None:
        await self._incoming.aclose()


def _refusal(error: ValidationError) -> JSONRPCError | None:
    """Return the error for a line that is no message; None for a blank one."""
    first, *_ = faults = error.errors(include_url=False)
    if first["type"] != "json_invalid":
        said = ErrorData(code=INVALID_REQUEST, message="This is not a JSON-RPC 2.0 message")
    elif first["input"].strip():
        said = ErrorData(code=PARSE_ERROR, message=first["msg"])
    else:
        return None
    return JSONRPCError(jsonrpc="2.0", id=_id_in([fault["input"] for fault in faults]), error=said)


def _id_in(inputs: list[object]) -> int | str | None:
    """Return the valid id of a malformed message, or None."""
    for given in inputs:
        try:
            frame = json.loads(given) if isinstance(given, str) else given
        except (ValueError, RecursionError):
            continue
        if isinstance(frame, dict) and "id" in frame:
            return frame["id"] if _can_be_id(frame["id"]) else None
    return None


def _can_be_id(given: object) -> bool:
    """Return True for an integer, or a string of valid Unicode."""
    return isinstance(given, (int, str)) and not isinstance(given, bool) and decodable(given) == given
