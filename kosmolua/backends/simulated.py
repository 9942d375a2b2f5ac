"""Answers calls from the integrations' own simulators: no network, no credentials."""

from __future__ import annotations

from threading import Lock
from time import monotonic

from kosmolua.api.message import Attempt, Observe, Request, Response, Send
from kosmolua.backends import Sender
from kosmolua.clock import Until
from kosmolua.errors import NotConfigured
from kosmolua.spec.integration import Integration


class Simulated:
    """Keeps one simulator for each account, as long as the runtime lives."""

    def __init__(self) -> None:
        self._simulators: dict[tuple[str, str], Sender] = {}
        self._lock = Lock()

    def sender(self, integration: Integration, account: str) -> Sender:
        """Return the simulator of an account.

        Raises:
            NotConfigured: The integration has none.
        """
        if integration.simulate is None:
            raise NotConfigured(f"{integration.name} has no simulator", hint="run it without --simulate")
        with self._lock:
            key = (integration.name, account)
            if key not in self._simulators:
                self._simulators[key] = one_at_a_time(integration.simulate(account))
            return self._simulators[key]

    def close(self) -> None:
        """Forget all state."""
        self._simulators.clear()


def one_at_a_time(send: Send) -> Sender:
    """Return a sender in front of a function that need not expect several threads."""
    lock = Lock()

    def carry(request: Request, *, until: Until | None, observe: Observe) -> Response:
        started = monotonic()
        with lock:
            response = send(request)
        observe(Attempt(1, monotonic() - started, status=response.status, request_id=response.request_id))
        return response

    return carry
