"""Recordings: a run that is recorded against one that is not, and a replay against the live run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from bench_calls import CALLS, Loopback, answer, bench_runtime
from ratio import Ratio, compare

from kosmolua import Outcome, Runtime

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


def _timed(work: Callable[[], Outcome]) -> float:
    started = time.perf_counter()
    outcome = work()
    assert outcome.ok, outcome.error
    return time.perf_counter() - started
