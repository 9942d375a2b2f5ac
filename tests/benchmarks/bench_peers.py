"""KosmoLua beside its peers: each row does the same work with both, in turn, on what is installed here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from lupa.lua54 import LuaRuntime
from peers import fork_exit_and_reap, from_threads, is_there, monty
from ratio import Ratio, Skipped, compare, timed

from kosmolua import Runtime

Row = Ratio | Skipped
NEEDS_MONTY = "pydantic-monty is not installed: pip install -e '.[bench]'"
RETURN = "return 1"
THREADS = 8
RUNS_AT_ONCE = 200
LUA = {
    "loop of 10,000,000 turns": ("local sum = 0 for i = 1, 10000000 do sum = sum + i % 7 end", 1.05),
    "fib(27)": ("local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end fib(27)", 1.2),
    "a table of 100,000, built and sorted": (
        "local t = {} for i = 1, 100000 do t[i] = (i * 7919) % 100003 end table.sort(t)",
        1.1,
    ),
    "100,000 times `s = s .. x`": ("local s = '' for i = 1, 100000 do s = s .. 'x' end", 1.2),
}
"""Programs, each with its goal."""


def ratios() -> Iterator[Row]:
    """Yield the rows of all groups."""
    for rows in (warm_runs, many_runs, lua_work, starts, memory):
        yield from rows()


def warm_runs() -> Iterator[Row]:
    """Yield the rows of one script after another."""
    for reuse, checkouts, goal in ((1, 1, 1.0), (1, None, 4.0), (100, None, 2.0)):
        peer = "pydantic-monty, a process for each script" if checkouts else "pydantic-monty, its process reused"
        work = f'`Runtime.run("return 1")`, one after another{_named(reuse)}'
        if not is_there("pydantic_monty"):
            yield Skipped(work, "pydantic-monty", NEEDS_MONTY)
            continue
        with _runtime(reuse) as runtime, monty(checkouts=checkouts) as run:
            ours, theirs = timed(lambda: runtime.run(RETURN)), timed(lambda: run("1"))
            yield compare(work, peer, ours, theirs, goal=goal, rounds=300)


def many_runs() -> Iterator[Row]:
    """Yield the rows of scripts from eight threads, by the time that so many take."""
    with ThreadPoolExecutor(THREADS) as threads:
        work = f"{RUNS_AT_ONCE} runs from {THREADS} threads"
        with _runtime(1) as runtime:
            ours = timed(from_threads(lambda: runtime.run(RETURN), threads, RUNS_AT_ONCE))
            theirs = timed(from_threads(fork_exit_and_reap, threads, RUNS_AT_ONCE))
            yield compare(work, "bare fork, exit and reap", ours, theirs, goal=1 / 0.9)
        work += _named(100)
        if not is_there("pydantic_monty"):
            yield Skipped(work, "pydantic-monty", NEEDS_MONTY)
            return
        with _runtime(100) as runtime, monty(THREADS) as run:
            ours = timed(from_threads(lambda: runtime.run(RETURN), threads, RUNS_AT_ONCE))
            theirs = timed(from_threads(lambda: run("1"), threads, RUNS_AT_ONCE))
            yield compare(work, f"pydantic-monty, {THREADS} processes reused", ours, theirs, goal=1)


def lua_work() -> Iterator[Row]:
    """Yield the rows of Lua that makes no call: a whole run against a new VM in this process."""
    with _runtime(1) as runtime:
        for work, (program, goal) in LUA.items():
            ours = timed(partial(runtime.run, program))
            yield compare(
                work, "raw lupa, without process or limits", ours, timed(partial(raw_lua, program)), goal=goal
            )


def raw_lua(program: str) -> None:
    """Run Lua in a new VM of this process."""
    LuaRuntime().execute(program)


def starts() -> Iterator[Row]:
    """Yield the row of a whole process."""
    command = [str(Path(sys.executable).parent / "kosmolua"), "run", "-e", RETURN]
    ours = timed(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True))
    bare = timed(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
    yield compare(f"`kosmolua run -e '{RETURN}'`", "`python -c pass`", ours, bare, goal=4, rounds=25)


def memory() -> Iterator[Row]:
    """Yield the row of what one further run takes, all processes together, while it waits in a call."""
    from held import further_run

    if not is_there("pydantic_monty"):
        yield Skipped("memory of a further run (MiB)", "pydantic-monty", NEEDS_MONTY)
        return
    ours, theirs = further_run("kosmolua"), further_run("monty")
    value = ours / theirs
    yield Ratio("memory of a further run (MiB)", "pydantic-monty", 1.3, value, ours, theirs, (value, value))


def _runtime(reuse: int) -> Runtime:
    return Runtime(simulate=True, environ={}, reuse=reuse)


def _named(reuse: int) -> str:
    return f", `reuse={reuse}`" if reuse > 1 else ""
