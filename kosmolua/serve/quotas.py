"""The quotas of a tenant: how many runs it starts in a minute, calls it makes in a day, and calls that wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock

from kosmolua.calls.records import FinishedCall
from kosmolua.errors import ConfigError, RateLimited
from kosmolua.serve.settings import TenantSettings
from kosmolua.stores.store import Store

RUNS, CALLS = "runs", "calls"
"""The kinds of the counts in the store."""
MINUTE, DAY = 60, 86_400
COUNTED = 5.0
"""Seconds between two counts of the waiting calls in the store."""
MAX_PENDING = 100
"""How many calls of this process are added to the count in the store at once, while their runs are active."""


class Quotas:
    """Counts what a tenant's runs do, in the tenant's store, and refuses runs beyond the tenant's quotas.

    All servers with the store share the counts. Any thread may call the methods. Those that use the store block.
    ``settings`` and ``store`` return those of the tenant; ``clock`` returns the time in seconds since 1970.
    """

    def __init__(
        self, settings: Callable[[], TenantSettings], store: Callable[[], Store], clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._lock = Lock()
        self._calls = 0
        self._pending = 0
        self._waiting: int | None = None
        self._counted = 0.0

    @property
    def calls_left(self) -> int | None:
        """How many calls the tenant can make today, as :meth:`admit` found; None if there is no such quota."""
        most = self._settings().calls_per_day
        return None if most is None else max(most - self._calls - self._pending, 0)

    @property
    def uses_store(self) -> bool:
        """True if :meth:`admit` has to ask the store."""
        settings = self._settings()
        return bool(settings.runs_per_minute or settings.calls_per_day) or self._has_to_count_waiting()

    @property
    def has_calls(self) -> bool:
        """True if calls have ended that are not counted in the store yet."""
        return self._pending > 0

    def admit(self) -> RateLimited | None:
        """Count a run that is about to start, and return None; or return the error with which it is refused.

        Raises:
            ConfigError: The store cannot be used.
        """
        return self._refusal_by_waiting() or self._refusal_by_calls() or self._refusal_by_runs()

    def called(self, call: FinishedCall) -> None:
        """Count a call that has ended, unless it was refused."""
        if call.status == "refused" or self._settings().calls_per_day is None:
            return
        with self._lock:
            self._pending += 1
        if self._pending >= MAX_PENDING:
            self.add_calls()

    def add_calls(self) -> None:
        """Add the calls that have ended to the count in the store. If it cannot be used, they are added later."""
        with suppress(ConfigError):
            self._add_calls()

    def paused(self, calls: int) -> None:
        """Count calls that wait for a person from now on, since their run has paused."""
        self._waiting = (self._waiting or 0) + calls

    def _refusal_by_waiting(self) -> RateLimited | None:
        most = self._settings().max_waiting
        if self._has_to_count_waiting():
            self._waiting, self._counted = len(self._store().waiting()), self._clock()
        if (self._waiting or 0) < most:
            return None
        what = f"{most:,} or more calls of this tenant wait for a person, so nothing that may add to them begins"
        return RateLimited(what, retry_after=30, hint="approve or deny some of them")

    def _has_to_count_waiting(self) -> bool:
        return self._waiting is None or (
            self._waiting >= self._settings().max_waiting and self._clock() - self._counted > COUNTED
        )

    def _refusal_by_calls(self) -> RateLimited | None:
        most = self._settings().calls_per_day
        if most is None:
            return None
        self._add_calls()
        if self.calls_left:
            return None
        return RateLimited(f"This tenant can make {most:,} calls a day", retry_after=DAY - self._clock() % DAY)

    def _refusal_by_runs(self) -> RateLimited | None:
        most = self._settings().runs_per_minute
        now = self._clock()
        if most is None or self._store().count(RUNS, int(now // MINUTE), 1, most) is not None:
            return None
        return RateLimited(f"This tenant can start {most:,} scripts a minute", retry_after=MINUTE - now % MINUTE)

    def _add_calls(self) -> None:
        with self._lock:
            self._calls = self._store().count(CALLS, int(self._clock() // DAY), self._pending) or 0
            self._pending = 0
