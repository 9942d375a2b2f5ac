"""Two clients of one server: whatever one of them does, the other's short script is answered within a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from support.agents import DISCOVERY, HANDSHAKE, execute, http_server, open_client, text_of
from support.processes import descendants, eventually, linux_only
from support.rounds import rounds

pytestmark = [linux_only, pytest.mark.slow]
WORKERS = 32
ENDLESS = "while true do pcall(app.integrations.render2.get_current_user) end"
IDLE = "local t = os.clock() while os.clock() - t < %g do app.integrations.render2.get_current_user() end return 1"
"""A script that takes so many seconds of processor time; its clock on the wall is the simulators'."""
SUSPEND = "return app.integrations.render2.suspend_service('srv-cabc12345678')"


@pytest.fixture
def server() -> Iterator[tuple[Any, str]]:
    with http_server("--max-calls", "1000000") as server:
        yield server


async def is_quick(client: Client, attempts: int = 3) -> None:
    """Run a short script a few times, and check that the quickest of them is answered soon.

    The machine of a test is slow, or stands still; a script that waits for another client's would wait for a minute.
    """
    taken = []
    for _ in range(attempts):
        began = time.monotonic()
        result = await execute(client, "return 1")
        taken.append(time.monotonic() - began)
        assert result.structured_content["result"] == [1], text_of(result)
    assert min(taken) < 20, taken


async def never(*_: object) -> Any:
    await anyio.sleep_forever()


def hold_talk(url: str, era: str, code: str, times: int, children: int, pid: int) -> list[str]:
    """Have one client run scripts at once, and check that another is quick; return what the first was told."""
    said: list[str] = []

    async def run(client: Client) -> None:
        with suppress(MCPError):
            said.append(text_of(await execute(client, code, timeout=60)))

    async def main() -> None:
        async with open_client(url, era, elicitation_callback=never) as first, open_client(url, era) as second:
            await execute(second, "return 1")
            async with anyio.create_task_group() as group:
                for _ in range(times):
                    group.start_soon(run, first)
                while len(descendants(pid)) < children:
                    await anyio.sleep(0.05)
                await anyio.sleep(1)
                await is_quick(second)
                group.cancel_scope.cancel()

    asyncio.run(main())
    return said


@pytest.mark.slow
@pytest.mark.parametrize("era", [DISCOVERY, HANDSHAKE][: rounds(1, 2)])
def test_scripts_that_hang(server: tuple[Any, str], era: str) -> None:
    """32 endless scripts of one client leave the other a place."""
    process, url = server
    hold_talk(url, era, ENDLESS, WORKERS, WORKERS - 4, process.pid)
    assert eventually(lambda: len(descendants(process.pid)) <= 1)


@pytest.mark.slow
def test_approvals_that_nobody_answers(server: tuple[Any, str]) -> None:
    """32 scripts that wait for a person, and 32 more, hold no place."""
    process, url = server
    hold_talk(url, HANDSHAKE, SUSPEND, 2 * WORKERS, 2 * WORKERS, process.pid)


@pytest.mark.slow
def test_scripts_that_wait_in_a_queue(server: tuple[Any, str]) -> None:
    """320 scripts at once wait in the queue of their own client, none is refused, and the other's come between."""
    process, url = server
    said = hold_talk(url, DISCOVERY, IDLE % 0.2, 10 * WORKERS, WORKERS - 4, process.pid)
    assert not [text for text in said if "busy" in text]


@pytest.mark.slow
def test_a_queue_without_end_is_refused(server: tuple[Any, str]) -> None:
    """A client that goes on is told that the server is busy, in an error that may be tried again."""

    async def main() -> None:
        async with open_client(server[1], DISCOVERY) as first, anyio.create_task_group() as group:
            await execute(first, "return 1")

            async def run() -> None:
                result = await execute(first, ENDLESS)
                errors.append(result.structured_content.get("error"))
                group.cancel_scope.cancel()

            for _ in range(WORKERS * 14):
                group.start_soon(run)

    errors: list[dict[str, Any]] = []
    asyncio.run(main())
    assert errors[0]["code"] == "busy"
    assert errors[0]["retryable"] is True
