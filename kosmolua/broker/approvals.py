"""Approvals: the questions that a person is asked about calls, who asks, and the names behind ids that they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from kosmolua.broker.calls import Call
from kosmolua.errors import KosmoError

if TYPE_CHECKING:
    from kosmolua.broker.open_accounts import OpenAccounts
    from kosmolua.schema.integration import Integration

NAME_TIMEOUT = 3.0
"""Seconds in which a name must be there; else the person sees the id alone."""
MAX_NAME = 100
_T = TypeVar("_T")


@dataclass(frozen=True)
class Approval:
    """A question for a person: whether a call may be made.

    Args:
        path: The function, such as ``render2.create_service``.
        account: The account.
        effect: ``read``, ``write`` or ``destroy``.
        arguments: By name, secrets redacted.
        about: The function's sentence.
        names: What the service calls the thing that an argument's id stands for, by the argument's name, as far as the
            integration knows.
    """

    path: str
    account: str
    effect: str
    arguments: Mapping[str, object]
    about: str = ""
    names: Mapping[str, str] = field(default_factory=dict)


Approve: TypeAlias = Callable[[Approval], bool]
"""Asks a person about a call, and returns True for yes.

If it has a method ``approve_many``, that gets a list of the calls that wait at the same time, and returns a list of
answers in the same order. If it has a ``name``, the journal has it as who approved.
"""


def _directly(work: Callable[[], _T]) -> _T:
    return work()


class Asker:
    """Asks a person through a callback; itself an :data:`Approve`.

    Args:
        approve: The callback. Only True is a yes.
        within: Calls a function in the place where the callback may be called, and returns its result.

    Raises:
        TypeError: ``approve`` is a coroutine function, whose answer nothing would wait for.
    """

    def __init__(self, approve: Approve, within: Callable[[Callable[[], Any]], Any] = _directly) -> None:
        self._many: Callable[[Sequence[Approval]], Sequence[bool]] | None = getattr(approve, "approve_many", None)
        if iscoroutinefunction(approve) or iscoroutinefunction(self._many):
            raise TypeError("approve has to return True or False, so it cannot be a coroutine function")
        self._approve = approve
        self._within = within
        self.takes_many = self._many is not None and getattr(approve, "takes_many", True) is True
        """True if several calls can be one question."""

    @property
    def name(self) -> str:
        """Who is asked, as the journal has it."""
        return str(getattr(self._approve, "name", ""))

    def __call__(self, approval: Approval) -> bool:
        """Ask about one call."""
        return self._within(lambda: self._approve(approval)) is True

    def approve_many(self, approvals: Sequence[Approval]) -> list[bool]:
        """Ask about several calls, and return the answers in the same order; what is not answered is no."""
        many = self._many
        if len(approvals) == 1 or many is None or not self.takes_many:
            return [self(approval) for approval in approvals]
        answers = [answer is True for answer in self._within(lambda: many(approvals))]
        return answers if len(answers) == len(approvals) else [False] * len(approvals)


class Names:
    """Looks up what services call the things behind ids. The script's calls are not counted with these reads.

    Args:
        accounts: The accounts that the run has opened.
    """

    def __init__(self, accounts: OpenAccounts) -> None:
        self._accounts = accounts
        self._known: dict[tuple[str, str, str, str], _Name] = {}
        self._lock = Lock()

    def of(self, integration: Integration, account: str, parameter: str, value: str) -> str:
        """Return the name behind an id, or nothing if the integration cannot tell. Each is looked up once."""
        with self._lock:
            name = self._known.setdefault((integration.name, account, parameter, value), _Name())
        with name.lock:
            if name.text is None:
                name.text = self._look_up(integration, account, parameter, value)
        return name.text

    def _look_up(self, integration: Integration, account: str, parameter: str, value: str) -> str:
        path, ends = f"{integration.name}, the name of a {parameter}", monotonic() + NAME_TIMEOUT
        call = Call("", 0, path)
        call.effect = "read"
        try:
            with self._accounts.use(integration, account, call, lambda: ends) as opened:
                return str(integration.naming[parameter](opened, value))[:MAX_NAME]
        except KosmoError:  # the id alone has to do
            return ""


class _Name:
    """A name once it is looked up, and the lock of the thread that looks it up."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.text: str | None = None
