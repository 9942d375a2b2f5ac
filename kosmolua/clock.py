"""The wall clock of a run: it counts down, and stands still while a person is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Count no time until the ``with`` block ends. One thread at a time may do so."""
        self._ends_and_stood = (self.ends, monotonic())
        try:
            yield
        finally:
            self._ends_and_stood = (self.ends, None)
