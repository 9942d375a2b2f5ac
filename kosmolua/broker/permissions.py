"""May this call be made: by the account's permissions, the options of the run, and the person who is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import iscoroutinefunction
from threading import Lock
from typing import TYPE_CHECKING

from kosmolua.errors import Denied

if TYPE_CHECKING:
    from kosmolua.accounts.accounts import Accounts
    from kosmolua.catalog.catalog import Target
    from kosmolua.clock import Clock


@dataclass(frozen=True)
class Approval:
    """What a person is asked to approve.

    Args:
        path: The function, such as ``render2.create_service``.
        account: The account.
        effect: ``read`` or ``write``.
        arguments: By name, secrets redacted.
    """

    path: str
    account: str
    effect: str
    arguments: Mapping[str, object]


Approve = Callable[[Approval], bool]


class Policy:
    """Decides on calls.

    Args:
        accounts: Where permissions stand.
        clock: The run's, which stands still while a person is asked.
        read_only: Whether every write is denied.
        yes: Whether what would be asked is allowed.
        approve: Asks a person, and returns True for yes; None where nobody can be asked.

    Raises:
        TypeError: ``approve`` is a coroutine function, whose answer nobody would wait for.
    """

    def __init__(
        self,
        accounts: Accounts,
        clock: Clock,
        *,
        read_only: bool = False,
        yes: bool = False,
        approve: Approve | None = None,
    ) -> None:
        if iscoroutinefunction(approve):
            raise TypeError("approve has to return True or False, so it cannot be a coroutine function")
        self._accounts = accounts
        self._clock = clock
        self._read_only = read_only
        self._yes = yes
        self._approve = approve
        self._one_at_a_time = Lock()

    def refuse_if_denied(self, target: Target) -> None:
        """Raise :class:`Denied` where no answer of a person could allow the call."""
        effect = target.function.effect
        if self._read_only and effect == "write":
            raise Denied(
                f"{target.path} writes, and this run is read-only", hint="writes need a run without --read-only"
            )
        if self._permission(target) == "deny":
            raise Denied(
                f"{_subject(target)}, and its permissions deny that",
                hint=f"see permissions under [{target.integration.name}.{target.account}] in the accounts file",
                detail=str(self._accounts.path),
            )

    def ask_if_needed(self, target: Target, arguments: Mapping[str, object]) -> None:
        """Ask where the permissions say so; raise :class:`Denied` where the answer is no or nobody can be asked."""
        if self._yes or self._permission(target) != "ask":
            return
        effect = target.function.effect
        if self._approve is None:
            raise Denied(
                f"{_subject(target)}, which somebody must approve, and nobody can be asked here",
                hint=f'pass --yes, or set permissions = {{ {effect} = "allow" }} under '
                f"[{target.integration.name}.{target.account}] in the accounts file",
                detail=str(self._accounts.path),
            )
        with self._one_at_a_time, self._clock.standing_still():
            approved = self._approve(Approval(target.path, target.account, effect, arguments))
        if approved is not True:
            raise Denied(f"{_subject(target)}, and it was not approved")

    def _permission(self, target: Target) -> str:
        return self._accounts.permission(target.integration, target.account, target.function.effect)


def _subject(target: Target) -> str:
    return f"{target.path} {target.function.effect}s with the account {target.account}"
