"""Plans: what a script would write is noted, and then exactly that is done."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import pytest
from conftest import Program, Write

from kosmolua import ConfigError, Runtime
from kosmolua.broker.planning import Plan
from kosmolua.catalog.plugins import Plugins
from kosmolua.plugin import CallError, Integration, Send, matching

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


class Store:
    """The shelves of a shop, and what was put on them."""

    def __init__(self) -> None:
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
    assert (store.put, store.cleared, len(store.shelves)) == ([], [], 4)
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
    assert "the plan has no such call" in str(runtime.apply(plan, again=True).error)  # there is one shelf more now


def test_what_a_changed_service_would_change_is_refused(runtime: Runtime, store: Store) -> None:
    """It is denied before it is sent, with what the plan has instead, and what was left is listed."""
    plan = runtime.plan(SCRIPT)
    store.shelves[1] = "s-9"
    outcome = runtime.apply(plan)
    assert outcome.error
    assert outcome.error.code == "denied"
    assert str(outcome.error) == (
        "shop.put writes with the account default, and the plan has no such call "
        '(call 15 of the plan has the arguments {"shelf": "s-2", "what": "book 1"}). Nothing was sent.'
    )
    assert {shelf for shelf, _ in store.put} == {"s-1"}
    assert len(outcome.warnings) == WRITES + 2 - 13
    assert outcome.warnings[0] == (
        'call 15 of the plan was not made: shop.put with default, {"shelf": "s-2", "what": "book 1"}'
    )


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
    with pytest.raises(ConfigError, match=r"The plan was made by a simulated run, .*live run \(pass --simulate\)"):
        runtime.apply(plan)
    assert plan.applied is None


@pytest.mark.slow
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
    assert "kosmolua: the plan has 2 writes\nrender2 [default]\n    2  writes    restart_service" in planned.stderr
    assert re.search(r"nothing was sent; kosmolua apply p\.json makes these writes", planned.stderr)

    applied = kosmolua("apply", "p.json")
    assert (applied.returncode, applied.stdout, applied.stderr) == (0, planned.stdout, "")
    again = kosmolua("apply", "p.json")
    assert again.returncode == 3
    assert "was already applied" in again.stderr
    assert kosmolua("apply", "p.json", "--again").returncode == 0

    as_json = json.loads(kosmolua("run", script, "--simulate", "--plan", "--json").stdout)
    assert [call["path"] for call in as_json["plan"]["calls"]] == ["render2.restart_service"] * 2
