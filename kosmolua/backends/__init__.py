"""The ways to answer a call: live, or simulated. A runtime picks one, when it first needs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from kosmolua.api.message import Attempt, Request, Response
from kosmolua.spec.integration import Integration

Observe: TypeAlias = Callable[[Attempt], None]
"""Told of each time that a request was sent."""


class Sender(Protocol):
    """Carries one account's requests."""

    def __call__(self, request: Request, *, until: float | None, observe: Observe) -> Response:
        """Send a request and return the answer.

        Args:
            request: What to send.
            until: When to give up, on the clock of :func:`time.monotonic`.
            observe: Told of each attempt.
        """


class Backend(Protocol):
    """A way to answer calls."""

    def sender(self, integration: Integration, account: str) -> Sender:
        """Return what carries the requests of an account; the same one each time."""

    def close(self) -> None:
        """Give up connections."""
