"""The memory of runs held in a call: ``python held.py kosmolua|monty`` prints what a further one takes, in MiB."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FEW, MANY = 8, 32
_CAME, _GO = threading.Semaphore(0), threading.Event()


def further_run(peer: str) -> float:
    """Return the MiB that each further run takes, in a process of its own, with all that it starts."""
    done = subprocess.run([sys.executable, __file__, peer], stdout=subprocess.PIPE, check=True)
    return float(done.stdout)


def wait() -> bool:
    """Wait in the host until all are there and were measured."""
    _CAME.release()
    return _GO.wait(60)


def main(peer: str) -> None:
    """Hold a few runs and then many, and print the difference for each."""
    opened, run = {"kosmolua": _kosmolua, "monty": _monty}[peer]()
    with opened, ThreadPoolExecutor(MANY) as threads:
        _GO.set()
        run()
        _GO.clear()
        while _CAME.acquire(blocking=False):
            pass
        measured = []
        for count in (FEW, MANY - FEW):
            for _ in range(count):
                threads.submit(run)
            for _ in range(count):
                _CAME.acquire()
            time.sleep(0.5)  # until what was started ahead is there
            measured.append(_proportional())
        _GO.set()
    print((measured[1] - measured[0]) / (MANY - FEW))


def _kosmolua() -> tuple[AbstractContextManager[Any], Callable[[], object]]:
    from kosmolua import Runtime
    from kosmolua.plugin import Integration, Send

    @dataclass(frozen=True)
    class Account:
        """Needs nothing."""

        note: str = ""

        def open(self, send: Send) -> None:
            return None

    bench = Integration("bench", Account, about="For benchmarks.")

    @bench.reads
    def hold(_: None, /) -> bool:
        """Wait."""
        return wait()

    runtime = Runtime({}, plugins=[bench], environ={}, workers=MANY)

    def run() -> None:
        outcome = runtime.run("return app.integrations.bench.hold()")
        assert outcome.result == [True], outcome

    return runtime, run


def _monty() -> tuple[AbstractContextManager[Any], Callable[[], object]]:
    import pydantic_monty

    pool = pydantic_monty.Monty(min_processes=1, max_processes=MANY)

    def run() -> None:
        with pool.checkout() as session:
            assert session.feed_run("hold()", external_lookup={"hold": wait}) is True

    return pool, run


def _proportional() -> float:
    """Return the MiB of this process and those below it, shared pages divided by who shares them."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    family, frontier = set[int](), {_own()}
    while frontier:
        family |= frontier
        frontier = {child for child, parent in parents.items() if parent in frontier}
    return sum(map(_pss, family)) / 1024


def _own() -> int:
    return int(Path("/proc/self").resolve().name)


def _pss(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main(sys.argv[1])
