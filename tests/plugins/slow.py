"""An integration without a service: its calls wait for a file or for each other, fail and are counted."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from kosmolua.plugin import CallError, Integration, Send

TIMEOUT = 60.0
"""Seconds after which a call waits no longer, so that a test fails instead of hanging."""

File = Annotated[str | None, "The file that it waits for."]
Among = Annotated[int, "How many calls have to begin before one of them goes on; the next so many are the next group."]


@dataclass
class Desk:
    """The calls of one run."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    under_way: int = 0
    peak: int = 0
    started: list[Any] = field(default_factory=list)

    def wait(self, file: str | None, among: int, name: Any) -> None:
        with self.counted(name) as number:
            self.wait_for_group(-(-number // among) * among)
            wait_for_file(file)

    @contextmanager
    def counted(self, name: Any) -> Iterator[int]:
        with self.changed:
            self.started.append(name)
            self.under_way += 1
            self.peak = max(self.peak, self.under_way)
            number = len(self.started)
            self.changed.notify_all()
        try:
            yield number
        finally:
            with self.changed:
                self.under_way -= 1

    def wait_for_group(self, last: int) -> None:
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.started) >= last, TIMEOUT):
                raise CallError("alone", f"only {len(self.started)} of {last} calls have begun")


def wait_for_file(file: str | None) -> None:
    ends = time.monotonic() + TIMEOUT
    while file and not Path(file).exists():
        if time.monotonic() > ends:
            raise CallError("alone", f"{file} never came")
        time.sleep(0.005)


@dataclass(frozen=True)
class Account:
    """Needs nothing."""

    note: str = ""

    def open(self, send: Send) -> Desk:
        return Desk()


integration = Integration("slow", Account, about="Waits.")


@integration.reads
def wait(
    desk: Desk,
    /,
    *,
    file: File = None,
    among: Among = 1,
    name: Annotated[str | int | None, "What it gives back."] = None,
    sign: Annotated[str | None, "The file that it makes once it is under way."] = None,
) -> dict[str, Any]:
    """Wait, then give a name back."""
    if sign:
        Path(sign).touch()
    desk.wait(file, among, name)
    return {"name": name}


@integration.reads
def fail(
    desk: Desk,
    /,
    *,
    file: File = None,
    among: Among = 1,
    name: Annotated[str | int, "What the error says."] = "failed",
) -> dict[str, Any]:
    """Wait, then fail."""
    desk.wait(file, among, name)
    raise CallError("slow_failure", f"{name} failed")


@integration.reads
def counts(desk: Desk, /) -> dict[str, Any]:
    """Say how many calls were under way at most, and which ones started."""
    return {"peak": desk.peak, "started": desk.started}
