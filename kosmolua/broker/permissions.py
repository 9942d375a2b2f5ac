"""Permissions: the options of the run, the accounts file, and a person decide whether a call is allowed.

The first of these that applies decides: ``--deny``; ``--read-only``; the permission ``deny`` or ``allow`` in the
accounts file. If the permission is ``ask``, the first of these that applies decides: ``--allow``; ``--yes``, unless the
call destroys something; a person's answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Lock
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from kosmolua.accounts.permissions import is_pattern
from kosmolua.calls.approvals import UNANSWERED, Approval, Asker, Reply
from kosmolua.errors import Denied, KosmoError, Paused
from kosmolua.schema.effects import is_final

if TYPE_CHECKING:
    from kosmolua.broker.host import Host
    from kosmolua.broker.options import RunContext
    from kosmolua.catalog.catalog import Target
    from kosmolua.clock import Clock
    from kosmolua.flow.judge import Verdict

GATHERING_INTERVAL = 0.03
"""Seconds between two checks for further calls that need a person's approval."""
QUIET_INTERVALS = 8
"""How many checks in a row must find no further call before the waiting calls become one question."""
APPROVED_LATER = "approved with kosmolua resume"
"""The journal's words for a call that a person approved while the run was paused."""
MAX_GATHERING = 3.0
"""How many seconds a call waits at most for other calls to join the same question."""


