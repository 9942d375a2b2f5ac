"""Approvals: calls of running scripts that wait for a person, at the page or at the script's client."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from threading import Condition
from time import monotonic

from kosmolua.broker.approvals import UNANSWERED, Approval, Approve, Asker, Reply
from kosmolua.concurrency import start_thread
from kosmolua.errors import WorkerLost

SOMEBODY = "a person"


@dataclass(frozen=True)
class Waiting:
    """A call that waits for a person.

    Args:
        id: A random name, which :meth:`Approvals.decide` takes.
        run: The id of the run that makes it.
        approval: What is asked.
        since: When the call began to wait, in UTC.
    """

    id: str
    run: str
    approval: Approval
    since: datetime


class Approvals:
    """The calls of a tenant's running scripts that wait for a person. Any thread may use it.

    What is not decided in time pauses its run, which can be approved by its recording then.
    """

    def __init__(self) -> None:
        # Under the condition's lock.
        self._changed = Condition()
        self._waiting: dict[str, Waiting] = {}
        self._replies: dict[str, tuple[Reply, str]] = {}
        self._released: set[str] = set()

    def waiting(self) -> list[Waiting]:
        """Return what waits, the call that has waited for longest first."""
        with self._changed:
            return [each for each in self._waiting.values() if each.id not in self._replies]

    def decide(self, id: str, by: str = SOMEBODY, *, approved: bool) -> bool:
        """Decide about a call, and return True; False if it does not wait any more.

        Args:
            id: The name of what waits.
            by: Who decides, as the journal has it.
            approved: True if the call may be made.
        """
        with self._changed:
            if id not in self._waiting or id in self._replies:
                return False
            self._replies[id] = approved, by
            self._changed.notify_all()
            return True

    def release(self, run: str | None = None) -> bool:
        """Have a run wait no longer, and return True if it did; it is paused then.

        Args:
            run: The id of the run; None for all that wait now.
        """
        with self._changed:
            runs = {each.run for each in self._waiting.values() if run in (None, each.run)}
            self._released |= runs
            self._changed.notify_all()
            return bool(runs)

    def ask(
        self, run: str, approvals: Sequence[Approval], seconds: float, client: Approve | None
    ) -> list[tuple[Reply, str]]:
        """Wait until calls are decided, and return for each the reply and who gave it.

        Args:
            run: The id of the run that makes them.
            approvals: What is asked.
            seconds: How long they wait.
            client: Asks the person at the client too, if there is one; the first reply counts.
        """
        now = datetime.now(timezone.utc)
        entries = [Waiting(secrets.token_urlsafe(9), run, each, now) for each in approvals]
        ids = [each.id for each in entries]
        with self._changed:
            self._waiting.update((each.id, each) for each in entries)
        try:
            if client:
                self._ask_client(client, entries)
            return self._wait(run, ids, monotonic() + seconds)
        finally:
            with self._changed:
                for each in ids:
                    self._waiting.pop(each)
                    self._replies.pop(each, None)
            if withdraw := getattr(client, "withdraw", None):
                withdraw()

    def _wait(self, run: str, ids: Sequence[str], ends: float) -> list[tuple[Reply, str]]:
        with self._changed:
            self._changed.wait_for(
                lambda: run in self._released or all(each in self._replies for each in ids), ends - monotonic()
            )
            self._released.discard(run)
            return [self._replies.get(each, (UNANSWERED, "")) for each in ids]

    def _ask_client(self, client: Approve, entries: Sequence[Waiting]) -> None:
        asker, name = Asker(client), getattr(client, "name", SOMEBODY)

        def ask() -> None:
            for each, reply in zip(entries, asker.approve_many([each.approval for each in entries]), strict=True):
                if reply is not UNANSWERED:
                    self.decide(each.id, name, approved=reply)

        try:
            start_thread(ask, "ask-client")
        except WorkerLost:
            return  # the page can still decide


class Approver:
    """Asks about the calls of one run.

    Args:
        approvals: Where they wait.
        run: The id of the run.
        seconds: Returns how long a call waits.
        client: Asks the person at the run's client too, if there is one.
    """

    def __init__(
        self, approvals: Approvals, run: str, seconds: Callable[[], float], client: Approve | None = None
    ) -> None:
        self.name = SOMEBODY
        self._approvals = approvals
        self._run = run
        self._seconds = seconds
        self._client = client

    def __call__(self, approval: Approval) -> Reply:
        """Ask about one call."""
        return self.approve_many([approval])[0]

    def approve_many(self, approvals: Sequence[Approval]) -> list[Reply]:
        """Ask about calls that wait at the same time, and return the replies in the same order."""
        replies = self._approvals.ask(self._run, approvals, self._seconds(), self._client)
        self.name = next((by for reply, by in replies if reply is True), SOMEBODY)
        return [reply for reply, _ in replies]
