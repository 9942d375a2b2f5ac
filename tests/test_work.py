"""Work without a person: ticks of schedules, and runs that sleep, each carried out once by any of several servers."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from conftest import Program, Write
from support.servers import wait_for

from kosmolua import ConfigError, Outcome
from kosmolua.calls.records import CallRecord
from kosmolua.errors import Unavailable
from kosmolua.secret import Secret
from kosmolua.serve import settings
from kosmolua.serve.notices import MAX_AGE
from kosmolua.serve.runs import Running
from kosmolua.serve.tenant import Tenant
from kosmolua.serve.tenant_runtime import Common
from kosmolua.serve.tenants import Tenants
from kosmolua.serve.work import overview, worker
from kosmolua.serve.work.settings import ScheduleSettings
from kosmolua.serve.work.worker import Errand, TaskWorker
from kosmolua.stores.folder_tasks import FolderTasks
from kosmolua.stores.store import Summary
from kosmolua.stores.tasks import HOOK, NOTICE, QUEUED, RUNNING, SCHEDULE, SLEEP, ServerTask, begin_by_hand

pytestmark = pytest.mark.slow

PLUGINS = Path(__file__).parent / "plugins"
FLAKY = '''
from dataclasses import dataclass
from pathlib import Path

from kosmolua.errors import NetworkError
from kosmolua.plugin import Integration, Send


@dataclass(frozen=True)
class Account:
    file: str = ""

    def open(self, send: Send) -> str:
        return self.file


integration = Integration("flaky", Account, about="A service that is often away.")


@integration.reads
def read(file: str, /, *, fails: int) -> dict[str, int]:
    """Read, after some failures."""
    path = Path(file)
    tries = len(path.read_text()) if path.exists() else 0
    path.write_text("x" * (tries + 1))
    if tries < fails:
        raise NetworkError("The service is away")
    return {"tries": tries}
'''
START = datetime(2026, 3, 2, 12, 0, 7, tzinfo=timezone.utc).timestamp()


class Site:
    """The servers of one tenant with one store, whose clock the test moves."""

    def __init__(self, folder: Path, ahead: list[float]) -> None:
        self.folder = folder
        self._ahead = ahead
        self._opened: list[Tenants] = []

    def open(self, sections: str, **scripts: str) -> TaskWorker:
        """Open a server with these sections in the accounts file, and these scripts."""
        (self.folder / "scripts").mkdir(exist_ok=True)
        for name, source in scripts.items():
            (self.folder / "scripts" / f"{name}.lua").write_text(source)
        (self.folder / "flaky.py").write_text(FLAKY)
        file = self.folder / "accounts.toml"
        file.touch(mode=0o600)
        file.write_text(
            f"""
            [serve]
            store = "{self.folder}/store"
            [tenants.acme]
            token = "the-token-of-acme-1"
            scripts = "scripts"
            plugins = ["{PLUGINS / "notebook.py"}", "flaky.py"]
            permissions = {{ write = "allow" }}
            [notebook.default]
            key = "a-key-of-the-notebook"
            file = "{self.folder}/notebook"
            permissions = {{ write = "allow" }}
            [flaky.default]
            file = "{self.folder}/flaky"
            {sections}
            """
        )
        self._opened.append(Tenants(settings.read(str(file)), Common(environ={})))
        return TaskWorker(self._opened[-1])

    @property
    def tenants(self) -> Tenants:
        """The tenants of the first server."""
        return self._opened[0]

    @property
    def tenant(self) -> Tenant:
        """The tenant at the first server."""
        found = self.tenants.get("acme")
        assert found
        return found

    @property
    def runs(self) -> list[Summary]:
        """The recorded runs, the latest first."""
        return self.tenant.runtime.store.runs()

    def pass_by(self, seconds: float) -> None:
        """Move the clock."""
        self._ahead[0] += seconds

    def ticks(self, name: str = "nightly") -> list[tuple[float, str, str]]:
        """Return the time after the start, the status and the note of the ticks that are over, the earliest first."""
        found = self.tenant.runtime.store.tasks.of(SCHEDULE, name, 100)
        return sorted((each.since - START, each.status, each.note) for each in found if each.due is None)

    def look(self, *servers: TaskWorker) -> None:
        """Let servers look for tasks, all at once, and wait until those are carried out."""

        async def look() -> None:
            await asyncio.gather(*(each.look() for each in servers))
            while any(each.is_busy for each in servers):
                await asyncio.sleep(0.01)

        asyncio.run(look())

    def close(self) -> None:
        """Close the servers."""
        for each in self._opened:
            asyncio.run(each.stop())


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site without servers."""
    ahead = [START - time.time()]
    now = time.time
    for module in ("stores.folder_tasks", "recordings.tape"):
        monkeypatch.setattr(f"kosmolua.{module}.time", lambda: now() + ahead[0])
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    site = Site(tmp_path, ahead)
    yield site
    site.close()


EVERY_MINUTE = '[schedules.nightly]\nscript = "report"\nevery = "1m"\n'


def test_old_notices_of_a_tenant_that_is_gone_are_dropped(site: Site) -> None:
    """After an hour, since another server with the store may have the tenant; a run of it that sleeps stays."""
    first = site.open("")
    tasks = site.tenants.stores.of("gone").tasks
    now = tasks.now()
    for source in (NOTICE, SLEEP):
        tasks.add(ServerTask(f"{source}/ops", source, "ops", "0123456789ab", now, now, QUEUED))
    site.look(first)
    assert [each.id for each in tasks.open(NOTICE)] == ["notice/ops"]
    site.pass_by(MAX_AGE + 60)
    site.look(site.open(""))
    assert tasks.open(NOTICE) == []
    assert tasks.of(NOTICE, "ops", 1)[0].note == "there is no such tenant any more"
    assert [each.id for each in tasks.open(SLEEP)] == ["sleep/ops"]


def test_each_tick_runs_once(site: Site) -> None:
    """Whichever of two servers takes it, with the parameters of the schedule."""
    script = "---@param days integer\nprint(params.days)"
    one = site.open(EVERY_MINUTE + "params = { days = 7 }", report=script)
    two = site.open(EVERY_MINUTE + "params = { days = 7 }")
    site.look(one, two)
    assert site.runs == [], "the first tick is still to come"
    for _ in range(3):
        site.pass_by(60)
        site.look(one, two)
    assert [tick[:2] for tick in site.ticks()] == [(53, "done"), (113, "done"), (173, "done")]
    runs = site.runs
    assert [(run.status, run.client, run.script) for run in runs] == [("done", "schedule nightly", "report.lua")] * 3
    assert site.tenant.runtime.replay(site.tenant.runtime.store.read(runs[0].run)).output == "7\n"


@pytest.mark.parametrize(
    ("missed", "after"),
    [("skip", [(53, "missed"), (113, "missed")]), ("once", [(53, "done"), (113, "missed")])],
)
def test_ticks_that_no_server_was_there_for(site: Site, missed: str, after: list[tuple[float, str]]) -> None:
    """They are skipped, or one run makes up for them all; the next one comes at its time."""
    server = site.open(EVERY_MINUTE + f'missed = "{missed}"', report="print(1)")
    site.look(server)
    site.pass_by(3600)
    site.look(server)
    assert [tick[:2] for tick in site.ticks()] == after
    assert "no server was free for this tick and those after it, up to 2026-03-02T13:00:" in site.ticks()[1][2]
    site.pass_by(60)
    site.look(server)
    assert [tick[:2] for tick in site.ticks()] == [*after, (3653, "done")]


@pytest.mark.parametrize(("overlap", "status"), [("skip", "skipped"), ("wait", "queued")])
def test_a_tick_while_an_earlier_run_is_under_way(site: Site, overlap: str, status: str) -> None:
    """It is skipped, or waits until that run is over; here that one sleeps for half an hour."""
    napping = "sleep(1800)"
    server = site.open(EVERY_MINUTE + f'overlap = "{overlap}"', report=napping)
    site.look(server)
    site.pass_by(60)
    site.look(server)
    assert [run.status for run in site.runs] == ["waiting"]
    site.pass_by(60)
    site.look(server)
    assert [run.status for run in site.runs] == ["waiting"]
    found = {each.since - START: each for each in site.tenant.runtime.store.tasks.of(SCHEDULE, "nightly", 9)}
    assert (found[113].status, found[113].note.partition(" ")[0]) == (status, "an")
    site.pass_by(1800)
    site.look(server)
    assert [run.status for run in site.runs if run.client][-1] == "done"


def test_a_run_that_sleeps_is_woken_by_another_server(site: Site) -> None:
    """At its time, not before; the run of a client too."""
    one = site.open("", nap="")
    outcome = asyncio.run(site.tenant.run("sleep(3600) app.integrations.notebook.add({ line = 'awake' })", {}))
    assert outcome.status == "waiting"
    assert [run.status for run in site.runs] == ["waiting"]
    two = site.open("")
    site.pass_by(3500)
    site.look(one, two)
    assert [run.status for run in site.runs] == ["waiting"]
    site.pass_by(101)
    site.look(two)
    assert [run.status for run in site.runs] == ["done"]
    assert (site.folder / "notebook").read_text() == "awake\n"


