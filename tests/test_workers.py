"""Where workers come from: the warm process, its forks, the bound on how many run at once, and the asyncio face."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.processes import children, eventually, in_time, linux_only, look

from kosmolua import ConfigError, Interrupted, LimitExceeded, Outcome, Runtime, WorkerLost
from kosmolua.processes.child import ColdChild
from kosmolua.processes.pool import Workers
from kosmolua.processes.zygote import Zygote

SLOW = Path(__file__).parent / "plugins" / "slow.py"
forks_only = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    with Runtime(plugins=[SLOW], environ={}) as runtime:
        yield runtime


def zygote_of(runtime: Runtime) -> Zygote:
    assert runtime.run("return 1").ok
    zygote = runtime._workers._zygote
    assert zygote
    return zygote


@forks_only
def test_runs_share_a_warm_process_but_nothing_else(runtime: Runtime) -> None:
    """Each run is a fork of the same zygote: what one leaves in its globals, the next does not see."""
    zygote = zygote_of(runtime)
    assert runtime.run("leak = 1 string.leak = 2").ok
    assert runtime.run("return leak == nil and string.leak == nil").result == [True]
    assert runtime._workers._zygote is zygote


@forks_only
def test_forks_draw_other_random_numbers(runtime: Runtime) -> None:
    """Forks of one warm VM do not repeat each other's random numbers."""
    numbers = {runtime.run("return math.random(1 << 40)").result[0] for _ in range(5)}
    assert len(numbers) == 5


@forks_only
@linux_only
def test_a_finished_run_leaves_no_process(runtime: Runtime) -> None:
    """After runs of every ending the warm process has no child, not even a dead one."""
    zygote = zygote_of(runtime)
    runtime.run("error('x')")
    runtime.run("while true do end", timeout=0.2)
    runtime.run("while true do end", cpu=0.2)
    assert eventually(lambda: not children(zygote._process.pid))


@forks_only
def test_a_warm_process_that_dies_is_replaced(runtime: Runtime) -> None:
    """When the zygote is killed, the next run gets a new one."""
    zygote = zygote_of(runtime)
    os.kill(zygote._process.pid, signal.SIGKILL)
    assert eventually(lambda: not zygote.alive)
    assert runtime.run("return 2").result == [2]
    assert runtime._workers._zygote is not zygote


@forks_only
@linux_only
def test_a_run_whose_warm_process_dies_is_lost_with_a_sentence(runtime: Runtime) -> None:
    """Killing the zygote ends the runs under way, each with one clear sentence."""
    zygote = zygote_of(runtime)
    outcome = runtime.run(
        "print('begun') while true do end", on_output=lambda piece: os.kill(zygote._process.pid, signal.SIGKILL)
    )
    assert isinstance(outcome.error, WorkerLost)
    assert "SIGKILL" in outcome.error.message


@forks_only
@linux_only
def test_the_warm_process_outlives_the_thread_that_started_it(runtime: Runtime) -> None:
    """A zygote that a short-lived thread started serves the threads after it."""
    thread = threading.Thread(target=lambda: runtime.run("return 1"))
    thread.start()
    thread.join()
    zygote = runtime._workers._zygote
    time.sleep(0.1)
    assert zygote
    assert zygote.alive
    assert runtime.run("return 2").result == [2]
    assert runtime._workers._zygote is zygote


def test_closing_a_runtime_ends_its_warm_process() -> None:
    """Nothing is left behind."""
    with Runtime(environ={}) as runtime:
        runtime.run("return 1")
        zygote = runtime._workers._zygote
    assert zygote is None or not zygote.alive


@forks_only
@linux_only
def test_a_runtime_that_is_given_up_ends_its_warm_process() -> None:
    """Also where nobody closed it."""
    runtime = Runtime(environ={})
    pid = zygote_of(runtime)._process.pid
    del runtime
    gc.collect()
    assert eventually(lambda: not look(pid))


