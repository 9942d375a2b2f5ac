"""Workers that are ready before a script comes: forked ahead, or kept after a script that went well."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import Program, Write
from support.processes import children, descendants, eventually, is_running, linux_only, zygotes

from kosmolua import ConfigError, LimitExceeded, Limits, Runtime
from kosmolua.processes import spares
from kosmolua.processes.zygote import Terms, ZygoteProcess

pytestmark = [pytest.mark.slow, linux_only, pytest.mark.usefixtures("new_processes")]


OTHERS: set[int] = set()
"""The zygotes of runtimes that other tests keep."""


@pytest.fixture(autouse=True)
def _others() -> None:
    OTHERS.clear()
    OTHERS.update(zygotes())


def own_zygotes() -> set[int]:
    """Return the zygotes of the runtimes of this test."""
    return zygotes() - OTHERS


def workers() -> set[int]:
    """Return the processes that the zygote of this test's only runtime has forked and that have not ended."""
    return {pid for zygote in own_zygotes() for pid in children(zygote) if is_running(pid)}


def test_workers_are_ready_when_scripts_come_one_after_another() -> None:
    """From the second script on the next ones find a process that is forked; each gets another one."""
    with Runtime({}, environ={}) as runtime:
        assert runtime.run("return 1").ok
        assert eventually(lambda: not workers())
        assert runtime.run("return 1").ok
        ready: set[int] = set()

        def are_few() -> bool:  # the one of the last script is there for a moment longer
            ready.clear()
            ready.update(workers())
            return 1 <= len(ready) <= 2

        assert eventually(are_few)
        assert runtime.run("leak = 1").ok
        assert runtime.run("return leak").result == [None]
        assert eventually(lambda: not workers() & ready)


def test_a_warm_runtime_has_what_forks_before_the_first_script() -> None:
    """Once, however often it is asked for; a runtime that is closed starts none."""
    with Runtime({}, environ={}) as runtime:
        runtime.warm()
        assert eventually(own_zygotes)  # a process that was just started has no command line for a moment
        (zygote,) = own_zygotes()
        runtime.warm()
        assert runtime.run("return 1").result == [1]
        assert own_zygotes() == {zygote}
    runtime.warm()
    assert not own_zygotes()


def test_no_more_are_ready_than_scripts_have_run_at_once() -> None:
    """And never more than a bound, however many run."""
    with Runtime({}, environ={}) as runtime, ThreadPoolExecutor(12) as threads:
        for done in [threads.submit(runtime.run, "return 1") for _ in range(60)]:
            assert done.result().ok
        assert eventually(lambda: 0 < len(workers()) <= spares.MAX_SPARES)


def test_an_idle_runtime_keeps_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while without scripts only the warm process is left; the next script runs as ever."""
    monkeypatch.setattr(spares, "LOOK_INTERVAL", 0.02)
    monkeypatch.setattr(spares, "IDLE_TIMEOUT", 0.1)
    with Runtime({}, environ={}) as runtime:
        for _ in range(3):
            assert runtime.run("return 1").ok
        assert eventually(lambda: not workers())
        assert len(own_zygotes()) == 1
        assert runtime.run("return 2").result == [2]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees the descriptors of processes that hide")
def test_one_that_waits_holds_only_its_own_pipes() -> None:
    """Two pipes and nothing to write errors to: no descriptor of another run, nor the socket of the warm process."""
    with Runtime({}, environ={}) as runtime:
        for _ in range(4):
            assert runtime.run("return 1").ok
        assert eventually(lambda: workers() and all(len(_open(pid)) == 3 for pid in workers()))
        pipes = [_open(pid)[number] for pid in workers() for number in ("0", "1")]
        assert len(set(pipes)) == len(pipes)
        assert all(pipe.startswith("pipe:") for pipe in pipes)


def _open(pid: int) -> dict[str, str]:
    folder = Path(f"/proc/{pid}/fd")
    return {each.name: os.readlink(each) for each in folder.iterdir()}


def test_other_limits_are_in_force_too() -> None:
    """A worker is confined before it has its job; one for other limits than those of the run is not used."""
    with Runtime({}, environ={}) as runtime:
        for _ in range(3):
            assert runtime.run("return 1").ok
        outcome = runtime.run("while true do end", cpu=0.2)
        assert isinstance(outcome.error, LimitExceeded)
        assert outcome.error.limit == "cpu"
        outcome = runtime.run("return #('x'):rep(20 << 20)", memory=8 << 20)
        assert isinstance(outcome.error, LimitExceeded)
        assert outcome.error.limit == "memory"
        assert runtime.run("return #('x'):rep(20 << 20)").result == [20 << 20]


def test_one_that_died_while_it_waited_is_not_used() -> None:
    """As when the system was out of memory and ended it."""
    with Runtime({}, environ={}) as runtime:
        for _ in range(4):
            assert runtime.run("return 1").ok
            ready = workers()
        for pid in ready:
            with suppress(ProcessLookupError):  # that of the last script has ended by now
                os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: not any(map(is_running, ready)))
        assert runtime.run("return 2").result == [2]


def test_a_worker_of_a_zygote_that_is_gone_ends_no_other() -> None:
    """Each zygote numbers its workers, so that one of another zygote has the same number."""
    them, terms = spares.Spares(), Terms(cpu=5, memory=64 << 20)
    try:
        former = them.take(terms)
        former.insist()
        running = them.take(terms)
        them.give_back(former)
        time.sleep(0.3)  # what would end it has been carried out by then
        assert running.is_there
    finally:
        them.close()


def test_an_interrupt_while_one_is_forked_leaves_the_demand_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program can go on after it, and finds spares as before."""
    with Runtime({}, environ={}) as runtime:
        assert runtime.run("return 1").ok
        with monkeypatch.context() as patch:
            patch.setattr(ZygoteProcess, "fork", _interrupted(ZygoteProcess.fork))
            with pytest.raises(KeyboardInterrupt):
                runtime.run("return 1")
        assert eventually(lambda: not workers())
        assert runtime.run("return 1").ok
        assert eventually(workers)


