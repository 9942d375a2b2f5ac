"""What one tenant's load does to the server and to another tenant, in containers of 256 MiB and 1 GiB.

One tenant makes noise in some way, and the other runs a short script again and again. Quiet and noisy spans take turns,
so that what else the machine does is in both. A round has :data:`SPAN` seconds of noise.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

import pytest
from httpx2 import AsyncClient, HTTPError, Limits, Response, Timeout
from support.cgroups import memory_group
from support.serving import ACME, GLOBEX, Serving, bearing, serving

from operations.scenarios import Row

MIB = 1024**2
CONTAINERS = (256, 1024)
"""Memory of the containers, in MiB."""
MOST = 3.0
"""How many times slower the other tenant may become, by the median."""
SPAN, CALM = 10.0, 4.0
"""Seconds of noise in a round, and of quiet before."""
PATIENCE = 120
"""Seconds to wait for the first answer to a noisy client, and for the end of all noise."""
ACCOUNTS = f"""\
[serve]
approval_wait = "5s"

[tenants.noisy]
token = "{ACME}"

[tenants.quiet]
token = "{GLOBEX}"
"""
READ, WRITE = (
    "app.integrations.render2.get_current_user()",
    "app.integrations.render2.suspend_service('srv-cabc12345678')",
)


class Way(NamedTuple):
    """A way to make noise: how many clients at once, and what each asks for again and again."""

    clients: int
    code: str
    tool: str = "execute_lua"


LINE = "do local name = app.integrations.render2.list_services({ limit = 5 }).services[1].name print(name) end\n"
WAYS = {
    "endless loops": Way(48, "while true do end"),
    "memory hogs": Way(48, "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end"),
    "bad patterns": Way(48, "return (('a'):rep(40)):find(('a*'):rep(20) .. 'b')"),
    "10 MB of output": Way(24, "for i = 1, 100 do print(('x'):rep(100000)) end"),
    "15 MB of result": Way(16, "local t = {} for i = 1, 150 do t[i] = ('x'):rep(100000) end return t"),
    "many small values": Way(16, "local t = {} for i = 1, 400000 do t[i] = { i } end return t"),
    "900 calls": Way(24, f"for i = 1, 900 do {READ} end"),
    "approvals": Way(200, f"return {WRITE}"),
    "searches": Way(24, "restart a service and wait", "lua_search_docs"),
    "searches in scripts": Way(24, "for i = 1, 900 do lua_search_docs('restart a service ' .. i) end"),
    "60 KB to check": Way(24, f"local function never()\n{LINE * 580}end return 1"),
    "3,000 parentheses": Way(16, f"return {'(' * 3000}1{')' * 3000}"),
    "refused requests": Way(16, "app", "lua_read_doc"),
    "sources of 3.5 MB": Way(16, "local x = 1\n" * 290_000),
}


async def call(web: AsyncClient, url: str, tool: str, text: str) -> int:
    """Call a tool, and return the status, with 1000 added if the answer is an error of the tool."""
    answer = await request(web, url, tool, text)
    return 200 if '"isError":true' not in answer.text.replace(" ", "") else answer.status_code + 1000


async def request(web: AsyncClient, url: str, tool: str, text: str) -> Response:
    """Call a tool as a client without a session does, and return the answer."""
    name = "query" if tool == "lua_search_docs" else "code"
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "noisy", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": tool, "arguments": {name: text}, "_meta": meta}
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": tool,
    }
    return await web.post(
        url, json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, headers=headers
    )


async def disturb(url: str, way: Way, said: Counter[object]) -> None:
    """Be one noisy client, until cancelled."""
    async with AsyncClient(headers=bearing(ACME), timeout=Timeout(300), limits=Limits(max_connections=1)) as web:
        while True:
            try:
                said[await call(web, url, way.tool, way.code)] += 1
            except HTTPError as error:
                said[type(error).__name__] += 1
                await asyncio.sleep(0.2)


@dataclass
class Seen:
    """What was seen of a server that one tenant disturbs.

    Args:
        calm: How long each script of the other tenant took in quiet spans, in seconds.
        noisy: How long each took in noisy spans.
        said: How often the noisy clients got each status or error.
        failed: How many scripts of the other tenant failed.
        peak: The most memory of the server's process, in bytes.
        lives: Whether the server lives.
    """

    calm: list[float] = field(default_factory=list)
    noisy: list[float] = field(default_factory=list)
    said: Counter[object] = field(default_factory=Counter)
    failed: int = 0
    peak: int = 0
    lives: bool = True

    @property
    def times(self) -> float:
        """How many times slower the other tenant became."""
        return median(self.noisy) / median(self.calm)

    def __str__(self) -> str:
        calm, noisy = (f"{median(each) * 1000:.1f}" for each in (self.calm, self.noisy))
        return (
            f"{calm} -> {noisy} ms (x{self.times:.1f}), {self.failed} of {len(self.noisy)} failed, "
            f"{self.peak // MIB} MiB, noisy {dict(self.said)}{'' if self.lives else ', the server is DEAD'}"
        )


async def quiet(server: Serving, seconds: float, taken: list[float], seen: Seen) -> None:
    """Be the other tenant for so long."""
    ends = time.monotonic() + seconds
    async with AsyncClient(headers=bearing(GLOBEX), timeout=Timeout(60)) as web:
        while time.monotonic() < ends and server.process.poll() is None:
            began = time.monotonic()
            try:
                seen.failed += await call(web, server.url, "execute_lua", "return 1") != 200
            except HTTPError:
                seen.failed += 1
            taken.append(time.monotonic() - began)
            await asyncio.sleep(0.02)


def resident(server: Serving) -> int:
    """Return the memory of the server's own process, in bytes."""
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def endure(server: Serving, way: Way, rounds: int, seconds: float) -> Seen:
    """Make noise in one way, in several rounds of so many seconds, and return what was seen."""
    seen = Seen()

    async def watch() -> None:
        while server.process.poll() is None:
            seen.peak = max(seen.peak, resident(server))
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    for number in range(rounds):
        await quiet(server, min(CALM, seconds), seen.calm, seen)
        noise = [asyncio.create_task(disturb(server.url, way, seen.said)) for _ in range(way.clients)]
        await asyncio.sleep(1)
        await quiet(server, seconds, seen.noisy, seen)
        if number + 1 == rounds:
            await _until(server, lambda: bool(seen.said))
        for task in noise:
            task.cancel()
        await asyncio.gather(*noise, return_exceptions=True)
        await _settle(server)
    watching.cancel()
    seen.lives = server.process.poll() is None
    return seen


