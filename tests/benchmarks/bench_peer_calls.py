"""Calls and their results beside KosmoLua's peers, and what the MCP server adds to a run."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bench_calls import bench_runtime, inside, waits
from bench_json import service, services
from bench_mcp import OURS, THEIRS, Server
from peers import is_there, monty
from ratio import Ratio, Seconds, Skipped, compare

from kosmolua import Runtime

Row = Ratio | Skipped
NEEDS_MONTY = "pydantic-monty is not installed: pip install -e '.[bench]'"
CALLS = 1000
COMPACT = (",", ":")
SUMMED = (
    "local sum = 0 for _, row in ipairs(bench.megabyte()) do sum = sum + row.service.serviceDetails.numInstances end"
)


def ratios() -> Iterator[Row]:
    """Yield the rows of all groups."""
    for rows in (beside_monty, at_once, over_mcp):
        yield from rows()


def beside_monty() -> Iterator[Row]:
    """Yield the rows of calls that do nothing, and of a large result. Functions of both are in the same process."""
    nothing, large = f"{CALLS:,} calls that do nothing", "a result of 1 MB, one field summed"
    if not is_there("pydantic_monty"):
        yield from (Skipped(work, "pydantic-monty", NEEDS_MONTY) for work in (nothing, large))
        return
    with bench_runtime("http://127.0.0.1:1") as runtime, monty() as run:

        def calls() -> float:
            return inside(runtime, f"for i = 1, {CALLS} do bench.nothing() end")

        def plain() -> float:
            return _timed(run, f"for i in range({CALLS}):\n    nothing()", {"nothing": lambda: None})

        with awaiting_monty() as run_async:
            yield compare(nothing, "pydantic-monty, functions awaited", calls, run_async, goal=0.5, rounds=9)
        yield compare(
            nothing, "pydantic-monty, functions that cannot be called at once", calls, plain, goal=0.5, rounds=9
        )
        rows = [service(number) for number in range(len(services(COMPACT)) // len(json.dumps(service(0))))]

        def field() -> float:
            return _timed(
                run,
                "sum(row['service']['serviceDetails']['numInstances'] for row in megabyte())",
                {"megabyte": lambda: rows},
            )

        yield compare(large, "pydantic-monty", lambda: inside(runtime, SUMMED), field, goal=0.8, rounds=15)


def _timed(run: Callable[..., Any], code: str, functions: dict[str, Any]) -> float:
    started = time.perf_counter()
    run(code, external_lookup=functions)
    return time.perf_counter() - started


@contextmanager
def awaiting_monty() -> Iterator[Seconds]:
    """Yield a function that makes the calls with coroutines, which Monty can have under way at once, as we can."""
    from pydantic_monty import AsyncMonty

    async def nothing() -> None:
        return

    code = f"for i in range({CALLS}):\n    await nothing()"
    loop, pool = asyncio.new_event_loop(), AsyncMonty(min_processes=1, max_processes=1)

    async def open_pool() -> None:
        await pool.__aenter__()

    async def close_pool() -> None:
        await pool.__aexit__(None, None, None)

    async def calls() -> float:
        async with pool.checkout(limits={"max_suspensions": 2 * CALLS}) as session:
            started = time.perf_counter()
            await session.feed_run(code, external_lookup={"nothing": nothing})
            return time.perf_counter() - started

    loop.run_until_complete(open_pool())
    yield lambda: loop.run_until_complete(calls())
    loop.run_until_complete(close_pool())
    loop.close()


def at_once() -> Iterator[Row]:
    """Yield the row of many calls at once."""
    with bench_runtime("http://127.0.0.1:1") as runtime:
        yield compare(
            "32 calls of 50 ms at once",
            "one such call",
            lambda: inside(runtime, waits(32, 0.05, 32)),
            lambda: inside(runtime, waits(1, 0.05, 1)),
            goal=1.25,
        )


def over_mcp() -> Iterator[Row]:
    """Yield the row of the MCP server: what a run takes through it, beyond the same run by ``Runtime.run``."""
    script = {"name": "execute_lua", "arguments": {"code": "return 1"}}
    with Server(OURS) as ours, Server(THEIRS) as theirs, Runtime({}) as runtime:

        def beyond() -> float:
            started = time.perf_counter()
            ours.call(script)
            between = time.perf_counter()
            runtime.run("return 1")
            return 2 * between - started - time.perf_counter()

        def empty() -> float:
            started = time.perf_counter()
            theirs.call({"name": "nothing"})
            return time.perf_counter() - started

        yield compare(
            "`execute_lua` over stdio, `return 1`, beyond `Runtime.run`",
            "an empty tool of a bare SDK server",
            beyond,
            empty,
            goal=1.5,
            rounds=100,
        )
