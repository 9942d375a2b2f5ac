"""Active runs of a server, and the observers that are told when a run starts, makes a call, and ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from time import monotonic
from typing import Protocol

from kosmolua.broker.records import Record
from kosmolua.runs import Outcome


@dataclass
class Running:
    """An active run.

    Args:
        tenant: The name of its tenant.
        id: The id of the run, and of its recording.
        client: The name by which the server identifies the client that started it.
        script: The name of its script.
        sha256: The SHA-256 of the script's text, in hex, or None.
        started: The time of the start, in UTC.
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
        """The seconds since the start of the run."""
        return monotonic() - self._clock


class Observer(Protocol):
    """Is told of the runs of all tenants, in any thread. An error that it raises ends the run."""

    def started(self, run: Running) -> None:
        """Handle the start of a run."""

    def called(self, run: Running, call: Record) -> None:
        """Handle the end of a call."""

    def ended(self, run: Running, outcome: Outcome) -> None:
        """Handle the end of a run."""