class Permissions:
    """Decides whether a run's calls are allowed.

    The clock of the context is paused while a person is asked.

    Raises:
        TypeError: ``approve`` is a coroutine function, which no code would await.
    """

    def __init__(self, host: Host, context: RunContext) -> None:
        self._host = host
        self._run = context.id
        self._counting = Lock()
        self._decided = context.decided
        self._later = f"approved by {context.person}" if context.person else APPROVED_LATER
        self._read_only = context.read_only or host.read_only
        self._allow = [*host.allow, *context.allow]
        self._deny = [*host.deny, *context.deny]
        self._allow_flow = host.allow_flow
        self._questions = _Questions(Asker(context.approve), context.clock) if context.approve else None
        self.can_ask = self._questions is not None
        """Whether a person can be asked."""

    def refuse_if_denied(self, target: Target) -> None:
        """Raise :class:`Denied` if an option, a read-only run or the accounts file denies a call of ``target``."""
        for patterns in self._deny:
            if option := patterns.fitting(target):
                raise Denied(f"{target.path} is denied by {option}", hint=self._way_past(option))
        if self._read_only and target.function.effect != "read":
            if self._host.read_only:
                way = self._way_past("--read-only")
            else:
                way = f"run the script {'' if self._host.is_served else 'without --read-only, or '}in another mode"
            raise Denied(f"{target.path} {target.function.effect}s, and this run is read-only", hint=way)
        rule = target.rule
        if rule.permission == "deny" and not rule.among:
            set_to = _key(rule.key) if rule.why else f'{_key(rule.key)} = "deny"'
            raise Denied(
                f"{_subject(target)}, and the account's permissions deny that{f': {rule.why}' if rule.why else ''}",
                hint=f"{set_to} is set in permissions under [{rule.section}] in the accounts file",
                detail=str(self._host.accounts.path),
            )

    def refuse_script_if_denied(self, name: str) -> None:
        """Raise :class:`Denied` if an option denies that another script calls the user's script ``name``."""
        for patterns in self._deny:
            if option := patterns.fitting_script(name):
                raise Denied(f"scripts.{name} is denied by {option}", hint=self._way_past(option))

    def _way_past(self, option: str) -> str:
        """Return what to do about an option; where ``kosmolua mcp`` reads the hint, it is the server's."""
        return f"the server was started with {option}" if self._host.is_served else f"leave out {option}"

    def allow(
        self,
        target: Target,
        arguments: Mapping[str, object],
        *,
        number: int = 0,
        details: Callable[[], Mapping[str, Any]] = dict,
        flows: Sequence[Verdict] = (),
    ) -> str:
        """Decide whether a call that is not denied is allowed, and return what allowed it, such as ``--yes``.

        A person is asked only if nothing else allows the call. ``details`` returns what else the question shows, and is
        called only then. ``flows`` say why a person should decide, whatever else allows the call.

        Raises:
            Denied: The person said no, nobody can be asked, or the mode of ``[kosmolua.flow]`` is ``deny``.
            Paused: Nobody can be asked now, and the run can be resumed after somebody has decided.
        """
        held = self._held(target, flows) if flows else ()
        if not held:
            if target.rule.permission == "allow":
                return target.allowed_by
            for patterns in self._allow:
                if option := patterns.fitting(target):
                    return option
            if self._host.yes and not is_final(target.function.effect):
                return "--yes"
        function = target.function
        about = function.summary
        shown = target.path, target.account, function.effect, arguments, about
        approval = Approval(*shown, number=number, flows=held, why=target.rule.why)
        decision = self._decided(approval) if self._decided else None
        reply: Reply = UNANSWERED
        if decision is not None:
            reply, how = decision, self._later
        elif self._questions:
            reply = self._questions.ask(number, lambda: approval._replace(**details()))
            how = f"approved by {self._questions.person}"
        if reply is True and self._host.people_for(function.effect) > 1:
            reply, how, approval = self._several(approval, how, details)
        if reply is UNANSWERED:
            raise self._unapproved(target, approval._replace(**details()) if self._decided else approval)
        if not reply:
            raise Denied(f"{_subject(target)}, and it was not approved")
        return how

    def _several(
        self, approval: Approval, how: str, details: Callable[[], Mapping[str, Any]]
    ) -> tuple[Reply, str, Approval]:
        """Ask on, after the first yes, until enough people have said yes, and return the reply, who, and the question.

        A yes of somebody who said yes before does not count, so that the call waits for another person. What enough
        people have said is used up by this call, and not by another one with the same arguments.
        """
        from kosmolua.stores.store import ballot, people_in

        most, store = self._host.people_for(approval.effect), self._host.store
        known, first, name = -1, approval, ballot(self._run, approval._asdict())
        while True:
            with self._counting:
                votes = store.votes(name)
                people = people_in(votes)
                for vote in votes if len(people) >= most else ():
                    store.unvote(name, vote)
            why = f"approved by {' and '.join(people) or 'nobody who counts'}, and {most} people must"
            approval = first._replace(why="; ".join(filter(None, [first.why, why])))
            if len(people) >= most:
                return True, f"approved by {' and '.join(people)}", approval
            if len(people) <= known or not (self._questions and self._questions.counts_people):
                return UNANSWERED, how, approval
            known = len(people)
            reply = self._questions.ask(approval.number, partial(_detailed, approval, details))
            if reply is not True:
                return reply, how, approval

    def _held(self, target: Target, flows: Sequence[Verdict]) -> tuple[str, ...]:
        """Return the sentences about which a person must be asked, as the mode of ``[kosmolua.flow]`` says."""
        if any(patterns.fitting(target) for patterns in self._allow_flow):
            return ()
        mode = self._host.flow_mode
        if mode == "deny":
            asking = 'set mode = "ask" under [kosmolua.flow] in the accounts file, so that people are asked'
            raise Denied(
                f"{target.path}: {'; '.join(flow.text for flow in flows)}, and [kosmolua.flow] denies that",
                hint=asking if self._host.is_served else f"pass --allow-flow {target.path} if this is meant",
            )
        return tuple(flow.text for flow in flows if mode == "ask" or flow.is_secret)

    def _unapproved(self, target: Target, approval: Approval) -> KosmoError:
        """Return the error for a call about which nobody could be asked: Paused if the run can pause, else Denied."""
        if self._decided:
            what = f"{_subject(target)}, which somebody must approve"
            return Paused(what, calls=[approval._asdict()])
        if approval.flows:
            return Denied(
                f"{target.path}: {'; '.join(approval.flows)}; somebody must approve that, and nobody can be asked here",
                hint=f"pass --allow-flow {target.path} if this is meant",
            )
        why = f", since {approval.why}" if approval.why else ""
        most = self._host.people_for(approval.effect)
        who = "somebody" if most == 1 else f"{most} people"
        return Denied(
            f"{_subject(target)}, which {who} must approve{why}, and {'nobody' if most == 1 else 'no other'} can be "
            "asked here",
            hint=_remedy(target) if most == 1 else "several people can approve calls only of kosmolua serve",
            detail=str(self._host.accounts.path),
        )

    def confirm(self, target: Target, number: int, message: str, shown: Mapping[str, object]) -> bool:
        """Ask a person to confirm a message during a call, with values shown beside it, and return True for yes."""
        assert self._questions
        approval = Approval(target.path, target.account, target.function.effect, shown, message, number=number)
        return self._questions.ask(number, lambda: approval) is True


