"""Titles of runs: what people recognise a run by, where it is kept, and how runs are found."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Program
from support.page import Pages, Person, served

from kosmolua import Runtime
from kosmolua.calls.approvals import UNANSWERED, Reply
from kosmolua.calls.records import may_have_written, waited_seconds
from kosmolua.calls.titles import MAX_TITLE, deeds_of, made_by, title_of
from kosmolua.limits import Limits
from kosmolua.mcp.tools import ScriptRequest, check, tools_for
from kosmolua.recordings.recording import read
from kosmolua.recordings.timeline import CallSummary
from kosmolua.runs import RunOptions
from kosmolua.stores.opening import open_stores
from kosmolua.stores.store import RunFilter, Store, Stores

LEND = 'app.integrations.render2.restart_service("srv-cabc12345678")'
LIST = "app.integrations.render2.list_services({ limit = 1 })"


@pytest.mark.parametrize(
    ("source", "name", "given", "title"),
    [
        ("-- Lists books.\nprint(1)", "a.lua", "Count the books", "Count the books"),
        ("--- Lists books. Then it ends.\n---@param days integer\nprint(1)", "a.lua", None, "Lists books"),
        (
            "--- Lists all books\n--- of it: red.\nprint(1)",
            "a.lua",
            None,
            "Lists all books of it",
        ),
        ("print(1)\n  -- the second line says it\nprint(2)", "a.lua", None, "the second line says it"),
        ("-----\nprint(1)", "nightly.lua", None, "nightly.lua"),
        ("print(1)", "=report.lua", "  ", "report.lua"),
        ("print(1)", "script.lua", None, ""),
        ("print(1)", "=(command line)", None, ""),
        ("--[[ no ]] print(1)", "script.lua", None, ""),
        ("-- " + "x" * 500, "a.lua", None, "x" * (MAX_TITLE - 1) + "…"),
        ("-- " + "word " * 23 + "a_key_of_which_no_part_is_shown", "a.lua", None, "word " * 22 + "word…"),
    ],
)
def test_a_run_has_a_title(source: str, name: str, given: str | None, title: str) -> None:
    """The client's own, else the first sentence of the first comment, else a name that tells something."""
    assert title_of(source.encode(), name, given) == title


def test_a_run_without_a_title_is_called_by_what_it_did() -> None:
    """Reads come first, by their functions; writes say what they do, and to what."""
    calls = [("read", "render2.list_services"), ("write", "render2.restart_service"), ("destroy", "shop.push")]
    made = [{"effect": effect, "path": path} for effect, path in calls]
    assert deeds_of(made) == "reads render2.list_services, restarts services, shop.push"
    assert deeds_of([{"effect": "write", "path": "a.apply_policy"}]) == "applies policies"
    assert deeds_of([{"effect": None, "path": "a.nothing"}]) == ""
    assert deeds_of([{"effect": "read", "path": f"a.f{number}"} for number in range(9)]).endswith(" and 5 more")


def test_an_agent_can_give_a_title() -> None:
    """Over MCP it is an argument of the tool, and an option of the run."""
    arguments = check(tools_for(Limits(), read_only=False)[-1], {"code": "return 1", "title": "Count the books"})
    assert ScriptRequest.of(arguments).options["title"] == "Count the books"


