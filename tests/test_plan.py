"""Plans: what a script would write is noted, and then exactly that is done."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import pytest
from conftest import ROOT, Program, Write
from support.loopback import Loopback
from support.processes import NOBODY, can_become_nobody
from support.rounds import rounds
from support.shelf import Shelf as Shelves

from kosmolua import ConfigError, Runtime
from kosmolua.catalog.plugins import Plugins
from kosmolua.errors import Stale
from kosmolua.plugin import CallError, Integration, Send, matching
from kosmolua.recordings.plans import Plan
from kosmolua.recordings.recording import read

pytestmark = pytest.mark.slow

SCRIPT = """
local shop = app.integrations.shop
for _, id in ipairs(shop.list_shelves().ids) do
  for n = 1, 13 do shop.put({ shelf = id, what = "book " .. n }) end
end
local new = shop.add_shelf({ name = "new" })
shop.put({ shelf = new.id, what = "for " .. new.id, tags = { new.owner.name } })
print(shop.get_shelf({ shelf = new.id }).name, tostring(new))
if new.state == "open" or new.size > 3 then print("decided") end
parallel.all({ function() shop.clear({ shelf = new.id }) end, function() shop.clear({ shelf = "s-1" }) end })
return new.id
"""
WRITES = 4 * 13 + 2


class Owner(TypedDict):
    name: str


class Shelf(TypedDict):
    id: str
    name: str
    size: int
    state: Literal["open", "closed"]
    owner: Owner
    above: Shelf | None
    tags: list[str]


Id = Annotated[str, "Which shelf.", matching(r"s-\d+", "s-1")]


PUTTING = """
for n = 1, 4 do app.integrations.shop.put({ shelf = "s-1", what = "book " .. n }) end
"""
LIBRARY = "from support.library import library\nintegration = library()\n"


class Loaned(Shelves):
    """A service that counts what is lent, and kills a process at one of its writes."""

    def kill_at(self, number: int, process: subprocess.Popen[Any], *, before: bool) -> None:
        """Kill a process when so many writes have come: before the last one is done, or after."""
        arrived = itertools.count(1)

        def kill(_: int) -> bool:
            if next(arrived) == number:
                process.kill()
                return before
            return False

        self.before = kill if before else lambda _: None
        self.after = (lambda _: None) if before else lambda at: kill(at) and None


class Store:
    """The shelves of a shop, and what was put on them; ``before`` is called before each write."""

    def __init__(self) -> None:
        self.before: Callable[[], object] = lambda: None
        self.shelves = ["s-1", "s-2", "s-3", "s-4"]
        self.put: list[tuple[str, str]] = []
        self.cleared: list[str] = []


def shop_of(store: Store) -> Integration:
    """Return an integration for a store."""

    @dataclass(frozen=True)
    class Account:
        """Needs nothing."""

        note: str = ""

        def open(self, send: Send) -> Store:
            return store

    integration = Integration("shop", Account, about="Shelves.")

    @integration.reads
    def list_shelves(store: Store, /) -> dict[str, Any]:
        """List the shelves."""
        return {"ids": store.shelves}

    @integration.reads
    def get_shelf(store: Store, /, *, shelf: Id) -> Shelf:
        """Return a shelf."""
        if shelf not in store.shelves:
            raise CallError("api_error", f"there is no shelf {shelf}", status=404)
        return shelf_of(shelf)

    @integration.writes
    def add_shelf(store: Store, /, *, name: str) -> Shelf:
        """Add a shelf."""
        store.shelves.append(f"s-{len(store.shelves) + 1}")
        return shelf_of(store.shelves[-1])

    @integration.writes
    def put(store: Store, /, *, shelf: Id, what: str, tags: list[str] | None = None) -> None:
        """Put something on a shelf."""
        store.before()
        store.put.append((shelf, what))

    @integration.destroys
    def clear(store: Store, /, *, shelf: Id) -> None:
        """Throw away what is on a shelf."""
        store.cleared.append(shelf)

    return integration


def shelf_of(id: str) -> Shelf:
    return {
        "id": id,
        "name": f"shelf {id}",
        "size": 9,
        "state": "open",
        "owner": {"name": "ann"},
        "above": None,
        "tags": [],
    }


def app_service(runtime: Runtime) -> Any:
    """Return the first service of a simulation."""
    return runtime.call("render2.list_services", {"limit": 1})["services"][0]


@pytest.fixture
def store() -> Store:
    """The shop's store."""
    return Store()


