"""The memory that large texts on their way between services, scripts and clients take in this process, and its limit.

A text of a few MiB is in memory several times while it passes: as bytes, as text, as values, and as a line of JSON. A
run can have 64 calls under way at once, and a server many runs. So whoever is about to take in a large text waits until
enough of the memory is free.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from math import inf
from threading import Event, Lock
from time import monotonic
from typing import Any, NamedTuple

from kosmolua import container
from kosmolua.clock import Clock
from kosmolua.errors import LimitExceeded
from kosmolua.limits import MIB, spell_size
from kosmolua.protocol import memory_of

MAX_IN_FLIGHT = 24 * MIB
"""Bytes for the responses of all calls of a runtime together. One call at a time can go beyond that."""
SMALL = 256 * 1024
"""Nobody waits for memory for a text of at most this many bytes."""
COPIES = 4
"""The most copies of a text in memory: as bytes, as text, as a value, and as text for the sandbox or a client."""
TRIM_AFTER = 16 * MIB
"""After this many freed bytes, free memory is given back to the system. Otherwise each thread would keep a few MiB."""
MAX_OF_SERVER = 512 * MIB
MIN_OF_SERVER = 16 * MIB
BASE = 128 * MIB
"""What a server takes at rest, with some room."""
YOUNG = 10_000
"""After how many more objects a server collects garbage among its new ones: as many requests at once make 700, Python's
own number, several times in one turn of the event loop, and none of what they hold is garbage yet."""
_POLL_INTERVAL = 0.1
"""Seconds between two checks whether the run has ended. It can end before its deadline."""
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3


class Passage:
    """The memory that one call has reserved (``taken`` bytes), after ``waited`` seconds, which its time limit does not
    count.

    ``source`` returns the shared memory. ``run`` is the same, and hashable, for all calls of one run, to add up its
    memory. The call waits until the deadline of the clock of its run at most.
    """

    def __init__(self, source: Callable[[], Memory], run: object, clock: Clock | Endless, tenant: str = "") -> None:
        self.run = run
        self.clock = clock
        self.tenant = tenant
        self.is_closed = False
        self.taken = 0
        self._source = source
        self._waited = 0.0
        self._since: float | None = None

    @property
    def waited(self) -> float:
        """The seconds that the call has waited, with those since it began to wait again."""
        since = self._since
        return self._waited + (monotonic() - since if since is not None else 0.0)

    def extend(self, seconds: float) -> None:
        """Give the call ``seconds`` more, as if it had waited for them."""
        self._waited += seconds

    def take(self, size: int) -> None:
        """Wait until ``size`` more bytes are free, and reserve them; raises what :meth:`Memory.take` raises."""
        started = self._since = monotonic()
        try:
            self._source().take(self, size)
        finally:
            self._waited += monotonic() - started
            self._since = None

    def need(self, size: int) -> None:
        """Reserve ``size`` bytes in all, as :meth:`take` does."""
        if size > self.taken:
            self.take(size - self.taken)

    async def need_soon(self, size: int) -> None:
        """Do the same without blocking the event loop."""
        if size > self.taken and not self.is_closed:
            await self._source().take_soon(self, size - self.taken)

    def keep(self, size: int) -> None:
        """Keep at most ``size`` bytes."""
        if self.taken > size:
            self._source().give_back(self, self.taken - size)

    def close(self) -> None:
        """Free all, for good."""
        self.is_closed = True
        self.keep(0)


passage: ContextVar[Passage | None] = ContextVar("passage", default=None)
"""The reserved memory of the call that the current thread makes for a script; None for calls of Python programs."""


class Memory:
    """Counts the memory taken for large texts, and makes others wait while too much is in use. Thread-safe.

    The :class:`Passage` that has held memory for longest never waits, so one always continues. Of
    those that wait, one that holds some goes first, so that it can end; then the tenant, and then the run, that use the
    least; then the one that has waited longest. ``total`` is for all together, ``most`` for one passage, in bytes.
    """

    def __init__(self, total: int = MAX_IN_FLIGHT, most: int | None = None) -> None:
        self.total = total
        self._most = most
        self._lock = Lock()
        # Under the lock.
        self._taken = 0
        self._freed = 0
        self._of_run: Counter[object] = Counter()
        self._of_tenant: Counter[str] = Counter()
        self._holders: dict[Passage, None] = {}
        self._waiting: list[_Wait] = []

    @property
    def taken(self) -> int:
        with self._lock:
            return self._taken

    def take(self, passage: Passage, size: int) -> None:
        """Wait until ``size`` more bytes are free for a passage, and count them as its.

        Raises:
            TimeoutError: The run ended, or the passage was closed, before.
            LimitExceeded: One passage cannot use that much.
        """
        admitted = Event()
        wait = self._begin(passage, size, admitted.set)
        while not admitted.wait(_POLL_INTERVAL):
            if passage.clock.ends > monotonic() and not passage.is_closed:
                continue
            if self._give_up(wait):
                raise TimeoutError("timed out")
        if passage.is_closed:
            passage.keep(0)
            raise TimeoutError("the passage was closed")

    async def take_soon(self, passage: Passage, size: int) -> None:
        """Do the same without blocking the event loop."""
        import asyncio

        loop, admitted = asyncio.get_running_loop(), asyncio.Event()
        wait = self._begin(passage, size, lambda: loop.call_soon_threadsafe(admitted.set))
        try:
            await admitted.wait()
        except asyncio.CancelledError:
            if not self._give_up(wait):
                self.give_back(passage, size)
            raise

    def give_back(self, passage: Passage, size: int) -> None:
        """Count ``size`` bytes of a passage as free."""
        if self._frees_much(size):
            give_back_to_system()
        with self._lock:
            size = min(size, passage.taken)
            if not size:
                return
            self._taken -= size
            passage.taken -= size
            self._of_run[passage.run] -= size
            self._of_tenant[passage.tenant] -= size
            if not self._of_run[passage.run]:
                del self._of_run[passage.run]
            if not passage.taken:
                del self._holders[passage]
            self._admit()

    def _begin(self, passage: Passage, size: int, admit: Callable[[], object]) -> _Wait:
        if self._most and passage.taken + size > self._most:
            raise LimitExceeded(
                f"The script was stopped: one text needs {spell_size(passage.taken + size)} of the server's memory, "
                f"where one run can have {spell_size(self._most)}",
                limit="result",
                value=self._most,
                hint="ask for less, or return and print less",
            )
        wait = _Wait(passage, size, admit)
        with self._lock:
            self._waiting.append(wait)
            self._admit()
        return wait

    def _give_up(self, wait: _Wait) -> bool:
        """Wait no longer; return False if the memory was granted meanwhile."""
        with self._lock:
            if wait not in self._waiting:
                return False
            self._waiting.remove(wait)
            self._admit()
            return True

    def _frees_much(self, size: int) -> bool:
        with self._lock:
            self._freed += size
            if self._freed < TRIM_AFTER:
                return False
            self._freed = 0
            return True

    def _admit(self) -> None:
        """Let the waiting continue, in the order of :meth:`_rank`, until too little memory is left for the next."""
        while self._waiting:
            first = min(self._waiting, key=self._rank)
            passage = first.passage
            is_eldest = next(iter(self._holders), passage) is passage
            if self._taken + first.size > self.total and not is_eldest:
                return
            self._waiting.remove(first)
            self._holders.setdefault(passage)
            self._taken += first.size
            self._of_run[passage.run] += first.size
            self._of_tenant[passage.tenant] += first.size
            passage.taken += first.size
            first.admit()

    def _rank(self, wait: _Wait) -> tuple[bool, bool, int, int]:
        """Return the sort key of one that waits: the one with the smallest key is the next to continue."""
        passage = wait.passage
        is_eldest = next(iter(self._holders), None) is passage
        used = self._of_tenant[passage.tenant], self._of_run[passage.run]
        return not is_eldest, passage not in self._holders, *used


class _Wait(NamedTuple):
    passage: Passage
    size: int
    admit: Callable[[], object]


class Endless:
    """A clock without a deadline, for memory that is needed until its user closes the passage."""

    ends = inf


class Reservation:
    """Reserves memory for one response, on behalf of the current call.

    ``before`` is called once, before the first step that might have to wait for memory.
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
        self._take(needed_by(body))

    def _take(self, size: int) -> None:
        if self._passage and size > self._taken:
            if not self._taken:
                self._before()
            self._passage.take(size - self._taken)
            self._taken = size


