"""Approvals: the questions that a person is asked about calls, and the callbacks that ask them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from inspect import iscoroutinefunction
from typing import Any, Final, NamedTuple, TypeAlias

from kosmolua.calls.inverses import changes_nothing
from kosmolua.escaping import in_line
from kosmolua.schema.effects import is_final


class Approval(NamedTuple):
    """A question for a person: whether a call may be made.

    Args:
        path: The path of the function, such as ``render2.create_service``.
        account: The account.
        effect: ``read``, ``write`` or ``destroy``.
        arguments: The arguments by name, with secrets redacted.
        about: The first sentence of the function's docstring, or the message that the call asks a person to confirm.
        names: The names of the objects whose ids are in the arguments, by parameter. Names that the integration cannot
            look up are missing.
        number: The call's number in its run.
        before: The values that the call replaces, by parameter, with secrets masked, as far as they are known. None is
            a value that did not exist.
        undoable: Whether the call can be undone.
        lost: A sentence that says what cannot be brought back; empty if nothing is known.
        flows: Why a person should decide whatever else allows the call: a sentence for each argument that a text by
            somebody else decided, or that is private.
        why: Why the condition of a permission does not allow the call, as a clause; empty if there is none.
    """

    path: str
    account: str
    effect: str
    arguments: Mapping[str, object]
    about: str = ""
    names: Mapping[str, str] = {}
    number: int = 0
    before: Mapping[str, object] = {}
    undoable: bool = False
    lost: str = ""
    flows: tuple[str, ...] = ()
    why: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that say why a person is asked."""
        return (*self.flows, *filter(None, [self.why]))

    @property
    def subject(self) -> tuple[object, ...]:
        """The function, the account, the effect and the flows, which calls of one kind have in common.

        A function can have several effects, such as one that takes a GraphQL document.
        """
        return self.path, self.account, self.effect, self.flows

    @property
    def way_back(self) -> str:
        """A phrase that says whether the call can be undone; empty if nothing is known about it."""
        return way_back(self.effect, self.lost, is_undoable=self.undoable)


def way_back(effect: str, lost: str, *, is_undoable: bool) -> str:
    """Return a phrase that says whether a call can be undone; empty if nothing is known about it."""
    if is_undoable:
        return "can be undone"
    return f"cannot be undone{f': {lost}' if lost else ''}" if lost or is_final(effect) else ""


def shown_arguments(asked: Mapping[str, Any], literal: Callable[[object], str]) -> dict[str, str]:
    """Return a text for each argument of a call: what it replaces, the value, and the name of the object behind an id.

    ``asked`` has the fields of an :class:`Approval`, of which any can be missing; ``literal`` returns the text for a
    value.
    """
    given, before = (asked.get("arguments") or {}).items(), asked.get("before") or {}
    is_same = changes_nothing(asked.get("arguments") or {}, before)
    old = {name: f"{literal(value)} -> " for name, value in before.items() if not is_same}
    named = {name: f" ({in_line(said)})" for name, said in (asked.get("names") or {}).items()}
    return {name: f"{old.get(name, '')}{literal(value)}{named.get(name, '')}" for name, value in given}


class Unanswered(Enum):
    """The type of :data:`UNANSWERED`, which is returned if a person was asked and did not answer."""

    UNANSWERED = "unanswered"


UNANSWERED: Final = Unanswered.UNANSWERED
"""Returned in place of an answer if a person was asked and did not answer in time."""
Reply: TypeAlias = "bool | Unanswered"
Approve: TypeAlias = "Callable[[Approval], Reply]"
"""A callback that asks a person about a call, and returns True for yes.

:data:`UNANSWERED` means that nobody answered: a recorded run is then paused, and in any other run the call is denied.
If the callback has a method ``approve_many``, this method is called with a list of all calls that wait at the same
time, and returns a list of answers in the same order. If the callback has an attribute ``name``, the journal gives it
as the name of the person who approved.
"""


Decided: TypeAlias = "Callable[[Approval], bool | None]"
"""A callback that returns what a person decided about a call beforehand: True, False, or None if nobody decided."""


Confirm: TypeAlias = Callable[[str, Mapping[str, object]], bool]
"""A callback that asks a person to confirm a message, with values shown beside it, and returns True for yes."""


