"""The active runs of a server, and the interface of the observers that are told about each run and call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from time import monotonic

from kosmolua.calls.records import FinishedCall
from kosmolua.runs import Outcome
from kosmolua.stores.store import WaitingCall


@dataclass
class Running:
    """A run of a script that is active on the server. ``id`` is that of its recording too.

    ``client`` is a name by which the server distinguishes clients; ``sha256`` that of the script's text in hex, None if
    it is not known; ``title``, ``software`` and ``person`` are for people. ``interrupt`` ends the run.
    ``is_retried`` is True if it is tried again when it fails by an error that may pass.
    """

    tenant: str
    id: str
    client: str
    script: str
    sha256: str | None
    title: str = ""
    software: str = ""
    person: str = ""
    interrupt: Callable[[], None] = lambda: None
    is_retried: bool = False
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    _clock: float = field(default_factory=monotonic)

    @property
    def seconds(self) -> float:
        """The number of seconds since the start of the run."""
        return monotonic() - self._clock


class Observer:
    """An object that is told about the runs of all tenants, such as the metrics or the log, of what it wants to know.

    The methods can be called in any thread. If :meth:`called` raises an error, the run ends with this error.
    """

    def started(self, run: Running) -> None:
        """Process the start of a run."""

    def called(self, run: Running, call: FinishedCall) -> None:
        """Process the end of a call of a run."""

    def asked(self, run: Running, questions: Sequence[WaitingCall]) -> None:
        """Process that calls of a run wait for a person."""

    def ended(self, run: Running, outcome: Outcome) -> None:
        """Process the end of a run."""
