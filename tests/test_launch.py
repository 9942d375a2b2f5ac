"""Starting processes where the system has no room: one clear sentence, nothing left open, and nobody else hurt."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

import pytest
from support.processes import eventually, linux_only

from kosmolua import Outcome, Runtime, WorkerLost
from kosmolua.processes import launch
from kosmolua.processes.child import ColdChild, SessionProcess
from kosmolua.processes.pool import Workers
from kosmolua.runs.session import Session

pytestmark = linux_only

OPEN = "/proc/self/fd"


def test_a_process_that_somebody_else_reaps_has_ended() -> None:
    """As by a handler of an embedder that waits for whatever has ended; how it ended is not known then."""
    child = ColdChild()
    child.kill()
    os.waitpid(child.pid, 0)

    assert child.status() == launch.UNKNOWN
    child.close()


@contextmanager
def free_descriptors(count: int) -> Iterator[None]:
    """Let this process open so many files and no more."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir(OPEN))) + 20, hard))
    taken: list[int] = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for descriptor in taken[:count]:
            os.close(descriptor)
        del taken[:count]
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)


def take_one() -> None:
    """Take a worker, and wait until a thread has closed what belongs to its zygote."""
    workers = Workers(1)
    try:
        with workers.take():
            pass
    finally:
        zygote = workers._zygote
        workers.close()
        assert not zygote or eventually(lambda: zygote._control.fileno() < 0)


@pytest.mark.parametrize(
    ("start", "needed"),
    [(lambda: ColdChild().close(), 5), (lambda: SessionProcess().close(), 7), (take_one, 5)],
    ids=["cold", "session", "warm"],
)
def test_too_many_open_files_is_a_sentence_and_leaves_none_open(start: Callable[[], None], needed: int) -> None:
    """However far the start of a process comes, what it had opened is closed."""
    start()
    for count in range(needed):
        before = len(os.listdir(OPEN))
        with free_descriptors(count), pytest.raises(WorkerLost, match="cannot be started: Too many open files"):
            start()
        assert len(os.listdir(OPEN)) == before
    with free_descriptors(needed):
        start()


def test_too_many_open_files_end_no_script_that_runs() -> None:
    """The warm process goes on for those that have a worker already."""
    workers = Workers(2)
    with workers.take() as child:
        zygote = workers._zygote
        with free_descriptors(3), pytest.raises(WorkerLost, match="Too many open files"), workers.take():
            pass
        assert zygote
        assert zygote.alive
        assert workers._zygote is zygote
        child.close()
    workers.close()


def allow_forks(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Have processes of the sandbox find no room after so many forks."""
    limit = f"import os; forks = [os.fork] * {count}; os.fork = lambda: forks.pop()() if forks else os.stat('/none'); "
    monkeypatch.setattr(launch, "BOOT", limit + launch.BOOT)


def test_a_fork_that_fails_ends_no_other_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system allows no further process, the run that wanted one is lost, and says so."""
    allow_forks(monkeypatch, 1)
    begun, outcomes = Event(), list[Outcome]()
    source = "print(1) local t = os.clock() while os.clock() - t < 0.5 do end return 1"
    with Runtime(environ={}) as runtime:
        first = Thread(target=lambda: outcomes.append(runtime.run(source, on_output=lambda _: begun.set())))
        first.start()
        assert begun.wait(20)
        outcome = runtime.run("return 2")
        first.join()
    assert isinstance(outcome.error, WorkerLost)
    assert outcome.error.message.startswith("The sandbox cannot be started: the system allows no further process (")
    assert outcomes[0].result == [1]


def test_a_fork_that_fails_costs_a_session_the_chunk(monkeypatch: pytest.MonkeyPatch, simulated: Runtime) -> None:
    """The state from before it is kept."""
    allow_forks(monkeypatch, 2)
    with Session(simulated.run) as session:
        session.evaluate("x = 1")
        assert session.evaluate("while true do end", cpu=0.1).state == "restored"
        answer = session.evaluate("x = 2")
        assert answer.outcome.error
        assert "no further process" in answer.outcome.error.message
        assert answer.state == "restored"
        assert session.evaluate("x").state == "restored"