def test_nothing_is_left_open(environment: dict[str, str]) -> None:
    """Python warns of no socket and no file, whether a runtime is closed, given up, or there at the very end."""
    source = """
        import gc
        from kosmolua import Runtime

        with Runtime({}) as closed:
            closed.run("return 1")
        given_up = Runtime({})
        given_up.run("return 1")
        del given_up
        gc.collect()
        there = Runtime({})
        there.run("return 1")
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(source)]
    assert subprocess.run(command, env=environment, capture_output=True, check=True).stderr == b""


@pytest.mark.parametrize("most", [0, -1])
def test_there_is_room_for_one_at_least(most: int) -> None:
    """With no worker a run would wait for ever."""
    with pytest.raises(ConfigError, match=f"workers must be at least 1, not {most}"):
        Runtime(environ={}, workers=most)


def test_closed_workers_give_no_process() -> None:
    """Neither to who comes later, nor to who waits, who does so no longer; and none is started."""
    workers, errors = Workers(1), list[Interrupted]()

    def wait() -> None:
        try:
            with workers.take():
                pass
        except Interrupted as error:
            errors.append(error)

    with workers.take():
        threads = [threading.Thread(target=wait) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert eventually(lambda: len(workers._gate._waiting) == 3)
        workers.close()
        for thread in threads:
            thread.join()
    wait()
    assert [error.message for error in errors] == ["The runtime was closed before the script began"] * 4
    assert workers._zygote is None


def test_a_run_that_waits_while_its_runtime_is_closed_is_interrupted() -> None:
    """It has an outcome like any other, and starts no process that nobody would end."""
    begun, outcomes = threading.Event(), list[Outcome]()
    runtime = Runtime(environ={}, workers=1)

    def work() -> None:
        outcomes.append(runtime.run("print(1) while true do end", on_output=lambda _: begun.set()))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert begun.wait(20)
    assert eventually(lambda: runtime._workers._gate._waiting)
    runtime.close()
    for thread in threads:
        thread.join()
    assert all(isinstance(outcome.error, Interrupted) for outcome in outcomes)
    assert runtime._workers._zygote is None


def test_workers_bounds_how_many_run() -> None:
    """Two run at once, and never more."""
    workers, at_work, peak = Workers(2), [], []
    both = threading.Barrier(2, timeout=60)

    def work(number: int) -> None:
        with workers.take():
            at_work.append(number)
            peak.append(len(at_work))
            both.wait()
            at_work.remove(number)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    workers.close()
    assert max(peak) == 2


def test_runs_that_wait_come_in_the_order_in_which_they_asked() -> None:
    """Who waits longest is next."""
    workers, order = Workers(1), []

    def work(number: int) -> None:
        with workers.take():
            order.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    with workers.take():
        for number, thread in enumerate(threads, start=1):
            thread.start()
            assert eventually(lambda number=number: len(workers._gate._waiting) == number)
    for thread in threads:
        thread.join()
    workers.close()
    assert order == list(range(6))


def test_waiting_for_a_worker_does_not_count_as_running(tmp_path: Path) -> None:
    """The wall limit of a run begins when it gets its worker."""

    def ends_well(seconds: float) -> bool:
        gate = tmp_path / str(seconds)
        with Runtime(plugins=[SLOW], environ={}, workers=1) as runtime, ThreadPoolExecutor(2) as pool:
            first = pool.submit(runtime.run, "app.integrations.slow.wait({ file = arg[1] })", args=[str(gate)])
            assert eventually(lambda: runtime._workers._gate._free == 0)
            second = pool.submit(runtime.run, "return 1", timeout=seconds)
            assert eventually(lambda: runtime._workers._gate._waiting)
            time.sleep(seconds)
            gate.touch()
            assert first.result().ok
            return second.result().result == [1]

    assert in_time(ends_well, 0.3)


def test_a_cold_child_that_never_got_a_job_ends_with_its_pipe() -> None:
    """A worker that is given up before it began ends by itself."""
    child = ColdChild()
    child.close_pipes()
    assert child.status() == 0


def test_asyncio_runs_many_at_once(runtime: Runtime) -> None:
    """Runs of one event loop overlap: none of ten goes on before all have printed something."""
    all_of_them = threading.Barrier(10, timeout=60)

    async def main() -> list[object]:
        options: dict[str, Any] = {"on_output": lambda piece: all_of_them.wait(), "timeout": 100}
        runs = (runtime.run_async("print('begun') return ...", args=[str(n)], **options) for n in range(10))
        return [outcome.result for outcome in await asyncio.gather(*runs)]

    assert asyncio.run(main()) == [[str(n)] for n in range(10)]


def test_cancelling_a_task_ends_its_script(runtime: Runtime) -> None:
    """A cancelled run is killed: another that needs its place goes on long before its time would have been over."""

    async def main(narrow: Runtime) -> object:
        begun = threading.Event()
        endless = "print('begun') while true do end"
        task = asyncio.create_task(narrow.run_async(endless, timeout=600, cpu=600, on_output=lambda _: begun.set()))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return (await asyncio.wait_for(narrow.run_async("return 5"), 60)).result

    with Runtime(environ={}, workers=1) as narrow:
        assert asyncio.run(main(narrow)) == [5]


def test_a_run_that_was_stopped_before_it_began_never_begins(runtime: Runtime) -> None:
    """Stopping a prepared run keeps it from starting."""
    run = runtime._prepare("print('never')", {})
    run.stop()
    outcome = run.execute()
    assert isinstance(outcome.error, Interrupted)
    assert outcome.output == ""


def test_threads_share_one_runtime(runtime: Runtime) -> None:
    """Runs of many threads, with calls and limits among them, do not disturb each other."""
    outcomes: dict[int, object] = {}

    def work(number: int) -> None:
        if number % 4 == 0:
            outcome = runtime.run("while true do end", timeout=0.3)
            outcomes[number] = isinstance(outcome.error, LimitExceeded)
        else:
            source = f"return app.integrations.slow.wait({{ name = {number} }}).name == {number}"
            outcomes[number] = runtime.run(source).result == [True]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == dict.fromkeys(range(24), True)


@pytest.mark.parametrize("before", ["#!/usr/bin/env lua\n", "\ufeff", "\ufeff#!kosmolua\n"])
def test_a_script_may_begin_as_files_do(runtime: Runtime, before: str) -> None:
    """A byte order mark and a first line that begins with # are passed over, and lines are counted as in the file."""
    outcome = runtime.run(before + "\nerror('here')")
    assert outcome.error
    assert outcome.error.line == before.count("\n") + 2