@pytest.fixture(params=["folder", "sqlite"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    """The stores of a server."""
    address = f"sqlite:///{tmp_path}/runs.db" if request.param == "sqlite" else str(tmp_path / "runs")
    stores = open_stores(address)
    yield stores
    stores.close()


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    with served(tmp_path, "acme") as pages:
        yield pages


Open = Callable[..., Runtime]


@pytest.fixture
def open_runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Open]:
    """Return a function that opens a runtime with a store, whose writes somebody must approve."""
    opened: list[Runtime] = []
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def open_runtime(store: Store | None = None, **options: Any) -> Runtime:
        accounts = {"render2": {"default": {"api_key": "rnd_a1b2c3d4e5f6a7b8c9d0"}}}
        opened.append(Runtime(accounts, environ={}, store=store, simulate=True, **options))
        return opened[-1]

    yield open_runtime
    for runtime in opened:
        runtime.close()


@pytest.mark.slow
def test_a_store_knows_what_people_look_for(stores: Stores, open_runtime: Open) -> None:
    """Lists have titles, clients, persons, calls and writes; every filter finds its runs alone."""
    store = stores.of("acme")
    runtime = open_runtime(store)
    known: Any = {"record": True, "allow": ["*"]}
    fleet = {"id": "0123456789ab", "title": "Books", "size": 3}
    runtime.run(LIST, title="Count the books", software="claude-code 2.1", person="ann@example.com", **known)
    runtime.run(f"{LEND} -- the_needle", client="session 1", fleet=fleet, **known)
    runtime.run("error('no such shelf')", name="broken.lua", fleet=fleet, **known)

    runs, total = store.find_runs(RunFilter())
    assert total == 3
    assert {run.title for run in runs} == {"Count the books", "restarts services", "broken.lua"}

    def found(**given: Any) -> list[str]:
        return [run.title for run in store.find_runs(RunFilter(**given))[0]]

    lent = "restarts services"
    assert found(words="count BOOKS") == ["Count the books"]
    assert found(words="the_needle") == [lent]
    assert found(words="no such shelf") == ["broken.lua"]
    assert found(words="render2.list_SERVICES count") == ["Count the books"]
    assert found(person="ann@example.com") == ["Count the books"]
    assert found(client="claude-code 2.1") == ["Count the books"]
    assert found(client="session 1") == [lent]
    assert found(writes=True) == [lent]
    assert found(integration="render2", order="title") == ["Count the books", lent]
    assert found(integration="rend") == []
    assert found(status="failed") == ["broken.lua"]
    assert sorted(found(fleet="0123456789ab")) == ["broken.lua", lent]
    assert found(fleet="0123456789a_") == []
    [together] = store.fleets()
    assert (together.name.title, together.begun, together.name.size) == ("Books", 2, 3)
    assert together.statuses == {"done": 1, "failed": 1}
    assert together.status == "interrupted"
    assert found(words="100%") == []
    assert found(since="2999") == []
    assert len(found(until="2999")) == 3
    assert len(store.find_runs(RunFilter(), 1, 1)[0]) == 1
    done = [run.run for run in store.runs() if run.status == "done"]
    assert [run.run for run in store.find_runs(RunFilter(status="done", order="status"))[0]] == done
    [listed] = store.find_runs(RunFilter(writes=True))[0]
    assert listed.made == [["render2.restart_service", "write", 1, 0]]
    assert listed.worked > 0


@pytest.mark.slow
def test_tables_of_before_get_the_new_columns(tmp_path: Path, open_runtime: Open) -> None:
    """A database that an older version made keeps its runs, and new ones have titles."""
    address = f"sqlite:///{tmp_path}/runs.db"
    stores = open_stores(address)
    open_runtime(stores.of("acme")).run("return 1", record=True, name="old.lua")
    stores.close()
    names = ("title", "software", "person", "error", "made", "writes", "worked", "waited", "words")
    with sqlite3.connect(tmp_path / "runs.db") as old:
        for name in names:
            old.execute(f"ALTER TABLE kosmolua_recordings DROP COLUMN {name}")
        old.execute("UPDATE kosmolua_schema SET version = 1, oldest = 1")
    stores = open_stores(address)
    store = stores.of("acme")
    open_runtime(store).run("return 1", record=True, title="A new one")
    assert [run.title for run in store.runs()] == ["A new one", ""]
    assert store.runs()[1].script == "old.lua"
    stores.close()


@pytest.mark.slow
def test_a_recording_says_who_asked_whom_and_when(open_runtime: Open, tmp_path: Path) -> None:
    """Its first line has title, client and person, and a call when a person was asked and answered."""
    file = tmp_path / "run.jsonl"

    class Ann:
        name = "ann"

        def __call__(self, approval: object) -> bool:
            return True

    open_runtime(approve=Ann()).run(LEND, record=file, title="Lend one", software="cursor 1", person="bob")
    recording = read(file)
    assert [recording.header[name] for name in ("title", "software", "person")] == ["Lend one", "cursor 1", "bob"]
    call = next(event["call"] for event in recording.events if "call" in event)
    assert call["allowed_by"] == "approved by ann"
    assert call["asked"] <= call["answered"]
    assert {"worked", "waited"} <= recording.events[-1].keys()


@pytest.mark.slow
def test_a_question_without_an_answer_counts_as_waiting(open_runtime: Open, tmp_path: Path) -> None:
    """A run that waited for a person and then paused has not worked meanwhile."""
    file = tmp_path / "run.jsonl"

    def ask(_: object) -> Reply:
        time.sleep(0.4)
        return UNANSWERED

    assert open_runtime(approve=ask).run(LEND, record=file).status == "paused"
    assert read(file).events[-1]["waited"] >= 0.4


@pytest.mark.slow
def test_who_approves_a_paused_run_is_recorded(open_runtime: Open, tmp_path: Path) -> None:
    """The decision has a name and a time, and so has the call."""
    file = tmp_path / "run.jsonl"
    runtime = open_runtime()
    assert runtime.run(LEND, record=file).status == "paused"
    assert runtime.resume(file, approve=True, person="ann").status == "done"
    recording = read(file)
    [decision] = [event for event in recording.events if event["event"] == "decision"]
    assert decision["by"] == "ann"
    assert decision["time"] >= recording.header["time"]
    calls = [event["call"] for event in recording.events if event["event"] == "answer" and "call" in event]
    assert calls[-1]["allowed_by"] == "approved by ann"


def test_a_journal_has_titles(open_runtime: Open, tmp_path: Path) -> None:
    """So that its lines can be told apart."""
    journal = tmp_path / "journal.jsonl"
    open_runtime(journal=str(journal)).run(LIST, title="Count the books")
    assert json.loads(journal.read_text(encoding="utf-8"))["title"] == "Count the books"


@pytest.mark.slow
def test_the_command_line_lists_titles_and_local_times(kosmolua: Program) -> None:
    """A run is listed by its title, and with the time of the user's clock."""
    kosmolua("run", "--simulate", "--record", "-e", f"-- Count the books.\n{LIST}")
    [listed] = json.loads(kosmolua("runs", "--json").stdout)
    began = datetime.fromisoformat(listed["time"])
    row = kosmolua("runs", variables={"TZ": "XYZ-5"}).stdout.splitlines()[1].split("\t")
    assert row[2] == "Count the books"
    assert row[1] == f"{began + timedelta(hours=5):%Y-%m-%d %H:%M:%S}"


@pytest.mark.slow
def test_a_page_names_runs_and_people(pages: Pages) -> None:
    """The list, the page of a run, its tab and the card of a call have the title; what tells nothing is not shown."""
    run = "0123456789ab"
    options = RunOptions(title="Restart <one>", software="claude-code 2.1", person="ann", run=run, client="session f00")
    tenant = pages.tenants.get("acme")
    assert tenant
    asyncio.run_coroutine_threadsafe(tenant.run(LEND, options), pages.loop).result(60)
    person = Person(pages.url, "acme")
    assert "Restart &lt;one&gt;</a>" in person.open("/runs").text
    assert "claude-code 2.1, ann" in person.open("/runs?person=ann&client=claude-code+2.1").text
    assert "session f00" not in person.open("/runs").text
    page = person.open(f"/runs/{run[:8]}").text
    assert "<h1>Restart &lt;one&gt;</h1>" in page
    assert "<title>(1) Restart &lt;one&gt; " in page
    assert "Restart &lt;one&gt;" in person.open("/approvals").text
    assert "No runs match" in person.open("/runs?since=2999-01-01").text
    assert "Restart" in person.open("/runs?since=no&until=2999-01-01&order=title&writes=").text
    assert person.open("/runs/0123").status_code == 200
    assert person.open("/runs/012").status_code == 404


def test_waits_at_the_same_time_count_once() -> None:
    """Two calls that one person looks at together made the run wait once."""
    moments = [("10:00:00", "10:00:30"), ("10:00:10", "10:00:20"), ("10:01:00", "10:01:05")]
    day = "2026-11-29T{}+00:00"
    calls = [{"asked": day.format(asked), "answered": day.format(answered)} for asked, answered in moments]
    unanswered = [*calls, {"asked": day.format("11:00:00")}]
    assert waited_seconds(unanswered) == 35
    assert waited_seconds(unanswered, day.format("11:00:07")) == 42


@pytest.mark.parametrize(
    ("software", "client", "person", "said"),
    [
        ("claude-code 2.1", "session 5", "ann", "claude-code 2.1, ann"),
        (None, "session 5", None, ""),
        ("", "address 10.0.0.1 tok inspector", "", "inspector"),
        (None, "nightly", "ann", "nightly, ann"),
    ],
)
def test_who_made_it_is_named_for_people(
    software: str | None, client: str | None, person: str | None, said: str
) -> None:
    """A name by which only the server tells clients apart tells people nothing."""
    assert made_by(software, client, person) == said


@pytest.mark.parametrize(
    ("status", "attempts", "may_have"),
    [
        ("ok", [200], True),
        ("failed", [404], False),
        ("failed", [503, 404], False),
        ("failed", [503], True),
        ("failed", [0], True),
        ("failed", [], True),
        ("unknown", [], True),
        ("refused", [], False),
    ],
)
def test_a_write_that_the_service_refused_wrote_nothing(status: str, attempts: list[int], may_have: bool) -> None:
    """It is not counted among the writes of its run, unlike one that the service may have carried out."""
    call = {"path": "books.lend", "effect": "write", "status": status, "attempts": attempts}
    assert may_have_written(call) is may_have
    assert CallSummary(call).is_write is may_have
    assert not may_have_written({**call, "effect": "read"})


@pytest.mark.slow
def test_a_failed_write_is_not_counted(kosmolua: Program) -> None:
    """The list of runs says how many calls wrote."""
    script = "local r = app.integrations.render2 local id = r.list_services({ limit = 1 }).services[1].id\n"
    script += "pcall(r.restart_service, { service_id = 'srv-none' }) r.restart_service({ service_id = id })"
    assert kosmolua("run", "--simulate", "--yes", "--record", "-e", script).returncode == 0
    [listed] = json.loads(kosmolua("runs", "--json").stdout)
    assert listed["calls"] == 3
    assert listed["failed"] == 1
    assert listed["writes"] == 1