def _interrupted(fork: Any) -> Any:
    """Return a function that forks a worker for a script, but is interrupted as it forks a spare."""

    def interrupted(zygote: ZygoteProcess, terms: Terms, instead_of: object = None) -> Any:
        if instead_of:
            raise KeyboardInterrupt
        return fork(zygote, terms)

    return interrupted


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=lambda it: it.name)
def test_none_outlives_a_host_that_is_killed(end: signal.Signals, environment: dict[str, str]) -> None:
    """However hard it goes."""
    body = """
        import time
        from kosmolua import Runtime
        runtime = Runtime({}, reuse=3)
        for _ in range(5):
            runtime.run("return 1")
        print("ready", flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(body)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as host:
        assert host.stdout and host.stdout.readline() == b"ready\n"
        family = descendants(host.pid)
        assert len(family) >= 2
        host.send_signal(end)
        host.wait()
    assert eventually(lambda: not any(map(is_running, family)))


# Many scripts in one process


def served_by(runtime: Runtime, source: str = "return 1") -> set[int]:
    """Run a script, and return the workers that are ready afterwards."""
    runtime.run(source)
    return workers()


def test_a_worker_serves_so_many_scripts() -> None:
    """The same process until it has served its number, and another one then."""
    with Runtime({}, environ={}, reuse=3) as runtime:
        first = served_by(runtime)
        assert len(first) == 1
        assert served_by(runtime) >= first
        assert eventually(lambda: not served_by(runtime) & first)


def test_each_script_has_a_vm_a_clock_and_limits_of_its_own() -> None:
    """What one leaves behind, the next does not see; nor does the time count that another one took."""
    leave = (
        "leak, string.leak = 1, 2 local t = os.clock() while os.clock() - t < 0.15 do end return math.random(1 << 40)"
    )
    with Runtime({}, environ={}, reuse=100) as runtime:
        outcomes = [runtime.run(leave, cpu=0.3) for _ in range(4)]
        assert all(outcome.ok for outcome in outcomes)
        assert len(workers()) <= 2
        assert len({outcome.result[0] for outcome in outcomes}) == 4
        assert all(100 < outcome.usage["cpu_ms"] < 290 for outcome in outcomes)
        looked = runtime.run("return leak == nil, string.leak == nil, os.clock() < 0.1", cpu=0.3)
        assert looked.result == [True, True, True]


ODD = {
    "a limit": "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
    "time": "while true do end",
    "an exit": "exit(3)",
}


@pytest.mark.parametrize("what", ODD)
def test_a_worker_ends_at_the_first_oddity(what: str) -> None:
    """Only after a script that returned or failed by itself does a process serve another one."""
    with Runtime({}, environ={}, limits=Limits(cpu=0.2, memory=8 << 20), reuse=100) as runtime:
        first = served_by(runtime)
        assert len(first) == 1
        assert served_by(runtime, "error('only this script failed')") >= first
        runtime.run(ODD[what])
        runtime.run(ODD[what])
        assert eventually(lambda: not workers() & first)
        assert runtime.run("return 1").ok


def test_memory_is_given_back_between_scripts() -> None:
    """A process that served scripts of 40 MiB is small while it waits."""
    with Runtime({}, environ={}, reuse=100) as runtime:
        for _ in range(3):
            assert runtime.run("local t = {} for i = 1, 40 do t[i] = ('x'):rep(1 << 20) .. i end return #t").ok

        def resident(worker: int) -> int:
            lines = Path(f"/proc/{worker}/status").read_text().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

        assert eventually(lambda: workers() and all(resident(worker) < 30_000 for worker in workers()), 10)


def test_the_same_layers_are_around_it() -> None:
    """Whether it serves one script or many."""
    with Runtime({}, environ={}) as one, Runtime({}, environ={}, reuse=9) as many:
        expected = one.run("return 1").usage["isolation"]
        assert [many.run("return 1").usage["isolation"] for _ in range(2)] == [expected] * 2


@pytest.mark.parametrize("reuse", [0, -1, 10**9])
def test_a_number_of_runs_is_within_reason(reuse: int) -> None:
    """At least one."""
    with pytest.raises(ConfigError, match="reuse, the number of runs of a process, must be from 1 to"):
        Runtime({}, reuse=reuse)


def test_a_fleet_takes_it_as_any_option(kosmolua: Program, write: Write) -> None:
    """Typed, from the environment or from the file; a command that runs one script does not know it."""
    script, inputs = write("square.lua", "return input * input"), write("inputs.jsonl", "1\n2\n3\n")
    accounts = write("accounts.toml", "[kosmolua.options]\nreuse = 3\n")
    done = kosmolua("fleet", script, "--inputs", inputs, "--reuse", "2", "--accounts", accounts)
    results = [json.loads(line)["result"] for line in done.stdout.splitlines()]
    assert sorted(results) == [[1], [4], [9]]
    assert kosmolua("run", "-e", "return 1", "--reuse", "2").returncode == 2