@pytest.fixture
def runtime(store: Store) -> Iterator[Runtime]:
    """A runtime with only the shop, where writes have to be asked about and nobody can be."""
    plugins = Plugins([shop_of(store)], places=(), entry_points=dict)
    with Runtime({"shop": {"default": {}}}, plugins=plugins, environ={}) as runtime:
        yield runtime


def test_a_plan_has_all_writes_and_none_is_sent(runtime: Runtime, store: Store) -> None:
    """With their arguments and lines; what takes the result of another depends on it, reads too."""
    plan = runtime.plan(SCRIPT, name="tidy.lua")
    assert plan.outcome.ok, plan.outcome.error
    assert store.put == []
    assert store.cleared == []
    assert len(store.shelves) == 4
    assert len(plan.writes) == WRITES + 2
    assert len([call for call in plan.writes if call.effect == "write"]) == WRITES
    assert plan.calls[0].arguments == {"shelf": "s-1", "what": "book 1"}
    assert plan.calls[0].line == 4
    added = next(call for call in plan.calls if call.path == "shop.add_shelf")
    mark = f"<shop.add_shelf#{added.number}.id>"
    assert plan.outcome.result == [mark]
    following = plan.calls[plan.calls.index(added) + 1]
    assert following.depends_on == [added.number]
    assert following.arguments == {"shelf": mark, "what": f"for {mark}", "tags": [mark.replace(".id", ".owner.name")]}
    assert [(call.path, call.effect) for call in plan.calls if call.depends_on][1] == ("shop.get_shelf", "read")
    assert {call["status"] for call in plan.outcome.calls} == {"ok", "planned"}


def test_a_plan_says_where_a_script_decides_on_what_is_planned(runtime: Runtime) -> None:
    """The line, and what it looks at; passing a result on decides nothing."""
    plan = runtime.plan(SCRIPT)
    found = [(seen["line"], seen["path"], seen["key"]) for seen in plan.decisions]
    assert found == [(9, "shop.add_shelf", "state")]
    assert runtime.plan("local s = app.integrations.shop.add_shelf({ name = 'x' }) return s.id").decisions == []


def test_a_plan_names_what_is_behind_ids(simulated: Runtime) -> None:
    """As an approval does, and the plan has an id of its own."""
    source = 'app.integrations.render2.restart_service({ service_id = "srv-cabc12345678" })'
    service = app_service(simulated)
    plan = simulated.plan(source.replace("srv-cabc12345678", service["id"]))
    assert plan.calls[0].names == {"service_id": service["name"]}
    assert re.fullmatch("p-[0-9a-f]{8}", plan.id)
    assert plan.id != simulated.plan(source).id


def test_a_placeholder_is_a_table_like_any_other(runtime: Runtime) -> None:
    """It can be listed, changed, encoded and printed, and a mistake in arguments is still one."""
    source = """
    local new = app.integrations.shop.add_shelf({ name = "x" })
    local keys = {}
    for key, value in pairs(new) do keys[#keys + 1] = key end
    table.sort(keys)
    new.extra = 1
    local ok, err = pcall(app.integrations.shop.put, { shelf = "nonsense", what = new.id })
    local copy = json.decode(json.encode(new))
    return table.concat(keys, " "), #new.tags, new.extra, copy.id == new.id, err.param, type(new)
    """
    outcome = runtime.plan(source).outcome
    assert outcome.result == ["above id name owner size state tags", 1, 1, True, "shelf", "table"]


def test_a_placeholder_is_listed_with_each_value(runtime: Runtime) -> None:
    """Also with one that is false."""
    source = """
    local new, found = app.integrations.shop.add_shelf({ name = "x" }), {}
    new.extra = false
    for key, value in pairs(new) do found[key] = value end
    return found.extra, found.name == new.name
    """
    assert runtime.plan(source).outcome.result == [False, True]


def test_what_is_denied_is_denied_in_a_plan_too(runtime: Runtime) -> None:
    """A plan asks nobody, but it is none of what could not be done."""
    plan = runtime.plan('return pcall(app.integrations.shop.add_shelf, { name = "x" })', read_only=True)
    assert plan.outcome.result[0] is False
    assert plan.writes == []


