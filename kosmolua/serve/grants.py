"""Grants: permanent approvals of all calls of a function with an account, which people make on the website."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from threading import Lock
from time import monotonic
from typing import NamedTuple

from kosmolua.catalog.catalog import Catalog
from kosmolua.errors import CallError, ConfigError, PluginError
from kosmolua.schema.effects import is_final
from kosmolua.stores.store import Grant, Store

FRESHNESS = 1.0
"""Seconds for which grants that were read from the store are used without reading the store again."""


class _Read(NamedTuple):
    """The grants as patterns for ``allow``, when they were read, and the catalog that they were checked against."""

    catalog: Catalog
    time: float
    patterns: list[str]


class Grants:
    """The functions that people of a tenant have permanently allowed, each with an account. Any thread may use this.

    Nobody is asked about a call of such a function. Calls that the permissions deny stay denied. A function that
    destroys something cannot be granted; only the accounts file can allow it. Every method that uses the store raises a
    ConfigError if the store cannot be reached.
    """

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        self._reading = Lock()
        self._changed = 0.0
        self._read: _Read | None = None

    def __iter__(self) -> Iterator[Grant]:
        return iter(self._store().grants())

    def add(self, path: str, account: str) -> None:
        """Store a grant: calls of a function with an account need no approval from now on."""
        self._store().grant(Grant(path, account, datetime.now(timezone.utc).isoformat(timespec="seconds")))
        self._changed = monotonic()

    def revoke(self, path: str, account: str) -> None:
        """Remove a grant: calls of the function with the account need approval again."""
        self._store().revoke(path, account)
        self._changed = monotonic()

    def patterns(self, catalog: Catalog) -> list[str]:
        """Return the grants as patterns for the option ``allow`` of a run, from the store unless they are recent.

        A grant is left out if its function no longer exists, or if the function now destroys something.
        """
        with self._reading:  # others that come meanwhile find what was read
            if (known := self.recent_patterns(catalog)) is not None:
                return known
            began = monotonic()
            patterns = [grant.pattern for grant in self if _is_there(grant, catalog)]
            self._read = _Read(catalog, began, patterns)
        return patterns

    def recent_patterns(self, catalog: Catalog) -> list[str] | None:
        """Return the last result of :meth:`patterns` without reading the store, or None if this result is outdated.

        It is outdated after ``FRESHNESS`` seconds, after this process has changed a grant, and if it was made with
        another catalog. A change by another process goes unnoticed for up to ``FRESHNESS`` seconds.
        """
        read = self._read
        if read is None or read.catalog is not catalog or read.time <= self._changed:
            return None
        return read.patterns if monotonic() - read.time < FRESHNESS else None


def _is_there(grant: Grant, catalog: Catalog) -> bool:
    integration, _, function = grant.path.rpartition(".")
    try:
        return not is_final(catalog.resolve(f"{integration}.{grant.account}.{function}").function.effect)
    except (CallError, PluginError, ConfigError):
        return False
