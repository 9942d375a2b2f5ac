"""The wall clock of a run: it counts down, stands still while a person is asked, and rings when the time is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import TIMEOUT_MAX, Event, RLock
from time import monotonic
from typing import TypeAlias

from kosmolua import concurrency

Until: TypeAlias = Callable[[], float]
"""Returns when something has to be over, in terms of :func:`time.monotonic`. It is asked anew each time: a clock may
stand still meanwhile, or run out."""


class Clock:
    """Counts down from the moment it is made.

    Args:
        seconds: How long.
    """

    def __init__(self, seconds: float) -> None:
        self._ends = monotonic() + seconds
        self._stands_since: float | None = None
        self._lock = RLock()

    @property
    def ends(self) -> float:
        """When the time is over, in terms of :func:`time.monotonic`, if the clock goes on from now."""
        with self._lock:
            return self._end_if_it_goes_on()

    def _end_if_it_goes_on(self) -> float:
        return self._ends if self._stands_since is None else self._ends + monotonic() - self._stands_since

    @property
    def left(self) -> float:
        """How many seconds are left; 0 when there are none."""
        return max(self.ends - monotonic(), 0.0)

    def run_out(self) -> None:
        """Let there be no time left, for instance since the run is over."""
        with self._lock:
            self._ends, self._stands_since = min(self._ends, monotonic()), None

    @contextmanager
    def ringing(self, ring: Callable[[], None]) -> Iterator[None]:
        """Have something done, by another thread, if the time is over before the ``with`` block ends."""
        over = Event()
        concurrency.start_thread(partial(self._watch, over, ring), "clock")
        try:
            yield
        finally:
            over.set()

    def _watch(self, over: Event, ring: Callable[[], None]) -> None:
        while not over.wait(min(self.left, TIMEOUT_MAX)):
            if not self.left:
                ring()
                return

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Count no time until the ``with`` block ends. One thread at a time may do so."""
        with self._lock:
            self._stands_since = monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._ends, self._stands_since = self._end_if_it_goes_on(), None
