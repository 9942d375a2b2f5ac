"""The history of a tenant's runs: reads their summaries from the store, and their details from the recordings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from time import monotonic
from typing import Any

from kosmolua.calls.titles import UNNAMED, client_of, deeds_of, made_by
from kosmolua.errors import CheckFailed, ConfigError, KosmoError, Paused
from kosmolua.recordings.recording import Recording, events_of, revived
from kosmolua.recordings.timeline import CallSummary, last_calls
from kosmolua.stores.store import RunFilter, Store, Summary, writes_in

RUNNING, WAITING, PAUSED, DAMAGED = "running", "waiting", "paused", "damaged"
MAX_RUNS = 2000
"""How many of the latest runs a page counts or draws."""
BEGINNING = re.compile(r"[0-9a-f]{4,12}")


@dataclass(frozen=True)
class Details:
    """What a recording says: how many seconds the run took without pauses, its calls, and the error that ended it.

    ``answers`` has when people answered after the run had paused, and how many seconds after they had been asked.
    """

    seconds: float = 0.0
    calls: tuple[CallSummary, ...] = ()
    error: KosmoError | None = None
    answers: tuple[tuple[datetime, float], ...] = ()


class RunEntry:
    """A recorded run, as the website shows it. ``look`` reads its details when they are first needed."""

    def __init__(self, summary: Summary, look: Callable[[Summary], Details]) -> None:
        self.id = summary.run
        self.status = summary.status
        self.script = summary.script
        self.mode = summary.mode
        self.person = summary.person
        self.sha256 = summary.sha256
        self.client = client_of(summary.software, summary.client)
        self.waited = summary.waited
        self.version = summary.status, summary.written
        self.started = _moment(summary.time)
        self.ended = _moment(summary.ended)
        self.summary = summary
        self._look = look

    def read(self) -> Details:
        """Read the details now, unless they are cached, and return them."""
        return self._look(self.summary)

    @property
    def title(self) -> str:
        """What people recognise the run by."""
        if self.summary.title or self.status == DAMAGED:
            return self.summary.title or "unreadable"
        made = ({"path": call.path, "effect": call.effect} for call in self.calls)
        unnamed = "a script that calls nothing" if self.ended else "a script that has called nothing yet"
        return deeds_of(made) or (unnamed if self.script in UNNAMED else self.script)

    @property
    def by(self) -> str:
        """The client and the person, as far as they are known."""
        return made_by(self.summary.software, self.summary.client, self.person)

    @property
    def seconds(self) -> float:
        """How many seconds the run worked, not counting waits for people."""
        return self.summary.worked or self.read().seconds

    @property
    def calls(self) -> tuple[CallSummary, ...]:
        """The calls of the run."""
        return self.read().calls

    @property
    def count(self) -> int:
        """The number of calls."""
        made = self.summary.made
        return len(self.calls) if made is None or self.summary.waiting else sum(row[2] + row[3] for row in made)

    @property
    def error(self) -> KosmoError | None:
        """The error that ended the run, or None. If the recording cannot be read, the error that says why."""
        return self.read().error

    @property
    def why(self) -> str:
        """What ended the run early, on one line; empty if it ended by itself."""
        if self.status in (DAMAGED, "limit") or (self.summary.made is None and self.ended):
            return self.error.what if self.error else ""
        return self.summary.error

    @property
    def writes(self) -> int:
        """The number of calls that wrote or destroyed something, including those whose result is unknown."""
        if self.summary.made is not None:
            return writes_in(self.summary.made)
        return sum(call.is_write for call in self.calls)

    @property
    def made(self) -> Sequence[Sequence[Any]]:
        """A row for each function that was called: path, effect, how many calls were sent, and how many refused."""
        return self.summary.made or ()

    @property
    def is_failed(self) -> bool:
        """True if the run ended with an error or at a limit, or cannot be read."""
        return self.status in ("failed", "limit", DAMAGED)

    @property
    def ends_again(self) -> bool:
        """True if the run came to its end or to an error, so that a replay does so too, in about the time it worked."""
        return self.status in ("done", "failed", PAUSED) and not isinstance(self.error, CheckFailed)

    @property
    def has_ended(self) -> bool:
        """True if the run does not go on by itself, nor once a person answers."""
        return self.status not in (RUNNING, WAITING, PAUSED)

    @property
    def can_undo(self) -> bool:
        """True if the run has ended and has written something."""
        return self.has_ended and self.status != DAMAGED and self.writes > 0

    @property
    def can_resume(self) -> bool:
        """True if the run can be resumed: it is paused, has failed, reached a limit or was interrupted."""
        return self.status not in (RUNNING, DAMAGED, "done")


class History:
    """Reads the recorded runs of one tenant, and caches their details. Any thread may use this object.

    ``store`` returns the tenant's store.
    """

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        self._known: dict[str, tuple[Summary, Details]] = {}
        self._lock = Lock()

    def find(self, fitting: RunFilter, start: int, limit: int) -> tuple[list[RunEntry], int]:
        """Return the runs that a filter finds from the place ``start`` on, and how many it finds in all."""
        found, total = self._store().find_runs(fitting, start, limit)
        return [RunEntry(summary, self._details) for summary in found], total

    def known(self, runs: Iterable[RunEntry], seconds: float) -> list[RunEntry]:
        """Read the details of runs for so many seconds, and return the runs whose details are known then."""
        ends, found = monotonic() + seconds, list[RunEntry]()
        for run in runs:
            if monotonic() < ends:
                run.read()
            elif self._cached(run.summary) is None:
                continue
            found.append(run)
        return found

    def run(self, name: str) -> RunEntry | None:
        """Return the one run whose id is, or begins with, ``name``; None if there is none, or several."""
        found = self.find(RunFilter(beginning=name), 0, 2)[0] if BEGINNING.fullmatch(name) else []
        return found[0] if len(found) == 1 else None

    def _cached(self, summary: Summary) -> Details | None:
        with self._lock:
            known = self._known.get(summary.run)
        return known[1] if known and known[0] == summary else None

    def _details(self, summary: Summary) -> Details:
        """Return the details of a run. Read its recording only if it has changed or its details are not cached."""
        if known := self._cached(summary):
            return known
        try:
            details = _details_of(self._store().read(summary.run))
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
    calls = tuple(map(CallSummary, last_calls(recording)))
    return Details(took / 1000, calls, error, tuple(_answers_of(recording)))


def _answers_of(recording: Recording) -> Iterator[tuple[datetime, float]]:
    asked: dict[int, datetime] = {}
    for _, event in events_of(recording, "end", "decision"):
        if event["event"] == "end":
            waits = (call for call in event["calls"] if call.get("error") == Paused.code)
            asked = {call["number"]: datetime.fromisoformat(call.get("asked") or event["time"]) for call in waits}
        elif event["number"] in asked and event.get("time"):
            answered = datetime.fromisoformat(event["time"])
            yield answered, (answered - asked[event["number"]]).total_seconds()


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
