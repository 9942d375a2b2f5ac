"""Serving one client over standard input and output."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterable, Awaitable, Callable

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError

from kosmolua.mcp.answer import decodable
from kosmolua.mcp.server import Handlers


def serve(handlers: Handlers, *, complain: Callable[[str], None]) -> None:
    """Serve until the client closes its end. Only messages of the protocol are written to standard output.

    Args:
        handlers: Answers the requests.
        complain: Writes a sentence to standard error.
    """
    # A thread waits for the next line and cannot be interrupted by an exception, so these signals end the process.
    # Scripts end with it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    asyncio.run(_serve(handlers, complain))


def _leave(number: int, frame: object) -> None:
    """End the process as the signal would by default. For the first process of a container, it would not."""
    if os.getpid() == 1:
        os._exit(128 + number)
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


async def _serve(handlers: Handlers, complain: Callable[[str], None]) -> None:
    server = handlers.server()
    messages, readable = anyio.create_memory_object_stream[SessionMessage | Exception]()
    try:
        async with stdio_server() as (incoming, outgoing), anyio.create_task_group() as tasks:
            tasks.start_soon(_sift, incoming, messages, outgoing.send)
            try:
                await server.run(readable, outgoing, server.create_initialization_options())
            except anyio.get_cancelled_exc_class():
                # The SDK cancels this when it cannot write. The thread that waits for a line would keep the process
                # alive.
                complain("Standard output can no longer be written, so the server has ended")
                os._exit(1)
            tasks.cancel_scope.cancel()
    finally:
        handlers.close()


async def _sift(
    incoming: AsyncIterable[SessionMessage | Exception],
    messages: MemoryObjectSendStream[SessionMessage | Exception],
    answer: Callable[[SessionMessage], Awaitable[None]],
) -> None:
    """Pass messages on, and answer invalid lines, which the SDK would drop although a client may wait for an answer."""
    async with messages:
        async for item in incoming:
            if not isinstance(item, ValidationError):
                await messages.send(item)
            elif refused := _refusal(item):
                await answer(SessionMessage(refused))


def _refusal(error: ValidationError) -> JSONRPCError | None:
    """Return the answer to a line that is not a message, or None if the line is blank."""
    first, *_ = faults = error.errors(include_url=False)
    if first["type"] != "json_invalid":
        said = ErrorData(code=INVALID_REQUEST, message="This is not a message of JSON-RPC 2.0")
    elif first["input"].strip():
        said = ErrorData(code=PARSE_ERROR, message=first["msg"])
    else:
        return None
    return JSONRPCError(jsonrpc="2.0", id=_id_in([fault["input"] for fault in faults]), error=said)


def _id_in(inputs: list[object]) -> int | str | None:
    """Return the id of a malformed message if it can be found, or None."""
    for given in inputs:
        try:
            frame = json.loads(given) if isinstance(given, str) else given
        except (ValueError, RecursionError):
            continue
        if isinstance(frame, dict) and "id" in frame:
            return frame["id"] if _can_be_id(frame["id"]) else None
    return None


def _can_be_id(given: object) -> bool:
    """Return True for an integer, and for a string without lone surrogates, which cannot be written."""
    return isinstance(given, (int, str)) and not isinstance(given, bool) and decodable(given) == given