def needed_by(text: bytes | bytearray) -> int:
    """Return how many bytes of memory are needed while a JSON text is decoded and passed on."""
    return memory_of(text) + COPIES * len(text)


def memory_of_server(processes: int = 1) -> Memory:
    """Return what one of a server's processes may take for large texts, by the memory of its container or machine."""
    room = (container.memory() // processes - BASE) // 4
    total = min(max(room, MIN_OF_SERVER), MAX_OF_SERVER)
    return Memory(total, most=total)


def bound_arenas() -> None:
    """Let all threads of this process share two arenas of glibc's ``malloc``, so that freed memory is reused.

    Blocks of 1 MiB and more are returned to the system when they are freed; otherwise glibc would raise that bound to
    the largest one freed, and keep them.
    """
    if mallopt := _glibc("mallopt"):
        mallopt(_M_ARENA_MAX, 2)
        mallopt(_M_MMAP_THRESHOLD, MIB)


def give_back_to_system() -> None:
    """Give memory that was freed back to the system, where glibc can."""
    if trim := _glibc("malloc_trim"):
        trim(0)


def keep_what_is_there() -> None:
    """Leave the objects that exist now out of collections of garbage, which are on from now: nearly all are permanent.

    A collection of all would hold up every thread for a tenth of a second, and count as time of whoever runs.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    gc.enable()


@cache
def _glibc(name: str) -> Callable[..., Any] | None:
    """Return a function of glibc, or None if the C library lacks it."""
    if sys.platform != "linux":
        return None
    import ctypes

    found: Callable[..., Any] | None = getattr(ctypes.CDLL(None), name, None)
    return found
