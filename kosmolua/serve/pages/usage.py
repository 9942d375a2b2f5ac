"""The usage page: how many calls a tenant's runs made, and how many failed, by day, integration, account and client."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone

from starlette.responses import Response

from kosmolua.schema.effects import changes
from kosmolua.serve.pages.history import CallSummary, RunEntry
from kosmolua.serve.pages.page_request import PageRequest

DEFAULT_DAYS = 30
CHOICES = ("7", "30", "90")


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
        self.writes += changes(call.effect) and call.status != "refused"


@dataclass
class PeriodUsage(Count):
    """The numbers of calls in a period: in total, by day from the oldest, and by groups, the largest first."""

    runs: int = 0
    days: list[Count] = field(default_factory=list)
    integrations: list[Count] = field(default_factory=list)
    accounts: list[Count] = field(default_factory=list)
    clients: list[Count] = field(default_factory=list)

    @property
    def peak(self) -> int:
        """The number of calls on the day with the most calls, but at least 1. The chart is scaled to it."""
        return max((day.calls for day in self.days), default=0) or 1


def shown(request: PageRequest) -> Response:
    """Return the page with the usage of recent days. The parameter ``days`` of the URL can be 7, 30 or 90."""
    asked = request.asked("days")
    days = int(asked) if asked in CHOICES else DEFAULT_DAYS
    usage = usage_of(request.own.runs(), datetime.now(timezone.utc).date(), days)
    return request.page("usage.html", "usage", usage=usage)


def usage_of(runs: Iterable[RunEntry], today: date, days: int) -> PeriodUsage:
    """Count the calls that runs made in so many days, of which ``today``, in UTC, is the last."""
    dates = [today - timedelta(days=back) for back in reversed(range(days))]
    by_day = {day: Count(f"{day:%b} {day.day}") for day in dates}
    groups: list[dict[str, Count]] = [{}, {}, {}]
    usage = PeriodUsage("")
    for run in runs:
        calls = [call for call in run.calls if call.started and call.started.date() in by_day]
        usage.runs += bool(calls) or (run.started is not None and run.started.date() in by_day)
        for call in calls:
            assert call.started
            by_day[call.started.date()].add(call)
            usage.add(call)
            names = (call.integration, f"{call.integration}.{call.account}", run.client or "unknown")
            for group, name in zip(groups, names, strict=True):
                group.setdefault(name, Count(name)).add(call)
    usage.days = list(by_day.values())
    usage.integrations, usage.accounts, usage.clients = (
        sorted(group.values(), key=lambda count: (-count.calls, count.name)) for group in groups
    )
    return usage
