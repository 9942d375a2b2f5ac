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
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.processes import children, eventually, in_time, is_running, linux_only, look

from kosmolua import ConfigError, Interrupted, LimitExceeded, Outcome, Runtime, WorkerLost
from kosmolua.errors import Busy
from kosmolua.limits import Limits
from kosmolua.processes.child import ColdChild
from kosmolua.processes.pool import Turn, WorkerPool
from kosmolua.runs.job import Job

pytestmark = pytest.mark.slow

SLOW = Path(__file__).parent / "plugins" / "slow.py"
forks_only = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    with Runtime(plugins=[SLOW], environ={}) as runtime:
        yield runtime


def zygote_of(runtime: Runtime) -> int:
    """Return the process that the runtime forks workers from: what its first run leaves."""
    before = children(os.getpid())
    assert runtime.run("return 1").ok
    (zygote,) = filter(is_running, children(os.getpid()) - before)
    return zygote


@forks_only
@linux_only
def test_runs_share_a_warm_process_but_nothing_else(runtime: Runtime) -> None:
    """Each run is a fork of the same zygote: what one leaves in its globals, the next does not see."""
    zygote_of(runtime)
    before = children(os.getpid())
    assert runtime.run("leak = 1 string.leak = 2").ok
    assert runtime.run("return leak == nil and string.leak == nil").result == [True]
    assert children(os.getpid()) <= before


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
    assert eventually(lambda: not children(zygote))


@forks_only
@linux_only
def test_a_warm_process_that_dies_is_replaced(runtime: Runtime) -> None:
    """When the zygote is killed, the next run gets a new one."""
    zygote = zygote_of(runtime)
    os.kill(zygote, signal.SIGKILL)
    assert eventually(lambda: not is_running(zygote))
    assert zygote_of(runtime) != zygote


@forks_only
@linux_only
def test_a_run_whose_warm_process_dies_is_lost_with_a_sentence(runtime: Runtime) -> None:
    """Killing the zygote ends the runs under way, each with one clear sentence."""
    zygote = zygote_of(runtime)
    outcome = runtime.run("print('begun') while true do end", on_output=lambda piece: os.kill(zygote, signal.SIGKILL))
    assert isinstance(outcome.error, WorkerLost)
    assert "SIGKILL" in outcome.error.message


@forks_only
@linux_only
def test_a_process_of_a_server_that_computes_for_long_lets_others_go_first() -> None:
    """From then on it has a lower priority. That of the process it was forked from, and of one that waits, is kept."""
    pool, job = WorkerPool(3, yields=True), Job(b"while true do end", "=endless", (), None)
    kept, before = os.getpriority(os.PRIO_PROCESS, 0), children(os.getpid())
    with pool.take() as busy, pool.take():
        (zygote,) = filter(is_running, children(os.getpid()) - before)
        busy.child.send(job.frame(Limits(), isolated=False))
        assert eventually(lambda: any(each > kept for each in priorities(children(zygote))))
        assert priorities({zygote}) == [kept]
        assert kept in priorities(children(zygote))
    pool.close()


def test_each_thread_of_a_run_says_again_and_again_that_it_works() -> None:
    """So a server can share its time among tenants: the run's own, while it prints, and those of calls in parallel."""
    said: list[str] = []
    code = """
    for i = 1, 50 do print(("x"):rep(40000)) end
    parallel.map({ 1, 2 }, function() app.integrations.slow.wait({}) end)
    """
    with Runtime(plugins=[SLOW], environ={}) as runtime:
        outcome = runtime.run(code, pace=lambda clock: said.append(threading.current_thread().name))
        assert outcome.ok, outcome.error
    assert said.count("MainThread") >= 50
    assert {"kosmolua-helper", "kosmolua-call"} < {*said}


def priorities(processes: set[int]) -> list[int]:
    return [os.getpriority(os.PRIO_PROCESS, each) for each in processes]


@forks_only
@linux_only
def test_the_warm_process_outlives_the_thread_that_started_it(runtime: Runtime) -> None:
    """A zygote that a short-lived thread started serves the threads after it."""
    zygotes: list[int] = []
    thread = threading.Thread(target=lambda: zygotes.append(zygote_of(runtime)))
    thread.start()
    thread.join()
    time.sleep(0.1)
    before = children(os.getpid())
    assert zygotes[0] in before
    assert runtime.run("return 2").result == [2]
    assert children(os.getpid()) <= before


