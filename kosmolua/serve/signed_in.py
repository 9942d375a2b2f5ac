"""The sessions in which people are signed in to the website of a tenant."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from kosmolua.errors import ConfigError
from kosmolua.stores.store import Store, Stores

PREFIX = "session-"
"""What the mark of a session in the tenant's store begins with."""


class SignedIn:
    """The sessions of a tenant that have begun and not ended, as the tenant's store knows them.

    All methods block, and raise a ConfigError if the store cannot be used. ``stores`` returns the stores of all
    tenants, which know the sessions that have ended.
    """

    def __init__(self, store: Callable[[], Store], stores: Callable[[], Stores]) -> None:
        self._store = store
        self._stores = stores

    def begin(self, session: str, seconds: float) -> None:
        """Record that a person has signed in, for at most so many seconds."""
        self._store().mark(PREFIX + session, seconds)

    def all(self) -> dict[str, float]:
        """Return when each session ends, in seconds since 1970, by the id of the session."""
        marks = self._store().marks()
        return {name.removeprefix(PREFIX): until for name, until in marks.items() if name.startswith(PREFIX)}

    def forget(self, session: str) -> None:
        """Record that a session has ended, since its person has signed out."""
        with suppress(ConfigError):  # it is forgotten when it would have ended
            self._store().unmark(PREFIX + session)

    def revoke(self, session: str) -> bool:
        """End a session at all servers, and return True, or False if the tenant has no such session."""
        if session not in self.all():
            return False
        self._stores().end_session(session)
        self._store().unmark(PREFIX + session)
        return True
