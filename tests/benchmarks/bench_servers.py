"""MCP servers: calls of a script against the same calls of the SDK's own client, on one server each."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

from mcp import Client, StdioServerParameters
from ratio import Ratio, compare

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.servers import section, stdio

from kosmolua import Runtime

CALLS = 200
SCRIPT = f"local add = app.mcp.tools.add_up for i = 1, {CALLS} do add({{ terms = {{ i, 2 }} }}) end"


def ratios() -> Iterator[Ratio]:
    """Yield the ratio of a call."""
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, daemon=True).start()
    server = stdio()
    client = Client(StdioServerParameters(command=server["command"], args=server["args"]))
    asyncio.run_coroutine_threadsafe(client.__aenter__(), loop).result(60)

    async def call() -> None:
        for number in range(1, CALLS + 1):
            await client.call_tool("add-up", {"terms": [number, 2]})

    def theirs() -> float:
        started = time.perf_counter()
        asyncio.run_coroutine_threadsafe(call(), loop).result(60)
        return time.perf_counter() - started

    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        with Runtime(section(server)) as runtime:

            def ours() -> float:
                started = time.perf_counter()
                outcome = runtime.run(SCRIPT)
                assert outcome.ok, outcome.error
                return time.perf_counter() - started

            yield compare(
                f"{CALLS} calls of an MCP server's tool", "the SDK's client", ours, theirs, goal=1.3, rounds=7
            )
