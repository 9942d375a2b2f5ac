"""The timeline of a recorded run: its calls in the order in which they began, and a headline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from kosmolua.calls.records import may_have_written, waited_seconds
from kosmolua.errors import Paused
from kosmolua.escaping import exposed
from kosmolua.limits import spell_size
from kosmolua.recordings.answers import calls_of
from kosmolua.recordings.outlines import literal
from kosmolua.recordings.recording import Recording, events_of

MANY_REQUESTS = 429


class CallSummary:
    """A call of a recorded run, from its fields in the recording; times are in milliseconds.

    ``waited`` is the part of ``duration`` in which a person was asked, before anything was sent. ``is_write`` says
    whether the call changed something, or may have.
    """

    def __init__(self, call: Mapping[str, Any]) -> None:
        self.path = str(call.get("path")).removeprefix("integrations.")
        self.account = str(call.get("account") or "")
        self.effect = str(call.get("effect") or "")
        self.status = str(call.get("status"))
        self.error = str(call.get("error") or "")
        self.started = _moment(call)
        self.duration = float(call.get("duration_ms") or 0.0)
        self.waited = waited_seconds([call]) * 1000
        self.is_write = may_have_written(call)

    @property
    def worked(self) -> float:
        """The duration without the wait for a person."""
        return max(0.0, self.duration - self.waited)

    @property
    def is_ok(self) -> bool:
        """Whether the call succeeded."""
        return self.status == "ok"

    @property
    def is_failed(self) -> bool:
        """True if the call failed, was refused, or has an unknown result; False if it waits for an approval."""
        return self.status in ("failed", "refused", "unknown") and self.error != Paused.code

    @property
    def integration(self) -> str:
        """The name of the integration to which the function belongs."""
        return self.path.rpartition(".")[0] if self.effect else self.path.partition(".")[0]


class Bar(CallSummary):
    """One call, as a bar of the timeline, which begins so many milliseconds after the run's first call.

    ``ask`` is the script's request as it was recorded, with the arguments as the script passed them, which are shown if
    ``call`` has none, for instance because they are wrong. It is empty if the recording has no answer to the call.
    ``request`` is the method and the URL of the last HTTP request, and ``attempts`` has the status of each; 0 for one
    without an answer.
    """

    def __init__(self, call: dict[str, Any], ask: Sequence[Any], begins: float) -> None:
        super().__init__(call)
        self.number: int = call["number"]
        self.begins = begins
        self.allowed_by = str(call.get("allowed_by") or "")
        self.flows = [str(flow) for flow in call.get("flows") or ()]
        self.arguments = call.get("arguments") or (ask[2] if len(ask) > 2 else {})
        self.attempts = [int(status) for status in call.get("attempts") or ()]
        self.request = str(call.get("http") or "")
        self.request_id = str(call.get("request_id") or "")

    @property
    def named_arguments(self) -> Mapping[str, Any]:
        """The call's arguments by name. Arguments that were passed in order have their numbers as names."""
        given = self.arguments
        if isinstance(given, Mapping):
            return given
        if len(given) == 1 and isinstance(given[0], Mapping):
            return dict(given[0])
        return {str(place): value for place, value in enumerate(given, start=1)}

    @property
    def remarks(self) -> str:
        """The text beside the bar: the call's error, its retries, and its waits for a rate limit."""
        waits = self.attempts.count(MANY_REQUESTS)
        retries = len(self.attempts) - 1
        remarks = [self.error] if self.error else []
        remarks += (
            [f"{retries} {'retry' if retries == 1 else 'retries'}"] if retries > 0 and self.effect == "read" else []
        )
        remarks += [f"{len(self.attempts)} requests"] if retries > 0 and self.effect != "read" else []
        remarks += [f"waited for a rate limit {waits} {'time' if waits == 1 else 'times'}"] if waits else []
        return ", ".join(remarks)


def last_calls(recording: Recording) -> list[dict[str, Any]]:
    """Return the calls of a recording, without those that waited for an approval and were made later.

    Such a call has another number later, and is there only once.
    """
    waiting = {call["number"] for call in recording.paused_calls}
    return [
        call for number, call in calls_of(recording).items() if call.get("error") != Paused.code or number in waiting
    ]


def bars_of(recording: Recording) -> list[Bar]:
    """Return the :func:`last_calls` of a recording in the order in which they began.

    Time during which the run was paused does not count.
    """
    asked = {event["call"]["number"]: event["ask"] for _, event in events_of(recording, "answer") if event.get("call")}
    begins = _begins(recording)
    bars = [Bar(call, asked.get(call["number"], ()), begins.get(call["number"], 0.0)) for call in last_calls(recording)]
    first = min((bar.begins for bar in bars), default=0.0)
    for bar in bars:
        bar.begins -= first
    return sorted(bars, key=lambda bar: (bar.begins, bar.number))


def _begins(recording: Recording) -> dict[int, float]:
    """Return how many milliseconds the run had been running when each call began, by the calls' numbers."""
    begins: dict[int, float] = {}
    started = latest = datetime.fromisoformat(recording.header["time"])
    left_out = timedelta()
    for event in recording.events:
        if event["event"] == "resumed":
            resumed = datetime.fromisoformat(event["time"])
            left_out += max(resumed - latest, timedelta())
            latest = max(latest, resumed)
        if event["event"] == "end":
            latest = max(latest, datetime.fromisoformat(event["time"]))
        known = [event] if event["event"] == "intent" else [event.get("call"), *event.get("calls", ())]
        for call in known:
            if call and (moment := _moment(call)):
                begins[call["number"]] = (moment - started - left_out).total_seconds() * 1000
                latest = max(latest, moment + timedelta(milliseconds=float(call.get("duration_ms") or 0.0)))
    return begins


def _moment(call: Mapping[str, Any]) -> datetime | None:
    text = call.get("started") or call.get("time")
    return datetime.fromisoformat(str(text)) if text else None


def headline(recording: Recording, when: str = "") -> str:
    """Return one line that describes a recording: the run, its script, its time (by default in UTC) and its status."""
    header, script = recording.header, recording.script
    takes = 1 + sum(1 for _ in events_of(recording, "resumed"))
    resumed = f", resumed {takes - 1} times" if takes > 2 else ", resumed once" if takes == 2 else ""
    when = when or f"{datetime.fromisoformat(header['time']).astimezone():%Y-%m-%d %H:%M:%S}"
    name = script["name"].removeprefix("=")
    name = f"{name} ({recording.title})" if recording.title not in ("", name) else name
    ended = f"{recording.status}{resumed}, {spell_size(recording.size)}"
    return f"run {header['run']} of {name}, {when}, {header['mode']}: {ended}"


def compared(recording: Recording) -> list[str]:
    """Return a line for each call of a run, in the order in which they began, and one for its end; without times."""
    lines = []
    for bar in bars_of(recording):
        arguments = ", ".join(f"{name} = {literal(value)}" for name, value in bar.named_arguments.items())
        lines.append(exposed(f"{bar.path} [{bar.account}] {arguments}: {bar.status} {bar.error}".rstrip()))
    error = (recording.end or {}).get("error") or {}
    said = (error.get("fields") or {}).get("what", "")
    return [*lines, exposed(f"ended: {recording.status} {said}".rstrip())]
