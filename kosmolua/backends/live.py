"""Answers calls from the services themselves, over one transport for each account."""

from __future__ import annotations

from threading import RLock

from kosmolua.api.transport import Transport
from kosmolua.backends import Sender
from kosmolua.spec.integration import Integration


class Live:
    """Keeps the connections of each account, as long as the runtime lives."""

    def __init__(self) -> None:
        self._transports: dict[tuple[str, str], Transport] = {}
        self._is_closed = False
        self._lock = RLock()

    def sender(self, integration: Integration, account: str) -> Sender:
        """Return the transport of an account."""
        key = (integration.name, account)
        with self._lock:
            if key not in self._transports:
                self._transports[key] = Transport()
            if self._is_closed:
                self._transports[key].close()
            return self._transports[key].send

    def close(self) -> None:
        """Close all connections. Nothing is sent any more."""
        with self._lock:
            self._is_closed = True
            for transport in self._transports.values():
                transport.close()
