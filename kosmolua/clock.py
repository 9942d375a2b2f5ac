"""The wall clock of a run: it counts down, stands still while a person is asked, and rings when the time is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic


class Clock:
    """Counts down from the moment it is made.

    Args:
        seconds: How long.
    """

    def __init__(self, seconds: float) -> None:
        self._ends_and_stood: tuple[float, float | None] = (monotonic() + seconds, None)

    @property
    def ends(self) -> float:
        """When the time is over, in terms of :func:`time.monotonic`, if the clock goes on from now."""
        ends, stood = self._ends_and_stood
        return ends if stood is None else ends + monotonic() - stood

    @property
    def left(self) -> float:
        """How many seconds are left; 0 when there are none."""
        return max(self.ends - monotonic(), 0.0)

    def run_out(self) -> None:
        """Let there be no time left, for instance since the run is over."""
        self._ends_and_stood = (min(self.ends, monotonic()), None)

    @contextmanager
    def ringing(self, ring: Callable[[], None]) -> Iterator[None]:
        """Have something done, by another thread, if the time is over before the ``with`` block ends."""
        over = Event()
        Thread(target=self._watch, args=(over, ring), name="kosmolua-clock", daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def _watch(self, over: Event, ring: Callable[[], None]) -> None:
        while not over.wait(self.left):
            if not self.left:
                ring()
                return

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Count no time until the ``with`` block ends. One thread at a time may do so."""
        self._ends_and_stood = (self.ends, monotonic())
        try:
            yield
        finally:
            self._ends_and_stood = (self.ends, None)