@forks_only
@linux_only
def test_closing_a_runtime_ends_its_warm_process() -> None:
    """Nothing is left behind."""
    with Runtime(environ={}) as runtime:
        zygote = zygote_of(runtime)
    assert not look(zygote)


@forks_only
@linux_only
def test_a_runtime_that_is_given_up_ends_its_warm_process() -> None:
    """Also where nobody closed it."""
    runtime = Runtime(environ={})
    pid = zygote_of(runtime)
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


@contextmanager
def pool_of(workers: int) -> Iterator[WorkerPool]:
    pool = WorkerPool(workers)
    try:
        yield pool
    finally:
        pool.close()


class Runs:
    """Runs that queue for a pool's places without a thread each, and in which order they got them."""

    def __init__(self, pool: WorkerPool) -> None:
        self.order: list[str] = []
        self._pool = pool

    def queue(self, name: str, client: str | None = None) -> Turn:
        return self._pool.queue(client, lambda: self.order.append(name))


@linux_only
def test_closed_workers_give_no_process() -> None:
    """Neither to a run that comes later, nor to those that wait, which do so no longer; and none is started."""
    pool, errors = WorkerPool(1), list[Interrupted]()

    def wait(turn: Turn | None = None) -> None:
        try:
            with pool.take(turn=turn):
                pass
        except Interrupted as error:
            errors.append(error)

    with pool.take():
        turns = [pool.queue() for _ in range(3)]
        pool.close()
        before = children(os.getpid())
        for turn in turns:
            wait(turn)
    wait()
    assert [error.message for error in errors] == ["The runtime was closed before the script began"] * 4
    assert children(os.getpid()) <= before


def test_a_run_that_waits_while_its_runtime_is_closed_is_interrupted() -> None:
    """It has an outcome like any other."""

    async def main() -> list[Outcome]:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()
        runtime = Runtime(environ={}, workers=1)
        endless = "print(1) while true do end"
        tell: Any = {"on_output": lambda _: loop.call_soon_threadsafe(begun.set)}
        runs = [asyncio.create_task(runtime.run_async(endless, **tell)) for _ in range(2)]
        await begun.wait()
        await asyncio.to_thread(runtime.close)
        return await asyncio.gather(*runs)

    assert all(isinstance(outcome.error, Interrupted) for outcome in asyncio.run(main()))


def test_workers_bounds_how_many_run() -> None:
    """Two run at once, and never more."""
    at_work, peak = [], []
    both = threading.Barrier(2, timeout=60)

    def work(number: int) -> None:
        with pool.take():
            at_work.append(number)
            peak.append(len(at_work))
            both.wait()
            at_work.remove(number)

    with pool_of(2) as pool, ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))
    assert max(peak) == 2


def test_runs_of_one_client_come_in_the_order_in_which_they_asked() -> None:
    """The run that waits longest is next."""
    with pool_of(1) as pool:
        runs = Runs(pool)
        for turn in [runs.queue(str(number)) for number in range(6)]:
            turn.over.wait()
            assert turn.holds
            turn.end()
    assert runs.order == list("012345")


def test_clients_take_turns() -> None:
    """A client with one run waits for one run of each other client, however many those have."""
    with pool_of(1) as pool:
        runs = Runs(pool)
        turns = [runs.queue(f"a{number}", "a") for number in range(4)]
        turns += [runs.queue(f"b{number}", "b") for number in range(2)] + [runs.queue("c0", "c")]
        while len(runs.order) < len(turns):
            next(turn for turn in turns if turn.holds).end()
    assert runs.order == ["a0", "a1", "b0", "c0", "a2", "b1", "a3"]


