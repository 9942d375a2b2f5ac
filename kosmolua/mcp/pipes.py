"""MCP messages over two pipes, as one line of JSON each, read and written in the event loop's thread.

The transport of the MCP SDK reads each line and writes each message in a separate thread. For a small request, this
takes as long as everything else. So the server uses the SDK's transport only for files and terminals, and on systems
without ``poll``.
"""

from __future__ import annotations

import asyncio
import os
import select
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType

import mcp_types as types
from anyio import EndOfStream
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from kosmolua.protocol import Lines

BLOCK = 64 * 1024


def are_pipes(*descriptors: int) -> bool:
    """Return True if all are pipes or sockets, and the system has ``poll``."""
    modes = [os.fstat(each).st_mode for each in descriptors]
    return hasattr(select, "poll") and all(stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) for mode in modes)


@asynccontextmanager
async def streams(
    reading: int, writing: int, lost: Callable[[], None]
) -> AsyncIterator[tuple[ReadStream[SessionMessage | Exception], WriteStream[SessionMessage]]]:
    """Yield the client's messages, and the stream to it; ``lost`` is called when writing has failed."""
    yield _Incoming(reading), _Outgoing(writing, lost)


class Stream:
    """A stream of messages, an asynchronous context manager."""

    async def aclose(self) -> None:
        """Leave the pipe open."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class _Incoming(Stream):
    """The client's messages, or a ValidationError for another line."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._read = Lines()

    async def __aenter__(self) -> _Incoming:
        return self

    def __aiter__(self) -> _Incoming:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except EndOfStream:
            raise StopAsyncIteration from None

    async def receive(self) -> SessionMessage | Exception:
        line = await self._line()
        try:
            text = line.decode("utf-8", "replace")
            return SessionMessage(types.jsonrpc_message_adapter.validate_json(text, by_name=False))
        except ValidationError as error:
            return error

    async def _line(self) -> bytes:
        while (line := self._read.take()) is None:
            await self._wait()
            data = os.read(self._descriptor, BLOCK)
            if not data:
                raise EndOfStream
            self._read += data
        return line

    async def _wait(self) -> None:
        """Wait for data, or the end of the pipe."""
        loop = asyncio.get_running_loop()
        is_there: asyncio.Future[None] = loop.create_future()

        def come() -> None:
            loop.remove_reader(self._descriptor)
            is_there.set_result(None)

        loop.add_reader(self._descriptor, come)
        try:
            await is_there
        finally:
            loop.remove_reader(self._descriptor)


class _Outgoing(Stream):
    """The messages to the client. One is written to its end even if :meth:`send` is cancelled."""

    def __init__(self, descriptor: int, lost: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._lost = lost
        self._waiting = bytearray()
        self._is_drained = asyncio.Event()
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)

    async def __aenter__(self) -> _Outgoing:
        return self

    async def send(self, item: SessionMessage, /) -> None:
        self._waiting += item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
        self._write()
        while self._waiting:
            self._is_drained.clear()
            await self._is_drained.wait()

    def _write(self) -> None:
        """Write what the pipe accepts at once; the event loop calls this for the rest."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiting and self._room.poll(0):
                del self._waiting[: os.write(self._descriptor, self._waiting[: select.PIPE_BUF])]
        except OSError:
            self._waiting.clear()
            self._lost()
        if self._waiting:
            loop.add_writer(self._descriptor, self._write)
        else:
            loop.remove_writer(self._descriptor)
            self._is_drained.set()
