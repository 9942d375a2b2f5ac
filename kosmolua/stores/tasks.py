"""Tasks: runs that a server begins or continues at their time, which all servers with a store share.

A task is the tick of a schedule, the delivery of a hook, the end of a long sleep, or a notice to people. Each has an
id, and a second task with this id is not added, so that all servers can add what they know of. A server takes the
tasks that are due. It then holds them for the seconds of a *lease*, which it renews; when it dies, another server takes
them.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

SCHEDULE, HOOK, SLEEP, NOTICE = "schedule", "hook", "sleep", "notice"
"""Where tasks come from."""
RUNS = SCHEDULE, HOOK, SLEEP
"""Where those come from that begin or continue a run."""
TIMED = SCHEDULE, SLEEP
"""Where those of them come from that have a time, while deliveries come when they come."""
ALIAS = "alias"
"""The source of what is kept for a further id of a delivery, under the name of its hook."""
PLANNED, QUEUED, RUNNING, WAITING = "planned", "queued", "running", "waiting"
"""What becomes of a task: it waits for its time, has to wait for other runs, has begun, and sleeps. The status of one
that is over is that of its run, or ``missed`` or ``skipped``."""
TASK_LEASE = 20.0
"""Seconds after which another server takes the task of a server that has died."""


def new_run() -> str:
    """Return the id of a new run."""
    return secrets.token_hex(6)


@dataclass(frozen=True)
class ServerTask:
    """A run that begins or continues at its time, or a notice.

    Args:
        id: The id, of at most 200 characters.
        source: ``schedule``, ``hook``, ``sleep`` or ``notice``.
        name: The name of the schedule, the hook or the channel; empty for the sleep of any other run.
        run: The id of the run.
        since: The time of the tick or delivery, in seconds since 1970.
        due: When a server takes the task, or when its lease ends; None once it is over.
        status: What has become of it.
        attempt: How many times the run has failed and was tried again.
        given: What the script gets as ``input``, or what a notice says, as JSON; empty for nothing.
        note: Why it has this status; empty if there is nothing to say.
        holder: The random name of the server that holds it; empty if none does.
    """

    id: str
    source: str
    name: str
    run: str
    since: float
    due: float | None
    status: str = PLANNED
    attempt: int = 0
    given: str = ""
    note: str = ""
    holder: str = ""


class TaskQueue(Protocol):
    """The tasks of one tenant. Any thread may use it. Every method raises a ConfigError if the store is away."""

    def now(self) -> float:
        """Return the time by the clock that all servers with the store share, in seconds since 1970."""

    def add(self, task: ServerTask, also: Sequence[str] = ()) -> bool:
        """Add a task, and return True; return False if there was one with its id, or with one of the ids ``also``."""

    def add_all(self, tasks: Sequence[ServerTask]) -> list[ServerTask]:
        """Add tasks, and return those that were not added, since there were tasks with their ids."""

    def find(self, id: str) -> ServerTask | None:
        """Return the task with an id, or for one of the ids ``also`` of a task what was known when it was added."""

    def take(self, limit: int, sources: Sequence[str] = RUNS, name: str = "") -> list[ServerTask]:
        """Take the tasks of some sources, or of one name, that are due, the earliest first, and return them.

        They are held for :data:`TASK_LEASE`.
        """

    def renew(self, held: Sequence[ServerTask]) -> None:
        """Hold tasks for another lease, as far as no other server has taken them."""

    def begin(self, *tasks: ServerTask) -> list[ServerTask]:
        """Store that tasks that this process holds have begun, hold them for another lease, and return them.

        Those are left out that another server has taken meanwhile.
        """

    def put(self, *tasks: ServerTask) -> list[ServerTask]:
        """Store what has become of tasks that this process holds or has just found, hold them no longer, return them.

        Those are left out that another server has taken meanwhile.
        """

    def of(self, source: str, name: str, limit: int) -> list[ServerTask]:
        """Return the latest tasks of a schedule or hook, the latest first; those that are not over come before."""

    def open(self, source: str, *names: str) -> list[ServerTask]:
        """Return the tasks of some schedules or hooks or, without a name, of a source that are not over."""

    def prune(self, keep: float) -> None:
        """Remove the tasks that are over, and whose time was more than ``keep`` seconds ago."""

    def trim(self, source: str, name: str, count: int) -> None:
        """Remove the tasks of a schedule, hook or channel that are over, but for the latest ``count``.

        The further ids of deliveries are removed with them.
        """


def begin_by_hand(tasks: TaskQueue, schedule: str) -> ServerTask:
    """Let a server run the script of a schedule now, beside its ticks, and return the task."""
    now, run = tasks.now(), new_run()
    task = ServerTask(f"{SCHEDULE}/{schedule}/by-hand/{run}", SCHEDULE, schedule, run, now, now, QUEUED)
    tasks.add(task)
    return task


def is_by_hand(task: ServerTask) -> bool:
    """Return True for a task that a person has begun."""
    return "/by-hand/" in task.id


def pause_mark(source: str, name: str) -> str:
    """Return the mark in the store of a schedule or hook that a person has paused."""
    return f"paused-{name}" if source == SCHEDULE else f"{source}-paused-{name}"
