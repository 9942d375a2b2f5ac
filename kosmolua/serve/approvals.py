"""Approvals: calls of running scripts that wait for a person, at the page or at the script's client.

What waits is a question in the tenant's store, where any process that has the store can answer it.
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
"""Seconds between two looks into the store."""
SOMEBODY = "a person"


class Answer(NamedTuple):
    """What came of a question.

    Args:
        reply: The reply; nobody may have given one.
        by: Who gave it, as the journal has it.
    """

    reply: Reply
    by: str = SOMEBODY


class Approvals:
    """The calls of a tenant's scripts in this process that wait for a person. Any thread may use it.

    What is not decided in time pauses its run, which can be approved by its recording then.

    Args:
        store: Returns the store that has the questions.
    """

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        # Under the condition's lock: the run of each question, the answers that came in this process, runs to pause.
        self._changed = Condition()
        self._open: dict[str, str] = {}
        self._answers: dict[str, Answer] = {}
        self._released: set[str] = set()

    def __len__(self) -> int:
        with self._changed:
            return len(self._open.keys() - self._answers.keys())

    def release(self, run: str | None = None) -> bool:
        """Have a run wait no longer, and return True if it did; it is paused then.

        Args:
            run: The id of the run; None for all that wait now.
        """
        with self._changed:
            runs = {each for each in self._open.values() if run in (None, each)}
            self._released |= runs
            self._changed.notify_all()
            return bool(runs)

    def ask(
        self, run: str, script: str, approvals: Sequence[Approval], seconds: float, client: Approve | None
    ) -> list[Answer]:
        """Wait until calls are decided, and return what came of each.

        Args:
            run: The id of the run that makes them.
            script: The name of its script.
            approvals: What is asked.
            seconds: How long they wait.
            client: Asks the person at the client too, if there is one; the first answer counts.
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
                with suppress(ConfigError):  # the store cannot be reached: the client may still answer
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
        """Take over what was decided in the store."""
        for each in ids:
            if each not in self._answers:
                with suppress(ConfigError):  # it cannot be reached now
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

        with suppress(WorkerLost):  # the page can still answer
            start_thread(ask, "ask-client")

    def _close(self, store: Store, ids: Sequence[str]) -> None:
        with self._changed:
            for each in ids:
                del self._open[each]
                self._answers.pop(each, None)
        for each in ids:
            with suppress(ConfigError):  # it ends by itself
                store.withdraw(each)


class Approver:
    """Asks about the calls of one run.

    Args:
        approvals: Where they wait.
        run: The id of the run.
        script: The name of its script.
        seconds: Returns how long a call waits.
        client: Asks the person at the run's client too, if there is one.
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
        """Ask about one call."""
        return self.approve_many([approval])[0]

    def approve_many(self, approvals: Sequence[Approval]) -> list[Reply]:
        """Ask about calls that wait at the same time, and return the replies in the same order."""
        answers = self._approvals.ask(self._run, self._script, approvals, self._seconds(), self._client)
        self.name = next((answer.by for answer in answers if answer.reply is True), SOMEBODY)
        return [answer.reply for answer in answers]
