"""The history of a tenant's runs: a summary of each recording, and the recordings themselves."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from threading import Lock
from typing import Any

from kosmolua.broker.answers import calls_of
from kosmolua.broker.recording import Event, Recording, events_of, is_in_use, read, revived
from kosmolua.errors import ConfigError, KosmoError, Paused
from kosmolua.runs.recorded import APPROVAL_DAYS

SUFFIX = ".jsonl"
RUNNING, DAMAGED = "running", "damaged"
"""What a summary has as the status of a run that is under way, and of a recording that cannot be read."""
STATUSES = (RUNNING, "paused", "done", "failed", "limit", "interrupted", DAMAGED)
_ID = re.compile(r"[0-9A-Za-z_-]{1,80}")


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
class Summary:
    """What a list says of a run.

    Args:
        id: The run's id, under which its recording is found.
        status: One of :data:`STATUSES`.
        script: The name of the script.
        mode: ``live`` or ``simulated``.
        client: Which client's run it is, or nothing.
        started: When.
        ended: When it ended last, or None.
        seconds: For how long it ran, pauses left out.
        calls: Its calls.
        waiting: The calls that wait for an approval, as an error of a pause has them.
        error: The error that ended it, or None.
    """

    id: str
    status: str
    script: str = ""
    mode: str = ""
    client: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    seconds: float = 0.0
    calls: tuple[CallSummary, ...] = ()
    waiting: tuple[Event, ...] = ()
    error: KosmoError | None = None

    @property
    def writes(self) -> int:
        """How many calls wrote or destroyed something, or may have."""
        return sum(call.effect in ("write", "destroy") and call.status != "refused" for call in self.calls)

    @property
    def can_resume(self) -> bool:
        """True if the run can go on."""
        return self.status not in (RUNNING, DAMAGED, "done")

    @property
    def expires(self) -> datetime | None:
        """Until when a paused run can be approved."""
        return self.ended + timedelta(days=APPROVAL_DAYS) if self.waiting and self.ended else None

    @property
    def is_expired(self) -> bool:
        """True if the calls of a paused run cannot be approved any more."""
        return self.expires is not None and datetime.now(timezone.utc) > self.expires

    def fits(self, words: str, status: str = "", mode: str = "") -> bool:
        """Return True if a run has all of some words in its id, names, error or functions, and a status and mode."""
        if (status and status != self.status) or (mode and mode != self.mode):
            return False
        error = self.error.message if self.error else ""
        text = " ".join([self.id, self.script, self.client, error, *{call.path for call in self.calls}]).lower()
        return all(word in text for word in words.lower().split())


class History:
    """The recordings of one tenant. Any thread may use it.

    Args:
        folder: Where they are. It need not exist.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = os.fspath(folder)
        self._known: dict[str, tuple[tuple[int, int], Summary]] = {}
        self._lock = Lock()

    def runs(self) -> list[Summary]:
        """Return a summary of each run, the latest first."""
        try:
            files = [file for file in os.scandir(self._folder) if file.name.endswith(SUFFIX)]
        except OSError:
            return []
        found = [self._summary(file.name.removesuffix(SUFFIX)) for file in files]
        earliest = datetime.min.replace(tzinfo=timezone.utc)
        return sorted(filter(None, found), key=lambda each: each.started or earliest, reverse=True)

    def run(self, name: str) -> Summary | None:
        """Return the summary of a run, or None if the tenant has none of this id."""
        return self._summary(name) if _ID.fullmatch(name) else None

    def path(self, name: str) -> str | None:
        """Return the recording of a run, or None if the tenant has none of this id."""
        path = os.path.join(self._folder, name + SUFFIX)
        return path if _ID.fullmatch(name) and os.path.isfile(path) else None

    def recording(self, name: str) -> Recording | None:
        """Return what a recording holds, or None if the tenant has none of this id.

        Raises:
            ConfigError: It cannot be read.
        """
        path = self.path(name)
        return read(path) if path else None

    def _summary(self, name: str) -> Summary | None:
        path = os.path.join(self._folder, name + SUFFIX)
        try:
            stat = os.stat(path)
        except OSError:
            return None
        version = (stat.st_mtime_ns, stat.st_size)
        with self._lock:
            known = self._known.get(name)
        if known is None or known[0] != version:
            known = version, summary_of(name, path)
            with self._lock:
                self._known[name] = known
        summary = known[1]
        return replace(summary, status=RUNNING) if summary.status == "interrupted" and is_in_use(path) else summary


def summary_of(name: str, path: str) -> Summary:
    """Return the summary of a recording; one that cannot be read is ``damaged``, with the error."""
    try:
        recording = read(path)
    except ConfigError as damage:
        return Summary(name, DAMAGED, error=damage)
    end, header = recording.end, recording.header
    error = revived(end["error"]) if end and end.get("error") else None
    ends = [event for _, event in events_of(recording, "end")]
    return Summary(
        name,
        recording.status,
        str(recording.script["name"]).removeprefix("="),
        header["mode"],
        header.get("client") or "",
        datetime.fromisoformat(header["time"]),
        datetime.fromisoformat(end["time"]) if end else None,
        sum(float(each.get("usage", {}).get("wall_ms", 0)) for each in ends) / 1000,
        tuple(CallSummary(call) for call in calls_of(recording).values()),
        tuple(error.calls) if isinstance(error, Paused) else (),
        error,
    )
