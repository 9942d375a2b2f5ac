"""The transport to a server that runs as a child process: one JSON message per line, over its input and output.

The SDK's own transport is not used: it passes on more of the environment, has no limit on the length of a line, and
needs a file for the server's error output.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import anyio
import mcp_types as types
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage

from kosmolua.catalog.mcp_servers.direct import DirectCalls

MAX_LINE = 32 * 1024 * 1024
"""The most bytes of a message. A server that sends a longer one is stopped."""
MAX_PRINTED = 2_000
"""The most characters of a line that a server prints; the rest is dropped."""
MAX_AT_ONCE = 16
"""How many available lines are read before other tasks of the loop get their turn."""
BLOCK = 64 * 1024
GRACE = 1.0
"""Seconds that a server gets to end after its input is closed, before it is told to end."""
KILL_TIMEOUT = 2.0
"""Seconds that a server gets to end after it is told to, before it is killed."""


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
    """Start a server, and yield the streams of its messages. The server is stopped when the ``async with`` block ends.

    Args:
        command: The program and its arguments.
        environment: Its whole environment.
        folder: Its current folder.
        calls: The calls that are made beside the SDK's session.
        said: Called with each line that it prints and that is not a message.
        ended: Called with the reason when it sends nothing more.

    Raises:
        OSError: It cannot be started.
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
    messages, requests = _Messages(process, calls, said, ended), _Requests(process, calls, ended)

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
            yield messages, requests
        finally:
            with anyio.CancelScope(shield=True):
                await _stop(process)
                await messages.aclose()
            tasks.cancel_scope.cancel()


S = TypeVar("S", bound="_Stream")


class _Stream:
    """One direction of the messages, as a stream for the SDK. No task or queue lies between the stream and the pipe."""

    async def __aenter__(self: S) -> S:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the stream at the end of the ``async with`` block."""


class _Requests(_Stream):
    """The messages that the server reads.

    Args:
        process: The server.
        calls: The calls that are made beside the SDK's session.
        ended: Called with the reason if it reads no more.
    """

    def __init__(self, process: Process, calls: DirectCalls, ended: Callable[[str], None]) -> None:
        assert process.stdin
        self._process = process
        self._pipe = process.stdin
        self._calls = calls
        self._ended = ended
        self._draining = asyncio.Lock()

    async def send(self, item: SessionMessage, /) -> None:
        """Write a message of the SDK's session.

        Raises:
            anyio.BrokenResourceError: The server reads no more.
        """
        self._calls.learn(item.message, self.write)
        line = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        await self.write(line.encode() + b"\n")

    async def write(self, line: bytes) -> None:
        """Write a line. If the server does not read and too much is waiting, wait.

        Raises:
            anyio.BrokenResourceError: The server reads no more.
        """
        try:
            self._pipe.write(line)
            async with self._draining:  # before Python 3.11, only one task can wait
                await self._pipe.drain()
        except OSError:
            self._ended(await _why_silent(self._process, "it closed its input"))
            raise anyio.BrokenResourceError from None


class _Messages(_Stream):
    """The messages that the server writes.

    Args:
        process: The server.
        calls: The calls that are made beside the SDK's session.
        said: Called with each line that is not a message.
        ended: Called with the reason when no more messages come.
    """

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
        """Return the next message for the SDK's session.

        Raises:
            anyio.EndOfStream: No more messages come.
        """
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

    async def aclose(self) -> None:
        """Stop receiving messages."""
        self._ended("it was closed")
        self._calls.end()


async def _why_silent(process: Process, otherwise: str) -> str:
    """Return why a server closed a pipe: how its process ended, or ``otherwise`` if it still runs."""
    with suppress(asyncio.TimeoutError):
        status = await asyncio.wait_for(process.wait(), GRACE)
        return f"it ended with status {status}"
    return otherwise


async def _lines_of(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Yield the lines that a server prints. A long line is cut."""
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
    """Close a server's input, then tell it to end, then kill it."""
    assert process.stdin
    process.stdin.close()
    for seconds, number in ((GRACE, signal.SIGTERM), (KILL_TIMEOUT, _kill_signal())):
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), seconds)
            return
        with suppress(ProcessLookupError):
            process.send_signal(number)
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(process.wait(), GRACE)


def _kill_signal() -> int:
    return signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL
