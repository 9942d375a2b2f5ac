"""Stores of recordings: a folder, SQLite and PostgreSQL, shared by several runtimes and divided among tenants."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sql
from support.library import KEY, library
from support.loopback import Loopback
from support.postgres import Postgres
from support.processes import eventually, in_time
from support.rounds import rounds
from support.shelf import Shelf
from support.yard import Yard

from kosmolua import ConfigError, KosmoError, Outcome, Runtime
from kosmolua.catalog.plugins import Plugins
from kosmolua.errors import Unavailable
from kosmolua.folders import replace_file
from kosmolua.locks import lock_file
from kosmolua.recordings.recording import Writer, read
from kosmolua.recordings.sheets import CHANGES
from kosmolua.secret import Redactor, Secret
from kosmolua.stores import database, tables
from kosmolua.stores.folder_store import Folder
from kosmolua.stores.folder_tasks import FolderTasks
from kosmolua.stores.opening import open_stores
from kosmolua.stores.store import Decision, Grant, Looks, RunFilter, Store, Stores, Vote, WaitingCall
from kosmolua.stores.tables import Step
from kosmolua.stores.tasks import ALIAS, HOOK, NOTICE, PLANNED, RUNNING, SCHEDULE, ServerTask, new_run

PAUSING = """
local books = app.integrations.library
print(#books.list_books().seen)
books.lend({ book = "b-1" })
books.lend({ book = "b-2" })
return "lent"
"""
KINDS = ["folder", "sqlite", "postgres"]
DAY = 86400.0


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a store, of the kind that a test was given."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres").address)
    return f"sqlite:///{tmp_path}/runs.db" if request.param == "sqlite" else str(tmp_path / "runs")


@pytest.fixture
def open_some(address: str) -> Iterator[Callable[[], Stores]]:
    """Return a function that opens the stores at the address, as another host would."""
    opened: list[Stores] = []

    def open_some() -> Stores:
        opened.append(open_stores(address))
        return opened[-1]

    yield open_some
    for stores in opened:
        stores.close()


@pytest.fixture
def tenant(request: pytest.FixtureRequest) -> str:
    """A tenant of this test's own."""
    return request.node.originalname.removeprefix("test_")[:40]


@pytest.fixture
def shelf() -> Shelf:
    """The service that scripts write to."""
    return Shelf()


@pytest.fixture
def replica(shelf: Shelf) -> Iterator[Callable[..., Runtime]]:
    """Return a function that opens a runtime with a store, whose writes somebody must approve."""
    opened: list[Runtime] = []
    with Loopback(shelf) as server:

        def replica(store: Store, **options: Any) -> Runtime:
            permissions = {"write": options.pop("write", "ask")}
            account = {"api_key": KEY, "base_url": server.url, "permissions": permissions}
            plugins = Plugins([library()], places=(), entry_points=dict)
            given: dict[str, Any] = {"plugins": plugins, "environ": {}, "store": store, **options}
            opened.append(Runtime({"library": {"default": account}}, **given))
            return opened[-1]

        yield replica
        for runtime in opened:
            runtime.close()


def record(runtime: Runtime, source: str = PAUSING) -> tuple[Outcome, str]:
    """Run a script that is recorded in the runtime's store, and return its outcome and the run's id."""
    outcome = runtime.run(source, record=True, name="lend.lua")
    assert outcome.recording
    assert outcome.run
    return outcome, outcome.run


every_kind = pytest.mark.parametrize("address", KINDS, indirect=True)


@pytest.mark.slow
@every_kind
def test_an_approval_at_one_replica_resumes_there(
    open_some: Callable[[], Stores], tenant: str, replica: Callable[..., Runtime], shelf: Shelf
) -> None:
    """A run pauses at one host; another one lists it, and goes on with what is approved; the first sees the end."""
    one, two = open_some().of(tenant), open_some().of(tenant)
    outcome, run = record(replica(one))
    assert outcome.status == "paused"
    assert shelf.lent == {}

    [waiting] = two.waiting()
    assert waiting.run == run
    assert waiting.script == "lend.lua"
    assert waiting.is_live is False
    assert waiting.call["path"] == "library.lend"
    assert waiting.call["arguments"] == {"book": "b-1"}
    assert waiting.call["about"] == "Lend a book."
    assert waiting.until - waiting.since == pytest.approx(7 * DAY)
    [listed] = two.runs()
    assert listed.run == run
    assert listed.status == "paused"
    assert listed.waiting == 1
    assert listed.script == "lend.lua"
    assert listed.mode == "live"

    again = replica(two)
    outcome = again.resume(two.read(run), approve=[waiting.call["number"]])
    assert outcome.status == "paused", outcome.error
    assert shelf.lent == {"b-1": 1}
    assert shelf.listed == 1
    outcome = again.resume(two.read(run), approve=True)
    assert outcome.result == ["lent"], outcome.error
    assert outcome.output == "3\n"
    assert shelf.lent == {"b-1": 1, "b-2": 1}

    assert one.waiting() == []
    assert [(each.run, each.status, each.waiting) for each in one.runs()] == [(run, "done", 0)]
    assert replica(one).replay(one.read(run)).result == ["lent"]


def test_a_plan_is_not_removed_while_another_process_replaces_it(tmp_path: Path) -> None:
    """Else a plan that was denied came back as one that is applied."""
    store = Folder(str(tmp_path))
    assert store.put_plan("p-00000001", b"made", None)
    removing = threading.Thread(target=store.remove_plan, args=["p-00000001"])
    (lock,) = tmp_path.rglob("plans/.lock")
    with open(lock, "ab") as held:
        assert lock_file(held.fileno())
        removing.start()
        removing.join(0.1)
        assert store.plan("p-00000001") == b"made"
    removing.join()
    assert store.plan("p-00000001") is None


@pytest.mark.slow
@every_kind
def test_plans_are_kept_beside_recordings(open_some: Callable[[], Stores], tenant: str) -> None:
    """Each host sees the others' plans; of two that change one at once only one succeeds; old ones are removed."""
    one, two, other = open_some().of(tenant), open_some().of(tenant), open_some().of("other")
    id = "p-00000001"
    assert one.plan(id) is None
    assert one.put_plan(id, b"made", None)
    assert not two.put_plan(id, b"made elsewhere", None)
    assert two.plan(id) == b"made"
    assert two.put_plan(id, b"applied", b"made")
    assert not one.put_plan(id, b"applied too", b"made")
    assert one.plans() == [b"applied"]
    assert other.plans() == []
    one.prune(DAY)
    assert two.plan(id) == b"applied"
    one.remove_plan(id)
    assert two.plan(id) is None
    assert not two.put_plan(id, b"applied again", b"applied")
    assert two.put_plan("p-00000002", b"old", None)
    one.prune(-DAY)
    assert two.plans() == []


@pytest.mark.slow
@every_kind
def test_a_plan_of_one_replica_is_applied_at_another(
    open_some: Callable[[], Stores], tenant: str, replica: Callable[..., Runtime], shelf: Shelf
) -> None:
    """Once: the first replica says that it was applied, also of the plan that it has in memory."""
    one, two = replica(open_some().of(tenant)), replica(open_some().of(tenant))
    plan = one.plan(PAUSING)
    one.plans.keep(plan)
    assert [each.id for each in two.plans.all()] == [plan.id]
    outcome = two.apply(two.plans.load(plan.id))
    assert outcome.ok, outcome.error
    with pytest.raises(ConfigError, match="was already applied"):
        one.apply(plan)
    assert one.plans.load(plan.id).status == "applied"
    assert shelf.lent == {"b-1": 1, "b-2": 1}


@pytest.mark.slow
@every_kind
def test_tenants_have_nothing_in_common(
    open_some: Callable[[], Stores], tenant: str, replica: Callable[..., Runtime]
) -> None:
    """Neither runs nor recordings, questions or answers; old recordings of one are not removed for another."""
    stores = open_some()
    mine, theirs = stores.of(f"{tenant}-a"), stores.of(f"{tenant}-b")
    _, run = record(replica(mine))
    mine.ask(WaitingCall("q1", None, "x.lua", {"path": "library.lend"}, time.time(), time.time() + 60))

    assert theirs.runs() == theirs.waiting() == []
    with pytest.raises(ConfigError, match="There is no recorded run"):
        theirs.read(run)
    assert not theirs.decide("q1", Decision(is_approved=True))
    assert theirs.prune(-1) == 0
    theirs.withdraw("q1")
    assert {each.id for each in mine.waiting()} == {"q1", f"{run}-2"}
    for name in ("../" + tenant, "", "a/b", f"{tenant}%"):
        with pytest.raises(ConfigError, match="cannot be the name of a tenant"):
            stores.of(name)
    for named in ("../lend", "", run[:4], run + "0"):
        with pytest.raises(ConfigError, match="There is no recorded run"):
            mine.read(named)


@pytest.mark.slow
@every_kind
def test_one_recording_is_written_by_one_run(
    open_some: Callable[[], Stores], tenant: str, replica: Callable[..., Runtime], shelf: Shelf
) -> None:
    """Also across hosts: the second is refused at once, and the run is listed as running meanwhile."""
    one, two = open_some().of(tenant), open_some().of(tenant)
    _, run = record(replica(one))
    earlier = two.read(run)
    arrived, goes_on = threading.Event(), threading.Event()

    def hold(_: int) -> None:
        arrived.set()
        goes_on.wait(60)

    shelf.after = hold
    outcomes: list[Outcome] = []
    first = replica(one)
    thread = threading.Thread(target=lambda: outcomes.append(first.resume(one.read(run), approve=True)))
    thread.start()
    assert arrived.wait(60)
    other = replica(two)
    with pytest.raises(ConfigError, match="is in use: another run is writing it"):
        other.resume(two.read(run), approve=True)
    assert [each.status for each in two.runs()] == ["running"]
    assert two.waiting() == []
    assert two.prune(-1) == 0
    goes_on.set()
    thread.join()

    assert outcomes[0].status == "paused"
    with pytest.raises(ConfigError, match="has changed since it was read"):
        other.resume(earlier, approve=True)
    assert shelf.lent == {"b-1": 1}


@pytest.mark.slow
@every_kind
def test_runs_are_listed_by_time_and_outcome(
    open_some: Callable[[], Stores], tenant: str, replica: Callable[..., Runtime]
) -> None:
    """The latest first, page by page, and by the beginning of an id."""
    store = open_some().of(tenant)
    runtime = replica(store)
    runs = []
    for source in ("return 1", "error('no')", PAUSING, "while true do end"):
        runs.append(record(runtime, source)[1] if "while" not in source else spinning(runtime, source))
        time.sleep(0.002)
    runs.reverse()
    listed = store.runs()
    assert [(each.run, each.status) for each in listed] == list(
        zip(runs, ["limit", "paused", "failed", "done"], strict=True)
    )
    assert [each.ended is not None for each in listed] == [True] * 4
    assert [each.run for each in store.runs(limit=2)] == runs[:2]
    assert [each.run for each in store.runs(before=listed[1].time)] == runs[2:]
    assert [each.run for each in store.runs(status="failed")] == [runs[2]]
    assert [each.run for each in store.runs(beginning=runs[1][:8])] == [runs[1]]
    assert store.runs(beginning="%") == []


@pytest.mark.slow
@every_kind
def test_a_run_that_has_not_ended_has_worked_least(
    open_some: Callable[[], Stores], tenant: str, replica: Callable[..., Runtime]
) -> None:
    """In each kind of store it is the last of those that worked longest, as it is in time the latest."""
    store = open_some().of(tenant)
    done = record(replica(store), "return 1")[1]
    head = {**store.read(done).header, "run": new_run(), "time": "2999-01-01T00:00:00+00:00"}
    sheet = store.place(head["run"]).begin()
    sheet.append(json.dumps(head).encode() + b"\n", head)
    assert [each.run for each in store.find_runs(RunFilter(order="worked"))[0]] == [done, head["run"]]
    assert [each.run for each in store.find_runs(RunFilter())[0]] == [head["run"], done]
    sheet.close()


@pytest.mark.slow
@every_kind
def test_a_run_that_goes_on_is_listed_as_it_is_at_another_host(
    open_some: Callable[[], Stores], tenant: str, replica: Callable[..., Runtime]
) -> None:
    """A list that has looked at all runs sees that one goes on, and how it ends then."""
    here, elsewhere = open_some().of(tenant), open_some().of(tenant)
    _, run = record(replica(elsewhere), "error('first')")

    def listed() -> tuple[str, str]:
        [found] = here.find_runs(RunFilter())[0]
        return found.status, found.error.rpartition(": ")[2]

    assert [listed(), listed()] == [("failed", "first")] * 2
    on_the_way: list[object] = []
    again = replica(elsewhere, approve=lambda _: False)
    again.resume(
        elsewhere.read(run), script="print(1) error('then')", on_output=lambda _: on_the_way.append(listed()[0])
    )
    assert on_the_way == ["running"]
    assert [listed(), listed()] == [("failed", "then")] * 2


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The recording of a run that a list has seen, and the index of its folder, which is written from one run on."""
    monkeypatch.setattr("kosmolua.stores.folder_index.FEW", 0)
    with Runtime({}, environ={}, store=Folder(tmp_path)) as runtime:
        run = runtime.run("-- Counts the sheep\nreturn 1", record=True).run
    Folder(tmp_path).find_runs(RunFilter())
    return tmp_path / f"{run}.jsonl", tmp_path / ".index"


def titles(folder: Path, words: str = "sheep") -> list[str]:
    """Return the titles of the runs that a process finds that has just started."""
    return [each.title for each in Folder(folder).find_runs(RunFilter(words=words))[0]]


def test_an_index_spares_reading_recordings_that_have_not_changed(recorded: tuple[Path, Path]) -> None:
    """After a restart, lists and searches use it; a recording with another time or size is read again."""
    recording, index = recorded
    assert oct(index.stat().st_mode & 0o777) == "0o600"
    before = recording.stat()
    recording.write_bytes(b"x" * before.st_size)
    os.utime(recording, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert titles(recording.parent) == ["Counts the sheep"]
    assert [each.status for each in Folder(recording.parent).runs()] == ["done"]
    recording.touch()
    assert titles(recording.parent) == []
    assert [each.status for each in Folder(recording.parent).runs()] == ["damaged"]


def test_an_index_is_not_believed_about_a_run_that_has_gone_on(recorded: tuple[Path, Path]) -> None:
    """Whatever is asked first after a restart: a run that was resumed elsewhere, and waits now, would stay hidden."""
    recording, _ = recorded
    (recording.parent / CHANGES).touch()
    recording.write_bytes(b"x")
    store = Folder(recording.parent)
    assert store.waiting() == []
    assert [each.status for each in store.runs()] == ["damaged"]


def test_an_index_that_does_not_fit_is_made_again(recorded: tuple[Path, Path]) -> None:
    """Nothing of it is shown, whatever it says."""
    recording, index = recorded
    text = index.read_text()
    older, changed = text.replace('"made"', '"m"'), text.replace("the sheep", "all sheep")
    for damaged in ("", "{}\n[]", text[:-9], changed, older):
        index.write_text(damaged)
        assert titles(recording.parent) == ["Counts the sheep"]
        assert index.read_text() == text


def test_an_index_is_of_the_recordings_that_are_there(recorded: tuple[Path, Path]) -> None:
    """Two processes that write it lose nothing, and what is removed stands in it no more."""
    recording, index = recorded
    one, two = Folder(recording.parent), Folder(recording.parent)
    assert [len(each.runs()) for each in (one, two)] == [1, 1]
    with Runtime({}, environ={}, store=one) as runtime:
        runtime.run("-- Counts the goats\nreturn 1", record=True)
    assert [len(each.runs()) for each in (two, one)] == [2, 2]
    assert titles(recording.parent, "counts") == ["Counts the goats", "Counts the sheep"]
    os.utime(recording, (0, 0))
    assert one.prune(DAY) == 1
    assert not index.exists()
    assert [len(each.runs()) for each in (two, one)] == [1, 1]
    assert "sheep" not in index.read_text()


def spinning(runtime: Runtime, source: str) -> str:
    """Record a run that a limit ends, and return its id."""
    outcome = runtime.run(source, record=True, timeout=0.3)
    assert outcome.status == "limit"
    return str(outcome.run)


@pytest.mark.slow
@every_kind
def test_old_recordings_go_and_what_waits_stays(
    open_some: Callable[[], Stores], tenant: str, replica: Callable[..., Runtime]
) -> None:
    """A paused run is kept as long as it can be approved, whatever the age that recordings are kept for."""
    store = open_some().of(tenant)
    runtime = replica(store)
    done, paused = record(runtime, "return 1")[1], record(runtime)[1]
    assert store.prune(3600) == 0
    assert store.prune(-1) == 1
    assert [each.run for each in store.runs()] == [paused]
    with pytest.raises(ConfigError, match="There is no recorded run"):
        store.read(done)
    assert replica(store).resume(store.read(paused), deny=True).error is not None


@pytest.mark.slow
@every_kind
def test_a_question_of_a_run_is_answered_at_another_host(open_some: Callable[[], Stores], tenant: str) -> None:
    """Once: the first answer counts; what was withdrawn or is too old cannot be answered."""
    one, two = open_some().of(tenant), open_some().of(tenant)
    call = {"path": "library.lend", "account": "default", "effect": "write", "arguments": {"book": "b-1"}}
    now = time.time()
    one.ask(WaitingCall("q1", "0123456789ab", "lend.lua", call, now, now + 60))
    one.ask(WaitingCall("q2", None, "lend.lua", call, now - 1, now + 60))
    one.ask(WaitingCall("old", None, "lend.lua", call, now - 60, now - 1))

    assert [each.id for each in two.waiting()] == ["q2", "q1"]
    assert two.waiting()[1] == WaitingCall("q1", "0123456789ab", "lend.lua", call, now, now + 60)
    assert one.decision("q1") is None
    assert two.decide("q1", Decision(is_approved=True, by="ann"))
    assert not one.decide("q1", Decision(is_approved=False, by="bob"))
    found = one.decision("q1")
    assert found
    assert found.is_approved is True
    assert found.by == "ann"
    assert [each.id for each in two.waiting()] == ["q2"]
    two.withdraw("q2")
    assert not one.decide("q2", Decision(is_approved=True))
    assert not one.decide("old", Decision(is_approved=True))
    assert not one.decide("nothing", Decision(is_approved=True))
    assert two.waiting() == []


@pytest.mark.slow
@every_kind
def test_grants_are_those_of_one_tenant_at_all_hosts(open_some: Callable[[], Stores], tenant: str) -> None:
    """One that is given at a host is there at the others, until it is revoked anywhere; another tenant has none."""
    one, two, theirs = open_some().of(tenant), open_some().of(tenant), open_some().of(f"{tenant}-b")
    lend = Grant("library.lend", "work", "2026-01-02T00:00:00+00:00")
    other = Grant("library.lend", "a/b *", "2026-01-01T00:00:00+00:00")
    for given in (lend, other, lend):
        one.grant(given)
    assert two.grants() == one.grants() == [other, lend]
    assert theirs.grants() == []
    theirs.revoke("library.lend", "work")
    two.revoke("library.lend", "a/b *")
    two.revoke("library.lend", "nobody")
    assert one.grants() == [lend]
    assert one.waiting() == one.runs() == []


@pytest.mark.slow
@every_kind
def test_a_key_is_made_once(open_some: Callable[[], Stores], address: str) -> None:
    """However many ask for it at the same time, all have the same one, and so has who asks later."""
    stores = [open_some() for _ in range(6)]
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda each=each: keys.append(each.key())) for each in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {*keys} == {open_some().key()}
    assert len(keys) == 6
    assert len(keys[0]) == 32
    if "://" not in address and os.name == "posix":
        assert os.stat(Path(address) / ".key").st_mode & 0o777 == 0o600


@every_kind
def test_each_tenant_has_a_key_of_its_own(open_some: Callable[[], Stores]) -> None:
    """It signs recordings; all hosts have the same one, also if they first need it at the same time."""
    stores = [open_some() for _ in range(4)]
    keys: list[bytes | None] = []
    threads = [
        threading.Thread(target=lambda each=each: keys.append(each.of("acme").key(create=True))) for each in stores
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {*keys} == {open_some().of("acme").key(create=False)}
    assert open_some().of("umbrella").key(create=True) not in keys


@pytest.mark.slow
def test_a_damaged_key_is_told(tmp_path: Path) -> None:
    """With what to do about it."""
    (tmp_path / ".key").write_bytes(b"half of it")
    with pytest.raises(ConfigError, match="does not contain a key") as error:
        open_stores(str(tmp_path)).key()
    assert error.value.hint == "remove the file; a new key is then created"


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The transactions with databases."""
    seen: list[object] = []
    do = database.Database.do

    def counted(self: database.Database, *given: Any) -> Any:
        seen.append(given)
        return do(self, *given)

    monkeypatch.setattr(database.Database, "do", counted)
    return seen


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
def test_a_short_run_takes_one_transaction(
    open_some: Callable[[], Stores], tenant: str, replica: Callable[..., Runtime], transactions: list[object]
) -> None:
    """With its first and its last lines, if it writes nothing: if the host dies, nothing is lost but reads."""
    runtime = replica(open_some().of(tenant))
    record(runtime, "return 1")
    transactions.clear()
    _, run = record(runtime, "return 2")
    assert len(transactions) == 1
    assert [each.status for each in runtime.store.runs() if each.run == run] == ["done"]
    assert not runtime.store.place(run).is_in_use()


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
def test_a_run_that_goes_on_is_found_soon(
    open_some: Callable[[], Stores], tenant: str, replica: Callable[..., Runtime]
) -> None:
    """By the same host at once, and by others in a moment, even while the script says nothing."""
    own, other = open_some().of(tenant), open_some().of(tenant)
    runtime = replica(own)
    seen: list[str] = []

    def look(piece: bytes) -> None:
        seen.extend(each.status for each in own.runs())

    runtime.run("print(1)", record=True, on_output=look)
    assert seen == ["running"]
    threading.Thread(target=runtime.run, args=("while true do end",), kwargs={"record": True, "cpu": 60}).start()
    assert eventually(lambda: "running" in [each.status for each in other.runs()])
    runtime.close()


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
def test_a_run_that_sleeps_waits_for_its_database(
    open_some: Callable[[], Stores], tenant: str, replica: Callable[..., Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be written stands in its recording once."""
    monkeypatch.setattr("kosmolua.runs.recorded.STORE_PAUSE", 0.01)
    runtime, failures, write = replica(open_some().of(tenant)), [2], database.Database.write

    def fail(self: database.Database, *given: Any) -> Any:
        if failures[0]:
            failures[0] -= 1
            raise Unavailable("The database cannot be reached")
        return write(self, *given)

    monkeypatch.setattr(database.Database, "write", fail)
    outcome = runtime.run("sleep(600)", record=True, park=lambda until: None)
    assert outcome.status == "waiting"
    recording = runtime.store.read(str(outcome.run))
    assert [event["event"] for event in recording.events] == ["run", "asleep", "end"]


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
def test_a_slot_serves_one_run_after_another(
    open_some: Callable[[], Stores], tenant: str, transactions: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a moment, unless many were in the line; others have it then, or once the stores are closed."""
    stores, others = open_some(), open_some().of(tenant)
    one = stores.of(tenant)
    monkeypatch.setattr("kosmolua.stores.database_slots.IDLE", 600.0)
    one.slot("workers", 4).release(again=True)
    transactions.clear()
    again = one.slot("workers", 4)
    assert again.is_held()
    assert not transactions
    again.release(again=True)
    assert not has_first(others)
    monkeypatch.setattr("kosmolua.stores.database_slots.IDLE", 0.0)
    assert eventually(lambda: has_first(others))
    monkeypatch.setattr("kosmolua.stores.database_slots.IDLE", 600.0)
    held = [one.slot("workers", 4) for _ in range(4)]
    held[3].release(again=True)
    assert has_first(others, 4), "since two were before it"
    held[0].release(again=True)
    assert not has_first(others, 3)
    stores.close()
    held[1].release()
    held[2].release()
    assert has_first(others)


def has_first(store: Store, count: int = 1) -> bool:
    """Return True if fewer than so many are in the line."""
    slot = store.slot("workers", count)
    slot.release()
    return slot.is_held()


def test_writes_at_the_same_time_share_a_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of those that wait for the one before; if one of them fails, only its thread sees the error."""
    base = database.Database(f"sqlite:///{tmp_path / 'runs.db'}")
    base.do(lambda at: at.exec_driver_sql("create table seen (name text primary key)"))
    groups: list[int] = []
    is_begun, may_end = threading.Event(), threading.Event()

    def counted(group: Any, do: Any) -> None:
        groups.append(len(group))
        original(group, do)

    original = database._try_together
    monkeypatch.setattr(database, "_try_together", counted)

    def first(at: sql.Connection) -> None:
        at.exec_driver_sql("insert into seen values ('first')")
        is_begun.set()
        assert may_end.wait(60)

    errors: list[Exception] = []

    def write(name: str) -> None:
        try:
            base.write(lambda at: at.exec_driver_sql(f"insert into seen values ('{name}')"))
        except sql.exc.IntegrityError as error:
            errors.append(error)

    def all_at_once(*names: str) -> set[str]:
        is_begun.clear()
        may_end.clear()
        threads = [threading.Thread(target=write, args=(name,)) for name in names]
        leader = threading.Thread(target=base.write, args=(first,))
        leader.start()
        assert is_begun.wait(60)
        for thread in threads:
            thread.start()
        assert eventually(lambda: len(base._writes) == len(names))
        may_end.set()
        for thread in (leader, *threads):
            thread.join(60)
        return {row[0] for row in base.do(lambda at: at.exec_driver_sql("select name from seen").all())}

    assert all_at_once("a", "b", "c") == {"first", "a", "b", "c"}
    assert groups == [1, 3]
    assert not errors
    base.do(lambda at: at.exec_driver_sql("delete from seen where name = 'first'"))
    assert all_at_once("d", "a", "e") == {"first", "a", "b", "c", "d", "e"}
    assert len(errors) == 1
    base.close()


@pytest.mark.slow
@every_kind
def test_scripts_and_searches_can_have_any_bytes(
    open_some: Callable[[], Stores], tenant: str, replica: Callable[..., Runtime]
) -> None:
    """Those that are not UTF-8, and NUL, which a database takes in no text."""
    store = open_some().of(tenant)
    outcome = replica(store).run(b"-- One\0\xff\nprint(1)", record=True)
    assert outcome.output == "1\n"
    [found] = store.find_runs(RunFilter(words="print"))[0]
    assert found.run == outcome.run
    printed = replica(store).run('print(("Wool\\0"):rep(2))', record=True)
    assert [each.run for each in store.find_runs(RunFilter(words="wool\0wool"))[0]] == [printed.run]
    assert store.find_runs(RunFilter(words="two\0"))[1] == 0


def _unsealed(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in ("sum", "signature")}


@pytest.mark.slow
@pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)
def test_no_secret_stands_in_a_database(
    open_some: Callable[[], Stores], tenant: str, replica: Callable[..., Runtime]
) -> None:
    """Neither one of an account, nor one that became known after the line was written."""
    stores = open_some()
    store, redactor = stores.of(tenant), Redactor()
    writer = Writer(store.place("0123456789ab"), redactor)
    head, *_, end = store.read(record(replica(store))[1]).events
    latest = {"time": "2126-01-01T00:00:00.000+00:00"}
    script = {"name": "late.lua", "sha256": "0", "source": "print('late-secret-value')"}
    writer.write({**_unsealed(head), **latest, "run": "0123456789ab", "script": script})
    end["error"]["fields"]["what"] = "late-secret-value"
    end["error"]["fields"]["calls"][0]["arguments"] = {"note": "late-secret-value"}
    writer.write({**_unsealed(end), **latest})
    redactor.learn(Secret("late-secret-value"))
    writer.close()

    kept = store.read("0123456789ab")
    assert "late-secret-value" not in str(kept.events)
    assert kept.script["source"] == "print('***')"
    assert "late-secret-value" not in str(store.waiting())
    assert store.runs()[0].waiting == 1
    _, run = record(replica(store), f"print('{KEY}') app.integrations.library.list_books() return '{KEY}'")
    assert KEY not in str(store.read(run).events)


@pytest.mark.slow
@pytest.mark.parametrize("address", ["postgres"], indirect=True)
def test_a_database_that_is_gone_for_a_while_loses_nothing(
    open_some: Callable[[], Stores],
    tenant: str,
    replica: Callable[..., Runtime],
    shelf: Shelf,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that goes on waits for it, with each write sent once; what is asked of it meanwhile is told at once."""
    monkeypatch.setattr("kosmolua.stores.database_recording.PATIENCE", 300.0)  # longer than this test is away
    stores = open_some()
    store = stores.of(tenant)
    runtime = replica(store, write="allow")
    _, paused = record(replica(store))
    shelf.lent.clear()
    away = threading.Event()

    def pull(number: int) -> None:
        if number == 1:
            postgres.stop()
            away.set()

    shelf.after = pull
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(record(runtime)[0]))
    thread.start()
    assert away.wait(60)
    for ask in (store.runs, store.waiting, lambda: store.read(paused), lambda: record(replica(store))):
        with pytest.raises(
            Unavailable, match=r"The database cannot be reached \(nothing is lost.*\) \[postgresql"
        ) as told:
            ask()
        assert "\n" not in str(told.value)
        assert "postgresql" not in json.dumps(told.value.fields())
    postgres.start()
    thread.join()

    assert outcomes[0].result == ["lent"], outcomes[0].error
    assert shelf.lent == {"b-1": 1, "b-2": 1}
    assert [each.status for each in store.runs()] == ["done", "paused"]
    assert replica(store).resume(store.read(paused), approve=True).status == "paused"


@pytest.mark.slow
@pytest.mark.parametrize("address", ["postgres"], indirect=True)
def test_a_run_whose_database_stays_away_ends_and_can_be_resumed(
    open_some: Callable[[], Stores],
    tenant: str,
    replica: Callable[..., Runtime],
    shelf: Shelf,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The write that was sent and not noted as answered is shown to a person before anything else is sent."""
    monkeypatch.setattr("kosmolua.stores.database_recording.PATIENCE", 0.5)
    monkeypatch.setattr("kosmolua.stores.database.RENEWAL", 0.2)
    store = open_some().of(tenant)
    shelf.after = lambda number: postgres.stop() if number == 1 else None
    try:
        outcome = replica(store, write="allow").run(PAUSING, record=True)
    finally:
        postgres.start()

    assert isinstance(outcome.error, KosmoError)
    assert outcome.error.fields()["retryable"] is False, "who runs it again writes twice"
    assert "can no longer be written" in str(outcome.error)
    assert "resume the run" in str(outcome.error)
    assert shelf.lent == {"b-1": 1}
    run = str(outcome.run)
    ends = sql.update(database.RECORDINGS).where(database.RECORDINGS.c.run == run)
    with closing(database.Database(postgres.address)) as third:
        third.do(lambda at: at.execute(ends.values(held_until=database.Now() + 1)))
    assert eventually(lambda: not store.place(run).is_in_use())
    assert [each.status for each in store.runs()] == ["interrupted"]
    runtime = replica(store, write="allow")
    with pytest.raises(KosmoError, match="may have been done"):
        runtime.resume(store.read(run))
    outcome = runtime.resume(store.read(run), done={2: {"n": 1}})
    assert outcome.result == ["lent"], outcome.error
    assert shelf.lent == {"b-1": 1, "b-2": 1}


@pytest.mark.slow
@pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)
def test_a_host_that_is_gone_loses_its_lease(
    address: str,
    open_some: Callable[[], Stores],
    tenant: str,
    replica: Callable[..., Runtime],
    shelf: Shelf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another goes on then; the first one, should it be back, can write nothing any more."""
    monkeypatch.setattr("kosmolua.stores.database.RENEWAL", 3600.0)
    store, other = open_some().of(tenant), open_some().of(tenant)
    _, run = record(replica(store))
    gone = Writer(store.place(run), Redactor(), store.read(run))
    with pytest.raises(ConfigError, match="is in use"):
        replica(other).resume(other.read(run), approve=True)
    over = sql.update(database.RECORDINGS).where(database.RECORDINGS.c.run == run).values(held_until=database.Now())
    with closing(database.Database(address)) as third:
        assert third.do(lambda at: at.execute(over)).rowcount == 1
    assert not other.place(run).is_in_use()
    assert replica(other).resume(other.read(run), approve=True).status == "paused"
    assert shelf.lent == {"b-1": 1}
    gone.write({"event": "given", "id": 1})
    with pytest.raises(KosmoError, match="another run has taken it over"):
        gone.sync()


@pytest.mark.slow
@every_kind
def test_slots_are_for_those_who_came_first(open_some: Callable[[], Stores], tenant: str) -> None:
    """Hosts stand in one line for the slots of a kind; who leaves it makes room for the next."""
    one, two, stranger = open_some().of(tenant), open_some().of(tenant), open_some().of(f"{tenant[:38]}-2")
    line = [store.slot("workers", 2) for store in (one, two, one, two)]

    assert [slot.is_held() for slot in line] == [True, True, False, False]
    assert one.slot("started", 1).is_held(), "another kind"
    assert stranger.slot("workers", 1).is_held(), "another tenant"
    line[2].release()
    line[0].release()
    assert [line[1].is_held(), line[3].is_held()] == [True, True]
    assert not two.slot("workers", 2).is_held()


@pytest.mark.slow
@every_kind
def test_no_slot_is_given_twice(open_some: Callable[[], Stores], tenant: str) -> None:
    """However many threads of two hosts come at once, never more hold slots than there are, and each gets one."""
    held, most, lock = [0], [0], threading.Lock()

    def work(store: Store) -> None:
        for _ in range(5):
            slot = store.slot("workers", 2)
            assert eventually(slot.is_held)
            with lock:
                held[0] += 1
                most[0] = max(most[0], held[0])
            time.sleep(0.005)
            with lock:
                held[0] -= 1
            slot.release()

    hosts = [open_some().of(tenant) for _ in range(2)]
    assert [host.grants() for host in hosts] == [[], []], "which makes the tables"
    threads = [threading.Thread(target=work, args=(hosts[place % 2],)) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert held == [0]
    assert most == [2]


@pytest.mark.slow
@every_kind
def test_a_count_is_shared(open_some: Callable[[], Stores], tenant: str) -> None:
    """It never exceeds its bound, begins anew in a later window, and an earlier window does not come back."""
    one, two, stranger = open_some().of(tenant), open_some().of(tenant), open_some().of(f"{tenant[:38]}-2")

    assert [each.count("runs", 7, 1, 3) for each in (one, two, one, two, one)] == [1, 2, 3, None, None]
    assert one.count("runs", 7, 0) == 3
    assert one.count("calls", 7, 5) == 5
    assert stranger.count("runs", 7, 1) == 1
    assert two.count("runs", 8, 1, 3) == 1
    assert one.count("runs", 7, 1, 3) == 2, "the clock of this host is behind"
    assert stranger.count("runs", 9, 4, 3) is None


@pytest.mark.slow
@every_kind
def test_a_mark_is_seen_by_all(open_some: Callable[[], Stores], tenant: str) -> None:
    """Until it is removed or its time is over, and by the hosts of this tenant alone."""
    one, two, stranger = open_some().of(tenant), open_some().of(tenant), open_some().of(f"{tenant[:38]}-2")
    assert one.marks() == {}
    one.mark("drain", 3600)
    two.mark("drain", 7200)
    two.mark("cancel-1", -1)

    [(name, until)] = one.marks().items()
    assert name == "drain"
    assert until - time.time() == pytest.approx(7200, abs=600)
    assert stranger.marks() == {}
    one.unmark("drain")
    one.unmark("drain")
    assert two.marks() == {}


@pytest.mark.slow
@every_kind
def test_a_count_of_many_at_once_is_exact(open_some: Callable[[], Stores], tenant: str) -> None:
    """Threads of two hosts together add what each of them adds, and as many get in as the bound lets."""
    hosts = [open_some().of(tenant) for _ in range(2)]
    assert [host.grants() for host in hosts] == [[], []], "which makes the tables"
    got: list[int | None] = []

    def count(store: Store, kind: str, more: int, most: int | None = None) -> int | None:
        with suppress(Unavailable):  # SQLite was locked for too long on a slow machine
            return store.count(kind, 1, more, most)
        return count(store, kind, more, most)

    def work(store: Store) -> None:
        for _ in range(10):
            got.append(count(store, "runs", 1, 25))
            count(store, "calls", 3)

    threads = [threading.Thread(target=work, args=(hosts[place % 2],)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(each for each in got if each) == [*range(1, 26)]
    assert got.count(None) == 15
    assert hosts[0].count("calls", 1, 0) == 120


@pytest.mark.slow
@pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)
def test_processes_that_start_at_once_share_new_tables(address: str, tmp_path: Path) -> None:
    """However many are the first to use a database, none of them fails."""
    code = "import sys, time; from kosmolua.stores.opening import open_stores\nstores = open_stores(sys.argv[1])\n"
    code += "print(flush=True); sys.stdin.readline(); stores.probe(); print(stores.key().hex())"
    if address.startswith("postgres"):
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("CREATE DATABASE anew")
        address = address.replace("/postgres?", "/anew?")
    command = [sys.executable, "-c", code, address]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, **pipes, text=True) for _ in range(4)]
    for process in processes:
        process.stdout.readline()  # type: ignore[union-attr]
    for process in processes:
        process.stdin.write("\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
    answers = [process.communicate(timeout=120) for process in processes]
    assert [errors for _, errors in answers] == [""] * 4
    assert len({key for key, _ in answers}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)
def test_the_slot_of_a_host_that_is_gone_is_free_soon(
    open_some: Callable[[], Stores], tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease ends, by the clock of the database, and the next one in the line has the slot."""
    monkeypatch.setattr("kosmolua.stores.database.RENEWAL", 3600.0)
    number = iter(range(9))

    def is_free_soon(lease: float) -> bool:
        kind = f"workers-{next(number)}"
        monkeypatch.setattr("kosmolua.stores.database_slots.SLOT_LEASE", lease)
        gone = one.slot(kind, 1)
        monkeypatch.setattr("kosmolua.stores.database_slots.SLOT_LEASE", 600.0)
        following = two.slot(kind, 1)
        is_first = gone.is_held()
        assert eventually(following.is_held, 60 + lease)
        return is_first

    one, two = open_some().of(tenant), open_some().of(tenant)
    assert in_time(is_free_soon, 1.0)


@pytest.mark.slow
def test_the_slot_of_a_process_that_was_killed_is_free_at_once(tmp_path: Path) -> None:
    """In a folder the system itself knows whether the process lives."""
    code = "import sys, time; from kosmolua.stores.folder_store import Folder\n"
    code += "slot = Folder(sys.argv[1]).slot('workers', 1); print(slot.is_held(), flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"True\n"
        following = Folder(tmp_path).slot("workers", 1)
        assert not following.is_held()
        process.kill()
        process.wait()
        assert following.is_held()


@pytest.mark.slow
def test_a_wrong_address_is_an_error() -> None:
    """In a sentence, without what may be a password; only those who operate the store see its address."""
    for address, told in (
        ("mysql://user:hunter2@host/db", "Recordings cannot be kept in a database of the kind mysql"),
        ("postgresql://user:hunter2@host:port/db", "is not valid"),
        ("nothing://x", "is not valid|cannot be kept in a"),
    ):
        with pytest.raises(ConfigError, match=told) as error:
            open_stores(address)
        assert "hunter2" not in str(error.value)
    with pytest.raises(Unavailable, match=r"cannot be reached .*\[postgresql.*//user:\*\*\*@127.0.0.1:1/db: ") as away:
        open_stores("postgresql://user:hunter2@127.0.0.1:1/db").of("a").runs()
    assert "hunter2" not in str(away.value)
    assert "127.0.0.1" not in json.dumps(away.value.fields())


def test_a_damaged_file_does_not_hide_the_others(tmp_path: Path) -> None:
    """It is listed as damaged, and half a line at the end as a run whose process was killed."""
    folder = tmp_path / "a"
    with Runtime(
        {}, plugins=Plugins([], places=(), entry_points=dict), store=open_stores(str(tmp_path)).of("a")
    ) as runtime:
        runs = [record(runtime, f"return {number}")[1] for number in range(3)]
        (folder / f"{runs[0]}.jsonl").write_bytes(b"")
        cut = folder / f"{runs[1]}.jsonl"
        cut.write_bytes(cut.read_bytes()[:-20])
        os.mkdir(folder / "0123456789ab.jsonl")
        found = {each.run: each.status for each in runtime.store.runs()}
        assert found == {runs[0]: "damaged", runs[1]: "interrupted", runs[2]: "done", "0123456789ab": "damaged"}
        assert runtime.store.waiting() == []
        with pytest.raises(ConfigError, match="no complete line"):
            runtime.store.read(runs[0])
        assert read(cut).is_cut
        assert runtime.resume(runtime.store.read(runs[1])).result == [1]


def test_a_folder_that_takes_no_question_says_so(tmp_path: Path) -> None:
    """A question that cannot be written is an error, not a traceback. Only the operator sees the folder's name."""
    (tmp_path / "questions" / "q1.new").mkdir(parents=True)
    with pytest.raises(Unavailable, match="The requests for approval cannot be written: ") as refused:
        Folder(tmp_path).ask(WaitingCall("q1", None, "x.lua", {}, 0.0, 1.0))
    assert str(tmp_path) not in refused.value.message
    assert refused.value.detail == str(tmp_path / "questions")


def test_older_tables_are_changed_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables from before there was a version count as version 1; what is recorded stays."""
    address = f"sqlite:///{tmp_path / 'runs.db'}"
    open_stores(address).key()
    with sqlite3.connect(tmp_path / "runs.db") as old:
        old.execute("DROP TABLE kosmolua_schema")
    add = Step(lambda at: at.exec_driver_sql("ALTER TABLE kosmolua_keys ADD COLUMN more TEXT"), is_additive=True)
    monkeypatch.setattr(tables, "STEPS", (add,))
    key = open_stores(address).key()
    with sqlite3.connect(tmp_path / "runs.db") as now:
        assert now.execute("SELECT key, more FROM kosmolua_keys").fetchall() == [(key, None)]
        assert now.execute("SELECT version, oldest FROM kosmolua_schema").fetchall() == [(2, 1)]
    monkeypatch.undo()
    assert open_stores(address).key() == key  # the release before goes on


def test_newer_tables_are_refused_by_older_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the change is one that older code does not understand, with a sentence that says what to do."""
    address = f"sqlite:///{tmp_path / 'runs.db'}"
    monkeypatch.setattr(tables, "STEPS", (Step(lambda at: None, is_additive=False),))
    open_stores(address).key()
    monkeypatch.undo()
    open_stores(f"sqlite:///{tmp_path / 'other.db'}").key()
    with sqlite3.connect(tmp_path / "runs.db") as newer:
        newer.execute("UPDATE kosmolua_schema SET version = 9, oldest = 9")
    with pytest.raises(ConfigError, match=r"have version 9, and this release knows .*update this server"):
        open_stores(address).key()


@every_kind
def test_recordings_do_not_use_more_than_they_may(
    open_some: Callable[[], Stores], tenant: str, replica: Callable[..., Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest that are over are removed, never one that waits; if that is not enough, the run is refused."""
    monkeypatch.setattr("kosmolua.stores.store.pause_after", lambda seconds: 0.0)
    store = open_some().of(tenant)
    runtime = replica(store)
    asking = 'return app.integrations.library.lend({ book = "b-1" })'
    assert runtime.run(asking, record=True).status == "paused"
    for n in range(3):
        assert runtime.run(f"return {n} -- {'x' * 5000}", record=True, name=f"{n}.lua").ok
    assert store.make_room(10**9)
    assert len(store.runs()) == 4
    assert store.make_room(15_000)
    assert sorted(run.status for run in store.runs())[-1] == "paused"
    assert "0.lua" not in [run.script for run in store.runs()]
    assert not store.make_room(10)
    assert [run.status for run in store.runs()] == ["paused"]


def test_one_run_at_a_time_looks_for_room() -> None:
    """Others begin meanwhile, since there was room; but if there was none, each looks again."""
    looks, is_looking, goes_on = Looks(), threading.Event(), threading.Event()

    def look_for_long() -> bool:
        is_looking.set()
        goes_on.wait()
        return False

    found: list[bool] = []
    other = threading.Thread(target=lambda: found.append(looks.find_room(look_for_long)))
    other.start()
    is_looking.wait()
    assert looks.find_room(lambda: False)
    goes_on.set()
    other.join()
    assert found == [False]
    assert not looks.find_room(lambda: False)
    assert looks.find_room(lambda: True)
    assert looks.find_room(lambda: False)  # not asked again so soon


def test_a_run_without_room_for_its_recording_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With limit_exceeded, and the key that raises the limit; a recording in a file of one's own is not counted."""
    monkeypatch.setattr("kosmolua.stores.store.pause_after", lambda seconds: 0.0)
    with Runtime({"kosmolua": {"recordings": {"max_size": "10"}}}, simulate=True, store=Folder(tmp_path)) as runtime:
        asking = 'app.integrations.render2.restart_service({ service_id = "srv-cabc12345678" })'
        assert runtime.run(asking, record=True).status == "paused"
        refused = runtime.run("return 1", record=True)
        assert refused.error
        assert refused.error.code == "limit_exceeded"
        assert "raise max_size in [kosmolua.recordings]" in str(refused.error)
        assert runtime.run("return 1", record=tmp_path / "own.file").ok


@pytest.mark.slow
def test_a_size_that_is_none_is_told(tmp_path: Path) -> None:
    """With the key, as for other settings."""
    with pytest.raises(ConfigError, match=r'max_size must be a size such as "10G", not "much"'):
        Runtime({"kosmolua": {"recordings": {"max_size": "much"}}}, environ={})


@pytest.mark.parametrize("address", KINDS, indirect=True)
def test_a_vote_is_kept_once(open_some: Callable[[], Stores]) -> None:
    """Other hosts see it, it can be taken back, and it is of one tenant and one question."""
    first, second = open_some().of("acme"), open_some()
    assert first.vote("b-1", Vote("ann", "sub-1"))
    assert not second.of("acme").vote("b-1", Vote("ann", "sub-1"))
    assert second.of("acme").vote("b-1", Vote("bob"))
    assert sorted(first.votes("b-1")) == [("ann", "sub-1"), ("bob", "")]
    assert first.votes("b-2") == second.of("globex").votes("b-1") == []
    first.unvote("b-1", Vote("bob"))
    assert second.of("acme").votes("b-1") == [("ann", "sub-1")]


BUDGET_CHILD = """
import sys
sys.path[:0] = [sys.argv[3]]
from support.yard import yard
from kosmolua import LimitExceeded, Runtime
from kosmolua.catalog.plugins import Plugins
from kosmolua.stores.opening import open_stores

accounts = {
    "yard": {"work": {"url": sys.argv[1], "permissions": {"write": "allow"}}},
    "kosmolua": {"budgets": {"writes": {"max": 10, "per": "day"}}},
}
store = open_stores(sys.argv[2]).of("acme")
plugins = Plugins([yard()], places=(), entry_points=dict)
with Runtime(accounts, plugins=plugins, environ={}, journal=False, store=store) as runtime:
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(13):
        try:
            runtime.call("yard.add_item", {"name": "a"})
        except LimitExceeded as error:
            print(error.code)
"""


@pytest.mark.slow
@pytest.mark.parametrize("address", KINDS[rounds(1, 0) : rounds(2, 3)], indirect=True)
def test_a_budget_holds_over_processes(address: str) -> None:
    """Of 52 writes that 4 processes try at once, the service gets the 10 of the day."""
    with Loopback(service := Yard()) as loopback:
        command = [sys.executable, "-c", BUDGET_CHILD, loopback.url, address, str(Path(__file__).parent)]
        children = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
        ]
        for each in children:
            assert each.stdout
            assert each.stdout.readline() == "ready\n"
        said = "".join(each.communicate("go\n", timeout=300)[0] for each in children)
    assert len(service.log) == 10
    assert said.split() == ["limit_exceeded"] * (4 * 13 - 10)


def task(id: str, due: float | None, **more: Any) -> ServerTask:
    """Return a tick of a schedule."""
    given = {"source": SCHEDULE, "name": "nightly", "run": "0123456789ab", "since": due or 0.0, **more}
    return ServerTask(id, due=due, **given)


@pytest.mark.parametrize("address", KINDS, indirect=True)
def test_a_task_is_added_and_taken_once(open_some: Callable[[], Stores], tenant: str) -> None:
    """Over all hosts, when it is due; what another one has taken is not changed by the one that had it before."""
    one, other = open_some().of(tenant).tasks, open_some().of(tenant).tasks
    now = one.now()
    assert one.add(task("a", now - 5, given='"x"'))
    assert not other.add(task("a", now))
    assert other.add(task("later", now + 60), also=["delivery"])
    assert not one.add(task("b", now), also=["delivery"])
    assert other.find("delivery") == task("delivery", None, source=ALIAS, since=now + 60)
    assert tenant in open_some().due_tenants()
    taken = one.take(10)
    assert [(each.id, each.given) for each in taken] == [("a", '"x"')]
    assert other.take(10) == []
    assert tenant not in open_some().due_tenants()
    assert {each.id for each in other.open(SCHEDULE, "nightly")} == {"a", "later"}
    assert not other.put(replace(taken[0], holder="somebody"))
    assert not other.begin(replace(taken[0], holder="somebody"))
    assert one.begin(taken[0])
    assert [each.status for each in other.open(SCHEDULE, "nightly") if each.id == "a"] == [RUNNING]
    assert one.put(replace(taken[0], status="done", due=None))
    assert [(each.id, each.status) for each in other.of(SCHEDULE, "nightly", 5)] == [("later", PLANNED), ("a", "done")]


def test_a_delivery_that_was_half_written_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the service delivers it again, which adds no second one."""
    tasks, written = FolderTasks(str(tmp_path)), list[str]()

    def fail_later(path: str, content: bytes) -> None:
        if written:
            raise OSError("No space left on device")
        written.append(path)
        replace_file(path, content)

    with monkeypatch.context() as full:
        full.setattr("kosmolua.stores.folder_tasks.replace_file", fail_later)
        with pytest.raises(Unavailable):
            tasks.add(task("signature", 1.0), also=["delivery"])
    tasks.add(task("signature", 1.0), also=["delivery"])
    assert [each.id for each in tasks.take(9)] == ["signature"]


@pytest.mark.parametrize("address", KINDS, indirect=True)
def test_the_task_of_a_host_that_is_gone_is_taken_by_another(
    open_some: Callable[[], Stores], tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once its lease has ended, which is renewed as long as the host is there."""

    def set_lease(seconds: float) -> None:
        for module in ("database_tasks", "folder_tasks"):
            monkeypatch.setattr(f"kosmolua.stores.{module}.TASK_LEASE", seconds)

    one, other = open_some().of(tenant).tasks, open_some().of(tenant).tasks
    set_lease(-1.0)
    one.add(task("a", one.now() - 5))
    (first,) = one.take(1)
    set_lease(600.0)
    one.renew([first])
    assert other.take(1) == []
    set_lease(-1.0)
    one.renew([first])
    (second,) = other.take(1)
    one.renew([first])
    assert not one.put(replace(first, due=None))
    assert other.put(second)


@pytest.mark.parametrize("address", KINDS, indirect=True)
def test_tasks_that_are_over_are_removed(open_some: Callable[[], Stores], tenant: str) -> None:
    """The old ones, and all but the latest of a schedule; those that are not over stay."""
    tasks = open_some().of(tenant).tasks
    now = tasks.now()
    for age in range(4):
        tasks.add(task(f"t{age}", None, since=now - age * DAY))
    tasks.add(task("open", now - 9 * DAY))
    tasks.prune(2.5 * DAY)
    assert [each.id for each in tasks.of(SCHEDULE, "nightly", 9)] == ["open", "t0", "t1", "t2"]
    tasks.trim(SCHEDULE, "nightly", 2)
    assert [each.id for each in tasks.of(SCHEDULE, "nightly", 9)] == ["open", "t0", "t1"]


@pytest.mark.parametrize("address", KINDS, indirect=True)
def test_deliveries_are_removed_with_all_their_ids(open_some: Callable[[], Stores], tenant: str) -> None:
    """But for the latest of a hook; the deliveries of another hook, and what is not over, stay."""
    tasks = open_some().of(tenant).tasks
    now = tasks.now()
    for age in range(3):
        tasks.add(task(f"d{age}", None, source=HOOK, since=now - age), also=[f"also-{age}"])
    tasks.add(task("open", now - 9, source=HOOK))
    tasks.add(task("other", None, source=HOOK, name="other", since=now - 9), also=["also-other"])
    tasks.trim(HOOK, "nightly", 2)
    tasks.trim(SCHEDULE, "nightly", 1)
    ids = ("d0", "also-0", "d1", "also-1", "d2", "also-2", "open", "other", "also-other")
    assert [id for id in ids if tasks.find(id)] == ["d0", "also-0", "d1", "also-1", "open", "other", "also-other"]


@pytest.mark.parametrize("address", KINDS, indirect=True)
def test_no_more_tasks_are_taken_than_wanted(open_some: Callable[[], Stores], tenant: str) -> None:
    """However many are due, and though the database may repeat a part of a statement."""
    tasks = open_some().of(tenant).tasks
    assert tasks.add_all([task(f"t{number}", tasks.now() - 5) for number in range(60)]) == []
    assert [len(tasks.take(8)) for _ in range(8)] == [8, 8, 8, 8, 8, 8, 8, 4]
    assert [each.id for each in tasks.add_all([task("t0", 0.0), task("new", 0.0)])] == ["t0"]


@pytest.mark.parametrize("address", KINDS, indirect=True)
def test_notices_are_taken_apart(open_some: Callable[[], Stores], tenant: str) -> None:
    """Those of one channel, so that neither runs nor other channels wait for them."""
    tasks = open_some().of(tenant).tasks
    for id, source, name in (("run", SCHEDULE, "ops"), ("one", NOTICE, "ops"), ("two", NOTICE, "chat")):
        tasks.add(task(id, tasks.now() - 5, source=source, name=name))
    assert [each.id for each in tasks.take(9)] == ["run"]
    assert [each.id for each in tasks.take(9, (NOTICE,), "chat")] == ["two"]
    assert [each.id for each in tasks.take(9, (NOTICE,))] == ["one"]


def test_old_tasks_of_a_folder_are_found_by_their_names(tmp_path: Path) -> None:
    """The file of a task that stays is not read, as the damage of this one shows."""
    tasks = FolderTasks(str(tmp_path))
    tasks.add(task("old", None, since=tasks.now() - 9 * DAY))
    tasks.add(task("new", None, since=tasks.now()))
    (damaged,) = (each for each in tmp_path.glob("*.json") if '"new"' in each.read_text())
    damaged.write_text("{")
    tasks.prune(DAY)
    assert tasks.find("old") is None
    assert damaged.exists()