class _Questions:
    """Asks a person about calls, one question at a time. The calls that arrive meanwhile become the next question.

    Each call waits in a thread of its own. The first thread that gets the lock asks about all waiting calls.
    """

    def __init__(self, asker: Asker, clock: Clock) -> None:
        self._asker = asker
        self._clock = clock
        self._asking = Lock()
        # Guarded by the lock.
        self._lock = Lock()
        self._waiting: list[_Question] = []
        self._preparing = 0

    @property
    def person(self) -> str:
        """The name of the person who is asked, or ``a person`` if the name is not known."""
        return self._asker.name or "a person"

    @property
    def counts_people(self) -> bool:
        """Whether those who answer are kept as votes, by which several people can be told apart."""
        return self._asker.counts_people

    def ask(self, number: int, prepare: Callable[[], Approval]) -> Reply:
        """Ask the person about a call, and return the answer: True, False, or :data:`UNANSWERED`."""
        with self._lock:
            self._preparing += 1
        try:
            question = _Question(number, prepare())
            with self._lock:
                self._waiting.append(question)
        finally:
            with self._lock:
                self._preparing -= 1
        with self._asking, self._clock.standing_still():
            if question.answer is None:
                self._ask_for_all(question)
        assert question.answer is not None
        return question.answer

    def _ask_for_all(self, question: _Question) -> None:
        if self._asker.takes_many:
            self._gather()
        with self._lock:
            batch = sorted(self._waiting, key=lambda each: each.number) if self._asker.takes_many else [question]
            self._waiting = [each for each in self._waiting if each not in batch]
        try:
            answers = self._asker.approve_many([each.approval for each in batch])
        except BaseException:
            with self._lock:  # the other threads then ask again, and see that the run has ended
                self._waiting += [each for each in batch if each is not question]
            raise
        for each, answer in zip(batch, answers, strict=True):
            each.answer = answer

    def _gather(self) -> None:
        """Wait a moment for more calls, whose threads start late on a busy machine, to ask about all at once."""
        ends, seen, quiet = monotonic() + MAX_GATHERING, 0, 0
        while quiet < QUIET_INTERVALS and monotonic() < ends:
            quiet = quiet + 1 if not self._preparing and len(self._waiting) == seen else 0
            seen = len(self._waiting)
            sleep(GATHERING_INTERVAL)


class _Question:
    """A call that waits for a person's answer."""

    def __init__(self, number: int, approval: Approval) -> None:
        self.number = number
        self.approval = approval
        self.answer: Reply | None = None


def _detailed(approval: Approval, details: Callable[[], Mapping[str, Any]]) -> Approval:
    return approval._replace(**details())


def _subject(target: Target) -> str:
    return f"{target.path} {target.function.effect}s with the account {target.account}"


def _remedy(target: Target) -> str:
    """Return the hint that says how to allow a call of ``target`` without asking anybody."""
    rule, by_name = target.rule, is_final(target.function.effect)
    option = f"--allow {target.path}" if by_name else "--yes"
    key = target.function.name if by_name and rule.section is None else rule.key
    return (
        f'pass {option}, or set permissions = {{ {_key(key)} = "allow" }} under [{target.section}] in the accounts file'
    )


def _key(name: str) -> str:
    """Return a key of ``permissions`` as it is written in TOML: in quotes if it is a pattern."""
    return f'"{name}"' if is_pattern(name) else name