@pytest.mark.parametrize(
    "source",
    [
        "local slow = app.integrations.slow\nreturn slow.wait({ secnds = 1 })",
        "local function wait() return app.integrations.slow.wait({ secnds = 1 }) end\nreturn wait()",
        "local f = print\nreturn f, {}",
    ],
)
def test_a_script_that_fails_in_a_return_says_the_line(runtime: Runtime, source: str) -> None:
    """A tail call of the script's own chunk leaves its frame behind, so that the error has its line."""
    outcome = runtime.run(source)
    assert outcome.error
    assert outcome.error.line == 2


@pytest.mark.parametrize(
    "source", ["(print)('x')", "::top:: print('x')", "; print('x')", "print('x') return", "print('x')--"]
)
def test_a_script_may_begin_and_end_as_it_likes(runtime: Runtime, source: str) -> None:
    """What the sandbox puts before a script is a statement of its own."""
    assert runtime.run(source).output == "x\n"


@pytest.mark.parametrize(
    ("failing", "message"),
    [
        ("error('no more')", "script.lua:6: script.lua:3: no more"),
        ("app.integrations.slow.wait({ secnds = 1 })", "secnds"),
        ("pcall(function() return app.nothing end) return app.nothing", "nothing"),
    ],
)
def test_what_fails_in_a_generator_has_its_own_line(runtime: Runtime, failing: str, message: str) -> None:
    """The line is that of the failure, not that of the loop which asked the generator for more."""
    source = f"""local numbers = coroutine.wrap(function()
            coroutine.yield(1)
            {failing}
        end)
        local sum = 0
        for n in numbers do sum = sum + n end"""
    error = runtime.run(source).error
    assert error and message in error.message
    assert error.line == 3


def test_an_error_of_a_call_that_is_raised_again_has_the_line_of_the_call(runtime: Runtime) -> None:
    """A script that catches an error and passes it on does not hide where the call was made."""
    source = "local ok, problem = pcall(function()\napp.integrations.slow.fail({}) end)\n\nerror(problem)"
    error = runtime.run(source).error
    assert error and error.line == 2
