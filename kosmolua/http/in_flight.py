"""Limits the memory for responses on their way from services to scripts, for all runs of this process together.

A response of a few MiB is in memory several times before a script has it: as bytes, as text, as values, and as a line
of JSON for the sandbox. A run can have 64 calls under way at once. So a call that receives a larger response waits
until enough of the memory is free.
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
"""Bytes for the responses of all calls together. One call at a time can go beyond that."""
SMALL = 256 * 1024
"""A call does not wait for memory if its response has at most this many bytes."""
COPIES = 4
"""The most copies of a response's text in memory: as text, as a value, and as text for the sandbox."""
TRIM_AFTER = 16 * MIB
"""After this many freed bytes, free memory is given back to the system. Otherwise each thread would keep a few MiB."""
_POLL_INTERVAL = 0.1
"""Seconds between two checks whether the run has ended. It can end before its deadline."""


class InFlight:
    """Counts the memory that calls use for responses, and makes calls wait while too much is in use. Thread-safe.

    The call that has used memory for the longest time never waits, so at least one call always continues. Among the
    waiting calls, a call that already uses some memory takes precedence, so that it can end. Next are the calls of the
    run that uses the least memory. Among equal calls, the one that has waited longest is first.

    Args:
        total: The number of bytes that all calls together can use.
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
        """Wait until enough memory is free for a call, then count it as used by that call.

        Args:
            passage: The call that needs memory.
            size: The bytes that the call needs in addition to those that it uses already.

        Raises:
            TimeoutError: The run ended before enough memory was free.
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
        """Count memory that a call used as free again.

        Args:
            passage: The call that used the memory.
            size: The bytes that the call no longer uses: all of its memory, or a part.
        """
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
        """Let waiting calls continue, in the order of :meth:`_rank`, until too little memory is left for the next."""
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
        """Return the sort key of a waiting call: the call with the smallest key is the next to continue."""
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
    """Return glibc's function that gives free memory back to the system, or None if the C library lacks it."""
    if sys.platform != "linux":
        return None
    import ctypes

    trim: Callable[[int], object] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim


def _give_back_to_system() -> None:
    if trim := _trim():
        trim(0)


class Reservation:
    """Reserves memory for one response, on behalf of the current call.

    Args:
        before: A function to call once, before the first step that might have to wait for memory.
    """

    def __init__(self, before: Callable[[], object]) -> None:
        self._passage = passage.get()
        self._before = before
        self._taken = 0

    def grow(self, size: int) -> None:
        """Reserve memory for ``size`` bytes of the body. Call this again if the body turns out to be longer.

        Raises:
            TimeoutError: The run ended before enough memory was free.
        """
        if size > self._taken:
            self._take(2 * size if self._taken else size)

    def settle(self, body: bytes | bytearray) -> None:
        """Reserve memory for everything that will be made from a complete body: values, and text for the sandbox.

        Raises:
            TimeoutError: The run ended before enough memory was free.
        """
        self._take(memory_of(body) + COPIES * len(body))

    def _take(self, size: int) -> None:
        if self._passage and size > self._taken:
            if not self._taken:
                self._before()
            self._passage.take(size - self._taken)
            self._taken = size
