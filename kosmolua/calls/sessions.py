"""The sessions of a run, by integration and name: ``work/ann`` is a session of the account ``work``."""

from __future__ import annotations

from itertools import count
from threading import Lock
from typing import TYPE_CHECKING

from kosmolua.errors import NOTHING_SENT, BadArguments, SessionExpired
from kosmolua.schema.names import BEGIN, holder_of
from kosmolua.secret import Secret

if TYPE_CHECKING:
    from kosmolua.schema.function import NewSession
    from kosmolua.schema.integration import Integration


class OpenSessions:
    """The credentials of a run's sessions. Any thread may use it."""

    def __init__(self) -> None:
        self._credentials: dict[tuple[str, str], dict[str, Secret]] = {}
        self._lock = Lock()

    def begin(self, integration: Integration, account: str, session: NewSession) -> str:
        """Begin a session of an account, or of the account of a session, and return its name.

        Raises:
            BadArguments: A credential is not out of a result of this integration and account.
        """
        holder = f"{integration.name}.{holder_of(account)}"
        for name, each in session.credentials.items():
            if each.account != holder:
                what = f"{integration.name}.{BEGIN}: {name} is not out of a result of {holder}"
                raise BadArguments(what, param=name, hint="a session takes only what its own account's calls return")
        user = next((each.user for each in session.credentials.values() if each.user), "1")
        with self._lock:
            names = (f"{holder_of(account)}/{user}{f'-{number}' if number > 1 else ''}" for number in count(1))
            name = next(each for each in names if (integration.name, each) not in self._credentials)
            given = {field: Secret(str(each)) for field, each in session.credentials.items()}
            self._credentials[integration.name, name] = given
        return name

    def credentials(self, integration: str, account: str) -> dict[str, Secret]:
        """Return the credentials of a session, by the account's fields; raise SessionExpired if the session is over."""
        found = self._credentials.get((integration, account))
        if found is None:
            what = f"The session {integration}.{account} is over, or another run began it. {NOTHING_SENT}"
            raise SessionExpired(what, hint="log in again")
        return found

    def end(self, integration: str, account: str) -> None:
        with self._lock:
            self._credentials.pop((integration, account), None)
