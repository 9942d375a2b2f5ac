"""The memory of answers that are under way from services to scripts, bounded for all runs of a host together.

An answer of a few MiB is in memory several times before a script has it: as bytes, as text, as values, and as a frame.
Up to 64 calls of each run are under way at once. So a call that gets more than a little waits until there is room.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from threading import Event, Lock
from time import monotonic

from kosmolua.concurrency import Passage, passage
from kosmolua.limits import MIB
from kosmolua.protocol import memory_of

MAX_IN_FLIGHT = 24 * MIB
"""Bytes that the answers of all calls may take together. One call may take more, however much is taken."""
SMALL = 256 * 1024
"""Bytes of an answer that no call waits for."""
COPIES = 4
"""How often an answer's text is in memory at most: as text, as a value, and as text again in a frame."""
TRIM_AFTER = 16 * MIB
"""Bytes that are given back before the system gets them: each thread would keep a few MiB for later."""
_POLL_INTERVAL = 0.1
"""Seconds between looks at the end of the run, which may come earlier than it was to be."""


class InFlight:
    """Lets calls take memory for answers, and makes them wait if too much is taken. Many threads may use it.

    The call that has taken memory for the longest time never waits, so one of them always goes on. Of those that wait,
    calls that have taken some come first, so that they end; then the run that has taken least; then who came first.

    Args:
        total: Bytes that all calls may take together.
    """

    def __init__(self, total: int = MAX_IN_FLIGHT) -> None:
        self._total = total
        self._lock = Lock()
        # Under the lock.
        self._taken = 0
        self._freed = 0
        self._of_run: Counter[object] = Counter()
        self._holders: dict[Passage, None] = {}
        self._waiting: list[_Wait] = []

    def take(self, passage: Passage, size: int) -> None:
        """Take memory for a call, when there is room.

        Raises:
            TimeoutError: There was none before the end of the run.
        """
        with self._lock:
            wait = _Wait(passage, size)
            self._waiting.append(wait)
            self._admit()
        while not wait.admitted.wait(_POLL_INTERVAL):
            if passage.clock.ends > monotonic():
                continue
            with self._lock:
                if wait.admitted.is_set():
                    return
                self._waiting.remove(wait)
                self._admit()
            raise TimeoutError("timed out")

    def give_back(self, passage: Passage, size: int) -> None:
        """Give back a part of what a call has taken, or all of it."""
        if self._frees_much(size):
            _give_back_to_system()
        with self._lock:
            self._taken -= size
            self._of_run[passage.run] -= size
            passage.taken -= size
            if not passage.taken:
                del self._holders[passage]
            if not self._of_run[passage.run]:
                del self._of_run[passage.run]
            self._admit()

    def _frees_much(self, size: int) -> bool:
        with self._lock:
            self._freed += size
            if self._freed < TRIM_AFTER:
                return False
            self._freed = 0
            return True

    def _admit(self) -> None:
        """Let those calls continue for which there is room."""
        while self._waiting:
            first = min(self._waiting, key=self._rank)
            passage = first.passage
            is_eldest = next(iter(self._holders), passage) is passage
            if self._taken + first.size > self._total and not is_eldest:
                return
            self._waiting.remove(first)
            self._holders.setdefault(passage)
            self._taken += first.size
            self._of_run[passage.run] += first.size
            passage.taken += first.size
            first.admitted.set()

    def _rank(self, wait: _Wait) -> tuple[bool, bool, int]:
        """Return what is least for who comes first; of equal ones that is who came first."""
        passage = wait.passage
        is_eldest = next(iter(self._holders), None) is passage
        return not is_eldest, passage not in self._holders, self._of_run[passage.run]


class _Wait:
    def __init__(self, passage: Passage, size: int) -> None:
        self.passage = passage
        self.size = size
        self.admitted = Event()


@cache
def _trim() -> Callable[[int], object] | None:
    """Return glibc's ``malloc_trim``; other systems keep less."""
    if sys.platform != "linux":
        return None
    import ctypes

    trim: Callable[[int], object] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim


def _give_back_to_system() -> None:
    if trim := _trim():
        trim(0)


class Reservation:
    """The memory that one answer takes of its call's.

    Args:
        before: Called once, before anything is waited for.
    """

    def __init__(self, before: Callable[[], object]) -> None:
        self._passage = passage.get()
        self._before = before
        self._taken = 0

    def grow(self, size: int) -> None:
        """Make room for an answer that has so many bytes by now, or is about to have them.

        Raises:
            TimeoutError: There was no room before the end of the run.
        """
        if size > self._taken:
            self._take(2 * size if self._taken else size)

    def settle(self, body: bytes | bytearray) -> None:
        """Make room for all that is made of a whole answer.

        Raises:
            TimeoutError: There was no room before the end of the run.
        """
        self._take(memory_of(body) + COPIES * len(body))

    def _take(self, size: int) -> None:
        if self._passage and size > self._taken:
            if not self._taken:
                self._before()
            self._passage.take(size - self._taken)
            self._taken = size
