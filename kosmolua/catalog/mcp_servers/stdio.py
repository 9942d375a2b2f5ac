"""The transport to a server that runs as a child process: one JSON message a line, over its input and output.

The SDK's own transport is not used: it passes on more of the environment, has no limit on the length of a line, and
needs a file for the server's error output.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import mcp_types as types
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage

MAX_LINE = 32 * 1024 * 1024
"""The most bytes of a message. A server that sends a longer one is stopped."""
MAX_PRINTED = 2_000
"""The most characters of a line that a server prints; the rest is dropped."""
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
    said: Callable[[str], None],
    ended: Callable[[str], None],
) -> AsyncIterator[TransportStreams]:
    """Start a server, and yield the streams of its messages. The server is stopped when the ``async with`` block ends.

    Args:
        command: The program and its arguments.
        environment: Its whole environment.
        folder: Its current folder.
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
    to_session, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, from_session = anyio.create_memory_object_stream[SessionMessage](0)

    async def read() -> None:
        async with to_session:
            reason = await _read_messages(process, to_session.send, said)
            ended(reason)

    async def write() -> None:
        assert process.stdin
        async with from_session:
            with suppress(OSError):
                async for each in from_session:
                    line = each.message.model_dump_json(by_alias=True, exclude_unset=True)
                    process.stdin.write(line.encode() + b"\n")
                    await process.stdin.drain()

    async def listen() -> None:
        assert process.stderr
        async for line in _lines_of(process.stderr):
            said(line)

    async with anyio.create_task_group() as tasks:
        for task in (read, write, listen):
            tasks.start_soon(task)
        try:
            yield incoming, outgoing
        finally:
            with anyio.CancelScope(shield=True):
                await _stop(process)
                for stream in (incoming, outgoing):
                    await stream.aclose()
            tasks.cancel_scope.cancel()


async def _read_messages(
    process: Process, deliver: Callable[[SessionMessage | Exception], object], said: Callable[[str], None]
) -> str:
    """Deliver the messages that a server sends until it ends, and return why it sends no more."""
    assert process.stdout
    try:
        while line := await process.stdout.readline():
            try:
                message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValueError:
                if line.strip():
                    said(_shown(line))
                continue
            await deliver(SessionMessage(message))  # type: ignore[misc]
    except (anyio.ClosedResourceError, anyio.BrokenResourceError):
        return "it was closed"
    except ValueError:
        return f"it sent a line of more than {MAX_LINE // 1024 // 1024} MiB"
    with suppress(asyncio.TimeoutError):
        status = await asyncio.wait_for(process.wait(), GRACE)
        return f"it ended with status {status}"
    return "it closed its output"


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
