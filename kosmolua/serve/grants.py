"""Grants: functions that a person has allowed for good on the page, each with one account."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from threading import Lock
from typing import Any

from kosmolua.broker.sheets import replace_file
from kosmolua.catalog.catalog import Catalog
from kosmolua.errors import CallError, ConfigError, PluginError


@dataclass(frozen=True)
class Grant:
    """A function that needs no approval.

    Args:
        path: The function, such as ``render2.restart_service``.
        account: The account.
        since: When it was allowed, in UTC.
    """

    path: str
    account: str
    since: str

    @property
    def pattern(self) -> str:
        """The grant as ``--allow`` takes it."""
        integration, _, function = self.path.rpartition(".")
        return f"{integration}.{glob.escape(self.account)}.{function}"


class Grants:
    """What a tenant's people have allowed for good, in a file. Any thread may use it, and any number of processes.

    A grant stands in for the person who would be asked; what is denied stays denied. A function that destroys cannot be
    granted: the accounts file can allow it.

    Args:
        path: The file. It need not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._lock = Lock()

    def __iter__(self) -> Iterator[Grant]:
        return iter(self._read())

    def add(self, path: str, account: str) -> None:
        """Allow a function with an account from now on.

        Raises:
            ConfigError: The file cannot be read or written.
        """
        with self._lock:
            kept = [each for each in self._read() if (each.path, each.account) != (path, account)]
            self._write([*kept, Grant(path, account, datetime.now(timezone.utc).isoformat(timespec="seconds"))])

    def revoke(self, path: str, account: str) -> None:
        """Have a person asked again.

        Raises:
            ConfigError: The file cannot be read or written.
        """
        with self._lock:
            self._write([each for each in self._read() if (each.path, each.account) != (path, account)])

    def patterns(self, catalog: Catalog) -> list[str]:
        """Return the grants whose function is still there, as the option ``allow`` of a run takes them."""
        return [grant.pattern for grant in self._read() if _is_there(grant, catalog)]

    def _read(self) -> list[Grant]:
        try:
            with open(self._path, encoding="utf-8") as file:
                listed: list[dict[str, Any]] = json.load(file)
                return [Grant(**each) for each in listed]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(f"The grants in {self._path} cannot be read: {error}") from None

    def _write(self, grants: list[Grant]) -> None:
        data = json.dumps([asdict(each) for each in grants], ensure_ascii=False, indent=1).encode()
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            replace_file(self._path, data)
        except OSError as error:
            raise ConfigError(f"The grants in {self._path} cannot be written: {error.strerror}") from None


def _is_there(grant: Grant, catalog: Catalog) -> bool:
    integration, _, function = grant.path.rpartition(".")
    try:
        return catalog.resolve(f"{integration}.{grant.account}.{function}").function.effect != "destroy"
    except (CallError, PluginError, ConfigError):
        return False
