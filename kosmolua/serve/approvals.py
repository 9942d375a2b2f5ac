"""Approvals: calls of running scripts that wait until a person approves or denies them.

Each waiting call is kept as a question in the tenant's store. So every process of the server can show the question on
the website, and pass the answer on. If the script's MCP client can ask its user, the client also shows the question.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Condition
from typing import Any, NamedTuple

from kosmolua.calls.approvals import UNANSWERED, Approval, Approve, Asker, Reply
from kosmolua.concurrency import start_thread
from kosmolua.errors import ConfigError, WorkerLost
from kosmolua.stores.store import Decision, Store, Vote, WaitingCall, ballot, same_name

POLL_INTERVAL = 0.25
"""Seconds between two checks for new decisions in the store."""
MAX_LOOKS = 100
"""How often all waiting calls of a tenant together look into the store, in a second."""
SOMEBODY = "a person"
OF_TENANT = "a person with the tenant's token"
"""All who have no token of their own, and so are one person."""


class PersonAnswer(NamedTuple):
    """A person's reply about a call, or ``UNANSWERED``; ``by`` is a phrase for the journal that says who replied."""

    reply: Reply
    by: str = SOMEBODY


class Approvals:
    """The calls of a tenant's scripts in this process that wait for a person. Any thread may use this object.

    If nobody decides about a call in time, the run is paused. A person can still approve the call later. The run is
    then resumed from its recording. ``store`` returns the tenant's store, in which the questions are kept; ``several``
    says of an effect whether several people have to approve such calls.
    """

    def __init__(self, store: Callable[[], Store], several: Callable[[str], bool] = lambda effect: False) -> None:
        self._store = store
        self._several = several
        self._subs: dict[str, str] = {}
        # The condition's lock protects: the run of each question, the answers that this process knows, the runs to
        # pause.
        self._changed = Condition()
        self._open: dict[str, str] = {}
        self._answers: dict[str, PersonAnswer] = {}
        self._released: set[str] = set()

    def know(self, person: str, sub: str) -> None:
        """Keep the ``sub`` of the token of a person who was seen."""
        self._subs[same_name(person)] = sub

    def sub_of(self, person: str) -> str:
        """Return the ``sub`` of the token of a person; empty if it is not known."""
        return self._subs.get(same_name(person), "")

    def answer(self, call: WaitingCall, decision: Decision, person: str = "", sub: str = "") -> bool:
        """Record a person's answer about a waiting call of a running script, and return False if it comes too late.

        ``person`` is the name in the person's token, and ``sub`` its ``sub``; both are empty for a tenant's token.
        """
        own = self.vote(call.run, call.call, person, sub) if decision.is_approved else None
        is_in_time = self._store().decide(call.id, decision)
        if own and not is_in_time:
            self._store().unvote(*own)
        return is_in_time

    def vote(self, run: str | None, call: Mapping[str, Any], person: str, sub: str = "") -> tuple[str, Vote] | None:
        """Keep a person's yes to a call that several people have to approve; return it if it is kept by this."""
        if not self._several(call["effect"]):
            return None
        own = ballot(run, call), Vote(person or OF_TENANT, sub or self.sub_of(person))
        return own if self._store().vote(*own) else None

    def __len__(self) -> int:
        with self._changed:
            return len(self._open.keys() - self._answers.keys())

    def release(self, run: str | None = None) -> bool:
        """Stop waiting for decisions about a run, or about all, so that it pauses. Return True if one waited."""
        with self._changed:
            runs = {each for each in self._open.values() if run in (None, each)}
            self._released |= runs
            self._changed.notify_all()
            return bool(runs)

    def ask(self, by: WebApprover, approvals: Sequence[Approval]) -> list[PersonAnswer]:
        """Ask people about calls of a run, wait as long as ``by`` says, and return the answer for each call."""
        store, now, run = self._store(), time.time(), by.run
        if by.is_resumed and (earlier := _decided_earlier(store, run, approvals)):
            return earlier
        ends = now + by.seconds()
        questions = [
            WaitingCall(secrets.token_urlsafe(12), run, by.script, each._asdict(), now, ends) for each in approvals
        ]
        ids = [each.id for each in questions]
        with self._changed:
            self._open.update(dict.fromkeys(ids, run))
        try:
            for each in questions:
                with suppress(ConfigError):  # the store cannot be reached, but the client may answer
                    store.ask(each)
            by.asked(questions)
            if by.client:
                self._ask_client(by.client, questions, approvals, by.person)
            return self._wait(store, run, ids, ends)
        finally:
            self._close(store, ids)
            if withdraw := getattr(by.client, "withdraw", None):
                withdraw()

    def _wait(self, store: Store, run: str, ids: Sequence[str], ends: float) -> list[PersonAnswer]:
        while (left := ends - time.time()) > 0:
            self._look(store, ids)
            with self._changed:
                pause = max(POLL_INTERVAL, len(self._open) / MAX_LOOKS)
                if self._changed.wait_for(
                    lambda: run in self._released or all(each in self._answers for each in ids), min(left, pause)
                ):
                    break
        else:
            self._look(store, ids)
        with self._changed:
            self._released.discard(run)
            return [self._answers.get(each, PersonAnswer(UNANSWERED)) for each in ids]

    def _look(self, store: Store, ids: Sequence[str]) -> None:
        """Look for new decisions about questions in the store, and keep them as the answers to these questions."""
        for each in ids:
            if each not in self._answers:
                with suppress(ConfigError):  # the store cannot be reached now
                    if decision := store.decision(each):
                        self._answer(each, decision)

    def _answer(self, question: str, decision: Decision) -> None:
        with self._changed:
            if question in self._open:
                self._answers.setdefault(question, PersonAnswer(decision.is_approved, decision.by or SOMEBODY))
                self._changed.notify_all()

    def _ask_client(
        self, client: Approve, questions: Sequence[WaitingCall], approvals: Sequence[Approval], person: str
    ) -> None:
        asker, name = Asker(client), str(getattr(client, "name", SOMEBODY))

        def ask() -> None:
            for each, reply in zip(questions, asker.approve_many(approvals), strict=True):
                if reply is True:
                    with suppress(ConfigError):  # without a store, the yes is not one of several
                        self.vote(each.run, each.call, person)
                if reply is not UNANSWERED:
                    self._answer(each.id, Decision(reply, name))

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


