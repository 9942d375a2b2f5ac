"""What one tenant's load does to the server and to another tenant: ``python tests/operations/noisy.py --help``.

The server runs in a control group with a memory limit, as a container does, where one can be made. One tenant makes
noise, each way for some seconds, and the other runs a short script again and again. For each way the script prints
whether the server lives, its memory, and how much slower the other tenant became.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from httpx2 import AsyncClient, HTTPError, Limits, Response, Timeout
from support.cgroups import MemoryGroup, memory_group
from support.serving import ACME, GLOBEX, Serving, bearing, serving

MIB = 1024**2
PATIENCE = 120
"""Seconds to wait for the first answer to a noisy client, on a machine that has much else to do."""
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


SEARCHES = 'for i = 1, 2000 do app.docs.search("restart a service " .. i) end'
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
    "3,000 parentheses": Way(16, f"return {'(' * 3000}1{')' * 3000}"),
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


async def quiet(url: str, seconds: float) -> tuple[list[float], int]:
    """Run a short script for so long; return how long each took, in seconds, and how many failed."""
    taken, failed, ends = [], 0, time.monotonic() + seconds
    async with AsyncClient(headers=bearing(GLOBEX), timeout=Timeout(60)) as web:
        while time.monotonic() < ends:
            began = time.monotonic()
            try:
                failed += await call(web, url, "execute_lua", "return 1") != 200
            except HTTPError:
                failed += 1
            taken.append(time.monotonic() - began)
            await asyncio.sleep(0.02)
    return taken, failed


def resident(server: Serving) -> int:
    """Return the memory of the server's own process, in bytes."""
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def endure(server: Serving, way: Way, seconds: float) -> dict[str, Any]:
    """Make noise in one way for so long, and return what was seen."""
    calm, _ = await quiet(server.url, min(seconds, 5))
    said: Counter[object] = Counter()
    noise = [asyncio.create_task(disturb(server.url, way, said)) for _ in range(way.clients)]
    peak = 0

    async def watch() -> None:
        nonlocal peak
        while server.process.poll() is None:
            peak = max(peak, resident(server))
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(1)
    taken, failed = await quiet(server.url, seconds)
    ends = time.monotonic() + PATIENCE
    while not said and server.process.poll() is None and time.monotonic() < ends:
        await asyncio.sleep(0.1)
    for task in (*noise, watching):
        task.cancel()
    await asyncio.gather(*noise, watching, return_exceptions=True)
    lives = server.process.poll() is None
    await asyncio.sleep(3)
    return {
        "lives": lives,
        "quiet_ms": round(median(calm) * 1000, 1),
        "noisy_ms": round(median(taken) * 1000, 1),
        "times": round(median(taken) / median(calm), 1),
        "failed": f"{failed} of {len(taken)}",
        "peak_mib": peak // MIB,
        "rest_mib": resident(server) // MIB if lives else 0,
        "noisy": dict(said),
    }


def enter(stack: ExitStack, limit: int | None) -> MemoryGroup | None:
    """Put this process into a group with a limit of ``limit`` MiB, so that the server is in it too."""
    return stack.enter_context(memory_group(limit * MIB)) if limit else None


def endure_all(folder: Path, ways: list[str], seconds: float, limit: int | None, *options: str) -> dict[str, Any]:
    """Start a server for each way, make noise, and return what was seen, by the way."""
    seen = {}
    for name in ways:
        with ExitStack() as stack:
            group = enter(stack, limit)
            own = folder / name.replace(" ", "-")
            own.mkdir()
            server = stack.enter_context(
                serving(own, ACCOUNTS, "--simulate", *options, start=group.join if group else None)
            )
            seen[name] = asyncio.run(endure(server, WAYS[name], seconds))
    return seen


def main() -> None:
    """Read the command line, and print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--memory", type=int, help="the limit of the control group, in MiB; without it there is none")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("ways", nargs="*", help=f"some of: {', '.join(WAYS)}; default: all")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for way in given.ways or WAYS:
            print(f"{way:20}", endure_all(Path(folder), [way], given.seconds, given.memory)[way], flush=True)


if __name__ == "__main__":
    main()