def test_a_run_that_sleeps_twice_is_woken_twice(site: Site) -> None:
    """Also by somebody who resumes it by hand before its time."""
    server = site.open("")
    first = asyncio.run(site.tenant.run("for n = 1, 2 do sleep(600) print(n) end", {}))
    assert first.run
    early = asyncio.run(site.tenant.resume(first.run, {}))
    assert early.status == "waiting"
    for status in ("waiting", "done"):
        site.pass_by(601)
        site.look(server)
        assert [run.status for run in site.runs] == [status]


def test_the_run_of_a_server_that_died_is_resumed(site: Site) -> None:
    """After the lease, from its recording: what it wrote is not written again."""
    script = "app.integrations.notebook.add({ line = 'one' }) sleep(1) app.integrations.notebook.add({ line = 'two' })"
    server = site.open(EVERY_MINUTE, report=script)
    tasks = site.tenant.runtime.store.tasks
    now = tasks.now()
    tasks.add(ServerTask("died", SCHEDULE, "nightly", "0123456789ab", now, now, QUEUED))
    assert [each.id for each in tasks.begin(*tasks.take(1))] == ["died"]
    runtime, notebook = site.tenant.runtime, site.folder / "notebook"
    with ThreadPoolExecutor() as threads:
        first = threads.submit(runtime.run, script, record=True, run="0123456789ab", name="report.lua")
        wait_for(lambda: notebook.exists() and bool(notebook.read_text()), 60)
        runtime.interrupt("0123456789ab")
        assert first.result().status == "interrupted"
    recording = site.folder / "store" / "acme" / "0123456789ab.jsonl"
    lines = recording.read_bytes().splitlines(keepends=True)
    recording.write_bytes(b"".join(lines[:-1]))  # the process died before it could write the end
    site.look(server)
    assert (site.folder / "notebook").read_text() == "one\n"
    site.pass_by(30)
    site.look(server)
    assert (site.folder / "notebook").read_text() == "one\ntwo\n"
    assert [run.status for run in site.runs] == ["done"]


def test_a_run_that_failed_is_tried_again(site: Site) -> None:
    """By an error that may pass, as often as the schedule says, from its recording; later from time to time."""
    script = """
    app.integrations.notebook.add({ line = "once" })
    print(app.integrations.flaky.read({ fails = 2 }).tries)
    """
    server = site.open(EVERY_MINUTE.replace("1m", "1d") + "retries = 2", report=script)
    site.look(server)
    begun = begin_by_hand(site.tenant.runtime.store.tasks, "nightly")
    site.look(server)
    for seconds, status in ((5, "failed"), (11, "failed"), (20, "failed"), (11, "done")):
        site.pass_by(seconds)
        site.look(server)
        assert {run.status for run in site.runs if run.run == begun.run} == {status}, site.ticks()
    assert (site.folder / "notebook").read_text() == "once\n"


def test_a_tick_that_a_dead_server_had_begun_is_not_missed(site: Site) -> None:
    """However late another server takes it: the dead one may have begun its run."""
    server = site.open(EVERY_MINUTE, report="print(1)")
    tasks = site.tenant.runtime.store.tasks
    site.look(server)
    site.pass_by(60)
    (taken,) = tasks.take(1)
    assert tasks.begin(taken)
    site.pass_by(300)
    site.look(server)
    assert site.ticks()[0][:2] == (53, "done")
    assert not tasks.begin(taken)


def test_a_run_that_a_server_still_has_is_left_to_it(site: Site) -> None:
    """A server that was thought dead goes on; whoever took its task waits, and sees how the run ended."""
    gate = site.folder / "gate"
    script = f"app.integrations.notebook.wait({{ seconds = 60, file = '{gate}' }}) return 1"
    server = site.open(EVERY_MINUTE, report=script)
    tasks, runtime = site.tenant.runtime.store.tasks, site.tenant.runtime
    now = tasks.now()
    tasks.add(ServerTask("held", SCHEDULE, "nightly", "0123456789ab", now, now, QUEUED))
    with ThreadPoolExecutor() as threads:
        first = threads.submit(runtime.run, script, record=True, run="0123456789ab", name="report.lua")
        wait_for(lambda: [run.status for run in site.runs] == ["running"], 60)
        site.look(server)
        assert [each.status for each in tasks.open(SCHEDULE) if each.id == "held"] == [RUNNING]
        gate.touch()
        assert first.result().result == [1]
    site.pass_by(5)
    site.look(server)
    found = tasks.find("held")
    assert found
    assert (found.status, found.due) == ("done", None)


