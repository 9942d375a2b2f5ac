"""What people see of the schedules and hooks of a tenant: when each runs next, and what became of the last runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from kosmolua.serve.work.settings import WorkSettings
from kosmolua.stores.store import DAY, Store
from kosmolua.stores.tasks import HOOK, PLANNED, QUEUED, RUNNING, SCHEDULE, ServerTask, is_by_hand, pause_mark

HISTORY = 30
"""How many runs of a schedule or hook people see."""
_FOREVER = 3650 * DAY


@dataclass(frozen=True)
class Entry:
    """A schedule or a hook.

    Args:
        kind: ``schedule`` or ``hook``.
        name: Its name.
        script: The file of its script, or the name of a saved one.
        rule: When it runs: by the clock, or by which signature and address.
        next: The time of the next tick, in seconds since 1970; None for a hook, and while the schedule is paused.
        last: The task that began last; None if there is none.
        is_paused: Whether a person has paused it.
    """

    kind: str
    name: str
    script: str
    rule: str
    next: float | None
    last: ServerTask | None
    is_paused: bool

    def to_json(self) -> dict[str, Any]:
        """Return it for programs; times are in UTC."""
        last = self.last
        run = last.run if last and has_run(last) else None
        told = last and {"time": utc(last.since), "status": last.status, "run": run, "note": last.note or None}
        known = {"kind": self.kind, "name": self.name, "script": self.script, "when": self.rule}
        following = None if self.next is None else utc(self.next)
        return {**known, "paused": self.is_paused, "next": following, "last": told}


def utc(seconds: float) -> str:
    """Return a time in UTC, from seconds since 1970."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def entries(tenant: str, work: WorkSettings, store: Store) -> list[Entry]:
    """Return the schedules and the hooks of a tenant, by name; those of the user if the name is empty."""
    marks = store.marks() if work.schedules or work.hooks else {}
    found: list[Entry] = []
    for name, each in sorted(work.schedules.items()):
        ticks = store.tasks.of(SCHEDULE, name, HISTORY)
        planned = [task.since for task in ticks if _is_to_come(task)]
        is_paused = pause_mark(SCHEDULE, name) in marks
        following = None if is_paused else min(planned, default=each.next_after(store.tasks.now()))
        last = next(iter(begun(store, ticks)), None)
        found.append(Entry(SCHEDULE, name, each.script, each.rule, following, last, is_paused))
    for name, hook in sorted(work.hooks.items()):
        last = next(iter(history(store, HOOK, name)), None)
        rule = f"POST /hooks/{f'{tenant}/' if tenant else ''}{name} ({hook.signature})"
        found.append(Entry(HOOK, name, hook.script, rule, None, last, pause_mark(HOOK, name) in marks))
    return found


def history(store: Store, kind: str, name: str) -> list[ServerTask]:
    """Return the tasks of a schedule or hook that have begun, or were left out, the latest first."""
    return begun(store, store.tasks.of(kind, name, HISTORY))


def begun(store: Store, tasks: Iterable[ServerTask]) -> list[ServerTask]:
    """Return those tasks that have begun or are over, the latest first, each with the status that its run has now."""
    found = sorted((task for task in tasks if not _is_to_come(task)), key=lambda each: each.since, reverse=True)
    return [_as_it_is(store, task) for task in found]


def pause(store: Store, source: str, name: str, *, ends: bool = False) -> None:
    """Let the ticks of a schedule, or the deliveries of a hook, be skipped, or run again."""
    if ends:
        store.unmark(pause_mark(source, name))
    else:
        store.mark(pause_mark(source, name), _FOREVER)


def has_run(task: ServerTask) -> bool:
    """Return True unless the run of a task has not begun, or never will."""
    return task.status not in ("missed", "skipped", QUEUED)


def by_whom(task: ServerTask) -> str:
    """Return what has begun a task, for people."""
    return "by hand" if is_by_hand(task) else {SCHEDULE: "by the clock", HOOK: "by a service"}[task.source]


def _is_to_come(task: ServerTask) -> bool:
    return task.due is not None and task.status == PLANNED and not task.holder


def _as_it_is(store: Store, task: ServerTask) -> ServerTask:
    """Return a task whose run a person may have continued since with its present status."""
    if task.due is not None:
        return replace(task, status=RUNNING) if task.holder else task
    if task.status != "paused":
        return task
    found = store.runs(beginning=task.run, limit=1)
    return replace(task, status=found[0].status) if found else task
