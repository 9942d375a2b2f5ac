"""How long the list of 10,000 recorded runs takes, and a search in it: in a folder, SQLite and PostgreSQL.

``python tests/benchmarks/runs_list.py [ADDRESS ...]``; an address is a folder, or a URL of a database.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from kosmolua import Runtime
from kosmolua.errors import ConfigError
from kosmolua.stores.opening import open_stores
from kosmolua.stores.store import RunFilter, Store

RUNS = 10_000
LOOKS = 7
SCRIPT = """\
-- Reports the newest deploy of each service, number %d.
local render = app.integrations.render2
local page = render.list_services({ limit = 3 })
for _, service in ipairs(page.services) do
  print(service.name, render.list_deploys({ service_id = service.id, limit = 1 }).deploys[1].status)
end
"""
SEARCHES = {
    "the list": RunFilter(),
    "page 100": RunFilter(),
    "one word": RunFilter(words="deploys"),
    "a rare word": RunFilter(words="4711"),
    "no hit": RunFilter(words="nowhere"),
    "failed": RunFilter(status="failed"),
    "by integration": RunFilter(integration="render2"),
    "by title": RunFilter(order="title"),
}


def fill(store: Store) -> None:
    """Record one run, and copy it until there are enough."""
    with tempfile.TemporaryDirectory() as folder, Runtime(simulate=True) as runtime:
        path = Path(folder) / "run.jsonl"
        runtime.run(SCRIPT % 0, name="report.lua", record=path)
        events = [json.loads(line) for line in path.read_bytes().splitlines()]
    for number in range(RUNS):
        run = f"{number:012x}"
        head = {**events[0], "run": run, "time": f"2026-{number // 900 + 1:02}-{number % 28 + 1:02}T10:00:00.000+00:00"}
        head["title"] = f"Reports the newest deploy of each service, number {number}"
        head["script"] = {**head["script"], "source": SCRIPT % number, "sha256": f"{number % 500:064x}"}
        with suppress(ConfigError):
            sheet = store.place(run).begin()
            for event in (head, *events[1:]):
                sheet.append(json.dumps(event).encode() + b"\n", event)
            sheet.close()


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Return the medians of some looks: elapsed time, and processor time of this process, in milliseconds."""
    elapsed, used = [], []
    for _ in range(LOOKS):
        began, begun = time.perf_counter(), time.process_time()
        work()
        elapsed.append(time.perf_counter() - began)
        used.append(time.process_time() - begun)
    return statistics.median(elapsed) * 1000, statistics.median(used) * 1000


def main(addresses: list[str]) -> None:
    """Print a line for each kind of look at each store."""
    for address in addresses:
        stores = open_stores(address)
        store = stores.of("bench")
        if not store.runs(limit=1):
            fill(store)
        began = time.perf_counter()
        store.find_runs(RunFilter(), 0, 50)
        print(f"{address}: first look {(time.perf_counter() - began) * 1000:.0f} ms")
        for name, fitting in SEARCHES.items():
            start = 5000 if name == "page 100" else 0
            elapsed, used = measured(partial(store.find_runs, fitting, start, 50))
            print(f"  {name:16} {elapsed:8.1f} ms, {used:8.1f} ms of processor")
        stores.close()


if __name__ == "__main__":
    main(sys.argv[1:] or [tempfile.mkdtemp()])
