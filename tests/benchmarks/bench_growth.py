"""Growth: what a call costs beside much that was there before, against the same call beside little.

Counted is the time of this process's processors, which other work on the machine does not change. That of the script's
own process depends on the script alone.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ratio import Ratio, compare

from kosmolua import Runtime
from kosmolua.errors import ConfigError
from kosmolua.plugin import Integration, Send
from kosmolua.serve import settings
from kosmolua.serve.tenant import Tenant
from kosmolua.serve.tenant_runtime import Common
from kosmolua.serve.tenants import Tenants
from kosmolua.stores.folder_store import Folder
from kosmolua.stores.store import Store, WaitingCall

FEW, MANY, MOST = 1, 1_000, 10_000
RUNS, CALLS = 30, 300
"""How many runs of one call each count in a round, and how many calls of one run."""
FLAT = 1.25
"""The ratio up to which a cost counts as flat. A cost that grew with the number would be hundreds of times as large."""
TOKEN = "the-token-of-the-tenant-{}"
Seconds = Callable[[], float]


@dataclass(frozen=True)
class Account:
    """Needs nothing."""

    note: str = ""

    def open(self, send: Send) -> None:
        return None


def integration(name: str, functions: int = 1) -> Integration:
    """Return an integration with so many functions that do nothing."""
    made = Integration(name, Account, about="For benchmarks.")
    for number in range(functions):

        def nothing(_: None, /) -> bool:
            """Do nothing."""
            return True

        nothing.__name__ = f"nothing_{number}"
        made.reads(nothing)
    return made


def of_runs(runtime: Runtime, source: str) -> Seconds:
    """Return a function that returns the seconds for some runs of a script."""

    def measure() -> float:
        began = time.process_time()
        for _ in range(RUNS):
            outcome = runtime.run(source)
            assert outcome.ok, outcome.error
        return time.process_time() - began

    return measure


def of_calls(runtime: Runtime, earlier: int) -> Seconds:
    """Return a function that returns the seconds for some calls of one run, after so many earlier ones."""
    call = "app.integrations.bench.nothing_0()"
    source = f"for _ = 1, {earlier} do {call} end print() for _ = 1, {CALLS} do {call} end print()"

    def measure() -> float:
        marks: list[float] = []
        given = {"max_calls": earlier + CALLS, "timeout": 600}
        outcome = runtime.run(source, on_output=lambda _: marks.append(time.process_time()), record=True, **given)
        assert outcome.ok, outcome.error
        return marks[1] - marks[0]

    return measure


@contextmanager
def server(folder: Path, tenants: int, store: str = "") -> Iterator[Tenants]:
    """Open a server's tenants."""
    folder.mkdir()
    file = folder / "accounts.toml"
    sections = [f'[tenants.t{number}]\ntoken = "{TOKEN.format(number)}"\n' for number in range(tenants)]
    file.write_text("\n".join([f'[serve]\nstore = "{store or folder / "store"}"\n', *sections]))
    file.chmod(0o600)
    found = Tenants(settings.read(str(file)), Common(simulate=True, environ={}))
    yield found
    asyncio.run(found.stop())


def of_requests(tenants: Tenants, number: int = 0) -> Seconds:
    """Return a function that returns the seconds for some scripts of a tenant, which is found by its token."""

    async def run_all() -> float:
        began = time.process_time()
        for _ in range(RUNS):
            tenant = await tenants.authenticate(TOKEN.format(number).encode())
            assert tenant
            outcome = await tenant.run("return app.integrations.render2.get_current_user().email", {})
            assert outcome.ok, outcome.error
        return time.process_time() - began

    return lambda: asyncio.run(run_all())


def only(tenants: Tenants) -> Tenant:
    """Return the only tenant."""
    (tenant,) = tenants
    return tenant


def fill(store: Store, count: int) -> None:
    """Record as many runs, which are copies of one."""
    with tempfile.TemporaryDirectory() as folder, Runtime(simulate=True) as runtime:
        path = Path(folder) / "run.jsonl"
        runtime.run("return app.integrations.render2.get_current_user().email", record=path)
        events = [json.loads(line) for line in path.read_bytes().splitlines()]
    for number in range(count):
        run = f"{number:012x}"
        with suppress(ConfigError):
            sheet = store.place(run).begin()
            for event in ({**events[0], "run": run}, *events[1:]):
                sheet.append(json.dumps(event).encode() + b"\n", event)
            sheet.close()


def ask(store: Store, count: int) -> None:
    """Let as many calls wait for a person."""
    call = {"number": 1, "path": "render2.suspend_service", "account": "default", "effect": "write", "arguments": {}}
    for number in range(count):
        store.ask(WaitingCall(f"q{number}", None, "script.lua", call, time.time(), time.time() + 86_400))


def ratios() -> Iterator[Ratio]:
    """Yield the ratio of each cost beside much to that beside little."""

    def grown(work: str, few: int, many: int, ours: Seconds, theirs: Seconds) -> Ratio:
        return compare(work.format(f"{many:,}"), f"{few:,}", ours, theirs, goal=FLAT, rounds=9)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield from _of_a_runtime(grown)
        for kind, address in (("folder", ""), ("SQLite", f"sqlite:///{folder}/{{}}.db")):
            few, many = address.format("few"), address.format("many")
            with server(folder / f"{kind}-few", 1, few) as little, server(folder / f"{kind}-many", 1, many) as much:
                fill(only(little).runtime.store, 10)
                fill(only(much).runtime.store, MOST)
                work = f"a run with a call, {{}} recordings in a store ({kind})"
                yield grown(work, 10, MOST, of_requests(much), of_requests(little))
                ask(only(little).runtime.store, FEW)
                ask(only(much).runtime.store, MANY)
                work = f"the same, and {{}} calls that wait for a person ({kind})"
                yield grown(work, FEW, MANY, of_requests(much), of_requests(little))
        with server(folder / "one", 1) as little, server(folder / "all", MANY) as much:
            yield grown("a run with a call, {} tenants", 1, MANY, of_requests(much, MANY // 2), of_requests(little))


def _of_a_runtime(grown: Callable[[str, int, int, Seconds, Seconds], Ratio]) -> Iterator[Ratio]:
    call = "return app.integrations.bench.{}nothing_{}()"
    with (
        tempfile.TemporaryDirectory() as folder,
        Runtime({}, plugins=[integration("bench")], store=Folder(folder)) as one,
    ):
        work = "a recorded call of a run, after {} earlier ones"
        yield grown(work, 10, MOST, of_calls(one, MOST), of_calls(one, 10))
        first = of_runs(one, call.format("", 0))
        accounts = {"bench": {"default": "a0", **{f"a{number}": {} for number in range(MANY)}}}
        with Runtime(accounts, plugins=[integration("bench")]) as many:
            yield grown("a run with a call, {} accounts", FEW, MANY, of_runs(many, call.format("a500.", 0)), first)
        with Runtime({}, plugins=[integration("bench"), *(integration(f"b{n}") for n in range(MANY))]) as many:
            yield grown("a run with a call, {} integrations", FEW, MANY, of_runs(many, call.format("", 0)), first)
        with Runtime({}, plugins=[integration("bench", MANY)]) as many:
            work = "a run with a call, {} functions in Python"
            yield grown(work, FEW, MANY, of_runs(many, call.format("", 500)), first)
