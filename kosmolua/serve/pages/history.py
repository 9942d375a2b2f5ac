"""The history of a tenant's runs: reads their summaries from the store, and their details from the recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any

from kosmolua.errors import ConfigError, KosmoError, Paused
from kosmolua.recordings.answers import calls_of
from kosmolua.recordings.recording import Recording, events_of, revived
from kosmolua.schema.effects import changes
from kosmolua.stores.store import RUN_ID, Store, Summary

RUNNING, DAMAGED = "running", "damaged"
STATUSES = (RUNNING, "paused", "done", "failed", "limit", "interrupted", DAMAGED)
"""The statuses by which a person can filter the list of runs."""
MAX_RUNS = 2000
"""How many of the latest runs the website uses for the list of runs and the usage page."""


class CallSummary:
    """A summary of one call of a recorded run, from the fields of the call in the recording."""

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
        """True if the call failed, was refused, or has an unknown result; False if it waits for an approval."""
        return self.status in ("failed", "refused", "unknown") and self.error != Paused.code

    @property
    def integration(self) -> str:
        """The name of the integration to which the function belongs."""
        return self.path.rpartition(".")[0] or self.path


@dataclass(frozen=True)
class Details:
    """What a recording says: how many seconds the run took without pauses, its calls, and the error that ended it."""

    seconds: float = 0.0
    calls: tuple[CallSummary, ...] = ()
    error: KosmoError | None = None


class RunEntry:
    """A recorded run, as the website shows it. ``look`` reads its details when they are first needed."""

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
        """How many seconds the run took, not counting pauses."""
        return self._look(self._summary).seconds

    @property
    def calls(self) -> tuple[CallSummary, ...]:
        """The calls of the run."""
        return self._look(self._summary).calls

    @property
    def error(self) -> KosmoError | None:
        """The error that ended the run, or None. If the recording cannot be read, the error that says why."""
        return self._look(self._summary).error

    @property
    def writes(self) -> int:
        """The number of calls that wrote or destroyed something, including those whose result is unknown."""
        return sum(changes(call.effect) and call.status != "refused" for call in self.calls)

    @property
    def can_resume(self) -> bool:
        """True if the run can be resumed: it is paused, has failed, reached a limit or was interrupted."""
        return self.status not in (RUNNING, DAMAGED, "done")

    def fits(self, words: str, status: str = "", mode: str = "") -> bool:
        """Return True if the run matches the filter of the list of runs; empty texts fit any run.

        Each of the ``words``, separated by spaces, must occur in the id of the run, the name of its script or client,
        its error message or the path of a function that it called.
        """
        if (status and status != self.status) or (mode and mode != self.mode):
            return False
        if not words.split():
            return True
        error = self.error.message if self.error else ""
        text = " ".join([self.id, self.script, self.client, error, *{call.path for call in self.calls}]).lower()
        return all(word in text for word in words.lower().split())


class History:
    """Reads the recorded runs of one tenant, and caches their details. Any thread may use this object."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Summary, Details]] = {}
        self._lock = Lock()

    def runs(self, store: Store) -> list[RunEntry]:
        """Return the runs in a store, beginning with the latest, but at most ``MAX_RUNS``."""
        return [self._run(summary, store) for summary in store.runs(limit=MAX_RUNS)]

    def run(self, name: str, store: Store) -> RunEntry | None:
        """Return the run whose id is, or begins with, ``name``, or None if the store has no such run."""
        found = store.runs(beginning=name, limit=1) if RUN_ID.fullmatch(name) else []
        return self._run(found[0], store) if found else None

    def _run(self, summary: Summary, store: Store) -> RunEntry:
        return RunEntry(summary, lambda summary: self._details(summary, store))

    def _details(self, summary: Summary, store: Store) -> Details:
        """Return the details of a run. Read its recording only if it has changed or its details are not cached."""
        with self._lock:
            known = self._known.get(summary.run)
        if known and known[0] == summary:
            return known[1]
        try:
            details = _details_of(store.read(summary.run))
        except ConfigError as damage:  # damaged, or the store cannot be reached now: try again the next time
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
    """Return True if the website shows this call of a run that ended with ``error``, if with any.

    When a paused run is resumed, the calls that waited for approval are made again with new numbers. So a call that
    waited is shown only if the run is still paused and ``error`` lists the call; otherwise the later call is shown.
    """
    waiting = [each["number"] for each in error.calls] if isinstance(error, Paused) else []
    return call.get("error") != Paused.code or call.get("number") in waiting


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
