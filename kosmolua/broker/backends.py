"""Backends: how requests are answered, by the services themselves, by simulators, or by canned answers in tests."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, RLock
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from kosmolua.clock import Until
from kosmolua.http.messages import Attempt, Observe, Request, Response, Send
from kosmolua.schema.integration import Integration

if TYPE_CHECKING:
    from kosmolua.http.transport import Transport


class Sender(Protocol):
    """Sends one account's requests."""

    def __call__(self, request: Request, *, until: Until | None, observe: Observe) -> Response:
        """Send a request and return the answer.

        Args:
            request: What to send.
            until: The deadline.
            observe: Called with each attempt.
        """


class Backend(Protocol):
    """Answers the requests of all accounts."""

    def sender(self, integration: Integration, account: str) -> Sender:
        """Return the sender of an account; the same one each time."""

    def sleep(self, seconds: float) -> float:
        """Let time pass for a script that waits, and return for how many seconds the script has to wait in fact."""

    def close(self) -> None:
        """Close all connections."""


class Live:
    """Sends requests to the services, over one transport for each account."""

    def __init__(self) -> None:
        self._transports: dict[tuple[str, str], Transport] = {}
        self._is_closed = False
        self._lock = RLock()

    def sleep(self, seconds: float) -> float:
        """Return the seconds: services know only real time."""
        return seconds

    def sender(self, integration: Integration, account: str) -> Sender:
        """Return the transport of an account."""
        if integration.carrier:
            carrier: Sender = integration.carrier(account)
            return carrier
        key = (integration.name, account)
        with self._lock:
            if key not in self._transports:
                from kosmolua.http.transport import Transport

                self._transports[key] = Transport()
            if self._is_closed:
                self._transports[key].close()
            return self._transports[key].send

    def close(self) -> None:
        """Close all connections; later requests fail."""
        with self._lock:
            self._is_closed = True
            for transport in self._transports.values():
                transport.close()


def one_at_a_time(send: Send) -> Sender:
    """Return a sender that calls a function from one thread at a time."""
    lock = Lock()

    def carry(request: Request, *, until: Until | None, observe: Observe) -> Response:
        started = monotonic()
        with lock:
            response = send(request)
        observe(Attempt(1, monotonic() - started, status=response.status, request_id=response.request_id))
        return response

    return carry


class Canned:
    """A backend for tests. ``requests`` holds every request, in order.

    Args:
        answers: Takes an account's name and returns the function that answers its requests.
    """

    def __init__(self, answers: Callable[[str], Send]) -> None:
        self.requests: list[Request] = []
        self._answers = answers
        self._senders: dict[str, Sender] = {}
        self._lock = Lock()

    def sleep(self, seconds: float) -> float:
        """Wait for nothing."""
        return 0.0

    def sender(self, integration: Integration, account: str) -> Sender:
        """Return the sender of an account."""
        with self._lock:
            if account not in self._senders:
                self._senders[account] = one_at_a_time(self._kept(self._answers(account)))
            return self._senders[account]

    def close(self) -> None:
        """Forget the accounts; the requests stay."""
        self._senders.clear()

    def _kept(self, send: Send) -> Send:
        def keep(request: Request) -> Response:
            self.requests.append(request)
            return send(request)

        return keep
