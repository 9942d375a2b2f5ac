"""Checks of scripts and pages of documentation that another process works out, without the host's credentials."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from kosmolua.broker.options import RuntimeOptions
from kosmolua.catalog.catalog import Catalog
from kosmolua.check.checker import Checker, Report
from kosmolua.docs.library import Library
from kosmolua.docs.pages import DEFAULT_DETAIL
from kosmolua.docs.search import DEFAULT_HITS, Hit
from kosmolua.errors import ConfigError
from kosmolua.lua.values import Secrets, Value

SMALL = 2_048
"""Bytes of a script up to which its check takes less time than to ask another process."""
LOAD_TIMEOUT = 600.0
"""Seconds that large documents may take to compile."""
MAX_HOSTS = 8
"""For how many tenants a process keeps the integrations that it has loaded."""

OpenHost: TypeAlias = Callable[[RuntimeOptions], Any]
Settings: TypeAlias = tuple[bytes, bytes, tuple[str, ...], bytes, OpenHost]


class Apart:
    """What other processes need in order to check scripts and search for a host.

    ``call`` is :meth:`kosmolua.processes.readers.Readers.call`, for ``client``. Only the names of environment
    ``variables`` leave this process, since their values could be secrets. ``digest`` is that of the accounts that this
    process has read.
    """

    def __init__(
        self,
        call: Callable[..., Any],
        client: str | None,
        options: bytes,
        variables: Collection[str],
        digest: bytes,
        open_host: OpenHost,
    ) -> None:
        self._call = call
        self._client = client
        self._host = os.urandom(8), options, tuple(variables), digest, open_host  # what a later host reads may differ

    def check(self, account: str | None, secrets: Secrets | None, source: str | bytes) -> Report:
        """Check a script."""
        report: Report = self._call(self._client, _check, self._host, account, secrets, source)
        return report

    def load(self) -> None:
        """Load all integrations, and compile their documents to the cache."""
        self._call(self._client, _load, self._host, seconds=LOAD_TIMEOUT)

    def read(self, way: str, *given: Any, **options: Any) -> Any:
        """Call a method of the library."""
        return self._call(self._client, _read, self._host, way, given, options)


class ApartChecker(Checker):
    """Checks scripts that are not small in another process."""

    def __init__(self, catalog: Catalog, secrets: Secrets | None, account: str | None, apart: Apart) -> None:
        super().__init__(catalog.preferring(account), secrets)
        self._apart = apart
        self._account = account

    def check(self, source: str | bytes, known: Mapping[str, Value] | None = None) -> Report:
        if known is not None or len(source) <= SMALL:
            return super().check(source, known)
        try:
            return self._apart.check(self._account, self._secrets, source)
        except ConfigError:  # the accounts file has changed; this process has read what it was
            return super().check(source)


class ApartLibrary(Library):
    """Lists, searches and reads in another process."""

    def __init__(self, catalog: Catalog, apart: Apart) -> None:
        super().__init__(catalog)
        self._apart = apart

    def list(self, namespace: str | None = None) -> str:
        return str(self._ask("list", namespace))

    def search(self, query: str, *, limit: int = DEFAULT_HITS, for_scripts: bool = False) -> str:
        return str(self._ask("search", query, limit=limit, for_scripts=for_scripts))

    def find(self, query: str, *, limit: int = DEFAULT_HITS, for_scripts: bool = False) -> Sequence[Hit]:
        found: Sequence[Hit] = self._ask("find", query, limit=limit, for_scripts=for_scripts)
        return found

    def read(
        self, page: str, *, detail: str = DEFAULT_DETAIL, budget: int | None = None, for_scripts: bool = False
    ) -> str:
        return str(self._ask("read", page, detail=detail, budget=budget, for_scripts=for_scripts))

    def _ask(self, way: str, *given: Any, **options: Any) -> Any:
        try:
            return self._apart.read(way, *given, **options)
        except ConfigError:
            return getattr(super(), way)(*given, **options)


# In the other process


def _check(host: Settings, account: str | None, secrets: Secrets | None, source: str | bytes) -> Report:
    report = Checker(_opened(host).catalog.preferring(account), secrets).check(source)
    return report._replace(unconfigured=dict(report.unconfigured), session={})


def _load(host: Settings) -> None:
    _opened(host).load_integrations()


def _read(host: Settings, way: str, given: Sequence[Any], options: dict[str, Any]) -> Any:
    return getattr(_opened(host).docs, way)(*given, **options)


@lru_cache(MAX_HOSTS)
def _opened(host: Settings) -> Any:
    _, options, variables, digest, open_host = host
    given = {**RuntimeOptions.unpacked(options), "environ": dict.fromkeys(variables, "...")}
    opened = open_host(RuntimeOptions(**given))
    if opened.accounts.digest != digest:
        raise ConfigError("The accounts file has changed since the server read it")
    return opened
