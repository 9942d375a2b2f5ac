"""Calls: the state of a call under way, and the completion of the error that it ends with."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from datetime import datetime, timezone
from time import monotonic
from typing import TYPE_CHECKING

from kosmolua.broker.approvals import Confirm
from kosmolua.broker.records import Origin, Record, Status
from kosmolua.errors import BadArguments, CallError, CallTimeout, KosmoError, NetworkError
from kosmolua.http.errors import LOOK_FIRST

if TYPE_CHECKING:
    from kosmolua.catalog.catalog import Target
    from kosmolua.clock import Until
    from kosmolua.http.messages import Attempt
    from kosmolua.secret import Redactor


class Call:
    """One call. The thread that makes it fills it in.

    Args:
        run: The id of the run.
        number: Its number in the run, counted from 1.
        path: The function, as the caller wrote it.
        origin: What makes it, and what answers it.
    """

    def __init__(self, run: str, number: int, path: str, origin: Origin | None = None) -> None:
        self.origin = origin or Origin()
        self.run = run
        self.number = number
        self.path = path
        self.account: str | None = None
        self.effect: str | None = None
        self.allowed_by: str | None = None
        self.arguments: Mapping[str, object] | None = None
        self.confirm: Confirm | None = None
        self.has_begun = self.has_returned = self.has_written = False
        self._attempts: list[int] = []
        self._request_id: str | None = None
        self._started = datetime.now(timezone.utc)
        self._clock = monotonic()

    def lead_to(self, target: Target) -> None:
        """Note what the path means."""
        self.path, self.account, self.effect = target.path, target.account, target.function.effect

    def observe(self, attempt: Attempt) -> None:
        """Note an HTTP request that was made for this call."""
        self._attempts.append(attempt.status or 0)
        self._request_id = attempt.request_id or self._request_id

    def record(self, error: KosmoError | None, redactor: Redactor, *, is_over: bool) -> Record:
        """Return the record of the call as it ends now.

        Args:
            error: The error, if it did not succeed.
            redactor: Redacts the arguments and the service's texts.
            is_over: True if the run is over, so that a call without an answer was cut off.
        """
        return Record(
            run=self.run,
            number=self.number,
            path=self.path,
            account=self.account,
            effect=self.effect,
            arguments=redactor.value(self.arguments),
            status=self._status(error, is_over=is_over),
            error=error.code if error else None,
            allowed_by=self.allowed_by,
            attempts=tuple(self._attempts),
            request_id=self._request_id and redactor.text(self._request_id),
            started=self._started,
            duration_ms=round((monotonic() - self._clock) * 1000, 2),
            origin=self.origin,
        )

    def complete(self, error: KosmoError) -> None:
        """Complete an error that ended the call: what was sent, and by which account."""
        if self._attempts:
            error.sent = ""
        if self.has_written:
            error.advise(LOOK_FIRST)
        if isinstance(error, CallError) and self.account:
            error.path, error.account = self.path, self.account

    def _status(self, error: KosmoError | None, *, is_over: bool) -> Status:
        if error is None:
            return "ok"
        if isinstance(error, CallTimeout):
            is_cut_off = self.effect != "read"
        else:
            is_cut_off = not isinstance(error, CallError) or (is_over and isinstance(error, NetworkError))
        if self.has_begun and not self.has_returned and is_cut_off:
            return "unknown"
        return "failed" if self._attempts or self.has_returned else "refused"


current: ContextVar[tuple[Call, Until] | None] = ContextVar("current_call", default=None)
"""The call that this thread makes, and its deadline."""


def current_confirm() -> Confirm | None:
    """Return what asks a person for the call that this thread makes, or None if nobody can be asked."""
    found = current.get()
    return found[0].confirm if found else None


def unsendable(subject: str, fault: Mapping[str, str]) -> BadArguments:
    """Return the refusal of arguments that could not leave the sandbox.

    Args:
        subject: What was called.
        fault: ``where`` in the arguments, and the ``problem``.
    """
    where = fault["where"]
    param = where.partition(".")[0].partition("[")[0] or None
    return BadArguments(f"{subject}: {where or 'an argument'} {fault['problem']}", param=param)
