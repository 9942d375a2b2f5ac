"""The transport to an MCP server that runs as a child process: one JSON message per line on its stdin and stdout.

The SDK's own transport is not used, because it passes on more of the environment, does not limit the length of a line,
and needs a file for the server's error output.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import stat
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from threading import Lock
from typing import TypeVar

import anyio
import mcp_types as types
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage

from kosmolua.mcp_client.direct import DirectCalls
from kosmolua.mcp_client.log import words_of

MAX_LINE = 32 * 1024 * 1024
"""The maximum size of a message, in bytes. A server that sends a larger one is stopped."""
MAX_PRINTED = 2_000
"""The maximum length of a line that a server prints, in bytes. The rest of the line is dropped."""
MAX_AT_ONCE = 16
"""How many available lines are read before other tasks of the event loop get their turn."""
PIPE_BUF = getattr(select, "PIPE_BUF", 0)
BLOCK = 64 * 1024
GRACE = 1.0
"""Seconds that a server gets to end after its stdin is closed, before it gets SIGTERM."""
KILL_TIMEOUT = 2.0
"""Seconds that a server gets to end after SIGTERM, before it is killed."""


@asynccontextmanager
async def process_streams(
    command: list[str],
    environment: Mapping[str, str],
    folder: Path,
    *,
    calls: DirectCalls,
    said: Callable[[str], None],
    ended: Callable[[str], None],
) -> AsyncIterator[TransportStreams]:
    """Start a server, yield the streams of its messages, and stop it at the end of the block.

    ``calls`` are the direct ones, which get their responses; ``said`` gets each line of output that is no message, and
    ``ended`` the reason when the server reads or sends no more messages.

    Raises:
        OSError: The server cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=dict(environment),
        cwd=folder,
        limit=MAX_LINE,
        start_new_session=True,
    )

    async def listen() -> None:
        assert process.stderr
        async for line in _lines_of(process.stderr):
            said(line)

    async def notice_a_closed_input() -> None:
        assert process.stdin
        with suppress(OSError):
            await process.stdin.wait_closed()
        ended(await _why_silent(process, "it closed its input"))

    async with anyio.create_task_group() as tasks:
        for task in (listen, notice_a_closed_input):
            tasks.start_soon(task)
        try:
            with closing(_Requests(process, calls, ended)) as requests:
                yield _Messages(process, calls, said, ended), requests
        except Exception as error:
            ended(words_of(error))  # before the server is stopped, which would be the reason otherwise
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await _stop(process)
            calls.end()
            tasks.cancel_scope.cancel()


S = TypeVar("S", bound="_Stream")


class _Stream:
    """A stream of messages in one direction, on the server's pipe."""

    async def __aenter__(self: S) -> S:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None: ...


class _Requests(_Stream):
    """The messages to the server. ``ended`` gets the reason if it no longer reads them."""

    def __init__(self, process: Process, calls: DirectCalls, ended: Callable[[str], None]) -> None:
        assert process.stdin
        self._process = process
        self._pipe = process.stdin
        self._calls = calls
        self._ended = ended
        self._draining = asyncio.Lock()
        self._writing = Lock()
        self._loop = asyncio.get_running_loop()
        self._descriptor = _copy_of_pipe(process.stdin.transport)

    async def send(self, item: SessionMessage, /) -> None:
        """Send a message of the session, waiting while the server has too many bytes left to read."""
        self._calls.learn(item.message, self)
        line = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        try:
            with self._writing:
                self._pipe.write(line.encode() + b"\n")
            async with self._draining:  # before Python 3.11, only one task can wait
                await self._pipe.drain()
        except OSError:
            self._ended(await _why_silent(self._process, "it closed its input"))
            raise anyio.BrokenResourceError from None

    def write_at_once(self, line: bytes) -> bool:
        """Write a line from any thread, if it need not wait.

        A pipe takes up to ``PIPE_BUF`` bytes as a whole or not at all (POSIX), so lines of several threads never mix.
        """
        with self._writing:
            if self._descriptor is None or len(line) > PIPE_BUF or self._pipe.transport.get_write_buffer_size():
                return False
            try:
                os.write(self._descriptor, line)
            except OSError:  # the pipe is full, or the server no longer reads; the session finds out
                return False
            return True

    def write_later(self, line: bytes) -> None:
        def write() -> None:
            with self._writing:
                self._pipe.write(line)

        with suppress(RuntimeError):  # the loop was closed
            self._loop.call_soon_threadsafe(write)

    def close(self) -> None:
        """Close this copy of the pipe; the server sees its end once all are closed."""
        with self._writing:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None


