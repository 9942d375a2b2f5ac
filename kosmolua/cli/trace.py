"""``--trace``: each call on standard error as it starts and ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kosmolua.cli import show
from kosmolua.journal import Record

Watch = Callable[[Record], None]


@contextmanager
def tracer(wanted: bool) -> Iterator[Watch]:  # noqa: FBT001 - the value of an option
    """Yield what is told of each call; it writes nothing unless it is wanted."""
    if not wanted:
        yield lambda record: None
        return
    totals = {"ok": 0, "failed": 0, "refused": 0}

    def watch(record: Record) -> None:
        if record.status != "running":
            totals[record.status] += 1
        sys.stderr.write(show.harmless(_line(record)) + "\n")

    yield watch
    sys.stderr.write("calls: " + ", ".join(f"{count} {status}" for status, count in totals.items()) + "\n")


def _line(record: Record) -> str:
    subject = f"{record.path} [{record.account or '?'}, {record.effect or '?'}]"
    if record.status == "running":
        return f"-> {subject}"
    attempts = ",".join(map(str, record.attempts)) or "nothing sent"
    return f"<- {subject} {record.status} {record.duration_ms:.0f} ms ({attempts}) {record.error or ''}".rstrip()