def _decided_earlier(store: Store, run: str, approvals: Sequence[Approval]) -> list[PersonAnswer]:
    """Take the answers that people gave to all these calls before the run's process died."""
    used: list[tuple[WaitingCall, Decision]] = []
    try:
        given = store.answered(run)
        for each in approvals:
            used.append(next(pair for pair in given if pair not in used and _is_same(pair[0], each)))
        for question, _ in used:
            store.withdraw(question.id)
    except (StopIteration, ConfigError):  # people are asked again
        return []
    return [PersonAnswer(decision.is_approved, decision.by or SOMEBODY) for _, decision in used]


def _is_same(question: WaitingCall, approval: Approval) -> bool:
    asked = json.loads(json.dumps(approval._asdict()))
    return all(question.call[name] == asked[name] for name in ("path", "account", "effect", "arguments"))


@dataclass
class WebApprover:
    """The option ``approve`` of one run: asks people on the website and, with ``client``, at the MCP client.

    The first answer counts.

    Args:
        approvals: Those of the tenant.
        run: The id of the run.
        script: The name of its script.
        seconds: Returns how long a call waits at most.
        client: Asks the person at the MCP client, whose token names ``person``.
        is_resumed: Whether people may have answered already, before the process died in which the run executed.
        asked: Is told of the questions.
        person: The name of the person at the MCP client.
    """

    approvals: Approvals
    run: str
    script: str
    seconds: Callable[[], float]
    client: Approve | None = None
    is_resumed: bool = False
    asked: Callable[[Sequence[WaitingCall]], None] = lambda questions: None
    person: str = ""
    name = SOMEBODY
    counts_people = True

    def __call__(self, approval: Approval) -> Reply:
        """Ask whether a call is approved, wait for a person's reply, and return it: True, False or ``UNANSWERED``."""
        return self.approve_many([approval])[0]

    def approve_many(self, approvals: Sequence[Approval]) -> list[Reply]:
        """Ask about calls that wait at the same time. Return a list with the reply for each of ``approvals``."""
        answers = self.approvals.ask(self, approvals)
        self.name = next((answer.by for answer in answers if answer.reply is True), SOMEBODY)
        return [answer.reply for answer in answers]