class _Messages(_Stream):
    """The messages of the server. ``said`` gets other lines, ``ended`` the reason when the last one has come."""

    def __init__(
        self, process: Process, calls: DirectCalls, said: Callable[[str], None], ended: Callable[[str], None]
    ) -> None:
        self._process = process
        self._calls = calls
        self._said = said
        self._ended = ended
        self._lines = 0

    def __aiter__(self) -> _Messages:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def receive(self) -> SessionMessage | Exception:
        """Wait for the next message for the session."""
        assert self._process.stdout
        try:
            while line := await self._process.stdout.readline():
                self._lines += 1
                if self._lines % MAX_AT_ONCE == 0:
                    await asyncio.sleep(0)
                try:
                    message = json.loads(line)
                    if not self._calls.take(message):
                        return SessionMessage(types.jsonrpc_message_adapter.validate_python(message, by_name=False))
                except (ValueError, RecursionError):
                    if line.strip():
                        self._said(_shown(line))
        except ValueError:
            self._ended(f"it sent a line of more than {MAX_LINE // 1024 // 1024} MiB")
        else:
            self._ended(await _why_silent(self._process, "it closed its output"))
        self._calls.end()
        raise anyio.EndOfStream


def _copy_of_pipe(transport: asyncio.WriteTransport) -> int | None:
    """Return a new descriptor of the pipe of a transport, or None: before Python 3.11, asyncio uses a socket.

    It is None too if the server has already closed its end.
    """
    if sys.platform == "win32":
        return None
    pipe = transport.get_extra_info("pipe")  # None with other event loops than asyncio's own
    if not pipe or pipe.closed or not stat.S_ISFIFO(os.fstat(pipe.fileno()).st_mode):
        return None
    return os.dup(pipe.fileno())


async def _why_silent(process: Process, otherwise: str) -> str:
    """Return why a server closed a pipe: its exit status, or ``otherwise`` if it still runs."""
    with suppress(asyncio.TimeoutError):
        status = await asyncio.wait_for(process.wait(), GRACE)
        return f"it ended with status {status}"
    return otherwise


async def _lines_of(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Yield the lines on stderr, each cut to :data:`MAX_PRINTED` bytes."""
    line = b""
    while data := await stream.read(BLOCK):
        *whole, rest = (line + data).split(b"\n")
        for each in whole:
            yield _shown(each)
        line = rest[:MAX_PRINTED]
    if line:
        yield _shown(line)


def _shown(line: bytes) -> str:
    return line[:MAX_PRINTED].decode("utf-8", "replace").rstrip()


async def _stop(process: Process) -> None:
    """Close a server's stdin, send SIGTERM if it has not ended after a while, and finally kill it."""
    assert process.stdin
    assert process.stdout
    process.stdin.close()
    await _end(process)
    with suppress(asyncio.TimeoutError):  # asyncio closes its side only after all that the server wrote was read
        await asyncio.wait_for(_skip(process.stdout), GRACE)


async def _skip(stream: asyncio.StreamReader) -> None:
    """Read and drop what is left in a stream."""
    while await stream.read(BLOCK):
        pass


async def _end(process: Process) -> None:
    kill = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL
    for seconds, number in ((GRACE, signal.SIGTERM), (KILL_TIMEOUT, kill)):
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), seconds)
            return
        with suppress(ProcessLookupError):
            process.send_signal(number)
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(process.wait(), GRACE)
