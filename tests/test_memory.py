"""Memory for large texts: who waits for it, for how long, who goes first, and what is refused."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest
from support.cgroups import memory_group
from support.processes import eventually, linux_only

from kosmolua import Runtime, container
from kosmolua.calls.records import Event
from kosmolua.clock import Clock
from kosmolua.errors import LimitExceeded
from kosmolua.limits import MIB
from kosmolua.memory import Endless, Memory, Passage, keep_what_is_there
from kosmolua.runs import Outcome
from kosmolua.runs.printed import COPIES, Printed

pytestmark = pytest.mark.slow


def entered(flight: Memory, run: object, seconds: float = 600) -> Passage:
    return Passage(lambda: flight, run, Clock(seconds))


class Taking:
    """Takes memory in a thread of its own, and notes it in a list."""

    def __init__(self, passage: Passage, size: int, done: list[Passage]) -> None:
        self._passage, self._size, self._done = passage, size, done
        self._thread = Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        self._passage.take(self._size)
        self._done.append(self._passage)


def test_a_call_waits_for_room() -> None:
    """It goes on when another gives memory back, and knows how long it waited."""
    flight, done = Memory(100), []
    first, second = entered(flight, "a"), entered(flight, "b")
    first.take(60)
    Taking(second, 60, done)
    assert not eventually(lambda: done, 0.2)
    first.keep(30)
    assert eventually(lambda: done == [second])
    assert first.taken == 30
    assert second.taken == 60
    assert first.waited < second.waited


def test_the_eldest_call_never_waits() -> None:
    """So there is always one that goes on, and calls that want more than they have cannot stop each other."""
    flight, done = Memory(100), []
    first, second = entered(flight, "a"), entered(flight, "a")
    first.take(50)
    second.take(50)
    Taking(second, 50, done)
    first.take(1000)
    assert first.taken == 1050 and not done
    first.keep(0)
    assert eventually(lambda: done == [second])


def test_one_call_may_be_larger_than_all_room() -> None:
    """If nobody else has any."""
    call = entered(Memory(100), "a")
    call.take(1000)
    assert call.taken == 1000


def test_the_run_that_has_least_goes_first() -> None:
    """A run with many large answers delays another's by one of them at most."""
    flight, done = Memory(100), []
    calls = [entered(flight, "many") for _ in range(4)]
    other = entered(flight, "other")
    calls[0].take(50)
    calls[1].take(50)
    for call in calls[2:]:
        Taking(call, 50, done)
    Taking(other, 50, done)
    assert not eventually(lambda: done, 0.2)
    calls[1].keep(0)
    assert eventually(lambda: done == [other])


def test_what_holds_memory_goes_before_what_holds_none() -> None:
    """So that it ends, and gives back what it has."""
    flight, done = Memory(100), []
    eldest, holder, newcomer = (entered(flight, run) for run in "abc")
    eldest.take(60)
    holder.take(40)
    Taking(newcomer, 10, done)
    Taking(holder, 60, done)
    assert not eventually(lambda: done, 0.2)
    eldest.keep(0)
    assert eventually(lambda: done[:1] == [holder])
    holder.keep(0)
    assert eventually(lambda: done == [holder, newcomer])


def test_the_end_of_a_run_ends_the_wait() -> None:
    """What it waited for is there for others."""
    flight, done = Memory(100), []
    first, late, next_one = entered(flight, "a"), entered(flight, "b", 0), entered(flight, "c")
    first.take(60)
    with pytest.raises(TimeoutError):
        late.take(60)
    assert late.taken == 0
    Taking(next_one, 40, done)
    assert eventually(lambda: done == [next_one])


def test_what_is_needed_is_taken_once() -> None:
    """A later need counts what was taken for an earlier one."""
    call = entered(Memory(100), "a")
    call.need(50)
    call.need(30)
    call.need(60)
    assert call.taken == 60


