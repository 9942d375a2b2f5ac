"""Starting processes where the system has no room: one clear sentence, nothing left open, and nobody else hurt."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from threading import enumerate as enumerate_threads
from typing import Any

import pytest
from support.processes import children, command_of, descendants, eventually, is_running, linux_only, zygotes

from kosmolua import Outcome, Runtime, WorkerLost
from kosmolua.processes import launch
from kosmolua.processes.child import ColdChild, SessionProcess
from kosmolua.processes.pool import WorkerPool
from kosmolua.runs.session import Session

pytestmark = [linux_only, pytest.mark.usefixtures("new_processes")]

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

    gc.collect()  # what other tests have left is closed now, and not while there is to be no room
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
    others = set(enumerate_threads())
    pool = WorkerPool(1)
    try:
        with pool.take():
            pass
    finally:
        pool.close()
        assert eventually(
            lambda: "kosmolua-zygote" not in [thread.name for thread in set(enumerate_threads()) - others]
        )


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
        assert len(os.listdir(OPEN)) <= before
    with free_descriptors(needed):
        start()


def test_too_many_open_files_end_no_script_that_runs() -> None:
    """The warm process goes on for those that have a worker already."""
    others, pool = zygotes(), WorkerPool(2)
    with pool.take() as lease:
        assert eventually(lambda: zygotes() - others), [*map(command_of, children(os.getpid()))]
        before = zygotes() - others
        with free_descriptors(3), pytest.raises(WorkerLost, match="Too many open files"), pool.take():
            pass
        assert zygotes() - others == before
        assert all(map(is_running, before))
        lease.child.close()
    pool.close()


def allow_forks(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Have processes of the sandbox find no room after so many forks."""
    limit = f"import os; forks = [os.fork] * {count}; os.fork = lambda: forks.pop()() if forks else os.stat('/none'); "
    monkeypatch.setattr(launch, "BOOT", limit + launch.BOOT)


@pytest.mark.slow
def test_a_fork_that_fails_ends_no_other_script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the system allows no further process, the run that wanted one is lost, and says so."""
    allow_forks(monkeypatch, 1)
    begun, gate, outcomes = Event(), tmp_path / "gate", list[Outcome]()
    source = "print(1) app.integrations.slow.wait({ file = arg[1] }) return 1"
    given: Any = {"args": [str(gate)], "on_output": lambda _: begun.set()}
    with Runtime(plugins=[Path(__file__).parent / "plugins" / "slow.py"], environ={}) as runtime:
        first = Thread(target=lambda: outcomes.append(runtime.run(source, **given)))
        first.start()
        assert begun.wait(60)
        outcome = runtime.run("return 2")
        gate.touch()
        first.join()
    assert isinstance(outcome.error, WorkerLost)
    assert outcome.error.message.startswith("The sandbox cannot be started: the system allows no further process (")
    assert outcomes[0].result == [1]


def test_a_fork_that_fails_costs_a_session_the_chunk(monkeypatch: pytest.MonkeyPatch, simulated: Runtime) -> None:
    """The state from before it is kept."""
    allow_forks(monkeypatch, 3)  # the first finds out how many the user may have
    with Session(simulated.run) as session:
        session.evaluate("x = 1")
        assert session.evaluate("while true do end", cpu=0.1).state == "restored"
        answer = session.evaluate("x = 2")
        assert answer.outcome.error
        assert "no further process" in answer.outcome.error.message
        assert answer.state == "restored"
        assert session.evaluate("x").state == "restored"


@pytest.mark.slow
def test_a_missing_null_device_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container without /dev: what a child writes to nowhere is dropped all the same."""
    monkeypatch.setattr(os, "devnull", "/none/null")
    with Runtime({}, environ={}) as runtime, Session(runtime.run) as session:
        assert runtime.run("print(1) return 2").result == [2]
        assert session.evaluate("1 + 1").text == "2"
        child = ColdChild()
        assert runtime.run("return 3", child=child).result == [3]
        child.close()


@pytest.mark.slow
def test_no_further_thread_is_a_sentence_and_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that makes no call needs none, and one that does says what it lacks; both leave nothing."""

    def refuse(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    before = descendants(os.getpid())
    with Runtime({}, simulate=True, environ={}) as runtime:
        monkeypatch.setattr(Thread, "start", refuse)
        assert [runtime.run("return 1").result for _ in range(3)] == [[1]] * 3
        lost = runtime.run("return app.integrations.render2.list_services()")
        assert isinstance(lost.error, WorkerLost)
        assert "allows no further thread" in lost.error.message
    assert eventually(lambda: descendants(os.getpid()) <= before)


@pytest.mark.parametrize("problem", [errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_what_the_system_has_no_room_for_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch, problem: int) -> None:
    """Whichever of its limits keeps a process from starting, warm, cold or a session's."""

    def refuse(*_: object, **more: object) -> int:
        raise OSError(problem, os.strerror(problem))

    monkeypatch.setattr(os, "posix_spawn", refuse)
    for start in (take_one, ColdChild, SessionProcess):
        with pytest.raises(WorkerLost, match=os.strerror(problem)) as raised:
            start()
        assert raised.value.hint


PARTS = """
import os, signal, subprocess, sys, time
from kosmolua import Runtime
from kosmolua.processes.child import ColdChild
from kosmolua.runs.session import Session

{before}
with Runtime({{}}, environ={{}}) as runtime, Session(runtime.run) as session:
    print(runtime.run("return 1").result, runtime.run("while true do end", cpu=0.1).error.code)
    child = ColdChild()
    print(runtime.run("return 2", child=child).result)
    child.close()
    for chunk in ("x = 1", "while true do end", "x"):
        answer = session.evaluate(chunk, timeout=5, cpu=0.2)
    print(answer.state, answer.text)
{after}
"""
EXPECTED = "[1] limit_exceeded\n[2]\nkept 1\n"


@pytest.mark.slow
def test_a_host_that_ignores_the_end_of_its_children_runs_scripts() -> None:
    """As some supervisors start their programs; the system reaps the children then."""
    code = PARTS.format(before="signal.signal(signal.SIGCHLD, signal.SIG_IGN)", after="")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == EXPECTED
    assert done.stderr == ""
    assert done.returncode == 0


LEFT = """
print(os.getpid(), [pid for pid in os.listdir("/proc") if pid.isdigit()])
"""


@pytest.mark.slow
def test_the_first_process_of_a_container_leaves_no_zombies() -> None:
    """It inherits what its children had forked, which nobody else would reap."""
    inside = ["unshare", "--pid", "--fork", "--mount-proc"]
    if not shutil.which("unshare") or subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("no process can be the first of a namespace here")
    code = PARTS.format(before="", after=LEFT.strip())
    done = subprocess.run([*inside, sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{EXPECTED}1 ['1']\n"
    assert done.stderr == ""
    assert done.returncode == 0
