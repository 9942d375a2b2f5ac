"""Names behind ids, for a person who is asked about a call."""

from __future__ import annotations

from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from kosmolua.broker.calls import Call
from kosmolua.broker.faults import blaming
from kosmolua.errors import KosmoError

if TYPE_CHECKING:
    from kosmolua.broker.open_accounts import OpenAccounts
    from kosmolua.schema.integration import Integration

NAME_TIMEOUT = 3.0
"""Seconds in which a name must be there; else the person sees the id alone."""
MAX_NAME = 100


class Names:
    """Looks up what services call the things behind ids. The script's calls are not counted with these reads.

    Args:
        accounts: The accounts that the run has opened.
    """

    def __init__(self, accounts: OpenAccounts) -> None:
        self._accounts = accounts
        self._known: dict[tuple[str, str, str, str], _Name] = {}
        self._lock = Lock()

    def of(self, integration: Integration, account: str, parameter: str, value: str) -> str:
        """Return the name behind an id, or nothing if the integration cannot tell. Each is looked up once."""
        with self._lock:
            name = self._known.setdefault((integration.name, account, parameter, value), _Name())
        with name.lock:
            if name.text is None:
                name.text = self._look_up(integration, account, parameter, value)
        return name.text

    def _look_up(self, integration: Integration, account: str, parameter: str, value: str) -> str:
        path, ends = f"{integration.name}, the name of a {parameter}", monotonic() + NAME_TIMEOUT
        call = Call("", 0, path)
        call.effect = "read"
        try:
            with (
                blaming(path, integration.origin),
                self._accounts.use(integration, account, call, lambda: ends) as opened,
            ):
                return str(integration.naming[parameter](opened, value))[:MAX_NAME]
        except KosmoError:  # the id alone has to do
            return ""


class _Name:
    """A name once it is looked up, and the lock of the thread that looks it up."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.text: str | None = None