def test_the_tenant_that_has_least_goes_first() -> None:
    """However many runs another tenant has."""
    memory, done = Memory(100), []
    many = [Passage(lambda: memory, each, Endless(), "many") for each in "abc"]
    other = Passage(lambda: memory, "d", Endless(), "other")
    many[0].take(40)
    many[1].take(60)
    Taking(many[2], 60, done)
    Taking(other, 60, done)
    assert not eventually(lambda: done, 0.2)
    many[1].close()
    assert eventually(lambda: done == [other])


def test_one_run_cannot_have_more_than_its_part() -> None:
    """In a server, what it is asked for is refused, instead of ending the server."""
    memory = Memory(100, most=100)
    run = Passage(lambda: memory, "a", Endless())
    run.take(60)
    with pytest.raises(LimitExceeded):
        run.take(41)
    assert run.taken == 60


def test_a_closed_passage_waits_no_longer() -> None:
    """Whoever needed the memory is gone, so it is there for others."""
    memory = Memory(100)
    first, second = (Passage(lambda: memory, each, Endless()) for each in "ab")
    first.take(100)
    waiting: list[BaseException] = []

    def wait() -> None:
        try:
            second.take(60)
        except TimeoutError as error:
            waiting.append(error)

    thread = Thread(target=wait)
    thread.start()
    second.close()
    thread.join(60)
    assert waiting
    first.close()
    assert memory.taken == 0


def test_an_event_loop_waits_without_standing_still() -> None:
    """A request whose client goes away meanwhile leaves the queue."""
    memory = Memory(100)
    first, second, third = (Passage(lambda: memory, each, Endless()) for each in "abc")

    async def main() -> None:
        await first.need_soon(100)
        left = asyncio.create_task(second.need_soon(60))
        waits = asyncio.create_task(third.need_soon(60))
        await asyncio.sleep(0.05)
        left.cancel()
        first.close()
        await asyncio.wait_for(waits, 60)

    asyncio.run(main())
    assert second.taken == 0
    assert third.taken == 60
    assert memory.taken == 60


OUTPUT = "for i = 1, 20 do print(('x'):rep(99999)) end return 1"


def in_room(total: int, code: str) -> tuple[Outcome, Passage]:
    """Run a script with so much memory for what it prints and returns."""
    memory = Memory(total, most=total)
    room = Passage(lambda: memory, "a", Endless())
    with Runtime({}, environ={}) as runtime:
        return runtime.run(code, room=room), room


def test_a_long_output_is_whole_where_there_is_room() -> None:
    """It was in a file meanwhile, and its memory is reserved until it has been answered."""
    outcome, room = in_room(32 * MIB, OUTPUT)
    assert outcome.error is None
    assert outcome.output == ("x" * 99_999 + "\n") * 20
    assert room.taken >= COPIES * 2_000_000


