"""Approvals: calls of running scripts that wait for a person, on the website or at the script's client.

Each waiting call is a question in the tenant's store. Any process that uses the store can answer it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from threading import Condition
from typing import NamedTuple

from kosmolua.broker.approvals import UNANSWERED, Approval, Approve, Asker, Reply
from kosmolua.broker.store import Decision, Store, Waiting
from kosmolua.concurrency import start_thread
from kosmolua.errors import ConfigError, WorkerLost

POLL_INTERVAL = 0.25
"""Seconds between two checks of the store."""
SOMEBODY = "a person"


class Answer(NamedTuple):
    """The answer to a question.

    Args:
        reply: The reply, or ``UNANSWERED`` if nobody gave one.
        by: Who gave it, for the journal.
    """

    reply: Reply
    by: str = SOMEBODY


class Approvals:
    """The calls of a tenant's scripts in this process that wait for a person. Any thread may use it.

    If a call is not decided in time, its run is paused. It can then be approved and resumed from its recording.

    Args:
        store: Returns the store for the questions.
    """

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        # Under the condition's lock: the run of each question, the answers that this process knows, the runs to pause.
        self._changed = Condition()
        self._open: dict[str, str] = {}
        self._answers: dict[str, Answer] = {}
        self._released: set[str] = set()

    def __len__(self) -> int:
        with self._changed:
            return len(self._open.keys() - self._answers.keys())

    def release(self, run: str | None = None) -> bool:
        """Pause a run that waits for approvals. Return False if it does not wait.

        Args:
            run: The id of the run; None for all runs that wait now.
        """
        with self._changed:
            runs = {each for each in self._open.values() if run in (None, each)}
            self._released |= runs
            self._changed.notify_all()
            return bool(runs)

    def ask(
        self, run: str, script: str, approvals: Sequence[Approval], seconds: float, client: Approve | None
    ) -> list[Answer]:
        """Wait until calls are decided, and return the answer for each.

        Args:
            run: The id of the run that makes the calls.
            script: The name of its script.
            approvals: The calls to decide.
            seconds: How long to wait at most.
            client: Also asks the person at the client, if not None; the first answer counts.
        """
        store, now = self._store(), time.time()
        questions = [
            Waiting(secrets.token_urlsafe(12), run, script, asdict(each), now, now + seconds) for each in approvals
        ]
        ids = [each.id for each in questions]
        with self._changed:
            self._open.update(dict.fromkeys(ids, run))
        try:
            for each in questions:
                with suppress(ConfigError):  # the store cannot be reached, but the client may answer
                    store.ask(each)
            if client:
                self._ask_client(client, ids, approvals)
            return self._wait(store, run, ids, now + seconds)
        finally:
            self._close(store, ids)
            if withdraw := getattr(client, "withdraw", None):
                withdraw()

    def _wait(self, store: Store, run: str, ids: Sequence[str], ends: float) -> list[Answer]:
        while (left := ends - time.time()) > 0:
            self._look(store, ids)
            with self._changed:
                if self._changed.wait_for(lambda: self._is_decided(run, ids), min(left, POLL_INTERVAL)):
                    break
        else:
            self._look(store, ids)
        with self._changed:
            self._released.discard(run)
            return [self._answers.get(each, Answer(UNANSWERED)) for each in ids]

    def _is_decided(self, run: str, ids: Sequence[str]) -> bool:
        return run in self._released or all(each in self._answers for each in ids)

    def _look(self, store: Store, ids: Sequence[str]) -> None:
        """Read new decisions from the store."""
        for each in ids:
            if each not in self._answers:
                with suppress(ConfigError):  # the store cannot be reached now
                    if decision := store.decision(each):
                        self._answer(each, decision)

    def _answer(self, question: str, decision: Decision) -> None:
        with self._changed:
            if question in self._open:
                self._answers.setdefault(question, Answer(decision.is_approved, decision.by or SOMEBODY))
                self._changed.notify_all()

    def _ask_client(self, client: Approve, ids: Sequence[str], approvals: Sequence[Approval]) -> None:
        asker, name = Asker(client), str(getattr(client, "name", SOMEBODY))

        def ask() -> None:
            for each, reply in zip(ids, asker.approve_many(approvals), strict=True):
                if reply is not UNANSWERED:
                    self._answer(each, Decision(reply, name))

        with suppress(WorkerLost):  # a person on the website may still answer
            start_thread(ask, "ask-client")

    def _close(self, store: Store, ids: Sequence[str]) -> None:
        with self._changed:
            for each in ids:
                del self._open[each]
                self._answers.pop(each, None)
        for each in ids:
            with suppress(ConfigError):  # if this fails, the question expires by itself
                store.withdraw(each)


class Approver:
    """Asks people about the calls of one run.

    Args:
        approvals: The waiting calls of the tenant.
        run: The id of the run.
        script: The name of its script.
        seconds: Returns how many seconds a call waits at most.
        client: Also asks the person at the run's client, if not None.
    """

    def __init__(
        self, approvals: Approvals, run: str, script: str, seconds: Callable[[], float], client: Approve | None = None
    ) -> None:
        self.name = SOMEBODY
        self._approvals = approvals
        self._run = run
        self._script = script
        self._seconds = seconds
        self._client = client

    def __call__(self, approval: Approval) -> Reply:
        """Ask about one call, and return the reply."""
        return self.approve_many([approval])[0]

    def approve_many(self, approvals: Sequence[Approval]) -> list[Reply]:
        """Ask about calls that wait at the same time, and return the replies in the same order."""
        answers = self._approvals.ask(self._run, self._script, approvals, self._seconds(), self._client)
        self.name = next((answer.by for answer in answers if answer.reply is True), SOMEBODY)
        return [answer.reply for answer in answers]
