"""An integration without a service: it waits, fails and counts, for tests of many calls at once."""

import threading
import time
from dataclasses import dataclass, field
from typing import Annotated, Any

from kosmolua.plugin import CallError, Integration, Send


@dataclass
class Desk:
    """Counts the calls that are under way."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    under_way: int = 0
    peak: int = 0
    started: list[Any] = field(default_factory=list)

    def wait(self, seconds: float, name: Any) -> None:
        with self.lock:
            self.under_way += 1
            self.peak = max(self.peak, self.under_way)
            self.started.append(name)
        time.sleep(seconds)
        with self.lock:
            self.under_way -= 1


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
    seconds: Annotated[float, "How long."] = 0.0,
    name: Annotated[str | int | None, "What it gives back."] = None,
) -> dict[str, Any]:
    """Wait, then give a name back."""
    desk.wait(seconds, name)
    return {"name": name}


@integration.reads
def fail(
    desk: Desk,
    /,
    *,
    seconds: Annotated[float, "How long."] = 0.0,
    name: Annotated[str | int, "What the error says."] = "failed",
) -> dict[str, Any]:
    """Wait, then fail."""
    desk.wait(seconds, name)
    raise CallError("slow_failure", f"{name} failed")


@integration.reads
def counts(desk: Desk, /) -> dict[str, Any]:
    """Say how many calls were under way at most, and which ones started."""
    return {"peak": desk.peak, "started": desk.started}