def test_a_plan_is_applied_as_it_is(runtime: Runtime, store: Store, tmp_path: Path) -> None:
    """From its file: each write once, marks replaced by what came, also what destroys; and it is applied once."""
    runtime.plan(SCRIPT).save(tmp_path / "plan.json")
    plan = Plan.load(tmp_path / "plan.json")
    outcome = runtime.apply(plan)
    assert outcome.ok, outcome.error
    assert outcome.result == ["s-5"]
    assert outcome.warnings == []
    assert len(store.put) == 53
    assert store.put[-1] == ("s-5", "for s-5")
    assert sorted(store.cleared) == ["s-1", "s-5"]

    with pytest.raises(ConfigError, match="was already applied"):
        runtime.apply(plan)
    again = runtime.apply(plan, again=True).error  # there is one shelf more now
    assert isinstance(again, Stale)
    assert again.differences[0].startswith("shop.put with default would be made too: ")


def test_what_a_changed_service_would_change_is_refused(runtime: Runtime, store: Store) -> None:
    """The plan is stale before the first write, with each difference, and is not used up."""
    plan = runtime.plan(SCRIPT)
    store.shelves[1] = "s-9"
    outcome = runtime.apply(plan, accept_changes=True)
    assert isinstance(outcome.error, Stale)
    said = f"The plan {plan.id} is stale: what its script reads has changed (make a new plan). Nothing was sent."
    assert str(outcome.error) == said
    assert len(outcome.error.differences) == 13 + 1
    assert outcome.error.differences[0] == (
        'call 15, shop.put with default, would have other arguments: shelf was "s-2" and is "s-9"'
    )
    assert outcome.error.differences[-1] == "call 1, shop.list_shelves(), has another answer"
    assert store.put == []
    store.shelves[1] = "s-2"
    assert runtime.apply(plan).ok


def test_writes_in_another_order_are_not_those_of_the_plan(runtime: Runtime, store: Store) -> None:
    """What is put on a shelf before it is cleared is gone; what is put there after that is not."""
    ids = "app.integrations.shop.list_shelves().ids"
    put, clear = (
        f"app.integrations.shop.{each} }})" for each in ('put({ shelf = "s-1", what = "a"', 'clear({ shelf = "s-1"')
    )
    plan = runtime.plan(f'if {ids}[1] == "s-1" then {clear} {put} else {put} {clear} end')
    store.shelves.reverse()
    outcome = runtime.apply(plan)
    assert isinstance(outcome.error, Stale)
    assert "in another order: 3, 2" in str(outcome.error.differences)
    assert store.put == store.cleared == []


def test_a_write_that_has_become_a_removal_is_not_the_plans(runtime: Runtime, store: Store) -> None:
    """As after an update of the integration, or if an MCP server says something else of its tool."""
    plan = runtime.plan('app.integrations.shop.clear({ shelf = "s-1" })')
    plan.calls[0].effect = "write"  # which it was when the plan was made
    outcome = runtime.apply(plan, accept_changes=True)
    assert isinstance(outcome.error, Stale)
    assert outcome.error.differences == ["call 1, shop.clear with default, is a destroy now, and was a write"]
    assert store.cleared == []


def test_a_text_that_looks_like_a_placeholder_is_none(runtime: Runtime, store: Store) -> None:
    """A script that writes about calls, or about issues, makes the calls that it has planned."""
    script = """
        local shop = app.integrations.shop
        local id = shop.add_shelf({ name = "see <shop.add_shelf#1> and <issue#1>" }).id
        shop.add_shelf({ name = "<pull#1> came after <issue#2>" })
        shop.put({ shelf = id, what = "<issue#3>" })
    """
    plan = runtime.plan(script)
    assert [call.depends_on for call in plan.calls] == [[], [], [1]]
    assert runtime.apply(plan).error is None
    assert store.put == [("s-5", "<issue#3>")]


def test_a_file_that_is_no_plan_is_told(tmp_path: Path) -> None:
    """Nothing of it is run."""
    for name, text in (("a.json", "{}"), ("b.json", "nonsense"), ("c.json", "[1]")):
        (tmp_path / name).write_text(text)
        with pytest.raises(ConfigError, match="is not a plan"):
            Plan.load(tmp_path / name)
    with pytest.raises(ConfigError, match="cannot be read"):
        Plan.load(tmp_path / "missing.json")


