"""Stores of a tenant's recordings by the ids of their runs, of questions that wait for a person, and of grants.

A store belongs to one tenant and gives no access to the others'; :class:`Stores` has the stores of all tenants.
Several processes and hosts may use them at the same time: a folder that they share, or a database
(:mod:`kosmolua.broker.database`).

Calls wait for a person in two ways. A *paused* run has ended; its calls are in its recording, and the person who
resumes the run says which are approved. A *question* is asked by a run that is still running, perhaps in another
process; the run polls for the answer. A *grant* is the answer to all further questions about a function with an
account.
"""

from __future__ import annotations

import glob
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from kosmolua.broker.recording import Event, Recording
from kosmolua.broker.sheets import Place
from kosmolua.errors import ConfigError, Paused

DAY = 86400.0
KEY_SIZE = 32
APPROVAL_DAYS = 7
"""Days that a paused run waits for its approvals."""
DEFAULT_RUNS = 100
RUN_ID = re.compile(r"[0-9a-f]{12}")
TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True)
class Summary:
    """The entry of a recorded run in a list of runs.

    Args:
        run: The id of the run.
        status: ``running``, or the status of its outcome; ``damaged`` if its recording cannot be read.
        time: When it began, in UTC.
        ended: When it last ended; None while it runs, or if its process was killed.
        script: The name of its script.
        sha256: The script's hash, in hex.
        mode: ``live`` or ``simulated``.
        client: The client that the run belongs to, in a server of several clients.
        waiting: How many of its calls wait for an approval.
        written: When its recording was last written, in seconds since 1970.
    """

    run: str
    status: str
    time: str
    ended: str | None = None
    script: str = ""
    sha256: str = ""
    mode: str = ""
    client: str | None = None
    waiting: int = 0
    written: float = 0.0


@dataclass(frozen=True)
class Waiting:
    """A call that waits for a person.

    Args:
        id: The id of the question in its store.
        run: The id of the run; None if the run is not recorded.
        script: The name of the script.
        call: ``number`` (in its recording), ``path``, ``account``, ``effect``, ``arguments``, ``about`` and ``names``.
        since: When it was first asked, in seconds since 1970.
        until: When it stops waiting, in seconds since 1970.
        is_live: True if its run is still running, and goes on after :meth:`Store.decide`; False if the run is paused,
            and goes on when it is resumed.
    """

    id: str
    run: str | None
    script: str
    call: Mapping[str, Any]
    since: float
    until: float
    is_live: bool = True


@dataclass(frozen=True)
class Decision:
    """A person's answer to a question.

    Args:
        is_approved: True for yes.
        by: The name of the person.
        time: When the person answered, in seconds since 1970.
    """

    is_approved: bool
    by: str = ""
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Grant:
    """A function that a person has allowed permanently.

    Args:
        path: The function, such as ``render2.restart_service``.
        account: The account.
        since: When it was allowed, in UTC.
    """

    path: str
    account: str
    since: str

    @property
    def pattern(self) -> str:
        """The grant as a pattern for ``--allow``."""
        integration, _, function = self.path.rpartition(".")
        return f"{integration}.{glob.escape(self.account)}.{function}"


class Store(Protocol):
    """The recordings, questions and grants of one tenant. Any thread may use it.

    Every method raises a ConfigError if the store cannot be reached.
    """

    def place(self, run: str) -> Place:
        """Return the place of a run's recording, which need not exist.

        Raises:
            ConfigError: It is not the id of a run.
        """

    def read(self, run: str) -> Recording:
        """Return the recording of a run.

        Raises:
            ConfigError: There is no recording, or it is damaged.
        """

    def runs(
        self, *, status: str | None = None, before: str | None = None, beginning: str = "", limit: int = DEFAULT_RUNS
    ) -> list[Summary]:
        """Return recorded runs, the latest first.

        Args:
            status: Return only runs of this status.
            before: Return only runs that began before this time, given as in a summary.
            beginning: Return only runs whose ids begin with this text.
            limit: The largest number of runs to return.
        """

    def prune(self, keep: float) -> int:
        """Remove the recordings that were last written more than ``keep`` seconds ago, and return how many.

        A recording that is being written, or that waits for an approval, is kept.
        """

    def tidy(self, keep: float) -> None:
        """Remove old recordings like :meth:`prune`, unless this was done within the last day."""

    def waiting(self) -> list[Waiting]:
        """Return the calls that wait for a person, the one that waits longest first."""

    def ask(self, question: Waiting) -> None:
        """Store a question of a run that is still running."""

    def decide(self, question: str, decision: Decision) -> bool:
        """Answer a question and return True; return False if it no longer waits, or was answered already."""

    def decision(self, question: str) -> Decision | None:
        """Return the answer to a question, or None if there is none yet."""

    def withdraw(self, question: str) -> None:
        """Remove a question, whether it was answered or not."""

    def grants(self) -> list[Grant]:
        """Return all grants, the oldest first."""

    def grant(self, given: Grant) -> None:
        """Keep a grant. It replaces an earlier one for the same function and account."""

    def revoke(self, path: str, account: str) -> None:
        """Remove the grant for a function with an account, if there is one."""


class Stores(Protocol):
    """The stores of all tenants of a server."""

    def of(self, tenant: str) -> Store:
        """Return the store of a tenant.

        Raises:
            ConfigError: It is not a valid name of a tenant.
        """

    def key(self) -> bytes:
        """Return a secret key that all servers with these stores share. It is created on first use.

        Raises:
            ConfigError: The stores cannot be reached.
        """

    def close(self) -> None:
        """Close connections. They are opened again if they are needed."""


def paused_calls(run: str, script: str, end: Event) -> list[Waiting]:
    """Return the calls of a paused run that wait for an approval.

    Args:
        run: The id of the run.
        script: The name of its script.
        end: The last event of its recording.
    """
    since = datetime.fromisoformat(end["time"]).timestamp()
    until = since + APPROVAL_DAYS * DAY
    calls: Sequence[Event] = end["error"]["fields"]["calls"]
    name = script.removeprefix("=")
    return [Waiting(f"{run}-{call['number']}", run, name, call, since, until, is_live=False) for call in calls]


def waits(end: Mapping[str, Any]) -> bool:
    """Return True if the last event of a recording is a pause whose calls can still be approved."""
    if end.get("event") != "end" or (end.get("error") or {}).get("type") != Paused.__name__:
        return False
    return time.time() - datetime.fromisoformat(end["time"]).timestamp() < APPROVAL_DAYS * DAY


def checked_tenant(name: str) -> str:
    """Return the name of a tenant.

    Raises:
        ConfigError: It is not a valid name.
    """
    if not TENANT.fullmatch(name):
        raise ConfigError(f"{name[:40]!r} cannot be the name of a tenant", hint="use letters, digits, - and _")
    return name


def missing(run: str) -> ConfigError:
    """Return the error for a run that has no recording."""
    hint = "the answer for a paused script contains the run's id"
    return ConfigError(f"There is no recorded run {run[:40]!r}", hint=hint)
