"""Permissions: whether a call is allowed, by the account's permissions, the run's options, and a person's approval."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import iscoroutinefunction
from threading import Lock
from typing import TYPE_CHECKING

from kosmolua.broker.approvals import Approval, Approve
from kosmolua.errors import Denied

if TYPE_CHECKING:
    from kosmolua.broker.host import Host
    from kosmolua.catalog.catalog import Target
    from kosmolua.clock import Clock


class Permissions:
    """Decides whether a run's calls are allowed.

    Args:
        host: Knows the accounts file and the options of the runtime.
        clock: The run's; it stands still while a person is asked.
        read_only: Deny every write of this run.
        approve: Asks a person, and returns True for yes; None if nobody can be asked.

    Raises:
        TypeError: ``approve`` is a coroutine function, whose answer nothing would wait for.
    """

    def __init__(self, host: Host, clock: Clock, *, read_only: bool, approve: Approve | None) -> None:
        if iscoroutinefunction(approve):
            raise TypeError("approve has to return True or False, so it cannot be a coroutine function")
        self._host = host
        self._clock = clock
        self._read_only = read_only or host.read_only
        self._approve = approve
        self._one_at_a_time = Lock()

    def refuse_if_denied(self, target: Target) -> None:
        """Raise :class:`Denied` if the call is denied or needs approval that no one can give."""
        if self._read_only and target.function.effect == "write":
            raise Denied(
                f"{target.path} writes, and this run is read-only", hint="writes need a run without --read-only"
            )
        if target.permission == "deny":
            raise Denied(
                f"{_subject(target)}, and its permissions deny that",
                hint=f"see permissions under [{target.section}] in the accounts file",
                detail=str(self._host.accounts.path),
            )

    def ask_if_needed(self, target: Target, arguments: Mapping[str, object]) -> None:
        """Ask a person if the permissions say so; raise :class:`Denied` if the answer is no or nobody can be asked."""
        if self._host.yes or target.permission != "ask":
            return
        effect = target.function.effect
        if self._approve is None:
            raise Denied(
                f"{_subject(target)}, which somebody must approve, and nobody can be asked here",
                hint=f'pass --yes, or set permissions = {{ {effect} = "allow" }} under [{target.section}] '
                "in the accounts file",
                detail=str(self._host.accounts.path),
            )
        with self._one_at_a_time, self._clock.standing_still():
            approved = self._approve(Approval(target.path, target.account, effect, arguments))
        if approved is not True:
            raise Denied(f"{_subject(target)}, and it was not approved")


def _subject(target: Target) -> str:
    return f"{target.path} {target.function.effect}s with the account {target.account}"
