"""A server with thousands of runs that sleep: what they take, and how late those are woken whose time comes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from random import Random

import psycopg
from support.postgres import Postgres, reason_to_skip
from support.processes import descendants, eventually
from support.serving import ACME, serving

from kosmolua import Runtime
from kosmolua.stores.opening import open_stores
from kosmolua.stores.store import Store
from kosmolua.stores.tasks import SLEEP, WAITING, ServerTask
from operations.scenarios import Row, Skipped

RUNS, WOKEN = 10_000, 300
FIRST, PAUSE = 90.0, 0.1
"""Seconds after which the first of those is woken that are, and between two."""
LATE, MEMORY = 5.0, 100 * 1024 * 1024
"""The most seconds that a run may be woken late, and bytes that all may take."""
ACCOUNTS = """\
[serve]
store = "{store}"

[tenants.acme]
token = "{token}"
"""


def play(folder: Path, rounds: int, random: Random) -> Iterator[Row]:
    """Park the runs, start a server, and wait until the last of those that are woken is over."""
    if reason := reason_to_skip():
        raise Skipped(reason)
    with Postgres() as postgres:
        text = ACCOUNTS.format(store=postgres.address, token=ACME)
        stores = open_stores(postgres.address)
        store = stores.of("acme")
        (folder / "none").mkdir()
        with serving(folder / "none", text) as server:
            time.sleep(5)
            before = memory_of(server.process.pid)
        began = time.monotonic()
        with Runtime({}, environ={}, store=store) as runtime:
            park(runtime, store, 86400.0)
            copy(postgres.address, RUNS - WOKEN - 1)
            for number in range(WOKEN):
                park(runtime, store, FIRST + number * PAUSE)
        yield Row("parked", f"{RUNS:,} runs in {time.monotonic() - began:.0f} s")
        (folder / "all").mkdir()
        with serving(folder / "all", text) as server:
            ends = {each.run: each.since for each in store.tasks.open(SLEEP) if each.since < time.time() + 3600}
            most, processes = 0, 0

            def is_over() -> bool:
                nonlocal most, processes
                most = max(most, memory_of(server.process.pid))
                processes = max(processes, len(descendants(server.process.pid)))
                time.sleep(1)
                return len(store.runs(status="done", limit=WOKEN)) == WOKEN

            is_woken = eventually(is_over, FIRST + WOKEN * PAUSE + 120)
        taken = most - before
        yield Row("memory", f"{taken / 1024**2:.0f} MiB more than without runs, {processes} processes", taken < MEMORY)
        late = sorted(
            datetime.fromisoformat(str(each.ended)).timestamp() - ends[each.run]
            for each in store.runs(status="done", limit=WOKEN)
        )
        seen = f"{len(late)} of {WOKEN}, over {late[len(late) // 2]:.1f} s late in the middle, {late[-1]:.1f} s at most"
        yield Row("woken", seen, is_woken and late[-1] < LATE)
        stores.close()


def copy(address: str, count: int) -> None:
    """Copy the only parked run so often, which is never woken: its recording need not be signed for the other ids."""
    with psycopg.connect(address) as database:
        for table in ("recordings", "lines", "tasks"):
            rows = database.execute(f"SELECT * FROM kosmolua_{table}")
            names = [column.name for column in rows.description or ()]
            other = {"run": "lpad(to_hex(n), 12, '0')", "id": "'sleep/' || lpad(to_hex(n), 12, '0')"}
            chosen = ", ".join(other.get(name, name) for name in names)
            database.execute(
                f"INSERT INTO kosmolua_{table} ({', '.join(names)}) SELECT {chosen} "
                f"FROM kosmolua_{table}, generate_series(1, {count}) n"
            )


def park(runtime: Runtime, store: Store, seconds: float) -> None:
    """Let a run begin that sleeps."""

    def arrange(run: str, until: float) -> None:
        store.tasks.add(ServerTask(f"{SLEEP}/{run}", SLEEP, "", run, until, until, WAITING))

    run = f"{time.time_ns() // 1000 % 16**12:012x}"
    source = f"print('before') sleep({seconds}) print('after')"
    outcome = runtime.run(source, record=True, run=run, park=lambda until: arrange(run, until))
    assert outcome.status == "waiting"


def memory_of(process: int) -> int:
    """Return the bytes of memory that a process has for itself."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    return 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private"))
