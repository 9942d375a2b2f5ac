"""Schedules and hooks at three replicas with PostgreSQL, of which one is killed every 20 s, and the database twice."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import datetime
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from random import Random
from statistics import median
from urllib.parse import urlsplit

from support.loopback import Loopback
from support.postgres import Postgres, reason_to_skip
from support.processes import eventually
from support.serving import ACME, serving
from support.shelf import Shelf

from kosmolua.stores.opening import open_stores
from kosmolua.stores.store import Store
from kosmolua.stores.tasks import HOOK, PLANNED, SCHEDULE, ServerTask
from operations.rolling import free_ports, proxy
from operations.scenarios import PLUGIN, Row, Skipped

REPLICAS, KILL_EVERY = 3, 20.0
PATIENCE = 10
"""Minutes in which what was begun has to end; on a machine that is too slow for it, less has to be left than before."""
RESTARTS = 1, 3
"""After how many kills the database is restarted too."""
SENDERS = 24
"""How many deliveries are sent at once at most."""
EVERY = 5
TOKEN = "the-secret-of-the-hook"
FIRST = 1_000_000
"""The book that the first schedule puts back; hooks put back those before."""
ACCOUNTS = """\
[serve]
store = "{store}"

[tenants.acme]
token = "{token}"
scripts = "{scripts}"
plugins = ["{plugin}"]
permissions = {{ write = "allow" }}

[shelf.default]
api_key = "a-key-of-the-shelf"
base_url = "{url}"
permissions = {{ write = "allow" }}

