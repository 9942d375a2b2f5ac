"""Calls: over loopback against bare requests, many at once against one and against the ideal, and the protocol."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from bench_json import services
from ratio import Ratio, Seconds, compare, timed

from kosmolua import Runtime
from kosmolua.check.checker import Checker

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.loopback import Loopback

from kosmolua.plugin import Request, Response

ROWS = [
    {"id": f"srv-{number}", "name": f"service-{number}", "type": "web_service", "plan": "starter", "tags": ["a", "b"]}
    for number in range(20)
]
PLUGIN = '''
"""A service of rows, and one that waits."""
import json
import time
from dataclasses import dataclass
from kosmolua.plugin import Api, Integration, Secret, Send

@dataclass(frozen=True)
class Account:
    """A key and where it is good."""
    api_key: Secret
    base_url: str
    def open(self, send: Send) -> Api:
        return Api(send, self.base_url, bearer=self.api_key)

integration = Integration("bench", Account, about="For benchmarks.")
SERVICES = json.loads({services!r})

@integration.reads
def rows(api: Api, /) -> list:
    """Return rows."""
    return api.get("/rows")

@integration.reads
def named(api: Api, /, *, name: str | None = None, plan: str | None = None, tags: list[str] | None = None) -> list:
    """Return rows."""
    return api.get("/rows")

@integration.writes
def add(api: Api, /, *, name: str) -> list:
    """Add a row."""
    return api.post("/rows", json={"name": name})

@integration.writes
def rename(api: Api, /, *, id: str, name: str) -> None:
    """Do nothing."""

@integration.reads
def nothing(api: Api, /) -> None:
    """Do nothing."""

@integration.reads
def megabyte(api: Api, /) -> list:
    """Return a megabyte of services."""
    return SERVICES

@integration.reads
def wait(api: Api, /, *, seconds: float) -> bool:
    """Wait."""
    time.sleep(seconds)
    return True
'''
CALLS = 400


def answer(request: Request) -> Response:
    """Answer every request with the same rows."""
    return Response(200, {"Content-Type": "application/json"}, json.dumps(ROWS).encode())


@contextmanager
def bench_runtime(url: str) -> Iterator[Runtime]:
    """A runtime whose integration ``bench`` talks to a URL."""
    with tempfile.TemporaryDirectory() as folder:
        plugin, accounts = Path(folder) / "bench.py", Path(folder) / "accounts.toml"
        plugin.write_text(PLUGIN.replace("{services!r}", repr(services((",", ":")))))
        accounts.write_text(f'[bench.default]\napi_key = "key-for-benchmarks"\nbase_url = "{url}"\n')
        with Runtime(accounts, plugins=[plugin]) as runtime:
            yield runtime


def inside(runtime: Runtime, work: str, *, clock: Seconds = time.perf_counter, is_guarded: bool = False) -> float:
    """Run Lua and return the seconds between two marks that it prints, start-up and the check taken off."""
    marks: list[float] = []
    source = f'local bench = app.integrations.bench bench.wait({{ seconds = 0 }}) print("from") {work} print("to")'
    sites = Checker(runtime.catalog).check(source).sites if is_guarded else ()
    outcome = runtime.run(
        source, sites=sites, on_output=lambda piece: marks.append(clock()), timeout=60, max_calls=5000
    )
    assert outcome.ok, outcome.error
    return marks[1] - marks[0]


def waits(count: int, seconds: float, limit: int) -> str:
    """Return Lua that makes calls at once, each of which takes so many seconds."""
    return (
        f"local list = {{}} for i = 1, {count} do list[i] = i end "
        f"parallel.map(list, function() bench.wait({{ seconds = {seconds} }}) end, {{ limit = {limit} }})"
    )


def ratios() -> Iterator[Ratio]:
    """Yield the ratios of calls one after another and at once."""
    with Loopback(answer) as server, bench_runtime(server.url) as runtime:
        yield from _over_loopback(runtime, server.url)
        yield from _at_once(runtime)
        yield from _protocol(runtime)
        yield from _guarded(runtime)
    with Loopback(answer) as server, tempfile.TemporaryDirectory() as folder:
        yield from _as_users_run_it(server.url, Path(folder))


def _as_users_run_it(url: str, folder: Path) -> Iterator[Ratio]:
    """Yield the ratios of whole commands with the defaults, against a program that uses requests."""
    plugin, accounts, plain = folder / "bench.py", folder / "accounts.toml", folder / "plain.toml"
    plugin.write_text(PLUGIN.replace("{services!r}", "'[]'"))
    accounts.write_text(f'[bench.default]\napi_key = "key-for-benchmarks"\nbase_url = "{url}"\n')
    plain.write_text(f"{accounts.read_text()}[kosmolua]\njournal = false\n")
    for file in (accounts, plain):
        file.chmod(0o600)
    (folder / "rows.lua").write_text(f"for i = 1, {CALLS} do app.integrations.bench.rows() end")
    (folder / "add.lua").write_text(f"for i = 1, {CALLS} do app.integrations.bench.add({{ name = 'row ' .. i }}) end")
    (folder / "rows.py").write_text(
        f"import requests\nsession = requests.Session()\nfor _ in range({CALLS}):\n    session.get('{url}/rows').json()"
    )
    environ = {**os.environ, "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}

    def command(file: Path, *more: str, script: str = "rows.lua") -> Seconds:
        program = [str(Path(sys.executable).parent / "kosmolua"), "run", str(folder / script)]
        options = ["--yes", "--plugin", str(plugin), "--accounts", str(file), *more]
        return timed(lambda: subprocess.run([*program, *options], env=environ, capture_output=True, check=True))

    peer = timed(lambda: subprocess.run([sys.executable, str(folder / "rows.py")], check=True))
    run, usual, recorded = f"`kosmolua run`, {CALLS} calls of 20 rows", command(accounts), command(accounts, "--record")
    yield compare(run, "a program with `requests.Session()`", usual, peer, goal=1.2, rounds=7)
    yield compare(f"{run}, with its journal", "without", usual, command(plain), goal=1.05, rounds=7)
    yield compare(f"{run}, recorded", "not recorded", recorded, usual, goal=1.08, rounds=7)
    writes, kept = command(accounts, script="add.lua"), command(accounts, "--record", script="add.lua")
    yield compare(f"`kosmolua run`, {CALLS} writes, recorded", "not recorded", kept, writes, goal=1.2, rounds=7)


def _over_loopback(runtime: Runtime, url: str) -> Iterator[Ratio]:
    session = requests.Session()

    def bare() -> float:
        started = time.perf_counter()
        for _ in range(CALLS):
            session.get(f"{url}/rows").json()
        return time.perf_counter() - started

    def ours() -> float:
        return inside(runtime, f"for i = 1, {CALLS} do bench.rows() end")

    yield compare(f"{CALLS} calls over loopback", "`requests.Session().get().json()`", ours, bare, goal=1.15, rounds=5)


def _at_once(runtime: Runtime) -> Iterator[Ratio]:
    yield compare(
        "32 calls of 200 ms at once",
        "one such call",
        lambda: inside(runtime, waits(32, 0.2, 32)),
        lambda: inside(runtime, waits(1, 0.2, 1)),
        goal=2,
        rounds=5,
    )
    yield compare(
        "500 calls of 20 ms, limit 16",
        "500/16 * 20 ms",
        lambda: inside(runtime, waits(500, 0.02, 16)),
        lambda: 500 / 16 * 0.02,
        goal=1.5,
        rounds=5,
    )


def _protocol(runtime: Runtime) -> Iterator[Ratio]:
    """The cost of the protocol itself: at most 1 ms for a reply of 20 rows beyond the same call from Python."""

    def direct() -> float:
        started = time.perf_counter()
        for _ in range(100):
            runtime.call("bench.rows")
        return 0.001 + (time.perf_counter() - started) / 100

    yield compare(
        "a reply of 20 rows through the protocol",
        "the same call from Python + 1 ms",
        lambda: inside(runtime, "for i = 1, 100 do bench.rows() end") / 100,
        direct,
        goal=1,
        rounds=5,
    )


def _guarded(runtime: Runtime) -> Iterator[Ratio]:
    """What the guards of a run cost: each read decides about a write, and has keys that could be nil."""
    work = f"""
    local names = {{}} for i = 1, {CALLS} do names[i] = "service-" .. i end
    for i, name in ipairs(names) do
      local rows = bench.named({{ name = name, plan = names[1], tags = {{ name, names[i] }} }})
      if #rows == 0 then bench.rename({{ id = name, name = names[i] }}) end
    end
    """
    yield compare(
        f"{CALLS} calls over loopback, with guards, in the host's own time",
        "the same calls without them",
        lambda: inside(runtime, work, clock=time.process_time, is_guarded=True),
        lambda: inside(runtime, work, clock=time.process_time),
        goal=1.03,
        rounds=15,
    )
