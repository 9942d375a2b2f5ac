"""Clocks: the clock of a run, which stands still while a person is asked, and the date when simulated time begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from time import monotonic
from typing import TypeAlias

Until: TypeAlias = Callable[[], float]
"""A function that returns a deadline on the :func:`time.monotonic` scale. Call the function again before each wait,
since the deadline moves while the run's clock is paused, and when it is stopped."""
SIMULATION_START = 1772442000.0
"""When simulated time begins, in seconds since 1970: 2026-03-02 at 09:00 UTC."""


def moment() -> str:
    """Return the current time in the format of recordings, journals and logs: ISO 8601, in UTC, with milliseconds."""
    from datetime import datetime, timezone

    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


class Clock:
    """Counts down to a deadline, in ``seconds`` from now, and can be paused."""

    def __init__(self, seconds: float) -> None:
        self._ends = monotonic() + seconds
        self._paused_at: float | None = None
        self._lock = RLock()

    @property
    def ends(self) -> float:
        """The deadline, on the scale of :func:`time.monotonic`; it moves while the clock stands still."""
        with self._lock:
            return self._ends if self._paused_at is None else self._ends + monotonic() - self._paused_at

    @property
    def left(self) -> float:
        """The seconds until the deadline, at least 0."""
        with self._lock:
            now = monotonic()
            return max(self._ends - (now if self._paused_at is None else self._paused_at), 0.0)

    def skip(self, seconds: float) -> None:
        """Let seconds pass that are only simulated."""
        with self._lock:
            self._ends -= seconds

    def run_out(self) -> None:
        """Move the deadline to now."""
        with self._lock:
            self._ends, self._paused_at = min(self._ends, monotonic()), None

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Pause the clock during the block; one thread at a time."""
        with self._lock:
            self._paused_at = monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._ends, self._paused_at = self.ends, None
