"""Hundreds of runs at once from eight threads, ended in every way: nothing is lost, and nothing hangs."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.library import ACCOUNTS, library, service
from support.processes import eventually, linux_only, zygotes
from support.rounds import rounds

from kosmolua import Runtime
from kosmolua.broker.backends import Canned
from kosmolua.catalog.plugins import Plugins
from kosmolua.processes.child import ColdChild
from kosmolua.runs import Outcome

RUNS, THREADS = rounds(240, 1000), 8


pytestmark = pytest.mark.usefixtures("new_processes")


class Load:
    """Runs scripts of one runtime and keeps what became of each, with the calls that it must have made.

    Args:
        runtime: The runtime.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.endings: Counter[str] = Counter()
        self.calls = 0
        self._lock = threading.Lock()

    def run(self, number: int) -> None:
        """Run one script, of a kind that its number chooses."""
        kinds = [self.returns, self.prints, self.calls_in_parallel, self.fails]
        kinds += [self.times_out, self.raises, self.interrupts, self.crashes]
        kind = kinds[number % len(kinds)]
        outcome = kind(random.Random(number))
        with self._lock:
            self.endings[kind.__name__] += 1
            self.calls += len(outcome.calls)
        assert all(call["status"] for call in outcome.calls)

    def returns(self, _: random.Random) -> Outcome:
        outcome = self.runtime.run("return ...", args=["x"])
        assert outcome.result == ["x"], outcome
        return outcome

    def prints(self, _: random.Random) -> Outcome:
        pieces: list[bytes] = []
        outcome = self.runtime.run("for i = 1, 2000 do print(i) end", on_output=pieces.append)
        assert outcome.ok and b"".join(pieces).decode() == outcome.output
        assert outcome.output.count("\n") == 2000
        return outcome

    def calls_in_parallel(self, _: random.Random) -> Outcome:
        lend = "function(i) return app.integrations.library.lend({ book = 'b-' .. i }).ok end"
        outcome = self.runtime.run(f"return parallel.map({{ 1, 2, 3, 4, 5, 6, 7, 8 }}, {lend})")
        assert outcome.result == [[True] * 8], outcome
        assert [call["status"] for call in outcome.calls] == ["ok"] * 8
        return outcome

    def fails(self, _: random.Random) -> Outcome:
        outcome = self.runtime.run("app.integrations.library.list_books() error('no')")
        assert outcome.error and outcome.error.code == "script_error", outcome
        return outcome

    def times_out(self, chance: random.Random) -> Outcome:
        outcome = self.runtime.run("print('on') while true do end", timeout=chance.uniform(0.01, 0.2))
        assert outcome.error and outcome.error.code == "limit_exceeded", outcome
        return outcome

    def raises(self, _: random.Random) -> Outcome:
        with pytest.raises(LookupError):
            self.runtime.run("app.integrations.library.list_books() print('on') while true do end", on_output=_fail)
        with self._lock:
            self.calls += 1  # in the journal, though there is no outcome
        return Outcome([], "", None, [])

    def interrupts(self, _: random.Random) -> Outcome:
        outcome = self.runtime.run("print('on') while true do end", on_output=_press_ctrl_c)
        assert outcome.error and outcome.error.code == "interrupted", outcome
        assert outcome.output == "on\n"
        return outcome

    def crashes(self, chance: random.Random) -> Outcome:
        child = ColdChild()
        threading.Timer(chance.uniform(0.02, 0.1), lambda: os.kill(child.pid, signal.SIGKILL)).start()
        try:
            outcome = self.runtime.run("while true do app.integrations.library.list_books() end", child=child)
        finally:
            child.close()
        assert outcome.error and outcome.error.code in ("worker_lost", "limit_exceeded"), outcome
        return outcome


def _fail(_: bytes) -> None:
    raise LookupError("not listening")


def _press_ctrl_c(_: bytes) -> None:
    raise KeyboardInterrupt


def _held() -> Counter[object]:
    """Count the sandboxes, the threads and the files of descriptors that this process has now.

    What an earlier test left may go meanwhile, so a test looks for what is new and not for equal numbers.
    """
    held: Counter[object] = Counter([*zygotes(), *threading.enumerate()])
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            held[os.readlink(f"/proc/self/fd/{descriptor}")] += 1
    return held


@linux_only
@pytest.mark.slow
def test_nothing_is_lost_and_nothing_hangs(tmp_path: Path) -> None:
    """Every run has its ending, every call its line in the journal, and no thread, process or descriptor is left."""
    journal = tmp_path / "journal"
    plugins = Plugins([library()], places=(), entry_points=dict)
    before = _held()
    options = {"plugins": plugins, "backend": Canned(lambda _: service), "journal": journal, "environ": {}}
    with Runtime(ACCOUNTS, **options) as runtime, ThreadPoolExecutor(THREADS) as pool:
        load = Load(runtime)
        for done in [pool.submit(load.run, number) for number in range(RUNS)]:
            done.result(600)
    assert sum(load.endings.values()) == RUNS
    statuses = Counter(json.loads(line)["status"] for line in journal.read_text().splitlines())
    assert sum(statuses.values()) == load.calls
    assert statuses["ok"] >= 8 * load.endings["calls_in_parallel"] + load.endings["fails"]
    eventually(lambda: not _held() - before, 30)
    assert _held() - before == Counter()
