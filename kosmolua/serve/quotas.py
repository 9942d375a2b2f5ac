"""The quotas of a tenant: how many runs it starts in a minute, calls it makes in a day, and calls that wait."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from kosmolua.broker.records import Record
from kosmolua.errors import RateLimited
from kosmolua.serve.settings import TenantSettings

MINUTE, DAY = 60.0, 86_400
COUNTED = 5.0
"""Seconds between two counts of the waiting calls in the store."""


class Quotas:
    """Counts what a tenant's runs do in this process, and refuses runs beyond the tenant's quotas.

    The event loop's thread calls all methods but :meth:`called`.

    Args:
        settings: A function that returns the tenant's settings, which have the quotas.
        waiting: A function that returns how many calls of the tenant wait for a person, as the store knows.
        clock: A function that returns the time in seconds since 1970.
    """

    def __init__(
        self,
        settings: Callable[[], TenantSettings],
        waiting: Callable[[], int],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._count_waiting = waiting
        self._clock = clock
        self._starts: deque[float] = deque()
        self._day, self._calls = 0, 0
        self._waiting: int | None = None
        self._counted = 0.0

    @property
    def calls_left(self) -> int | None:
        """How many calls the tenant can still make today; None if there is no such quota."""
        most = self._settings().calls_per_day
        return None if most is None else max(most - (self._calls if self._day == self._today() else 0), 0)

    def admit(self) -> RateLimited | None:
        """Count a run that is about to start, and return None; or return the error with which it is refused."""
        now, settings = self._clock(), self._settings()
        while self._starts and self._starts[0] <= now - MINUTE:
            self._starts.popleft()
        if settings.runs_per_minute and len(self._starts) >= settings.runs_per_minute:
            what = f"This tenant can start {settings.runs_per_minute:,} scripts a minute"
            return RateLimited(what, retry_after=self._starts[0] + MINUTE - now)
        if self.calls_left == 0:
            what = f"This tenant can make {settings.calls_per_day:,} calls a day"
            return RateLimited(what, retry_after=DAY - now % DAY)
        self._starts.append(now)
        return None

    def is_to_count(self) -> bool:
        """Return True if the waiting calls have to be counted before it is known whether there are too many."""
        return self._waiting is None or (
            self._waiting >= self._settings().max_waiting and self._clock() - self._counted > COUNTED
        )

    def count(self) -> None:
        """Count the calls that wait for a person. This reads the store, so it is not called on the event loop.

        Raises:
            ConfigError: The store cannot be read.
        """
        self._waiting, self._counted = self._count_waiting(), self._clock()

    def admit_waiting(self) -> RateLimited | None:
        """Return the error for a run that is refused because too many calls wait for a person, or else None."""
        most = self._settings().max_waiting
        if (self._waiting or 0) < most:
            return None
        what = f"{most:,} or more calls of this tenant wait for a person, so nothing that may add to them begins"
        return RateLimited(what, retry_after=30, hint="approve or deny some of them")

    def called(self, call: Record) -> None:
        """Count a call that has ended, unless it was refused. Any thread may call this."""
        if call.status != "refused":
            today = self._today()
            if self._day != today:
                self._day, self._calls = today, 0
            self._calls += 1

    def paused(self, calls: int) -> None:
        """Count calls that wait for a person from now on, since their run has paused."""
        self._waiting = (self._waiting or 0) + calls

    def _today(self) -> int:
        return int(self._clock() // DAY)
