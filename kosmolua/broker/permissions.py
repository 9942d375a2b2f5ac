"""Permissions: whether a call is allowed, by the run's options, the accounts file, and a person's approval.

The first that decides counts: ``--deny``, ``--read-only``, a ``deny`` of the file, its ``allow``; and where the file
says ``ask``: ``--allow``, ``--yes`` unless the call destroys, a person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from threading import Lock
from time import monotonic, sleep
from typing import TYPE_CHECKING

from kosmolua.accounts.permissions import is_pattern
from kosmolua.broker.approvals import UNANSWERED, Approval, Approve, Asker, Confirm, Decided, Reply
from kosmolua.errors import Denied, KosmoError, Paused

if TYPE_CHECKING:
    from kosmolua.broker.host import Host
    from kosmolua.broker.patterns import Patterns
    from kosmolua.catalog.catalog import Target
    from kosmolua.clock import Clock

GATHERING_INTERVAL = 0.03
"""Seconds between two looks at the calls that wait to be put to a person."""
QUIET_INTERVALS = 4
"""Looks in a row that find no further call, after which those that wait are one question."""
APPROVED_LATER = "approved with kosmolua resume"
"""Who allowed a call, as the journal has it, if a person did while the run was paused."""
MAX_GATHERING = 3.0
"""Seconds that a call waits at most for others to be put to a person with it."""


class Permissions:
    """Decides whether a run's calls are allowed.

    Args:
        host: Knows the accounts file and the options of the runtime.
        clock: The run's; it stands still while a person is asked.
        read_only: Deny every write of this run.
        approve: Asks a person, and returns True for yes; None if nobody can be asked.
        allow: Patterns of functions that need no approval in this run, beside those of the runtime.
        deny: Patterns of functions that are denied in this run, beside those of the runtime.
        decided: What a person said beforehand, in a run that pauses where nobody can be asked.

    Raises:
        TypeError: ``approve`` is a coroutine function, whose answer nothing would wait for.
    """

    def __init__(
        self,
        host: Host,
        clock: Clock,
        *,
        read_only: bool,
        approve: Approve | None,
        allow: Sequence[Patterns] = (),
        deny: Sequence[Patterns] = (),
        decided: Decided | None = None,
    ) -> None:
        self._host = host
        self._decided = decided
        self._read_only = read_only or host.read_only
        self._allow = [*host.allow, *allow]
        self._deny = [*host.deny, *deny]
        self._questions = _Questions(Asker(approve), clock) if approve else None

    def refuse_if_denied(self, target: Target) -> None:
        """Raise :class:`Denied` if the call is denied or needs approval that no one can give."""
        for patterns in self._deny:
            if option := patterns.fitting(target):
                raise Denied(f"{target.path} is denied by {option}", hint="it needs a run without that option")
        if self._read_only and target.function.effect != "read":
            raise Denied(
                f"{target.path} {target.function.effect}s, and this run is read-only",
                hint="writes need a run without --read-only",
            )
        if target.rule.permission == "deny":
            rule = target.rule
            raise Denied(
                f"{_subject(target)}, and its permissions deny that",
                hint=f'{_key(rule.key)} = "deny" stands in permissions under [{rule.section}] in the accounts file',
                detail=str(self._host.accounts.path),
            )

    def allow(
        self,
        target: Target,
        arguments: Mapping[str, object],
        *,
        number: int = 0,
        names: Callable[[], Mapping[str, str]] = dict,
    ) -> str:
        """Return who allowed a call that is not denied, and how; ask a person if nothing else allows it.

        Args:
            target: What is called.
            arguments: By name, secrets redacted.
            number: The call's number in its run.
            names: Returns the names behind ids, see :class:`Approval`. Called only if a person is asked.

        Raises:
            Denied: The answer is no, or nobody can be asked.
        """
        if target.rule.permission == "allow":
            return target.allowed_by
        for patterns in self._allow:
            if option := patterns.fitting(target):
                return option
        if self._host.yes and target.function.effect != "destroy":
            return "--yes"
        function = target.function
        about = function.summary
        approval = Approval(target.path, target.account, function.effect, arguments, about, number=number)
        decision = self._decided(approval) if self._decided else None
        reply: Reply = UNANSWERED
        if decision is not None:
            reply, how = decision, APPROVED_LATER
        elif self._questions:
            reply = self._questions.ask(number, lambda: replace(approval, names=names()))
            how = f"approved by {self._questions.person}"
        if reply is UNANSWERED:
            raise self._unapproved(target, replace(approval, names=names() if self._decided else {}))
        if not reply:
            raise Denied(f"{_subject(target)}, and it was not approved")
        return how

    def _unapproved(self, target: Target, approval: Approval) -> KosmoError:
        """Return the error of a call that nobody can be asked about."""
        if self._decided:
            what = f"{_subject(target)}, which somebody must approve"
            return Paused(what, calls=[asdict(approval)])
        return Denied(
            f"{_subject(target)}, which somebody must approve, and nobody can be asked here",
            hint=_remedy(target),
            detail=str(self._host.accounts.path),
        )

    def confirm_for(self, target: Target, number: int) -> Confirm | None:
        """Return what asks a person about something that the service wants to know during a call, or None.

        Args:
            target: What is called.
            number: The call's number in its run.
        """
        questions = self._questions
        if questions is None:
            return None

        def confirm(message: str, shown: Mapping[str, object]) -> bool:
            effect = target.function.effect
            approval = Approval(target.path, target.account, effect, shown, message, number=number)
            return questions.ask(number, lambda: approval) is True

        return confirm


class _Questions:
    """Puts calls to a person, one question at a time. Calls that come meanwhile are the next question together.

    Each call waits in a thread of its own. The first to hold the lock asks for all that wait, itself among them.
    """

    def __init__(self, asker: Asker, clock: Clock) -> None:
        self._asker = asker
        self._clock = clock
        self._asking = Lock()
        # Under the lock.
        self._lock = Lock()
        self._waiting: list[_Question] = []
        self._preparing = 0

    @property
    def person(self) -> str:
        """Who is asked."""
        return self._asker.name or "a person"

    def ask(self, number: int, prepare: Callable[[], Approval]) -> Reply:
        """Return True if the person allows a call, False if not.

        Args:
            number: The call's number; a list of calls is sorted by it.
            prepare: Returns what is asked, which may take a moment.
        """
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
            with self._lock:  # the others ask again, and learn what became of the run
                self._waiting += [each for each in batch if each is not question]
            raise
        for each, answer in zip(batch, answers, strict=True):
            each.answer = answer

    def _gather(self) -> None:
        """Wait until no further call has come for a few moments: threads may start slowly where much is under way."""
        ends, seen, quiet = monotonic() + MAX_GATHERING, 0, 0
        while quiet < QUIET_INTERVALS and monotonic() < ends:
            quiet = quiet + 1 if not self._preparing and len(self._waiting) == seen else 0
            seen = len(self._waiting)
            sleep(GATHERING_INTERVAL)


class _Question:
    """A call that waits for an answer."""

    def __init__(self, number: int, approval: Approval) -> None:
        self.number = number
        self.approval = approval
        self.answer: Reply | None = None


def _subject(target: Target) -> str:
    return f"{target.path} {target.function.effect}s with the account {target.account}"


def _remedy(target: Target) -> str:
    """Return what would allow a call that nobody can be asked about."""
    rule, effect = target.rule, target.function.effect
    option = f"--allow {target.path}" if effect == "destroy" else "--yes"
    key = target.function.name if effect == "destroy" and rule.section is None else rule.key
    return (
        f'pass {option}, or set permissions = {{ {_key(key)} = "allow" }} under [{target.section}] in the accounts file'
    )


def _key(name: str) -> str:
    """Return a key as TOML writes it."""
    return f'"{name}"' if is_pattern(name) else name