def test_a_run_sleeps_though_another_server_waits_for_it(site: Site) -> None:
    """One that thought its server dead, as after a time without the store, and wakes it then."""
    server = site.open(EVERY_MINUTE.replace("1m", "1d"), report="print(1)")
    tasks = site.tenant.runtime.store.tasks
    run = asyncio.run(site.tenant.run("sleep(3600) return 1", {})).run
    assert run
    tasks.add(ServerTask("held", SCHEDULE, "nightly", run, tasks.now(), tasks.now(), QUEUED))
    assert tasks.begin(*tasks.take(1))
    site.pass_by(60)
    (task,) = tasks.take(1)
    site.pass_by(60)
    (other,) = tasks.take(1)
    assert tasks.put(replace(other, due=tasks.now() + 2))
    assert asyncio.run(Errand(site.tenant, task).outcome()) is None
    assert [each.status for each in site.runs] == ["waiting"]
    site.pass_by(3600)
    site.look(server)
    assert {each.run: each.status for each in site.runs}[run] == "done"


def test_a_woken_run_that_failed_is_not_tried_again(site: Site) -> None:
    """Not even if its server died before it could store that the task is over."""
    server = site.open("")
    script = "sleep(60) print(app.integrations.flaky.read({ fails = 1 }).tries)"
    run = asyncio.run(site.tenant.run(script, {})).run
    assert run
    site.pass_by(61)
    assert [each.run for each in site.tenant.runtime.store.tasks.take(1)] == [run]
    assert asyncio.run(site.tenant.resume(run, {})).status == "failed"
    site.pass_by(30)
    site.look(server)
    assert [each.status for each in site.runs] == ["failed"]


