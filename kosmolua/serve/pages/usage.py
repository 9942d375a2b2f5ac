"""The page of usage: calls and errors of a tenant's runs, by day, integration, account and client."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone

from starlette.responses import Response

from kosmolua.serve.pages.history import CallSummary, Run
from kosmolua.serve.pages.visits import Visit

DEFAULT_DAYS = 30
CHOICES = ("7", "30", "90")


@dataclass
class Count:
    """Calls that have something in common.

    Args:
        name: The property that they have in common, such as the name of an account.
        calls: The number of calls.
        errors: How many failed, were refused, or have an unknown result.
        writes: How many had the effect write or destroy.
    """

    name: str
    calls: int = 0
    errors: int = 0
    writes: int = 0

    def add(self, call: CallSummary) -> None:
        """Count a call."""
        self.calls += 1
        self.errors += call.is_failed
        self.writes += call.effect in ("write", "destroy") and call.status != "refused"


@dataclass
class Usage(Count):
    """The calls of a period.

    Args:
        runs: The number of runs.
        days: The counts by day, the oldest first.
        integrations: The counts by integration, the busiest first.
        accounts: The counts by account, the busiest first.
        clients: The counts by the client of the runs, the busiest first.
    """

    runs: int = 0
    days: list[Count] = field(default_factory=list)
    integrations: list[Count] = field(default_factory=list)
    accounts: list[Count] = field(default_factory=list)
    clients: list[Count] = field(default_factory=list)

    @property
    def peak(self) -> int:
        """The calls of the busiest day."""
        return max((day.calls for day in self.days), default=0) or 1


def shown(visit: Visit) -> Response:
    """Show the usage of the last days."""
    asked = visit.asked("days")
    days = int(asked) if asked in CHOICES else DEFAULT_DAYS
    usage = usage_of(visit.own.runs(), datetime.now(timezone.utc).date(), days)
    return visit.page("usage.html", "usage", usage=usage)


def usage_of(runs: Iterable[Run], today: date, days: int) -> Usage:
    """Return the usage of the last ``days`` days up to today, in UTC."""
    dates = [today - timedelta(days=back) for back in reversed(range(days))]
    by_day = {day: Count(f"{day:%b} {day.day}") for day in dates}
    groups: list[dict[str, Count]] = [{}, {}, {}]
    usage = Usage("")
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
