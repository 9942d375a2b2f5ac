"""The history of a tenant's runs: what a store says of each, and what its recording has besides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any

from kosmolua.broker.answers import calls_of
from kosmolua.broker.recording import Recording, events_of, revived
from kosmolua.broker.store import RUN_ID, Store, Summary
from kosmolua.errors import ConfigError, KosmoError, Paused

RUNNING, DAMAGED = "running", "damaged"
STATUSES = (RUNNING, "paused", "done", "failed", "limit", "interrupted", DAMAGED)
"""How a run stands, as lists offer it."""
MAX_RUNS = 2000
"""Runs that lists go back to, and usage is counted from."""


class CallSummary:
    """What is known of one call of a run.

    Args:
        call: As the recording has it.
    """

    __slots__ = ("account", "effect", "error", "path", "started", "status")

    def __init__(self, call: Mapping[str, Any]) -> None:
        self.path = str(call.get("path"))
        self.account = str(call.get("account") or "")
        self.effect = str(call.get("effect") or "")
        self.status = str(call.get("status"))
        self.error = str(call.get("error") or "")
        started = call.get("started") or call.get("time")
        self.started = datetime.fromisoformat(str(started)) if started else None

    @property
    def is_failed(self) -> bool:
        """True if it failed, was refused, or ended in doubt; a call that waits for an approval did not."""
        return self.status in ("failed", "refused", "unknown") and self.error != Paused.code

    @property
    def integration(self) -> str:
        """The integration that the function belongs to."""
        return self.path.rpartition(".")[0] or self.path


@dataclass(frozen=True)
class Details:
    """What a recording has of a run beside its summary.

    Args:
        seconds: For how long it ran, pauses left out.
        calls: Its calls.
        error: The error that ended it, or None.
    """

    seconds: float = 0.0
    calls: tuple[CallSummary, ...] = ()
    error: KosmoError | None = None


class Run:
    """A recorded run.

    Args:
        summary: What the store says of it.
        look: Returns what its recording has besides. It is called when that is asked for.
    """

    def __init__(self, summary: Summary, look: Callable[[Summary], Details]) -> None:
        self.id = summary.run
        self.status = summary.status
        self.script = summary.script
        self.mode = summary.mode
        self.client = summary.client or ""
        self.started = _moment(summary.time)
        self.ended = _moment(summary.ended)
        self._summary = summary
        self._look = look

    @property
    def seconds(self) -> float:
        """For how long it ran, pauses left out."""
        return self._look(self._summary).seconds

    @property
    def calls(self) -> tuple[CallSummary, ...]:
        """Its calls."""
        return self._look(self._summary).calls

    @property
    def error(self) -> KosmoError | None:
        """The error that ended it, or None."""
        return self._look(self._summary).error

    @property
    def writes(self) -> int:
        """How many calls wrote or destroyed something, or may have."""
        return sum(call.effect in ("write", "destroy") and call.status != "refused" for call in self.calls)

    @property
    def can_resume(self) -> bool:
        """True if the run can go on."""
        return self.status not in (RUNNING, DAMAGED, "done")

    def fits(self, words: str, status: str = "", mode: str = "") -> bool:
        """Return True if a run has all of some words in its id, names, error or functions, and a status and mode."""
        if (status and status != self.status) or (mode and mode != self.mode):
            return False
        if not words.split():
            return True
        error = self.error.message if self.error else ""
        text = " ".join([self.id, self.script, self.client, error, *{call.path for call in self.calls}]).lower()
        return all(word in text for word in words.lower().split())


class History:
    """The runs of one tenant. Any thread may use it."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Summary, Details]] = {}
        self._lock = Lock()

    def runs(self, store: Store) -> list[Run]:
        """Return the runs of a store, the latest first."""
        return [self._run(summary, store) for summary in store.runs(limit=MAX_RUNS)]

    def run(self, name: str, store: Store) -> Run | None:
        """Return a run of a store, or None if it has none of this id."""
        found = store.runs(beginning=name, limit=1) if RUN_ID.fullmatch(name) else []
        return self._run(found[0], store) if found else None

    def _run(self, summary: Summary, store: Store) -> Run:
        return Run(summary, lambda summary: self._details(summary, store))

    def _details(self, summary: Summary, store: Store) -> Details:
        """Return what a recording has, which is read again only if it was written since."""
        with self._lock:
            known = self._known.get(summary.run)
        if known and known[0] == summary:
            return known[1]
        try:
            details = _details_of(store.read(summary.run))
        except ConfigError as damage:  # or the store cannot be reached now: it is read anew the next time
            return Details(error=damage)
        with self._lock:
            if len(self._known) > 2 * MAX_RUNS:
                self._known.clear()
            self._known[summary.run] = summary, details
        return details


def _details_of(recording: Recording) -> Details:
    end = recording.end
    took = sum(float(event.get("usage", {}).get("wall_ms", 0)) for _, event in events_of(recording, "end"))
    error = revived(end["error"]) if end and end.get("error") else None
    calls = tuple(CallSummary(call) for call in calls_of(recording).values() if counts(call, error))
    return Details(took / 1000, calls, error)


def counts(call: Mapping[str, Any], error: KosmoError | None) -> bool:
    """Return False for a call that waited in an earlier pause: it was asked for again, by another number.

    Args:
        call: The call, as the recording has it.
        error: The error that ended the run last, or None.
    """
    waiting = [each["number"] for each in error.calls] if isinstance(error, Paused) else []
    return call.get("error") != Paused.code or call.get("number") in waiting


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
