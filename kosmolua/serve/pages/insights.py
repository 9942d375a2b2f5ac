"""The insights: how many calls a tenant's runs made, how long they took, why they failed, and how long people took."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from math import ceil

from starlette.responses import Response

from kosmolua.errors import Paused
from kosmolua.recordings.timeline import CallSummary
from kosmolua.serve.pages.history import MAX_RUNS, RunEntry
from kosmolua.serve.pages.page_request import PageRequest
from kosmolua.stores.store import APPROVAL_DAYS, RunFilter

DEFAULT_DAYS = 7
CHOICES = {"1": "Last 24 hours", "7": "Last 7 days", "30": "Last 30 days", "90": "Last 90 days"}
"""The periods, by their days. That of one day is shown by the hour."""
LONGEST = timedelta(days=APPROVAL_DAYS)
"""How long before the period a run may have begun that made calls in it: so long it can wait for a person."""
READING = 0.05
"""Seconds for which recordings are read before a view is shown. What was read counts in the next view too."""
MAX_FUNCTIONS = 30
"""How many functions are listed, those with the most calls first."""


@dataclass
class Count:
    """How many calls of a group, such as all with one account, there were, failed, and changed something.

    Calls that were refused or have an unknown result are ``errors``; the latter may have changed something.
    """

    name: str
    calls: int = 0
    errors: int = 0
    writes: int = 0

    def add(self, call: CallSummary) -> None:
        """Add a call to the counts of the group."""
        self.calls += 1
        self.errors += call.is_failed
        self.writes += call.is_write


@dataclass
class Timed(Count):
    """The calls of a function, with how many seconds each took that was sent, in order."""

    seconds: list[float] = field(default_factory=list)

    def add(self, call: CallSummary) -> None:
        """Add a call to the counts and, if it was sent, its time."""
        super().add(call)
        if call.status in ("ok", "failed"):
            insort(self.seconds, call.worked / 1000)


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """Return the least time that so many percent of some times, which are in order, do not exceed; None without any."""
    return ordered[ceil(len(ordered) * percent / 100) - 1] if ordered else None


@dataclass
class Insights(Count):
    """The numbers of calls in a period: in total, by day or hour from the oldest, and by groups, the largest first.

    ``unit`` is ``hour`` or ``day``. ``waits`` are the seconds that people took to answer, in order, also while runs
    were paused.
    """

    unit: str = "day"
    runs: int = 0
    days: list[Count] = field(default_factory=list)
    functions: list[Timed] = field(default_factory=list)
    codes: list[tuple[str, int, str]] = field(default_factory=list)
    """Each error code with how many calls it ended, and the id of the latest run with it."""
    waits: list[float] = field(default_factory=list)
    integrations: list[Count] = field(default_factory=list)
    accounts: list[Count] = field(default_factory=list)
    clients: list[Count] = field(default_factory=list)

    @property
    def peak(self) -> int:
        """The number of calls in the busiest day or hour, but at least 1. The chart is scaled to it."""
        return max((day.calls for day in self.days), default=0) or 1


def shown(request: PageRequest) -> Response:
    """Return the insights of recent days. The parameter ``days`` of the URL can be 1, 7, 30 or 90."""
    asked = request.asked("days")
    days, now = int(asked) if asked in CHOICES else DEFAULT_DAYS, datetime.now(timezone.utc)
    begins, _ = _spans(now, days)
    runs, total = request.own.history.find(RunFilter(since=(begins - LONGEST).isoformat()), 0, MAX_RUNS)
    recent = [run for run in runs if run.ended is None or run.ended >= begins]
    known = request.own.known(recent, READING)
    runtime = request.own.runtime
    return request.page(
        "insights.html",
        "insights",
        parts=("live",),
        insights=insights_of(known, now, days),
        days=str(days),
        choices=CHOICES,
        percentile=percentile,
        budgets=[(each, each.used(runtime.store)) for each in runtime.budgets.all()] if runtime.budgets else [],
        unread=len(recent) - len(known),
        is_cut=total > len(runs) and len(runs) == len(recent),
        most=MAX_RUNS,
    )


def insights_of(runs: Iterable[RunEntry], now: datetime, days: int) -> Insights:
    """Count the calls that runs made in so many days in UTC, of which today is the last, or in the last 24 hours."""
    begins, spans = _spans(now, days)
    groups: list[dict[str, Count]] = [{}, {}, {}]
    functions: dict[str, Timed] = {}
    codes: dict[str, tuple[int, str]] = {}
    found = Insights("", unit="hour" if days == 1 else "day")
    for run in runs:
        sent = (call for call in run.calls if call.error != Paused.code)  # another one waits, and was not made
        calls = [call for call in sent if call.started and call.started >= begins]
        found.runs += bool(calls) or (run.started is not None and run.started >= begins)
        for answered, waited in run.read().answers:
            if answered >= begins:
                insort(found.waits, waited)
        for call in calls:
            assert call.started
            if span := spans.get(_span(call.started, days)):
                span.add(call)
            found.add(call)
            functions.setdefault(call.path, Timed(call.path)).add(call)
            if call.is_failed:
                count, latest = codes.get(call.error, (0, run.id))
                codes[call.error] = count + 1, latest
            if call.waited:
                insort(found.waits, call.waited / 1000)
            names = (call.integration, f"{call.integration}.{call.account}", run.client or "unknown")
            for group, name in zip(groups, names, strict=True):
                group.setdefault(name, Count(name)).add(call)
    found.days = list(spans.values())
    found.functions = sorted(functions.values(), key=lambda each: (-each.calls, each.name))[:MAX_FUNCTIONS]
    found.codes = sorted(((code, *rest) for code, rest in codes.items()), key=lambda each: (-each[1], each[0]))
    found.integrations, found.accounts, found.clients = (
        sorted(group.values(), key=lambda count: (-count.calls, count.name)) for group in groups
    )
    return found


def _spans(now: datetime, days: int) -> tuple[datetime, dict[datetime, Count]]:
    """Return the beginning of the period, and a count for each day or, for one day, for each hour of it."""
    if days == 1:
        hours = [_span(now, 1) - timedelta(hours=back) for back in reversed(range(24))]
        return hours[0], {hour: Count(f"{hour:%H:%M}") for hour in hours}
    dates = [_span(now, days) - timedelta(days=back) for back in reversed(range(days))]
    return dates[0], {day: Count(f"{day:%b} {day.day}") for day in dates}


def _span(moment: datetime, days: int) -> datetime:
    hour = moment.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
    return hour if days == 1 else hour.replace(hour=0)
