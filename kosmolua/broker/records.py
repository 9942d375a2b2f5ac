"""Records of calls, and the events that report them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from kosmolua.secret import Redactor

Status: TypeAlias = Literal["ok", "failed", "refused", "unknown"]
"""How a call ended: ``refused`` means that nothing was sent, ``unknown`` that it was under way when the run ended."""
Mode: TypeAlias = Literal["live", "simulated", "replayed"]
"""What answered a call: the service, a simulator, or a recording."""
Summary: TypeAlias = dict[str, object]
"""What an outcome says of a call."""


@dataclass(frozen=True)
class Origin:
    """What the calls of a run come from, and what answers them.

    Args:
        mode: What answers.
        script: The script's name; None if no script makes the call.
        sha256: The hash of its text, in hex.
    """

    mode: Mode = "live"
    script: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Record:
    """The record of a call that has ended, with secrets redacted.

    Args:
        run: The id of the run.
        number: The call's number in its run, counted from 1.
        path: The function, such as ``render2.list_services``; as the caller wrote it if there is none.
        account: The account, if the path led to one.
        effect: ``read``, ``write`` or ``destroy``, if the path led to a function.
        arguments: By name, if they fit.
        status: How it ended.
        error: The code of the error that ended it.
        allowed_by: Who allowed it and how, such as ``--yes``; None if it was not allowed.
        attempts: The status of each HTTP request; 0 if no answer came.
        request_id: The service's own name for the last request.
        started: When, in UTC.
        duration_ms: Milliseconds from start to end.
        origin: What made the call, and what answered it.
    """

    run: str
    number: int
    path: str
    account: str | None
    effect: str | None
    arguments: object
    status: Status
    error: str | None
    allowed_by: str | None
    attempts: tuple[int, ...]
    request_id: str | None
    started: datetime
    duration_ms: float
    origin: Origin = Origin()

    def summary(self) -> Summary:
        """Return the call's entry in an outcome."""
        names = ("path", "account", "effect", "status", "duration_ms", "error")
        return {name: getattr(self, name) for name in names}

    def line(self, redactor: Redactor) -> bytes:
        """Return the call as a line of the journal."""
        record = {
            "time": self.started.isoformat(timespec="milliseconds"),
            "run": self.run,
            "script": self.origin.script,
            "sha256": self.origin.sha256,
            "mode": self.origin.mode,
            **self.summary(),
            "allowed_by": self.allowed_by,
            "arguments": self.arguments,
            "attempts": self.attempts,
            "request_id": self.request_id,
        }
        return json.dumps(redactor.value(record), ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"


@dataclass(frozen=True)
class CallStarted:
    """A call is about to be made: it is allowed, and its arguments fit.

    Args:
        number: The call's number in its run, counted from 1.
        path: The function.
        account: The account.
        effect: ``read``, ``write`` or ``destroy``.
        arguments: By name, secrets redacted.
    """

    number: int
    path: str
    account: str
    effect: str
    arguments: object


@dataclass(frozen=True)
class CallEnded:
    """A call has ended; one that was refused never started.

    Args:
        record: What is known of it.
    """

    record: Record


@dataclass(frozen=True)
class Waiting:
    """The script waits, as by ``sleep``; branches of ``parallel`` that do not wait go on.

    Args:
        seconds: For how long.
    """

    seconds: float


Event: TypeAlias = "CallStarted | CallEnded | Waiting"
Watch: TypeAlias = Callable[[Event], None]
