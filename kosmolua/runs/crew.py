"""The threads that answer the branches of ``parallel``."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock

from kosmolua import concurrency
from kosmolua.errors import LimitExceeded, WorkerLost
from kosmolua.limits import MIB, spell_size

MOST_THREADS = 64
MOST_WAITING = 256 * MIB
"""Bytes of memory that calls which wait for a thread may keep. A guest cannot be made to wait with them: while it
writes it does not read, and the threads could not get rid of their replies."""


def too_much_waits() -> LimitExceeded:
    """Return the error for a script that has more calls wait than there is room for."""
    return LimitExceeded(
        f"The script was stopped: its calls that wait for their turn hold more than {spell_size(MOST_WAITING)}",
        limit="arguments",
        value=MOST_WAITING,
        hint="give parallel a smaller limit, or send less with each",
    )


class Crew:
    """Threads of one run, hired when there is work for them."""

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[Callable[[], None], int] | None] = SimpleQueue()
        self._lock = Lock()
        self._threads = 0
        self._tasks = 0
        self._bytes = 0

    @property
    def is_busy(self) -> bool:
        """Whether work waits for a thread, or is under way in one."""
        return self._tasks > 0

    def give(self, work: Callable[[], None], size: int) -> bool:
        """Have work done, unless too many bytes wait already; say whether it was taken.

        Args:
            work: What to do; it raises nothing.
            size: The bytes of memory that it keeps until it is done.
        """
        with self._lock:
            if self._bytes + size > MOST_WAITING:
                return False
            self._bytes += size
            self._tasks += 1
            hires = self._threads < min(self._tasks, MOST_THREADS)
            self._threads += hires
        self._work.put((work, size))
        if hires:
            self._hire()
        return True

    def _hire(self) -> None:
        try:
            concurrency.start_thread(self._serve, "call")
        except WorkerLost:
            with self._lock:
                self._threads -= 1
            if not self._threads:
                raise

    def dismiss(self) -> None:
        """Let each thread end once it has nothing more to do."""
        for _ in range(self._threads):
            self._work.put(None)

    def _serve(self) -> None:
        while task := self._work.get():
            work, size = task
            try:
                work()
            finally:
                with self._lock:
                    self._bytes -= size
                    self._tasks -= 1
