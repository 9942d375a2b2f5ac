"""``--trace``: each call on standard error as it starts and ends, and what they come to in the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

from kosmolua.cli import show
from kosmolua.journal import Record, Watch
from kosmolua.spelling import harmless

COLOURS = {"running": "dim", "ok": "green", "failed": "red", "refused": "yellow"}


class Trace:
    """Writes a line when a call starts and one when it ends, and counts."""

    def __init__(self) -> None:
        self._totals = {"ok": 0, "failed": 0, "refused": 0}
        self._lock = Lock()

    def note(self, record: Record) -> None:
        """Write the line of a call."""
        with self._lock:
            if record.status != "running":
                self._totals[record.status] += 1
            _write(harmless(_line(record)), COLOURS[record.status])

    def tell_of_the_sandbox(self, usage: Mapping[str, Any]) -> None:
        """Write what a run took in the sandbox, and what was around that, as an outcome's usage has it."""
        took = f"{usage.get('cpu_ms', 0):.0f} ms of processor time, {usage.get('memory_bytes', 0) / 1024:,.0f} KiB"
        layers = ", ".join(usage.get("isolation", ())) or "unknown"
        _write(f"sandbox: {took}; isolation: {layers}", "bold")

    def sum_up(self) -> None:
        """Write how many calls ended in which way."""
        _write("calls: " + ", ".join(f"{count} {status}" for status, count in self._totals.items()), "bold")


@contextmanager
def tracer(wanted: bool) -> Iterator[Watch]:  # noqa: FBT001 - the value of an option
    """Yield what is told of each call; it writes nothing unless it is wanted."""
    if not wanted:
        yield lambda record: None
        return
    trace = Trace()
    yield trace.note
    trace.sum_up()


def _write(line: str, style: str) -> None:
    sys.stderr.write(show.styled(line, style, sys.stderr) + "\n")
    sys.stderr.flush()


def _line(record: Record) -> str:
    subject = f"{record.path} [{record.account or '?'}, {record.effect or '?'}]"
    if record.status == "running":
        return f"-> {subject}"
    requests = ", ".join(str(status or "no answer") for status in record.attempts) or "nothing sent"
    return f"<- {subject} {record.status} {record.duration_ms:.0f} ms ({requests}) {record.error or ''}".rstrip()