class Consent(Enum):
    """A person's answer to a question about calls."""

    NO = "no"
    """Refuse the calls."""
    YES = "yes"
    """Approve the calls."""
    ALWAYS = "always"
    """Approve the calls, and further calls of the same functions, effects and accounts in this script."""
    EACH = "each"
    """Ask about each of the calls."""
    MORE = "more"
    """Show the next part of the question, or all of it."""
    NEVER = "never"
    """Refuse the calls, and all further calls in this script that need approval."""
    LATER = "later"
    """Nobody has answered yet: the run pauses if it can be resumed, else the calls are refused."""


class Approver(ABC):
    """An :data:`Approve` callback that remembers answers about other calls. A channel to a person implements ``ask``.

    While ``denies_all`` is True, every call is refused without a question.
    """

    name = "a person"
    """The name of the person for the journal."""

    def __init__(self) -> None:
        self.denies_all = False
        self._allowed: set[tuple[object, ...]] = set()

    @abstractmethod
    def ask(self, approvals: Sequence[Approval]) -> Consent:
        """Ask a person one question about calls, and return the answer, which is never ``MORE``."""

    def __call__(self, approval: Approval) -> Reply:
        return self.approve_many([approval])[0]

    def approve_many(self, approvals: Sequence[Approval]) -> list[Reply]:
        """Ask about the calls to which no earlier answer applies, and return for each call whether it is allowed."""
        unknown = [each for each in approvals if each.subject not in self._allowed]
        consent = Consent.NEVER if self.denies_all else self.ask(unknown) if unknown else Consent.YES
        if consent is Consent.EACH:
            return [self(each) for each in approvals]
        if consent is Consent.LATER:
            return [UNANSWERED for _ in approvals]
        self.denies_all |= consent is Consent.NEVER
        if consent is Consent.ALWAYS:
            self._allowed.update(each.subject for each in unknown)
        is_yes = consent in (Consent.YES, Consent.ALWAYS)
        return [not self.denies_all and (is_yes or each.subject in self._allowed) for each in approvals]


def grouped(approvals: Sequence[Approval]) -> list[list[Approval]]:
    """Return calls in groups with one subject, in the order of each group's first call."""
    groups: dict[tuple[object, ...], list[Approval]] = {}
    for each in approvals:
        groups.setdefault(each.subject, []).append(each)
    return list(groups.values())


class Asker:
    """Asks a person about calls through a callback. An Asker can be used as an :data:`Approve` callback itself.

    Args:
        approve: The callback. Only True allows the call; :data:`UNANSWERED` means that nobody answered.
        within: A function that calls its argument in the thread in which ``approve`` must be called, and returns the
            result.

    Raises:
        TypeError: ``approve`` is a coroutine function, which no code would await.
    """

    def __init__(self, approve: Approve, within: Callable[[Callable[[], Any]], Any] = lambda work: work()) -> None:
        self._many: Callable[[Sequence[Approval]], Sequence[Reply]] | None = getattr(approve, "approve_many", None)
        if iscoroutinefunction(approve) or iscoroutinefunction(self._many):
            raise TypeError("approve has to return True or False, so it cannot be a coroutine function")
        self._approve = approve
        self._within = within
        self.takes_many = self._many is not None and getattr(approve, "takes_many", True) is True
        """True if the callback can ask about several calls in one question."""
        self.counts_people = getattr(approve, "counts_people", False) is True
        """True if the callback keeps who answers, so that several people can be told apart."""

    @property
    def name(self) -> str:
        """The name of the person who is asked, for the journal; empty if the callback has no name."""
        return str(getattr(self._approve, "name", ""))

    def __call__(self, approval: Approval) -> Reply:
        """Ask the person about one call, and return the answer."""
        return _reply(self._within(lambda: self._approve(approval)))

    def approve_many(self, approvals: Sequence[Approval]) -> list[Reply]:
        """Ask about several calls, and return the answers in the same order.

        If the callback returns too many or too few answers, every answer is False.
        """
        many = self._many
        if len(approvals) == 1 or many is None or not self.takes_many:
            return [self(approval) for approval in approvals]
        answers = [_reply(answer) for answer in self._within(lambda: many(approvals))]
        return answers if len(answers) == len(approvals) else [False] * len(approvals)


def _reply(answer: object) -> Reply:
    return UNANSWERED if answer is UNANSWERED else answer is True
