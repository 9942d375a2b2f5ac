"""Grants: functions that a person has permanently allowed on the website, each with one account."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from time import monotonic
from typing import NamedTuple

from kosmolua.broker.store import Grant, Store
from kosmolua.catalog.catalog import Catalog
from kosmolua.errors import CallError, ConfigError, PluginError

FRESHNESS = 1.0
"""The number of seconds for which a run may rely on what was read from the store for an earlier one."""


class _Read(NamedTuple):
    """What was read from the store: for which catalog, when, and the patterns."""

    catalog: Catalog
    time: float
    patterns: list[str]


class Grants:
    """The grants of a tenant, in the tenant's store. Any thread may use it.

    A grant replaces the question to a person. A call that is denied stays denied. A function that destroys cannot be
    granted here; only the accounts file can allow it. Every method raises a ConfigError if the store cannot be reached.

    Args:
        store: Returns the store.
    """

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        self._changed = 0.0
        self._read: _Read | None = None

    def __iter__(self) -> Iterator[Grant]:
        return iter(self._store().grants())

    def add(self, path: str, account: str) -> None:
        """Allow a function with an account from now on."""
        self._store().grant(Grant(path, account, datetime.now(timezone.utc).isoformat(timespec="seconds")))
        self._changed = monotonic()

    def revoke(self, path: str, account: str) -> None:
        """Remove a grant, so that a person is asked again."""
        self._store().revoke(path, account)
        self._changed = monotonic()

    def patterns(self, catalog: Catalog) -> list[str]:
        """Return the grants whose function still exists, as patterns for the option ``allow`` of a run."""
        began = monotonic()
        patterns = [grant.pattern for grant in self if _is_there(grant, catalog)]
        self._read = _Read(catalog, began, patterns)
        return patterns

    def recent_patterns(self, catalog: Catalog) -> list[str] | None:
        """Return what :meth:`patterns` returned a moment ago, without reading the store; None if it may have changed.

        A change by another process may go unnoticed for ``FRESHNESS`` seconds.
        """
        read = self._read
        if read is None or read.catalog is not catalog or read.time <= self._changed:
            return None
        return read.patterns if monotonic() - read.time < FRESHNESS else None


def _is_there(grant: Grant, catalog: Catalog) -> bool:
    integration, _, function = grant.path.rpartition(".")
    try:
        return catalog.resolve(f"{integration}.{grant.account}.{function}").function.effect != "destroy"
    except (CallError, PluginError, ConfigError):
        return False
