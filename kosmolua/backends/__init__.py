"""The ways to answer a call: live, or simulated. A runtime picks one, when it first needs it."""

from __future__ import annotations

from typing import Protocol

from kosmolua.api.message import Observe, Request, Response
from kosmolua.clock import Until
from kosmolua.spec.integration import Integration


class Sender(Protocol):
    """Carries one account's requests."""

    def __call__(self, request: Request, *, until: Until | None, observe: Observe) -> Response:
        """Send a request and return the answer.

        Args:
            request: What to send.
            until: When to give up.
            observe: Told of each attempt.
        """


class Backend(Protocol):
    """A way to answer calls."""

    def sender(self, integration: Integration, account: str) -> Sender:
        """Return what carries the requests of an account; the same one each time."""

    def close(self) -> None:
        """Give up connections."""
