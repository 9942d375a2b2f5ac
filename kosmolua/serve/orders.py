"""What people ask of the servers of a tenant: to cancel a run, or to begin none for a while."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from time import monotonic

from kosmolua.serve.grants import FRESHNESS
from kosmolua.stores.store import DAY, Store
from kosmolua.stores.tasks import RUNNING, RUNS, WAITING, ServerTask

CANCEL, DRAIN = "cancel-", "drain"
"""What the mark in the store of a run to cancel begins with, and the mark of a tenant that is drained."""
CANCEL_SECONDS = 60.0
"""Seconds after which an order is forgotten that no server carried out, since the run has ended."""
DRAIN_SECONDS = 3650 * DAY


class Orders:
    """The orders for a tenant, which are in the tenant's store, so that they reach all servers with the store.

    All methods block, and raise a ConfigError if the store cannot be used.
    """

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        self._marks: Collection[str] = ()
        self._read = -FRESHNESS

    def cancel(self, run: str) -> None:
        """Ask the server that has a run to end it, or any server if the run sleeps or is to be tried again."""
        store = self._store()
        store.mark(CANCEL + run, CANCEL_SECONDS)
        for task in self.asleep(run):
            store.tasks.put(replace(task, due=store.tasks.now()))

    def can_cancel(self, run: str, status: str) -> bool:
        """Return True if a run with this status is active or sleeps, or has failed and is to be tried again."""
        return status in (RUNNING, WAITING) or (status == "failed" and bool(self.asleep(run)))

    def asleep(self, run: str) -> list[ServerTask]:
        """Return the tasks that go on with a run that sleeps, or try one that failed again; at most one, usually."""
        open_tasks = (task for source in RUNS for task in self._store().tasks.open(source))
        return [task for task in open_tasks if task.run == run and task.status == WAITING and not task.holder]

    def drain(self, *, ends: bool = False) -> None:
        """Ask all servers to begin no run of the tenant, or, if ``ends``, to begin runs again."""
        if ends:
            self._store().unmark(DRAIN)
        else:
            self._store().mark(DRAIN, DRAIN_SECONDS)
        self._read = -FRESHNESS

    @property
    def is_fresh(self) -> bool:
        """True if :attr:`is_drained` was read within the last ``FRESHNESS`` seconds."""
        return monotonic() - self._read < FRESHNESS

    @property
    def is_drained(self) -> bool:
        """True if no run of the tenant may begin, as :meth:`read` found."""
        return DRAIN in self._marks

    def read(self) -> None:
        """Read the orders from the store."""
        began = monotonic()
        self._marks = self._store().marks()
        self._read = began

    def take(self, runs: Collection[str]) -> list[str]:
        """Read the orders, and return which of these runs are to be cancelled. The order to do so is removed."""
        self.read()
        cancelled = [run for run in runs if CANCEL + run in self._marks]
        for run in cancelled:
            self._store().unmark(CANCEL + run)
        return cancelled
