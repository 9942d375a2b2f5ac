"""A soak: clients run scripts of every kind for minutes, and the server takes no more of anything in the end.

    python tests/operations/soak.py --minutes 60

One server has two tenants. The clients' scripts return, read, write, fail, print 50 KB, and search the documentation.
The table has a line for each step of the time. The first quarter of the time is the warm-up, in which caches fill and
the kept texts of long answers reach their bound. The exit status is 1 if the memory of the server, its file
descriptors or its threads at the end are more than 5 % above those after the warm-up (of descriptors 8 and of threads 3
more are nothing), or if a run went otherwise than it should.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from httpx2 import AsyncClient, HTTPError, Timeout
from support.serving import ACME, GLOBEX, Serving, bearing, serving

from operations.noisy import MIB, call, resident
from operations.traffic import NOTEBOOK, accounts_for

STEPS = 40
"""How often the server is looked at; the first quarter of these is the warm-up."""
FLAT = 1.05
CLIENTS = 6
KINDS = {
    "result": ("return 1", "execute_lua", 200),
    "reads": ("for i = 1, 5 do app.integrations.notebook.wait({ seconds = 0 }) end", "execute_lua", 200),
    "write": ('app.integrations.notebook.add({ line = "a" })', "execute_lua", 200),
    "error": ('error("as it should")', "execute_lua", 1200),
    "long": ("for i = 1, 50 do print(('x'):rep(1000)) end", "execute_lua", 200),
    "search": ("read a file of rows", "lua_search_docs", 200),
}
"""For each kind of request: its text, the tool, and the status that :func:`call` returns if all is well."""


class Sample(NamedTuple):
    """What the server took at a moment: MiB, file descriptors and threads."""

    memory: float
    descriptors: float
    threads: float


SLACK = Sample(0, 8, 3)


def sample(server: Serving) -> Sample:
    """Look at the server's own process."""
    process = Path(f"/proc/{server.process.pid}")
    return Sample(resident(server) / MIB, len(os.listdir(process / "fd")), len(os.listdir(process / "task")))


async def work(server: Serving, number: int, seen: Counter[str]) -> None:
    """Be one client, until cancelled."""
    token = (ACME, GLOBEX)[number % 2]
    async with AsyncClient(headers=bearing(token), timeout=Timeout(120)) as web:
        while True:
            for kind, (text, tool, wanted) in KINDS.items():
                try:
                    status = await call(web, server.url, tool, text)
                except HTTPError as error:
                    seen[f"{kind}: {type(error).__name__}"] += 1
                    continue
                seen[kind if status == wanted else f"{kind}: {status}"] += 1


async def soak(server: Serving, seconds: float) -> tuple[list[Sample], Counter[str]]:
    """Let the clients work for so long, print a line for each step, and return what was seen."""
    seen: Counter[str] = Counter()
    clients = [asyncio.create_task(work(server, number, seen)) for number in range(CLIENTS)]
    samples, began = [], time.monotonic()
    print(f"{'seconds':>8} {'runs':>8} {'MiB':>7} {'fds':>5} {'threads':>7}")
    for _ in range(STEPS):
        within = []
        for _ in range(10):  # a median of ten, since a moment says little of a server at work
            await asyncio.sleep(seconds / STEPS / 10)
            within.append(sample(server))
        samples.append(Sample(*map(median, zip(*within, strict=True))))
        taken = samples[-1]
        print(
            f"{time.monotonic() - began:8.0f} {seen.total():8} {taken.memory:7.1f} {taken.descriptors:5.0f} "
            f"{taken.threads:7.0f}",
            flush=True,
        )
    for task in clients:
        task.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    return samples, seen


def grown(samples: Sequence[Sample]) -> dict[str, tuple[float, float]]:
    """Return what is more at the end than after the warm-up, beyond 5 %: its name, and both figures."""
    after_warm_up, at_end = (
        Sample(*map(median, zip(*part, strict=True)))
        for part in (samples[STEPS // 4 : STEPS // 2], samples[-STEPS // 4 :])
    )
    rows = zip(Sample._fields, after_warm_up, at_end, SLACK, strict=True)
    return {name: (before, after) for name, before, after, slack in rows if after > max(before * FLAT, before + slack)}


def main() -> int:
    """Read the command line, soak, print the verdict, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(folder, accounts_for(folder), "--plugin", NOTEBOOK) as server:
            samples, seen = asyncio.run(soak(server, given.minutes * 60))
    print(", ".join(f"{count} {kind}" for kind, count in sorted(seen.items())))
    wrong = {kind: count for kind, count in seen.items() if kind not in KINDS}
    more = grown(samples)
    for name, (before, after) in more.items():
        print(f"{name}: {before:.1f} after the warm-up, {after:.1f} at the end")
    print("flat" if not more else "not flat", f"{sum(wrong.values())} of {seen.total()} wrong", sep="; ")
    return 1 if more or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
