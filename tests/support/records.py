"""Records of calls, for tests of what is done with them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from kosmolua.calls.records import CallStarted, Event, FinishedCall


def record(**changes: Any) -> FinishedCall:
    """Return the record of a read that succeeded, with changes."""
    usual: dict[str, Any] = {
        "run": "run-1",
        "number": 1,
        "path": "a.b",
        "account": "work",
        "effect": "read",
        "arguments": None,
        "status": "ok",
        "error": None,
        "allowed_by": "default permissions",
        "attempts": (200,),
        "request_id": None,
        "started": datetime.now(timezone.utc),
        "duration_ms": 1.5,
    }
    return FinishedCall(**(usual | changes))


def started(number: int = 1, path: str = "a.b") -> CallStarted:
    """Return the event of a read that starts."""
    return CallStarted(number, path, "work", "read", {})


def status_of(event: Event) -> str:
    """Return ``started``, or the status with which a call ended."""
    return "started" if isinstance(event, CallStarted) else event.record.status