def test_a_simulated_plan_is_not_applied_for_real(simulated: Runtime, runtime: Runtime) -> None:
    """Nor the other way round."""
    plan = simulated.plan("return 1")
    with pytest.raises(ConfigError, match=r"The plan was made by a simulated run, .*live run \(pass simulate=True\)"):
        runtime.apply(plan)
    assert plan.applied is None


def test_a_plan_is_marked_before_its_first_write(runtime: Runtime, store: Store, tmp_path: Path) -> None:
    """So that a power cut cannot make it look as if it had not been applied."""
    runtime.plan(PUTTING).save(tmp_path / "plan.json")
    marks: list[object] = []
    store.before = lambda: marks.append(Plan.load(tmp_path / "plan.json").applied)
    assert runtime.apply(Plan.load(tmp_path / "plan.json")).ok
    assert len(marks) == 4
    assert None not in marks


def test_an_application_that_ended_early_goes_on(runtime: Runtime, store: Store, tmp_path: Path) -> None:
    """With the same call, no write is made twice, and what is left is known; then the plan is used up."""
    runtime.plan(PUTTING).save(tmp_path / "plan.json")

    def fail_once() -> None:
        if len(store.put) == 2:
            store.before = lambda: None
            raise CallError("api_error", "not now", status=409)

    store.before = fail_once
    first = runtime.apply(Plan.load(tmp_path / "plan.json"))
    assert first.status == "failed"
    assert len(first.warnings) == 1
    second = runtime.apply(Plan.load(tmp_path / "plan.json"))
    assert second.ok, second.error
    assert second.warnings == []
    assert store.put == [("s-1", f"book {n}") for n in range(1, 5)]
    with pytest.raises(ConfigError, match=r"was already applied at .* \(pass again=True to apply it once more\)"):
        runtime.apply(Plan.load(tmp_path / "plan.json"))


def test_a_plan_without_a_write_made_is_not_used_up(runtime: Runtime, store: Store, tmp_path: Path) -> None:
    """It is applied from its start."""
    runtime.plan(PUTTING).save(tmp_path / "plan.json")
    refused = runtime.apply(Plan.load(tmp_path / "plan.json"), read_only=True)
    assert not refused.ok
    assert store.put == []
    with pytest.raises(ConfigError, match="The plan is applied from its start"):
        runtime.apply(Plan.load(tmp_path / "plan.json"), done={1: None})
    assert runtime.apply(Plan.load(tmp_path / "plan.json")).ok
    assert len(store.put) == 4


def test_a_copy_of_a_plan_is_the_same_plan(runtime: Runtime, store: Store, tmp_path: Path) -> None:
    """What was applied is known for copies made before, also while it is applied."""
    runtime.plan(PUTTING).save(tmp_path / "plan.json")
    shutil.copy(tmp_path / "plan.json", tmp_path / "copy.json")
    said: list[str] = []

    def apply_copy() -> None:
        with pytest.raises(ConfigError) as refused:
            runtime.apply(Plan.load(tmp_path / "copy.json"))
        said.append(str(refused.value))

    store.before = apply_copy
    assert runtime.apply(Plan.load(tmp_path / "plan.json")).ok
    assert len(said) == 4
    assert all("The plan is being applied now" in each for each in said)
    (tmp_path / "plan.json").unlink()
    with pytest.raises(ConfigError, match="was already applied"):
        runtime.apply(Plan.load(tmp_path / "copy.json"))
    assert len(store.put) == 4


def test_a_plan_has_the_title_of_its_run(runtime: Runtime, tmp_path: Path) -> None:
    """That which the client gave, also once it was read from its file, and for the run that applies it."""
    plan = runtime.plan(PUTTING, name="=put", title="Puts four books", person="dana", software="an agent 1.0")
    plan.save(tmp_path / "plan.json")
    kept = Plan.load(tmp_path / "plan.json")
    assert (kept.title, kept.run["person"], kept.run["software"]) == ("Puts four books", "dana", "an agent 1.0")
    assert runtime.plan(PUTTING, name="=put").title == "put"
    applied = runtime.apply(kept, person="erin", record=tmp_path / "run.jsonl")
    header = read(applied.recording or "").header
    assert (header["title"], header["person"]) == ("Puts four books", "erin")