@pytest.mark.parametrize("workers", [2, 8, 32])
def test_no_client_takes_every_place(workers: int) -> None:
    """A client alone gets all but a few; the last ones are for clients that have none, who wait for nothing."""
    with pool_of(workers) as pool:
        runs = Runs(pool)
        for number in range(2 * workers):
            runs.queue(f"a{number}", "a")
        kept = workers - len(runs.order)
        assert 1 <= kept <= max(1, workers // 4)
        assert runs.queue("b", "b").holds
        assert not runs.queue("b", "b").holds or kept > 1


def test_the_program_itself_may_use_every_place() -> None:
    """Runs that name no client are all one's own, so nothing is kept free for others."""
    with pool_of(8) as pool:
        assert all(pool.queue().holds for _ in range(8))
        assert not pool.queue().holds


def test_a_full_queue_refuses() -> None:
    """What a client has no room for is refused at once, in a sentence, and may be tried again; others still queue."""
    with pool_of(2) as pool:
        for _ in range(25):
            pool.queue("a")
        with pytest.raises(
            Busy, match=r"24 scripts of this client and 0 of others are waiting \(nothing was run"
        ) as refused:
            pool.queue("a")
        assert refused.value.fields()["retryable"] is True
        assert pool.queue("b").holds
        for number in range(8):
            pool.queue(f"c{number}")
        with pytest.raises(Busy, match="0 scripts of this client and 32 of others are waiting"):
            pool.queue("d")
        for _ in range(100):
            pool.queue()


def test_a_busy_runtime_returns_an_outcome() -> None:
    """A run that is refused has an outcome with the code busy, from asyncio and from a thread."""

    async def main() -> list[Outcome]:
        script: Any = {"client": "a", "timeout": 30}
        endless = [asyncio.create_task(runtime.run_async("while true do end", **script)) for _ in range(14)]
        await asyncio.sleep(0.1)
        refused = [await runtime.run_async("return 1", **script)]
        refused.append(await asyncio.to_thread(runtime.run, "return 1", client="a"))
        for task in endless:
            task.cancel()
        await asyncio.gather(*endless, return_exceptions=True)
        return refused

    with Runtime(environ={}, workers=1) as runtime:
        outcomes = asyncio.run(main())
    assert [outcome.error.code for outcome in outcomes if outcome.error] == ["busy", "busy"]


def test_a_run_that_waits_for_a_person_holds_no_place() -> None:
    """Its process lives on; another run has the place meanwhile, and it goes on when it has one again."""
    with pool_of(1) as pool:
        runs = Runs(pool)
        with pool.take("a") as lease:
            with lease.waiting():
                other = runs.queue("b", "b")
                late = runs.queue("a", "a")
                assert other.holds
                threading.Timer(0.1, other.end).start()
            assert not late.holds
        assert late.holds


def test_only_so_many_runs_give_their_place_back() -> None:
    """The number of processes is bounded: a run beyond it keeps its place while its person is asked."""
    with pool_of(1) as pool, ExitStack() as stack:
        for _ in range(pool.max_runs - 1):
            stack.enter_context(stack.enter_context(pool.take("a")).waiting())
        with pool.take("a") as lease, lease.waiting():
            other = pool.queue("b")
            assert not other.holds
            other.end()


def test_a_run_that_is_stopped_waits_for_no_place() -> None:
    """A run whose person has answered, and that is stopped while it waits for a place, ends at once."""
    with pool_of(1) as pool, pool.take("a") as lease:
        with lease.waiting():
            assert pool.queue("b").holds
            threading.Timer(0.1, lease.cancel).start()
        assert not pool.queue("c").holds


def test_approvals_hold_no_worker() -> None:
    """With one worker, a script that waits for a person does not keep another one from running."""
    asked, answered = threading.Event(), threading.Event()

    def ask(approval: object) -> bool:
        asked.set()
        return answered.wait(60)

    async def main() -> list[Outcome]:
        suspend = "return app.integrations.render2.suspend_service('srv-cabc12345678').accepted"
        first = asyncio.create_task(runtime.run_async(suspend, approve=ask))
        assert await asyncio.to_thread(asked.wait, 60)
        second = await runtime.run_async("return 5")
        answered.set()
        return [second, await first]

    with Runtime(simulate=True, environ={}, workers=1) as runtime:
        assert [outcome.result for outcome in asyncio.run(main())] == [[5], [True]]


def test_waiting_for_a_worker_does_not_count_as_running(tmp_path: Path) -> None:
    """The wall limit of a run begins when it gets its worker."""

    def ends_well(seconds: float) -> bool:
        gate = tmp_path / str(seconds)

        async def main() -> bool:
            wait = "app.integrations.slow.wait({ file = arg[1] })"
            first = asyncio.create_task(runtime.run_async(wait, args=[str(gate)]))
            second = asyncio.create_task(runtime.run_async("return 1", timeout=seconds))
            await asyncio.sleep(2 * seconds)
            gate.touch()
            assert (await first).ok
            return (await second).result == [1]

        with Runtime(plugins=[SLOW], environ={}, workers=1) as runtime:
            return asyncio.run(main())

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


def test_a_run_that_was_cancelled_before_it_began_never_begins() -> None:
    """A run that waits for a worker when its task is cancelled prints nothing, and takes nobody's place."""

    async def main() -> object:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()
        tell: Any = {"on_output": lambda _: loop.call_soon_threadsafe(begun.set)}
        endless = asyncio.create_task(narrow.run_async("print('begun') while true do end", **tell))
        await begun.wait()
        never = asyncio.create_task(narrow.run_async("print('never')", on_output=printed.append))
        await asyncio.sleep(0.1)
        never.cancel()
        endless.cancel()
        await asyncio.gather(never, endless, return_exceptions=True)
        return (await narrow.run_async("return 5")).result

    printed: list[bytes] = []
    with Runtime(environ={}, workers=1) as narrow:
        assert asyncio.run(main()) == [5]
    assert not printed


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


class Line:
    """Slots as a store has them, within this process; the store can be away."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.places: list[Place] = []
        self.is_away = False

    def enter(self) -> Place:
        if self.is_away:
            raise ConfigError("the store is away")
        place = Place(self)
        self.places.append(place)
        return place


class Place:
    def __init__(self, line: Line) -> None:
        self.line = line

    def is_held(self) -> bool:
        if self.line.is_away:
            raise ConfigError("the store is away")
        return self.line.places.index(self) < self.line.count

    def release(self, *, again: bool = False) -> None:
        self.line.places.remove(self)


def test_pools_share_slots() -> None:
    """Runs of two pools are active only while they have a slot; who pauses, ends or is cancelled leaves the line."""
    line = Line(1)
    one, two = WorkerPool(2), WorkerPool(2)
    for pool in (one, two):
        pool.share(line.enter, Line(99).enter)
    first, second = one.queue(), two.queue()
    assert eventually(lambda: first.holds or second.holds)
    assert eventually(lambda: len(line.places) == 2)
    third = two.queue()
    holder, other = (first, second) if first.holds else (second, first)
    with holder.waiting():
        assert eventually(lambda: other.holds), "a run that waits for a person needs no slot"
        assert not holder.holds
        third.cancel()
        third.over.wait()
        assert not third.holds
        assert one.load.queued == 0
        assert two.load.queued == 0
        other.end()
    assert holder.holds
    holder.end()
    assert eventually(lambda: line.places == [])


def test_a_store_of_slots_that_is_away_delays_runs_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for; and if it does not come back, the run comes, which itself will say so."""

    def is_waited_for(seconds: float) -> bool:
        monkeypatch.setattr("kosmolua.processes.pool.SLOT_PATIENCE", seconds)
        line, pool = Line(1), WorkerPool(2)
        pool.share(line.enter, Line(99).enter)
        holder, waiting = pool.queue(), pool.queue()
        assert eventually(lambda: len(line.places) == 2)
        line.is_away = True
        time.sleep(seconds / 5)
        came_at_once = waiting.holds
        assert eventually(lambda: waiting.holds, 60 + seconds)
        line.is_away = False
        holder.end()
        waiting.end()
        assert line.places == []
        return not came_at_once

    assert in_time(is_waited_for, 0.5)


def test_pools_of_one_server_share_the_queue() -> None:
    """Each of them lets an equal part of the scripts of a client wait."""
    pool = WorkerPool(4)
    pool.share(Line(0).enter, Line(99).enter, among=4)
    waiting = [pool.queue("a client") for _ in range(3 + 12)]
    with pytest.raises(Busy):
        pool.queue("a client")
    for turn in waiting:
        turn.end()


def test_the_queue_is_shared() -> None:
    """Pools of several processes together have no more runs that wait than the shared queue has places, and a run that
    no longer waits frees its place."""
    line, queue = Line(0), Line(2)
    pools = [WorkerPool(1), WorkerPool(1)]
    for pool in pools:
        pool.share(line.enter, queue.enter)
    first = [pool.queue("a") for pool in pools]
    turns = [pool.queue("a") for pool in pools for _ in range(2)]
    assert eventually(lambda: sum(turn.refusal is not None for turn in turns) == 2)
    for turn in turns:
        if turn.refusal:
            turn.over.wait()
            assert not turn.holds
    next(turn for turn in turns if turn.refusal is None).cancel()
    assert eventually(lambda: len(queue.places) == 1)
    waiting = pools[1].queue("b")
    assert eventually(lambda: waiting.place_in_queue is not None)
    assert waiting.refusal is None
    for turn in (*first, *turns, waiting):
        turn.end()
    for pool in pools:
        pool.close()