def test_an_output_beyond_the_room_is_cut_with_a_sentence() -> None:
    """The script has run; its outcome says what is missing."""
    outcome, room = in_room(4_000_000, OUTPUT)
    assert outcome.output == (("x" * 99_999 + "\n") * 20)[: 4_000_000 // COPIES]
    assert outcome.error is not None
    assert outcome.error.fields()["limit"] == "output"
    assert f"The output was cut after {4_000_000 // COPIES:,} bytes" in outcome.error.message
    assert room.taken <= 4_000_000


@pytest.mark.parametrize(("more", "width"), [("", 1), ("ü", 2), ("\U0001f600", 4)], ids=["ASCII", "ü", "an emoji"])
def test_an_output_takes_as_much_as_its_text(more: str, width: int) -> None:
    """One emoji makes Python keep four bytes of each character, in each copy; and short pieces stay in their place."""
    memory = Memory(64 * MIB)
    room = Passage(lambda: memory, object(), Endless())
    printed = Printed(room)
    for piece in ("x" * 500_000, more, "y" * 500_000):
        printed.append(piece.encode())
    whole, cut = printed.take()
    assert whole.decode() == "x" * 500_000 + more + "y" * 500_000
    assert cut is None
    assert room.taken == COPIES * width * len(whole)


def test_a_result_beyond_the_room_ends_the_run() -> None:
    """Before it is decoded, which takes the most."""
    outcome, room = in_room(2_000_000, "return ('x'):rep(1500000)")
    assert outcome.error is not None
    assert outcome.error.code == "limit_exceeded"
    assert "of the server's memory" in outcome.error.message
    assert room.taken <= 2_000_000


def test_results_wait_for_each_other() -> None:
    """With room for one at a time, all of them come whole."""
    memory = Memory(8 * MIB, most=8 * MIB)

    def run(number: int) -> int:
        room = Passage(lambda: memory, number, Endless())
        try:
            return len(runtime.run("return ('x'):rep(1000000)", room=room).result[0])
        finally:
            room.close()

    with Runtime({}, environ={}) as runtime, ThreadPoolExecutor(4) as threads:
        assert list(threads.map(run, range(6))) == [1_000_000] * 6
    assert memory.taken == 0


@linux_only
def test_a_server_knows_the_memory_of_its_container() -> None:
    """What it may take follows from the limit of its control group."""
    with memory_group(256 * MIB) as group:
        program = "from kosmolua.container import memory; print(memory())"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, preexec_fn=group.join, check=True)
    assert int(done.stdout) == 256 * MIB


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        ("0::/a/b", {"a/cpu.max": "max 100000", "a/b/cpu.max": "150000 100000", "a/pids.max": "99"}),
        (
            "3:pids:/a\n2:cpu,cpuacct:/a",
            {"cpu/a/cpu.cfs_quota_us": "150000", "cpu/a/cpu.cfs_period_us": "100000", "pids/a/pids.max": "99"},
        ),
    ],
    ids=["version 2", "version 1"],
)
def test_the_limits_of_a_container(
    membership: str, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The strictest of the control groups counts; without a limit there is none."""
    (tmp_path / "membership").write_text(membership + "\n")
    monkeypatch.setattr(container, "MEMBERSHIP", str(tmp_path / "membership"))
    monkeypatch.setattr(container, "GROUPS", str(tmp_path))
    assert container.processors() is None
    assert container.processes() is None
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert container.processors() == 1.5
    assert container.processes() == 99


def test_what_is_kept_is_looked_at_no_more() -> None:
    """By collections of garbage, on from then, and rarer; what nothing refers to goes first, also what was kept."""
    kept = [[number] for number in range(10_000)]
    former = gc.get_threshold()
    gc.set_threshold(500, *former[1:])  # a server of another test may have raised it in this process
    gc.disable()
    keep_what_is_there()
    assert gc.isenabled()
    assert gc.get_threshold()[0] > 500
    assert not any(each is kept for each in gc.get_objects())
    gone = Thread(target=print)
    gone.itself = gone  # type: ignore[attr-defined]
    reference = weakref.ref(gone)
    try:
        keep_what_is_there()
        del gone
        keep_what_is_there()
        assert reference() is None
    finally:
        gc.set_threshold(*former)
        gc.enable()
        gc.unfreeze()


@pytest.mark.parametrize("source", ["return 1", "return app.integrations.render2.list_services({ limit = 1 })"])
def test_a_run_that_has_ended_is_freed_at_once(source: str, simulated: Runtime, tmp_path: Path) -> None:
    """No collection of garbage has to find its parts, which refer to each other while it runs."""

    class Listener:
        def __call__(self, event: Event) -> None:
            pass

    gc.collect()
    gc.disable()
    try:
        listener = Listener()
        outcome = simulated.run(source, watch=listener, record=str(tmp_path / "run.jsonl"))
        reference = weakref.ref(listener)
        del listener
        assert outcome.ok
        assert eventually(lambda: reference() is None)  # a thread of the run can hold it for a moment longer
    finally:
        gc.enable()