async def _until(server: Serving, is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not is_so() and server.process.poll() is None and time.monotonic() < ends:
        await asyncio.sleep(0.1)


async def _settle(server: Serving) -> None:
    """Wait until no script of the noisy tenant runs or waits."""
    ends = time.monotonic() + PATIENCE
    async with AsyncClient(headers=bearing(ACME), timeout=Timeout(60)) as web:
        while server.process.poll() is None and time.monotonic() < ends:
            load = (await web.get(f"{server.base}/api/status")).json()
            if not load["busy"] + load["queued"]:
                return
            await asyncio.sleep(0.2)


def disturbed(folder: Path, name: str, limit: int, rounds: int, seconds: float = SPAN) -> Seen:
    """Disturb a server in a container of ``limit`` MiB, or with the bounds for one where none can be made."""
    folder.mkdir(parents=True)
    accounts, start = ACCOUNTS, None
    with ExitStack() as stack:
        try:
            start = stack.enter_context(memory_group(limit * MIB)).join
        except pytest.skip.Exception:
            accounts = accounts.replace("[serve]", f'[serve]\nmemory = "{max(16, (limit - 128) // 4)}MiB"')
        server = stack.enter_context(serving(folder, accounts, "--simulate", start=start))
        return asyncio.run(endure(server, WAYS[name], rounds, seconds))


def play(folder: Path, rounds: int, _: Random) -> Iterator[Row]:
    """Make noise in each way, in each container."""
    for limit in CONTAINERS:
        for name in WAYS:
            seen = disturbed(folder / f"{limit}-{name.replace(' ', '-')}", name, limit, rounds)
            is_right = seen.lives and not seen.failed and bool(seen.said) and seen.times <= MOST
            yield Row(f"{name}, {limit} MiB", str(seen), is_right)
