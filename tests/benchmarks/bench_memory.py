"""The memory of a process that runs many scripts: after a thousand of them against after a hundred."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from pathlib import Path

from ratio import Ratio

from kosmolua import Runtime

SCRIPT = (
    "local page = app.integrations.render2.list_services({ limit = 20 }) print(#page.services) return page.services"
)


def resident() -> int:
    """Return the bytes of this process that are in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def run_scripts(runtime: Runtime, count: int) -> None:
    """Run scripts from two threads."""

    def work() -> None:
        for _ in range(count // 2):
            outcome = runtime.run(SCRIPT)
            assert outcome.ok, outcome.error

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def ratios() -> Iterator[Ratio]:
    """Yield the ratio of memory; the columns hold MiB instead of milliseconds."""
    with Runtime(simulate=True, workers=2) as runtime:
        run_scripts(runtime, 100)
        early = resident()
        run_scripts(runtime, 900)
        late = resident()
    mib = 1024**2
    value = late / early
    yield Ratio("1,000 runs, 2 workers (MiB)", "after 100 runs", 1.05, value, late / mib, early / mib, (value, value))
