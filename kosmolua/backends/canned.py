"""Answers calls from a function, and keeps what it was asked."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from kosmolua.api.message import Request, Response, Send
from kosmolua.backends import Sender
from kosmolua.backends.simulated import one_at_a_time
from kosmolua.spec.integration import Integration


class Canned:
    """A backend for tests; ``requests`` are all that were sent, in order.

    Args:
        answers: Given an account's name, returns what answers its requests.
    """

    def __init__(self, answers: Callable[[str], Send]) -> None:
        self.requests: list[Request] = []
        self._answers = answers
        self._senders: dict[str, Sender] = {}
        self._lock = Lock()

    def sender(self, integration: Integration, account: str) -> Sender:
        """Return what answers an account."""
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
