"""Occupancy: the threads that are at work in something, so that whoever closes it can wait for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, get_ident


class Occupancy:
    """Counts threads that are at work."""

    def __init__(self) -> None:
        self._threads: Counter[int] = Counter()
        self._changed = Condition()

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count this thread as at work until the ``with`` block ends."""
        thread = get_ident()
        self._count(thread, 1)
        try:
            yield
        finally:
            self._count(thread, -1)

    def wait(self, seconds: float) -> None:
        """Wait until no other thread is at work, or for so many seconds.

        This one may be: a signal handler interrupts what it was doing.
        """
        own = get_ident()
        with self._changed:
            self._changed.wait_for(lambda: not any(thread != own for thread in +self._threads), seconds)

    def _count(self, thread: int, change: int) -> None:
        with self._changed:
            self._threads[thread] += change
            if not self._threads[thread]:
                del self._threads[thread]
            self._changed.notify_all()
