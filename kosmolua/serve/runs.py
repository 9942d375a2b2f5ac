"""Runs under way: what a server knows of them, and who is told when one starts, makes a call, and ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from time import monotonic
from typing import Protocol

from kosmolua.broker.records import Record
from kosmolua.runs import Outcome


@dataclass
class Running:
    """A run under way.

    Args:
        tenant: Whose it is.
        id: Its id, which its recording has too.
        client: The client that wants it, as the server tells clients apart.
        script: The name of its script.
        sha256: The hash of the script's text, in hex; None if it goes on with a recorded run.
        started: When, in UTC.
    """

    tenant: str
    id: str
    client: str
    script: str
    sha256: str | None
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    _clock: float = field(default_factory=monotonic)

    @property
    def seconds(self) -> float:
        """The seconds since its start."""
        return monotonic() - self._clock


class Observer(Protocol):
    """Is told of the runs of all tenants, from any thread; what it raises ends the run."""

    def started(self, run: Running) -> None:
        """Take note of a run that starts."""

    def called(self, run: Running, call: Record) -> None:
        """Take note of a call that ended."""

    def ended(self, run: Running, outcome: Outcome) -> None:
        """Take note of a run that ended."""