def test_a_fault_of_the_server_ends_the_task(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """As failed, with the reason: it is not taken again and again."""
    server = site.open(EVERY_MINUTE, report="print(1)")
    begun = begin_by_hand(site.tenant.runtime.store.tasks, "nightly")

    async def fail(*_: object) -> None:
        raise TypeError("oh")

    monkeypatch.setattr(site.tenant, "run", fail)
    site.look(server)
    found = site.tenant.runtime.store.tasks.find(begun.id)
    assert found
    assert (found.status, found.due, found.note) == ("failed", None, "The server failed: TypeError('oh')")


@pytest.mark.parametrize("absent", ["begin", "runs"])
def test_a_store_that_is_away_for_a_moment_ends_no_task(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, absent: str
) -> None:
    """A run that sleeps is still woken, and a tick still runs, once the lease has ended; no fault is reported."""
    server = site.open(EVERY_MINUTE.replace("1m", "1d"), report="print(1)")
    store = site.tenant.runtime.store
    sleeper = asyncio.run(site.tenant.run("sleep(60) return 1", {})).run
    begun = begin_by_hand(store.tasks, "nightly")

    def fail(*_: object, **__: object) -> list[Summary]:
        raise Unavailable("The database cannot be reached")

    with monkeypatch.context() as away:
        take = FolderTasks.take

        def take_last(tasks: FolderTasks, *given: Any) -> list[ServerTask]:
            taken = take(tasks, *given)
            away.setattr(*((FolderTasks, "begin", fail) if absent == "begin" else (store, "runs", fail)))
            return taken

        away.setattr(FolderTasks, "take", take_last)
        site.pass_by(61)
        site.look(server)
    assert [each.message for each in caplog.records if each.name == "asyncio"] == []
    assert sleeper in {each.run for each in store.tasks.open(SLEEP)}
    assert (begun.run in {each.run for each in store.tasks.open(SCHEDULE)}) == (absent == "begin")
    site.pass_by(30)
    site.look(server)
    assert {run.run: run.status for run in site.runs} == {sleeper: "done", begun.run: "done"}


def test_damaged_tasks_of_a_tenant_hold_up_no_other(site: Site) -> None:
    """Neither those that are due, nor the planning of ticks."""
    (site.folder / "other.toml").write_text(EVERY_MINUTE)
    (site.folder / "other.toml").chmod(0o600)
    other = '[tenants.globex]\ntoken = "the-token-of-globex-1"\nscripts = "scripts"\naccounts = "other.toml"\n'
    server = site.open(EVERY_MINUTE.replace("[schedules", f"{other}[schedules", 1), report="print(1)")
    site.look(server)
    for each in (site.folder / "store" / "acme" / "tasks").glob("*.json"):
        each.write_text("{")
    globex = site.tenants.get("globex")
    assert globex
    for looking in (server, TaskWorker(site.tenants)):
        site.pass_by(60)
        site.look(looking)
    over = [each for each in globex.runtime.store.tasks.of(SCHEDULE, "nightly", 9) if each.due is None]
    assert [each.status for each in over] == ["done", "done"]


def test_a_fault_of_one_look_ends_no_other(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is reported, and the server looks again."""
    server = site.open("")
    faults, reported = [RuntimeError("oh")], list[object]()
    monkeypatch.setattr(worker, "INTERVAL", 0.01)

    async def look_on() -> None:
        looked = asyncio.Event()

        async def look() -> None:
            if faults:
                raise faults.pop()
            looked.set()

        monkeypatch.setattr(server, "look", look)
        asyncio.get_running_loop().set_exception_handler(lambda _, about: reported.append(about["exception"]))
        server.start()
        await asyncio.wait_for(looked.wait(), 60)
        await server.stop()

    asyncio.run(look_on())
    assert [str(each) for each in reported] == ["oh"]


def test_people_are_told_of_the_last_failure_alone(site: Site) -> None:
    """As a run that will be tried again has not failed yet; and of one whose script is not there any more."""
    ended: list[tuple[str, bool]] = []

    class Observer:
        def started(self, run: Running) -> None: ...
        def called(self, run: Running, call: CallRecord) -> None: ...
        def ended(self, run: Running, outcome: Outcome) -> None:
            ended.append((outcome.status, run.is_retried))

    script = "app.integrations.flaky.read({ fails = 9 })"
    server = site.open(EVERY_MINUTE.replace("1m", "1d") + "retries = 1", report=script)
    site.tenants.observe(Observer())
    begin_by_hand(site.tenant.runtime.store.tasks, "nightly")
    site.look(server)
    site.pass_by(16)
    site.look(server)
    assert ended == [("failed", True), ("failed", False)]
    (site.folder / "scripts" / "report.lua").unlink()
    begin_by_hand(site.tenant.runtime.store.tasks, "nightly")
    site.look(server)
    assert ended[2:] == [("failed", False)]


def test_a_run_that_sleeps_can_be_stopped(site: Site) -> None:
    """It is interrupted then, is not woken, and can be resumed by hand."""
    server = site.open("")
    first = asyncio.run(site.tenant.run("sleep(600) return 'woken'", {}))
    assert first.run
    site.tenant.orders.cancel(first.run)
    site.look(server)
    assert [run.status for run in site.runs] == ["interrupted"]
    site.pass_by(601)
    site.look(server)
    assert [run.status for run in site.runs] == ["interrupted"]
    assert asyncio.run(site.tenant.resume(first.run, {})).result == ["woken"]


def test_a_run_that_is_to_be_tried_again_can_be_stopped(site: Site) -> None:
    """It stays failed, and is not tried again; once it is over, there is nothing to stop."""
    server = site.open(
        EVERY_MINUTE.replace("1m", "1d") + "retries = 3", report="app.integrations.flaky.read({ fails = 1 })"
    )
    begun, orders = begin_by_hand(site.tenant.runtime.store.tasks, "nightly"), site.tenant.orders
    site.look(server)
    assert orders.can_cancel(begun.run, "failed")
    orders.cancel(begun.run)
    site.look(server)
    site.pass_by(60)
    site.look(server)
    assert [run.status for run in site.runs] == ["failed"]
    assert [tick[1:] for tick in site.ticks()] == [("failed", "a person has stopped it; The service is away")]
    assert not orders.can_cancel(begun.run, "failed")


def test_few_ticks_wait_for_an_earlier_run(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that come then are skipped, and the history says why."""
    monkeypatch.setattr(worker, "MAX_WAITING", 2)
    server = site.open(EVERY_MINUTE + 'overlap = "wait"', report="sleep(3600)")
    site.look(server)
    for _ in range(4):
        site.pass_by(60)
        site.look(server)
    assert site.ticks() == [(233, "skipped", "2 earlier ticks waited already")]


def test_a_paused_hook_skips_its_deliveries(site: Site) -> None:
    """And runs for those that come once it is not paused any more."""
    hook = '[hooks.nightly]\nscript = "report"\nsignature = "bearer"\nsecret = "the-secret-of-the-hook"\n'
    server = site.open(hook, report="print(input)")
    store = site.tenant.runtime.store
    for number, paused in enumerate((True, False)):
        overview.pause(store, HOOK, "nightly", ends=not paused)
        store.tasks.add(ServerTask(f"hook/{number}", HOOK, "nightly", f"{number:012}", START + number, START, QUEUED))
        site.look(server)
    found = overview.history(store, HOOK, "nightly")
    assert [(each.status, each.note) for each in found] == [("done", ""), ("skipped", "the hook is paused")]
    assert len(site.runs) == 1


def test_what_waits_begins_as_soon_as_others_are_over(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only at the next look; but not while a delivery is being accepted, which comes first."""
    monkeypatch.setattr(worker, "BATCH", 2)
    monkeypatch.setattr(worker, "INTERVAL", 600.0)
    hook = '[hooks.nightly]\nscript = "report"\nsignature = "bearer"\nsecret = "the-secret-of-the-hook"\n'
    server, store = site.open(hook, report="print(input)"), site.tenant.runtime.store
    for number in range(5):
        store.tasks.add(ServerTask(f"hook/{number}", HOOK, "nightly", f"{number:012}", START + number, START, QUEUED))

    async def look(until: int) -> None:
        while len(store.runs(status="done")) < until or server.is_busy:
            await asyncio.sleep(0.01)

    async def look_twice() -> None:
        site.tenant.accepting = 1
        server.start()
        await look(2)
        await asyncio.sleep(0.1)
        assert len(store.runs()) == 2
        site.tenant.accepting = 0
        await look(5)
        await server.stop()

    asyncio.run(asyncio.wait_for(look_twice(), 60))


def test_a_backlog_of_deliveries_holds_up_no_schedule(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor the other way around: they take turns, with each tenant."""
    monkeypatch.setattr(worker, "BATCH", 2)
    hook = '[hooks.calls]\nscript = "report"\nsignature = "bearer"\nsecret = "the-secret-of-the-hook"\n'
    other = '[tenants.globex]\ntoken = "the-token-of-globex-1"\nscripts = "scripts"\naccounts = "globex.toml"\n'
    (site.folder / "globex.toml").touch(mode=0o600)
    (site.folder / "globex.toml").write_text(EVERY_MINUTE + hook)
    server = site.open(EVERY_MINUTE + hook + other, report="print(1)")
    site.look(server)
    queues = [each.runtime.store.tasks for each in site.tenants]
    for tasks in queues:
        for number in range(9):
            tasks.add(ServerTask(f"hook/{number}", HOOK, "calls", f"{number:012}", START, START + number, QUEUED))
    site.pass_by(60)
    for _ in range(2):
        site.look(server)
    assert len(queues) == 2
    for tasks in queues:
        over = [each for each in tasks.of(SCHEDULE, "nightly", 9) if each.due is None]
        assert [(each.since - START, each.status) for each in over] == [(53, "done")]
        assert sum(each.due is None for each in tasks.of(HOOK, "calls", 9)) == 3


def test_a_run_that_fails_for_good_is_listed_as_failed(site: Site) -> None:
    """With its message, and the next tick comes all the same."""
    server = site.open(EVERY_MINUTE + "retries = 3", report="error('no')")
    site.look(server)
    site.pass_by(60)
    site.look(server)
    assert [tick[:2] for tick in site.ticks()] == [(53, "failed")]
    assert "no" in site.ticks()[0][2]
    site.pass_by(60)
    site.look(server)
    assert len(site.ticks()) == 2


def test_a_paused_schedule_skips_its_ticks(site: Site) -> None:
    """And runs again when it is not paused any more; what a person starts runs meanwhile."""
    server = site.open(EVERY_MINUTE, report="print(1)")
    store = site.tenant.runtime.store
    site.look(server)
    overview.pause(store, SCHEDULE, "nightly")
    site.pass_by(60)
    begin_by_hand(store.tasks, "nightly")
    site.look(server)
    assert [tick[1:] for tick in site.ticks()] == [("skipped", "the schedule is paused"), ("done", "")]
    overview.pause(store, SCHEDULE, "nightly", ends=True)
    site.pass_by(60)
    site.look(server)
    assert site.ticks()[-1][1] == "done"


def test_a_tick_that_cannot_run_now_is_kept(site: Site) -> None:
    """While the tenant is drained, and while it may start no further scripts."""
    server = site.open(EVERY_MINUTE, report="print(1)")
    site.look(server)
    site.tenant.orders.drain()
    site.pass_by(60)
    site.look(server)
    assert site.ticks() == []
    site.tenant.orders.drain(ends=True)
    site.look(server)
    assert [tick[:2] for tick in site.ticks()] == [(53, "done")]


def test_a_changed_schedule_comes_at_its_new_time(site: Site) -> None:
    """What was planned before is dropped."""
    site.look(site.open(EVERY_MINUTE, report="print(1)"))
    other = site.open(EVERY_MINUTE.replace('every = "1m"', 'cron = "30 12 * * *"'))
    site.look(other)
    site.pass_by(60)
    site.look(other)
    assert site.runs == []
    assert site.ticks() == [(53, "skipped", "the schedule was changed")]
    site.pass_by(1740)
    site.look(other)
    assert [tick[:2] for tick in site.ticks()][1:] == [(1793, "done")]


def test_a_tick_that_a_server_with_older_settings_dropped_runs(site: Site) -> None:
    """As when replicas are replaced one after another, and the old ones do not know the schedule yet."""
    new = site.open(EVERY_MINUTE, report="print(1)")
    site.look(new)
    site.look(site.open(""))
    assert site.ticks() == [(53, "skipped", "the schedule was changed")]
    site.look(site.open(EVERY_MINUTE))
    site.pass_by(60)
    site.look(new)
    assert [tick[:2] for tick in site.ticks()] == [(53, "done")]


BERLIN = ZoneInfo("Europe/Berlin")


def times(schedule: ScheduleSettings, start: datetime, count: int) -> list[str]:
    """Return the first ticks after a moment, in the time zone of the schedule."""
    found, moment = [], start.timestamp()
    for _ in range(count):
        moment = schedule.next_after(moment)
        found.append(datetime.fromtimestamp(moment, schedule.timezone).strftime("%d %H:%M%z"))
    return found


def test_clocks_that_are_put_forward_and_back() -> None:
    """A tick in the hour that is left out comes at its end; one in the hour that comes twice comes once."""
    nightly = ScheduleSettings("nightly", "x", cron="30 2 * * *", timezone=BERLIN)
    spring, autumn = datetime(2026, 3, 28, 12, tzinfo=BERLIN), datetime(2026, 10, 24, 12, tzinfo=BERLIN)
    assert times(nightly, spring, 2) == ["29 03:00+0200", "30 02:30+0200"]
    assert times(nightly, autumn, 2) == ["25 02:30+0200", "26 02:30+0100"]
    often = replace(nightly, cron="*/30 2 * * *")
    assert times(often, autumn, 5) == [
        "25 02:00+0200",
        "25 02:30+0200",
        "25 02:00+0100",
        "25 02:30+0100",
        "26 02:00+0100",
    ]
    assert times(ScheduleSettings("x", "x", every=3600.0), autumn, 2) == ["24 11:00+0000", "24 12:00+0000"]


@pytest.mark.parametrize("ahead", [-60.0, 60.0])
def test_the_clock_of_the_store_counts(site: Site, monkeypatch: pytest.MonkeyPatch, ahead: float) -> None:
    """A server whose own clock is a minute off runs no tick too early, too late or twice."""
    one, two = (site.open(EVERY_MINUTE, report="print(1)") for _ in range(2))
    site.look(one)
    now = time.time
    monkeypatch.setattr("time.time", lambda: now() + ahead)
    site.look(two, one)
    assert site.ticks() == []
    site.pass_by(60)
    site.look(two, one)
    assert [tick[:2] for tick in site.ticks()] == [(53, "done")]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ('script = "report"', "[schedules.x] says neither cron nor every"),
        ('script = "report"\nevery = "1m"\ncron = "@daily"', "[schedules.x] has both cron and every"),
        ('every = "1m"', "[schedules.x] names no script"),
        ('script = "report"\nevery = "0.1s"', "[schedules.x] every must be at least a second"),
        ('script = "report"\ncron = "61 * * * *"', "[schedules.x] cron must be a cron expression whose time comes"),
        ('script = "report"\ncron = "0 0 31 2 *"', "[schedules.x] cron must be a cron expression whose time comes"),
        ('script = "report"\ncron = "@daily"\ntimezone = "Mars"', "timezone must be a time zone such as"),
        ('script = "report"\nevery = "1m"\nevry = 1', "unknown key 'evry' in [schedules.x] (did you mean 'every'?)"),
        ('script = "report"\nevery = "1m"\noverlap = "no"', "[schedules.x] overlap must be one of 'skip', 'wait'"),
        ('script = "report"\nevery = "1m"\nretries = -1', "retries must be a whole number from 0 to 20"),
        ('script = "raport"\nevery = "1m"', "app.scripts has no 'raport' (did you mean 'report'?)"),
        ('script = "no.lua"\nevery = "1m"', "no.lua cannot be read: No such file"),
        ('script = "report"\nevery = "1m"\nparams = { n = "x" }', "[schedules.x] report.lua"),
    ],
)
def test_a_mistake_in_a_schedule_is_told(site: Site, section: str, said: str) -> None:
    """With its line, and what to write."""
    with pytest.raises(ConfigError) as caught:
        site.open(f"[schedules.x]\n{section}", report="---@param n? integer\nprint(1)")
    assert said in str(caught.value)
    assert "accounts.toml:" in str(caught.value)


PERSONAL = '[notebook.own]\nfile = "x"\n[notebook.own.on_behalf]\ntoken_url = "https://login.example/token"\n'


def test_a_run_that_needs_its_person_does_not_park(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """As whoever woke it would not have the token of the person; one of nobody parks."""
    monkeypatch.setattr("kosmolua.recordings.tape.MIN_PARKED", 0.05)
    site.open(PERSONAL)
    script = "sleep(0.1) if input then app.integrations.notebook.own.add({ line = 'x' }) end"
    assert asyncio.run(site.tenant.run(script, {"subject": Secret("the token of ann")})).status == "done"
    assert asyncio.run(site.tenant.run(script, {})).status == "waiting"


def test_a_call_that_needs_its_person_is_not_approved_without_them(site: Site) -> None:
    """The run stays paused, so that it can be approved where the person is logged in."""
    site.open(PERSONAL)
    run = site.tenant.runtime.run("app.integrations.notebook.own.add({ line = 'x' })", record=True).run
    assert run
    with pytest.raises(ConfigError, match=r"notebook.add acts on behalf of the person who is logged in, and nobody"):
        asyncio.run(site.tenant.resume(run, {}, approve=True))
    assert [each.status for each in site.runs] == ["paused"]


def test_a_script_that_needs_a_person_is_refused(site: Site) -> None:
    """As an account that acts on behalf of one has no token when nobody is logged in."""
    with pytest.raises(ConfigError) as caught:
        site.open(PERSONAL + EVERY_MINUTE, report="app.integrations.notebook.own.add({ line = 'x' })")
    assert "report.lua uses notebook.own, which acts on behalf of the person who is logged in" in str(caught.value)
    assert "accounts.toml:" in str(caught.value)


def test_a_misspelt_section_is_told(site: Site) -> None:
    """As it would be ignored, and nothing would run."""
    with pytest.raises(ConfigError, match=r"unknown section \[schedule\] \(did you mean 'schedules'\?\)"):
        site.open('[schedule.x]\nscript = "report"', report="")


def test_the_command_line_lists_runs_and_pauses(site: Site, kosmolua: Program) -> None:
    """What the server then does; the only tenant need not be named."""
    server = site.open(EVERY_MINUTE, report="print(1)")
    site.look(server)
    site.pass_by(60)
    site.look(server)
    of = ("--accounts", site.folder / "accounts.toml")
    (listed,) = json.loads(kosmolua("schedules", *of, "--json").stdout)
    assert (listed["name"], listed["when"], listed["paused"]) == ("nightly", "every 60 s", False)
    assert listed["next"] == "2026-03-02T12:02:00+00:00"
    assert (listed["last"]["time"], listed["last"]["status"]) == ("2026-03-02T12:01:00+00:00", "done")
    assert kosmolua("schedules", "pause", "nightly", *of).returncode == 0
    assert kosmolua("schedules", *of).stdout.splitlines()[1].split("\t")[3] == "paused"
    nothing = kosmolua("schedules", "pause", "nightly", "--hook", *of)
    assert "There is no hook 'nightly'" in nothing.stderr
    told = kosmolua("schedules", "run", "nightly", *of).stderr
    begun = told.split("begins the run ")[1][:12]
    assert f"; kosmolua runs show {begun} --tenant acme --accounts {of[1]} shows it" in told
    site.pass_by(time.time() - site.tenant.runtime.store.tasks.now() + 1)
    site.look(server)
    assert [run.status for run in site.runs if run.run == begun] == ["done"]
    unknown = kosmolua("schedules", "run", "nightli", *of)
    assert unknown.returncode == 2
    assert "There is no schedule 'nightli' (did you mean 'nightly'?)" in unknown.stderr


@pytest.mark.parametrize(
    "words", ["schedules", "schedules run nightly", "schedules pause nightly", "schedules --tenant acme"]
)
def test_without_the_extra_schedules_say_what_to_install(words: str, environment: dict[str, str]) -> None:
    """A sentence, and the status of a configuration that the user has to mend."""
    hide = (
        "import sys; sys.modules |= dict.fromkeys(['mcp', 'mcp_types', 'starlette', 'jwt']); sys.argv[0] = 'kosmolua'"
    )
    command = [sys.executable, "-c", f"{hide}; from kosmolua.cli import main; main(sys.argv[1:])", *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == 3, done.stderr
    assert "pip install 'kosmolua[serve]'" in done.stderr


def test_a_tenant_has_to_be_named_if_there_are_several(kosmolua: Program, write: Write) -> None:
    """As each has schedules of its own."""
    tenant = '[tenants.{0}]\ntoken = "the-token-of-{0}-1234567"\n'
    file = write("accounts.toml", tenant.format("acme") + tenant.format("globex"))
    file.chmod(0o600)
    done = kosmolua("schedules", "--accounts", file)
    assert done.returncode == 2
    assert "has the tenants acme, globex (name one with --tenant)" in done.stderr


def test_without_a_tenant_schedules_are_listed_and_run_here(kosmolua: Program, write: Write) -> None:
    """With a sentence that no server runs them."""
    write("report.lua", "---@param days integer\nprint(params.days)")
    schedule = '[schedules.nightly]\nscript = "report.lua"\ncron = "@daily"\nparams = { days = 7 }\n'
    file = write("accounts.toml", schedule)
    file.chmod(0o600)
    listed = kosmolua("schedules", "--accounts", file, "--json")
    assert "nothing runs these here: kosmolua serve does" in listed.stderr
    assert json.loads(listed.stdout)[0]["next"].endswith("T00:00:00+00:00")
    assert kosmolua("schedules", "run", "nightly", "--accounts", file).stdout == "7\n"
