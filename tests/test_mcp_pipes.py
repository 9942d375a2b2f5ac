"""The pipes of the MCP server: messages arrive whole and in order, and nobody waits for a slow reader."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification
from pydantic import ValidationError
from support.processes import linux_only

from kosmolua.mcp import pipes

pytestmark = linux_only
LONG = "x" * 1_000_000
"""More than a pipe takes."""


class Pipes:
    """A pipe in each direction: the server reads ``input`` and writes ``output``, the client has the other ends."""

    def __init__(self) -> None:
        self.input, self.to_server = os.pipe()
        self.from_server, self.output = os.pipe()
        self.losses = 0

    def lose(self) -> None:
        """Count that nothing more could be written."""
        self.losses += 1

    def serve(self, work: Callable[[Any, Any], Awaitable[object]]) -> Any:
        """Do work with the streams of the server."""

        async def run() -> object:
            async with pipes.streams(self.input, self.output, self.lose) as (incoming, outgoing):
                return await asyncio.wait_for(work(incoming, outgoing), 60)

        return asyncio.run(run())

    async def read(self, count: int) -> list[Any]:
        """Return so many messages that the server wrote."""
        return await asyncio.to_thread(self._read, count)

    def _read(self, count: int) -> list[Any]:
        with os.fdopen(self.from_server, "rb", closefd=False) as stream:
            return [json.loads(stream.readline()) for _ in range(count)]


@pytest.fixture
def ends() -> Iterator[Pipes]:
    """Return the ends of two pipes."""
    opened = Pipes()
    yield opened
    for descriptor in (opened.input, opened.to_server, opened.from_server, opened.output):
        try:
            os.close(descriptor)
        except OSError:
            continue


def message(text: str) -> SessionMessage:
    """Return a message that holds a text."""
    return SessionMessage(JSONRPCNotification(jsonrpc="2.0", method="said", params={"text": text}))


def line(text: str) -> bytes:
    """Return the same message as it is written."""
    return json.dumps({"jsonrpc": "2.0", "method": "said", "params": {"text": text}}).encode() + b"\n"


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_messages_arrive_whole_however_they_are_cut(ends: Pipes, size: int) -> None:
    """Also several at once, and one that ends without a line's end is none."""
    data = line("one") + b"\r\n" + line("tw\u00f6" * 50) + b"\xff\n" + line("three") + b'{"jsonrpc"'

    async def work(incoming: Any, _: Any) -> list[object]:
        async def write() -> None:
            for start in range(0, len(data), size):
                os.write(ends.to_server, data[start : start + size])
                await asyncio.sleep(0)
            os.close(ends.to_server)

        writing = asyncio.create_task(write())
        found = [each if isinstance(each, Exception) else each.message.params["text"] async for each in incoming]
        await writing
        return found

    one, blank, two, torn, three = ends.serve(work)
    assert [one, two, three] == ["one", "tw\u00f6" * 50, "three"]
    assert isinstance(blank, ValidationError)
    assert isinstance(torn, ValidationError)


@pytest.mark.slow
def test_a_slow_reader_holds_up_nobody(ends: Pipes) -> None:
    """Messages longer than the pipe wait, the loop goes on, and they come in order."""

    async def work(_: Any, outgoing: Any) -> list[Any]:
        sending = [asyncio.create_task(outgoing.send(message(text))) for text in (LONG, "short", LONG)]
        for _ in range(100):
            await asyncio.sleep(0.001)
        assert not any(each.done() for each in sending)
        found = await ends.read(3)
        await asyncio.gather(*sending)
        return [each["params"]["text"] for each in found]

    assert ends.serve(work) == [LONG, "short", LONG]


def test_who_gives_up_leaves_no_torn_line(ends: Pipes) -> None:
    """What was begun is finished."""

    async def work(_: Any, outgoing: Any) -> list[Any]:
        sending = asyncio.create_task(outgoing.send(message(LONG)))
        await asyncio.sleep(0.05)
        sending.cancel()
        reading = asyncio.create_task(ends.read(2))
        await outgoing.send(message("next"))
        return [each["params"]["text"] for each in await reading]

    assert ends.serve(work) == [LONG, "next"]


def test_a_reader_that_is_gone_is_noticed(ends: Pipes) -> None:
    """By the first message, which keeps nobody waiting."""
    os.close(ends.from_server)
    ends.serve(lambda _, outgoing: outgoing.send(message(LONG)))
    assert ends.losses == 1


def test_only_pipes_are_taken_for_some(ends: Pipes, tmp_path: Path) -> None:
    """A loop cannot wait for a file."""
    assert pipes.are_pipes(ends.input, ends.output)
    with open(tmp_path / "file", "wb") as file:
        assert not pipes.are_pipes(ends.input, file.fileno())
