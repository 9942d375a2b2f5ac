"""The thread that owns a run: it does what the others ask, and nobody waits for it once the run is over."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from time import monotonic

import pytest
from support.processes import eventually

from kosmolua import Interrupted, Limits
from kosmolua.broker.options import RunContext
from kosmolua.clock import Clock
from kosmolua.concurrency import Helpers
from kosmolua.runs.job import Job
from kosmolua.runs.supervisor import Supervisor


class Silent:
    """A child that says nothing until it is killed."""

    def __init__(self) -> None:
        self.killed = threading.Event()

    def send(self, line: bytes) -> None:
        return

    def read(self, limit: int) -> bytes | None:
        self.killed.wait(60)
        return None

    def kill(self) -> None:
        self.killed.set()

    insist = close = kill

    def status(self) -> int:
        return -9


def no_broker() -> None:
    raise AssertionError("a script that asks for nothing needs no broker")


def supervisor() -> Supervisor:
    """Return a supervisor whose owner is this thread."""
    return Supervisor(Silent(), RunContext(Clock(60), Limits()), no_broker, lambda piece: None)


def fail() -> None:
    raise LookupError("no such thing")


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def run_until(supervisor: Supervisor, pool: ThreadPoolExecutor, is_done: Callable[[], bool]) -> None:
    """Run the supervisor in this thread, and interrupt it once something has come true."""
    pool.submit(lambda: eventually(is_done) and supervisor.interrupt())
    ending = supervisor.run(Job(b"", "job.lua"))
    assert isinstance(ending.error, Interrupted)


def test_what_others_ask_is_done_by_the_owner(pool: ThreadPoolExecutor) -> None:
    """What comes of it, or goes wrong, is for the thread that asked."""
    run = supervisor()
    answer, failure = pool.submit(run.ask, threading.get_ident), pool.submit(run.ask, fail)
    run_until(run, pool, lambda: answer.done() and failure.done())
    assert answer.result() == threading.get_ident()
    with pytest.raises(LookupError):
        failure.result()


def test_the_owner_answers_itself() -> None:
    """It would wait for ever for its own mail."""
    assert supervisor().ask(lambda: 1) == 1


def test_nobody_waits_for_a_run_that_is_over(pool: ThreadPoolExecutor) -> None:
    """Neither a thread that asked while it ended nor one that asks afterwards."""
    run = supervisor()
    waiting: list[Future[object]] = []

    def ask_again() -> None:
        run.interrupt()
        waiting.append(pool.submit(run.ask, lambda: waiting.append(pool.submit(run.ask, fail))))

    pool.submit(run.ask, ask_again).add_done_callback(lambda _: None)
    run.run(Job(b"", "job.lua"))
    late = pool.submit(run.ask, lambda: 1)
    with pytest.raises(Interrupted):
        late.result(60)
    for question in waiting:
        assert isinstance(question.exception(60), (Interrupted, LookupError, type(None)))


def test_ctrl_c_at_a_question_ends_the_run_and_asks_no_more(pool: ThreadPoolExecutor) -> None:
    """The thread that asked is told so, and the outcome is that of an interrupted run."""
    run = supervisor()
    asked: list[int] = []

    def interrupted() -> None:
        asked.append(1)
        raise KeyboardInterrupt

    question = pool.submit(run.ask, interrupted)
    ending = run.run(Job(b"", "job.lua"))
    assert isinstance(ending.error, Interrupted)
    with pytest.raises(Interrupted):
        question.result(60)
    assert asked == [1]


class Printing(Silent):
    """A child that prints a line and ends."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = [b'{"kind":"print","text":"a"}']

    def read(self, limit: int) -> bytes | None:
        return self._lines.pop() if self._lines else None


def test_an_end_that_comes_while_the_owner_is_busy_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no call that would need the grace."""
    monkeypatch.setattr("kosmolua.runs.supervisor.GRACE_TIMEOUT", 60.0)
    clock = Clock(60)
    started = monotonic()
    context = RunContext(clock, Limits())
    run = Supervisor(Printing(), context, no_broker, lambda piece: eventually(lambda: not clock.left))
    assert run.run(Job(b"", "job.lua")).error is not None
    assert monotonic() - started < 30


def in_helper(helpers: Helpers) -> threading.Thread:
    return helpers.call(threading.current_thread, lambda: monotonic() + 60)


def test_a_thread_that_has_read_for_a_run_reads_for_the_next() -> None:
    """To start one takes longer than to hand over the work."""
    helpers, used = Helpers(), list[threading.Thread]()

    def is_used_again() -> bool:
        used.append(in_helper(helpers))
        return used[-1] in used[:-1]

    assert eventually(is_used_again)
    helpers.close()
    assert eventually(lambda: not any(thread.is_alive() for thread in used))


def test_a_thread_without_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that never closes its runtime keeps none."""
    monkeypatch.setattr("kosmolua.concurrency.HELPER_TIMEOUT", 0.01)
    helpers = Helpers()
    for _ in range(20):
        used = in_helper(helpers)
        assert eventually(lambda used=used: not used.is_alive())


def test_a_helper_keeps_nothing_of_the_context_of_a_caller() -> None:
    """It lives on, and what the variables of a request hold need not."""
    helpers, variable = Helpers(), ContextVar[object]("request")

    def request() -> weakref.ref[object]:
        held = threading.Event()
        variable.set(held)
        assert helpers.call(variable.get, lambda: monotonic() + 10) is held
        return weakref.ref(held)

    kept = copy_context().run(request)
    assert eventually(lambda: kept() is None)
    helpers.close()
