"""Recordings: a run that is recorded against one that is not, a replay against the live run, and stores."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from bench_calls import CALLS, Loopback, answer, bench_runtime
from ratio import Ratio, compare

from kosmolua import Outcome, Runtime
from kosmolua.stores.opening import open_stores

RUNS = 50
SCRIPT = f"for i = 1, {CALLS} do app.integrations.bench.rows() end"


def ratios() -> Iterator[Ratio]:
    """Yield what recording costs, and what a replay takes."""
    with (
        Loopback(answer) as server,
        bench_runtime(server.url) as runtime,
        Runtime({}) as bare,
        tempfile.TemporaryDirectory() as folder,
    ):
        numbers = count()

        def live() -> float:
            return _timed(lambda: runtime.run(SCRIPT))

        def recorded() -> float:
            return _timed(lambda: runtime.run(SCRIPT, record=Path(folder) / f"{next(numbers)}.jsonl"))

        kept = Path(folder) / "kept.jsonl"
        runtime.run(SCRIPT, record=kept)
        yield compare(f"{CALLS} calls over loopback, recorded", "not recorded", recorded, live, goal=1.15, rounds=5)
        yield compare(
            f"replay of {CALLS} calls", "live", lambda: _timed(lambda: bare.replay(kept)), live, goal=1 / 3, rounds=5
        )
        yield from _ratios_of_stores(folder)


def _ratios_of_stores(folder: str) -> Iterator[Ratio]:
    """Yield what a recording in a database costs the processor of the host, against one in a folder."""

    def processor(runtime: Runtime) -> float:
        started = time.process_time()
        for _ in range(RUNS):
            assert runtime.run("return 1", record=True).ok
        return time.process_time() - started

    places = f"sqlite:///{folder}/runs.db", f"{folder}/runs"
    stores = [open_stores(place) for place in places]
    one, other = (Runtime({}, environ={}, store=each.of("bench")) for each in stores)
    with one, other:
        yield compare(
            "a run recorded in SQLite", "in a folder", lambda: processor(one), lambda: processor(other), goal=2.0
        )
    for each in stores:
        each.close()


def _timed(work: Callable[[], Outcome]) -> float:
    started = time.perf_counter()
    outcome = work()
    assert outcome.ok, outcome.error
    return time.perf_counter() - started