def test_a_new_plan_replaces_no_other(runtime: Runtime) -> None:
    """Whatever their ids are."""
    first, second = runtime.plan(SCRIPT), runtime.plan(SCRIPT)
    second.id = first.id
    runtime.plans.keep(first)
    with pytest.raises(ConfigError, match="in use"):
        runtime.plans.keep(second)


def test_two_cannot_apply_a_plan_at_once(runtime: Runtime, store: Store, tmp_path: Path) -> None:
    """The second is told, also if it asks while the first is in its first write."""
    runtime.plan(PUTTING).save(tmp_path / "plan.json")
    said: list[str] = []

    def apply_too() -> None:
        with pytest.raises(ConfigError) as refused:
            runtime.apply(Plan.load(tmp_path / "plan.json"))
        said.append(str(refused.value))

    store.before = apply_too
    assert runtime.apply(Plan.load(tmp_path / "plan.json")).ok
    assert len(store.put) == len(said) == 4
    assert all("The plan is being applied now" in each for each in said)


def test_a_plan_that_cannot_be_marked_is_not_applied(
    runtime: Runtime, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent, and it can be applied once its folder can be written."""
    runtime.plan(PUTTING).save(tmp_path / "plan.json")

    def refuse(_: int) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", refuse)
        with pytest.raises(ConfigError, match=r"The plan cannot be written to .*plan\.json: Read-only file system"):
            runtime.apply(Plan.load(tmp_path / "plan.json"))
    assert store.put == []
    assert runtime.apply(Plan.load(tmp_path / "plan.json")).ok


def test_a_full_disk_leaves_nothing_behind(runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that cannot be saved is a sentence, and its folder has no half of it; an earlier one stays as it was."""

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    plan = runtime.plan(PUTTING)
    plan.save(tmp_path / "plan.json")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", refuse)
        with pytest.raises(ConfigError, match=r"cannot be written to .*: No space left on device"):
            runtime.plan(SCRIPT).save(tmp_path / "plan.json")
    assert os.listdir(tmp_path) == ["plan.json"]
    assert Plan.load(tmp_path / "plan.json").id == plan.id


APPLYING = """
local books = app.integrations.library
local order = {}
for n = 1, 20 do table.insert(order, math.random(n), n) end
for _, n in ipairs(order) do books.lend({ book = "b-" .. n }) end
"""


def test_kill_9_of_an_application(
    kosmolua: Program, environment: dict[str, str], home: Path, config: Path, write: Write, tmp_path: Path
) -> None:
    """At any moment: applied again, each write arrives once; those under way are named, and settled by number."""
    shelf = Loaned()
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    with Loopback(shelf) as server:
        write("home/.config/kosmolua/integrations/library.py", LIBRARY)
        account = f'[library.default]\napi_key = "rnd_0123456789"\nbase_url = "{server.url}"\n'
        write("home/.config/kosmolua/accounts.toml", account)
        write("home/lend.lua", APPLYING)
        named = 0
        for moment in range(0, 60, rounds(25, 1)):
            shelf.lent.clear()
            assert kosmolua("run", "lend.lua", f"--plan=p{moment}.json", variables=paths).returncode == 0
            command = [sys.executable, "-m", "kosmolua", "apply", f"p{moment}.json"]
            running = subprocess.Popen(command, cwd=home, env={**environment, **paths}, stderr=subprocess.DEVNULL)
            shelf.kill_at(moment % 20 + 1, running, before=moment % 3 == 0)
            running.wait(60)
            shelf.kill_at(0, running, before=False)
            server.settle()
            again = kosmolua("apply", f"p{moment}.json", variables=paths)
            while again.returncode != 0:
                number = re.search(r"call (\d+), library\.lend", again.stderr)
                assert number, again.stderr
                named += 1
                book = re.search(r'book = "(b-\d+)"', again.stderr)
                assert book, again.stderr
                was_done = shelf.lent[book[1]] == 1
                decision = f"--done={number[1]}" if was_done else f"--again={number[1]}"
                again = kosmolua("apply", f"p{moment}.json", decision, variables=paths)
            assert set(shelf.lent.values()) == {1}, moment
            assert shelf.lent.total() == 20
            assert kosmolua("apply", f"p{moment}.json", variables=paths).returncode == 3
        assert named > 0


def test_two_processes_cannot_apply_a_plan_at_once(
    kosmolua: Program, environment: dict[str, str], home: Path, config: Path, write: Write
) -> None:
    """Exactly one goes, the others say so, and no write arrives twice."""
    shelf = Loaned()
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    with Loopback(shelf) as server:
        write("home/.config/kosmolua/integrations/library.py", LIBRARY)
        account = f'[library.default]\napi_key = "rnd_0123456789"\nbase_url = "{server.url}"\n'
        write("home/.config/kosmolua/accounts.toml", account)
        write("home/lend.lua", APPLYING)
        for number in range(3):
            shelf.lent.clear()
            assert kosmolua("run", "lend.lua", f"--plan=p{number}.json", variables=paths).returncode == 0
            command = [sys.executable, "-m", "kosmolua", "apply", f"p{number}.json"]
            given: dict[str, Any] = {
                "cwd": home,
                "env": {**environment, **paths},
                "stderr": subprocess.PIPE,
                "text": True,
            }
            started = [subprocess.Popen(command, **given) for _ in range(3)]
            said = [each.communicate(timeout=60)[1] for each in started]
            assert sorted(each.returncode for each in started) == [0, 3, 3], said
            assert set(shelf.lent.values()) == {1}
            assert shelf.lent.total() == 20


def test_a_plan_that_is_neither_a_file_nor_an_id_is_said_to_be_missing(kosmolua: Program) -> None:
    """With the command that lists the plans there are."""
    for name in ("p-0", "nowhere.json"):
        said = f"kosmolua: There is no plan '{name}' (kosmolua run --plan makes one, and kosmolua plans lists them)\n"
        assert kosmolua("apply", name).stderr == said


@pytest.mark.skipif(not can_become_nobody(), reason="needs root, and a folder that another user cannot write")
def test_a_plan_in_a_folder_that_cannot_be_written(
    kosmolua: Program, environment: dict[str, str], home: Path, config: Path, write: Write, tmp_path: Path
) -> None:
    """It is refused before anything is sent."""
    write(
        "home/s.lua", 'print(app.integrations.render2.restart_service({ service_id = "srv-cabc12345678" }).service_id)'
    )
    assert kosmolua("run", "s.lua", "--simulate", "--plan=p.json").returncode == 0
    for each in [tmp_path, *tmp_path.parents]:
        if each.stat().st_uid == 0 and each != Path("/"):
            each.chmod(each.stat().st_mode | 0o055)
    own = tmp_path / "own"
    shutil.copytree(home, own / "home")
    shutil.copytree(environment["XDG_CACHE_HOME"], own / "cache", dirs_exist_ok=True)
    for each in own.rglob("*"):
        os.chown(each, NOBODY, NOBODY)
    os.chmod(own / "home", 0o555)
    os.chown(own / "home", 0, 0)
    own.chmod(0o755)
    variables = {
        "HOME": str(own / "home"),
        "XDG_CONFIG_HOME": str(own / "home/.config"),
        "XDG_CACHE_HOME": str(own / "cache"),
    }
    given: dict[str, Any] = {"variables": variables, "cwd": own / "home", "user": NOBODY, "group": NOBODY}
    applied = kosmolua("apply", "p.json", "--simulate", "--accept-plan", **given)
    assert applied.returncode == 3, applied.stderr
    assert "cannot be written to" in applied.stderr
    assert applied.stdout == ""


def test_the_command_line_shows_and_applies_plans(kosmolua: Program, write: Write) -> None:
    """The plan on standard error, as JSON on standard output with --json, and once applied it stays so."""
    script = write(
        "restart.lua",
        """
        local render = app.integrations.render2
        for _, service in ipairs(render.list_services({ limit = 2, type = "web_service" }).services) do
          render.restart_service({ service_id = service.id })
          print(service.name)
        end
        """,
    )
    planned = kosmolua("run", script, "--simulate", "--plan=p.json")
    assert planned.returncode == 0
    said = planned.stderr.splitlines()
    assert said[0] == "kosmolua: nothing was sent; kosmolua apply p.json makes these writes:"
    assert said[1].startswith("2 x render2.restart_service [default], writes")
    assert said[2].startswith('~   2  service_id = "srv-cabc12345678" (checkout-api)')
    assert said[-1] == "Plan: 0 to create, 2 to change, 0 to destroy."

    applied = kosmolua("apply", "p.json")
    assert applied.returncode == 0
    assert applied.stdout == planned.stdout
    assert applied.stderr == ""
    again = kosmolua("apply", "p.json")
    assert again.returncode == 3
    assert "was already applied" in again.stderr
    assert kosmolua("apply", "p.json", "--again").returncode == 0

    stale = write("stale.lua", "app.integrations.render2.delete_service({ service_id = arg[1] })")
    refused = kosmolua("run", stale, "--simulate", "--plan")
    assert refused.returncode == 1
    assert "Plan: 0 to create, 0 to change, 0 to destroy." in refused.stderr

    as_json = json.loads(kosmolua("run", script, "--simulate", "--plan", "--json").stdout)
    listed = json.loads(kosmolua("plans", "--json").stdout)
    assert [each["status"] for each in listed] == ["planned", "refused", "applied"]
    assert listed[0]["plan"] == as_json["plan"]["id"]
    first = kosmolua("plans").stdout.splitlines()[1]
    assert re.match(rf"{listed[0]['plan']}\t\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\t", first)
    shown = kosmolua("plans", "show", as_json["plan"]["id"]).stdout
    assert shown.splitlines() == said[1:]
    assert kosmolua("plans", "show", as_json["plan"]["id"], "--markdown").stdout.startswith("### Plan: 0 to create")
    assert kosmolua("apply", as_json["plan"]["id"]).returncode == 0
    assert [call["path"] for call in as_json["plan"]["calls"]] == ["render2.restart_service"] * 2


def test_a_command_in_a_message_can_be_pasted(kosmolua: Program) -> None:
    """Also if the path in it has a space."""
    words = ("run", "--simulate", "-e", 'app.integrations.render2.restart_service("srv-cabc12345678")')
    planned = kosmolua(*words, "--plan=my plan.json")
    assert "kosmolua apply 'my plan.json' makes these writes" in planned.stderr
    paused = kosmolua(*words, "--record=my run.jsonl")
    assert "kosmolua resume 'my run.jsonl' goes on, kosmolua replay 'my run.jsonl' repeats it" in paused.stderr


def test_a_list_without_plans_says_how_to_make_one(kosmolua: Program) -> None:
    """On standard error: the list itself is empty."""
    done = kosmolua("plans")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "kosmolua: there are no plans; 'kosmolua run --plan FILE' makes one\n"


def test_a_plan_from_a_pipe(kosmolua: Program, home: Path) -> None:
    """It is read once, and applied once: its mark is in the store alone. A run cannot go on in a pipe."""
    words = ("run", "--simulate", "-e", 'app.integrations.render2.restart_service("srv-cabc12345678") print("done")')
    assert kosmolua(*words, "--plan=p.json").returncode == 0
    plan = (home / "p.json").read_text(encoding="utf-8")
    assert kosmolua("apply", "/dev/stdin", input=plan).stdout == "done\n"
    again = kosmolua("apply", "/dev/stdin", input=plan)
    assert again.returncode == 3
    assert "The plan was already applied" in again.stderr
    assert kosmolua(*words, "--record=r.jsonl").returncode == 75
    paused = (home / "r.jsonl").read_text(encoding="utf-8")
    resumed = kosmolua("resume", "/dev/stdin", "--approve", input=paused)
    assert resumed.returncode == 3
    assert "cannot go on in /dev/stdin, which is no regular file (copy the recording into a file)" in resumed.stderr


def test_a_plan_in_a_file_that_is_standard_input(kosmolua: Program, home: Path) -> None:
    """The shell opens it, so that it has no name of its own: as from a pipe, it is read once, and applied once."""
    write = 'app.integrations.render2.restart_service("srv-cabc12345678") print("done")'
    assert kosmolua("run", "--simulate", "-e", write, "--plan=p.json").returncode == 0
    plan = (home / "p.json").read_bytes()
    with (home / "p.json").open() as file:
        assert kosmolua("apply", "/dev/stdin", stdin=file).stdout == "done\n"
    with (home / "p.json").open() as file:
        assert "The plan was already applied" in kosmolua("apply", "/dev/stdin", stdin=file).stderr
    assert (home / "p.json").read_bytes() == plan
