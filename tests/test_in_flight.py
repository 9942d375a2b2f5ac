"""Answers under way: who waits for memory, for how long, and who goes first."""

from __future__ import annotations

from threading import Thread

import pytest
from support.processes import eventually

from kosmolua.clock import Clock
from kosmolua.concurrency import Passage
from kosmolua.http.in_flight import InFlight


def entered(flight: InFlight, run: object, seconds: float = 600) -> Passage:
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
    flight, done = InFlight(100), []
    first, second = entered(flight, "a"), entered(flight, "b")
    first.take(60)
    Taking(second, 60, done)
    assert not eventually(lambda: done, 0.2)
    first.keep(30)
    assert eventually(lambda: done == [second])
    assert (first.taken, second.taken) == (30, 60)
    assert first.waited < second.waited


def test_the_eldest_call_never_waits() -> None:
    """So there is always one that goes on, and calls that want more than they have cannot stop each other."""
    flight, done = InFlight(100), []
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
    call = entered(InFlight(100), "a")
    call.take(1000)
    assert call.taken == 1000


def test_the_run_that_has_least_goes_first() -> None:
    """A run with many large answers delays another's by one of them at most."""
    flight, done = InFlight(100), []
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
    flight, done = InFlight(100), []
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
    flight, done = InFlight(100), []
    first, late, next_one = entered(flight, "a"), entered(flight, "b", 0), entered(flight, "c")
    first.take(60)
    with pytest.raises(TimeoutError):
        late.take(60)
    assert late.taken == 0
    Taking(next_one, 40, done)
    assert eventually(lambda: done == [next_one])


def test_what_is_needed_is_taken_once() -> None:
    """A later need counts what was taken for an earlier one."""
    call = entered(InFlight(100), "a")
    call.need(50)
    call.need(30)
    call.need(60)
    assert call.taken == 60