[hooks.put]
script = "hook"
signature = "bearer"
secret = "{secret}"
"""
SCHEDULED = """\
[schedules.s{number}]
script = "tick"
every = {every}
params = {{ book = {book} }}
"""


def play(folder: Path, rounds: int, random: Random, *, schedules: int = 100, rate: float = 50.0) -> Iterator[Row]:
    """Run them for so many minutes, and compare what ran with what the service was asked to write."""
    if reason := reason_to_skip():
        raise Skipped(reason)
    shelf = Shelf()
    scripts = folder / "scripts"
    scripts.mkdir()
    (scripts / "tick.lua").write_text("---@param book integer\napp.integrations.shelf.put({ book = params.book })\n")
    (scripts / "hook.lua").write_text("app.integrations.shelf.put({ book = input.body.book })\n")
    ports = free_ports(1 + REPLICAS)
    with Postgres() as postgres, Loopback(shelf) as service, ExitStack() as stack:
        known = {"store": postgres.address, "token": ACME, "scripts": scripts, "plugin": PLUGIN, "url": service.url}
        text = ACCOUNTS.format(secret=TOKEN, **known)
        text += "".join(SCHEDULED.format(number=n, every=EVERY, book=FIRST + n) for n in range(schedules))
        replicas = [Replica(folder / str(port), port, text) for port in ports[1:]]
        for replica in replicas:
            stack.callback(replica.close)
            replica.start()
        url = stack.enter_context(proxy(folder, *ports))
        began, ends = time.time(), time.monotonic() + 60.0 * rounds
        with Deliveries(f"{url}/hooks/put", rate) as deliveries:
            kills = 0
            while time.monotonic() < ends:
                time.sleep(KILL_EVERY / 2)
                if kills in RESTARTS:
                    postgres.stop()
                    time.sleep(2)
                    postgres.start()
                time.sleep(KILL_EVERY / 2)
                random.choice(replicas).restart()
                kills += 1
        stopped = time.time()
        stores = open_stores(postgres.address)
        stack.callback(stores.close)
        store = stores.of("acme")
        left = [len(under_way(store, stopped))]
        while left[-1] and (len(left) < 4 or left[-1] < left[-4]) and len(left) < PATIENCE:  # a busy machine is late
            eventually(lambda: not under_way(store, stopped), 60)
            left.append(len(under_way(store, stopped)))
        for replica in replicas:
            replica.close()  # the ticks come on
        starts = sorted(each for replica in replicas for each in replica.starts[1:])
        seen = f"{kills} replicas killed, ready again within {starts[-1]:.0f} s (median {median(starts):.0f} s); "
        seen += f"the database restarted; left after each minute: {left}"
        yield Row("all is carried out, late or not", seen, not left[-1] or left[-1] < left[0])
        yield told_of_hooks(store, shelf, deliveries)
        yield told_of_ticks(store, shelf, schedules, began, stopped)


class Replica:
    """A server at a port, which is killed and started again; ``starts`` are the seconds that it took to be ready."""

    def __init__(self, folder: Path, port: int, accounts: str) -> None:
        folder.mkdir()
        compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder.parent / "compiled")}
        self._serving = partial(serving, folder, accounts, "--listen", f"127.0.0.1:{port}", **compiled)
        self._stack = ExitStack()
        self._starting: threading.Thread | None = None
        self.starts: list[float] = []

    def start(self) -> None:
        """Start it, and wait until it listens."""
        began = time.monotonic()
        self._stack.enter_context(self._serving())
        self.starts.append(time.monotonic() - began)

    def restart(self) -> None:
        """Kill it, and start it without waiting until it listens, as a supervisor does."""
        self.close()
        self._starting = threading.Thread(target=self.start)
        self._starting.start()

    def close(self) -> None:
        """Kill it."""
        if self._starting:
            self._starting.join()
        self._stack.close()


class Deliveries:
    """A service that calls a hook so many times a second, each time twice, and again until it is answered."""

    def __init__(self, url: str, rate: float) -> None:
        self._url = urlsplit(url)
        self._pause = 1 / rate
        self._ended = threading.Event()
        self._calls = ThreadPoolExecutor(SENDERS)
        self._own = threading.local()
        self._thread = threading.Thread(target=self._call_all)
        self.runs: dict[int, set[str]] = {}
        self.waited: list[float] = []

    def __enter__(self) -> Deliveries:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._calls.shutdown()

    def _call_all(self) -> None:
        book, began = 0, time.monotonic()
        while not self._ended.wait(max(0, began + book * self._pause - time.monotonic())):
            book += 1
            self.runs[book] = set()
            for _ in range(2):
                self._calls.submit(self._call, book)

    def _call(self, book: int) -> None:
        began = time.monotonic()
        for _ in range(300):
            with suppress(OSError, HTTPException):
                self.runs[book].add(self._told(book))
                self.waited.append(time.monotonic() - began)
                return
            time.sleep(0.2)

    def _told(self, book: int) -> str:
        """Send a delivery by the connection of this thread, and return the id of its run."""
        connection: HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = HTTPConnection(self._url.netloc, timeout=30)
        headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": str(book), "Content-Type": "application/json"}
        try:
            connection.request("POST", self._url.path, json.dumps({"book": book}), headers)
            answer = connection.getresponse()
            told = answer.read()
        except (OSError, HTTPException):
            connection.close()
            raise
        if answer.status != 202:
            raise ConnectionError(f"status {answer.status}")
        return str(json.loads(told)["run"])


def all_tasks(store: Store, kind: str, name: str) -> list[ServerTask]:
    return store.tasks.of(kind, name, 1_000_000)


def under_way(store: Store, until: float) -> list[ServerTask]:
    """Return the tasks up to a time that are not over."""
    found = [*store.tasks.open(HOOK), *store.tasks.open(SCHEDULE)]
    return [each for each in found if each.since <= until and (each.status != PLANNED or each.holder)]


def told_of_hooks(store: Store, shelf: Shelf, deliveries: Deliveries) -> Row:
    """Compare the deliveries that were accepted with what the service has seen."""
    tasks = {each.run: each for each in all_tasks(store, HOOK, "put")}
    wrong, named = [], Counter[str]()
    for book, runs in deliveries.runs.items():
        status = {tasks[run].status if run in tasks else "lost" for run in runs}
        named.update(status)
        count = shelf.lent[str(book)]
        if not runs:
            named["not answered"] += 1
        if len(runs) > 1 or (status == {"done"} and count != 1) or count > 1 or "lost" in status:
            wrong.append((book, runs, status, count))
    waited = sorted(deliveries.waited)
    seen = f"{len(deliveries.runs)} deliveries, each sent twice: {dict(named)}, wrong: {wrong[:3] or 'none'}; "
    seen += f"answered after {median(waited) * 1000:.0f} ms, 99 % within {waited[len(waited) * 99 // 100]:.2f} s"
    return Row("deliveries", seen, not wrong)


def until_of(tick: ServerTask) -> float:
    """Return up to when ticks are missed, as the note of the first of them says."""
    said = tick.note.rpartition(" up to ")[2]
    return datetime.fromisoformat(said).timestamp() if " up to " in tick.note else tick.since


def told_of_ticks(store: Store, shelf: Shelf, schedules: int, began: float, ended: float) -> Row:
    """Compare the ticks of each schedule with what the service has seen."""
    wrong, named, late = [], Counter[str](), Counter[str]()
    for number in range(schedules):
        found = all_tasks(store, SCHEDULE, f"s{number}")
        ticks = [each for each in found if each.due is None]
        begun = sum(each.due is not None and (each.status != PLANNED or bool(each.holder)) for each in found)
        named.update(each.status for each in ticks)
        late.update(each.note for each in ticks if each.status != "done")
        counted = Counter(each.status for each in ticks)
        written = shelf.lent[str(FIRST + number)]
        expected = {EVERY * n for n in range(int(began // EVERY) + 2, int(ended // EVERY))}
        gaps = expected - {each.since for each in found}
        missed = [(each.since, until_of(each)) for each in ticks if each.status == "missed"]
        unnamed = {tick for tick in gaps if not any(first <= tick <= last for first, last in missed)}
        if unnamed or not counted["done"] <= written <= counted["done"] + counted["failed"] + begun:
            wrong.append((number, written, dict(counted), unnamed))
        named["left out, as a missed tick says"] += len(gaps)
    seen = f"{schedules} schedules: {dict(named)} {dict(late.most_common(3))}, wrong: {wrong[:3] or 'none'}"
    return Row("ticks", seen, not wrong)
