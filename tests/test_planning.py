"""Rules of plans: what is refused, what is assumed, where planning ends, and what an application leaves out."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.loopback import Loopback
from support.yard import Yard, yard

from kosmolua import ConfigError, Runtime
from kosmolua.catalog.plugins import Plugins
from kosmolua.cli.plans import show
from kosmolua.errors import Denied, Paused, Stale
from kosmolua.recordings.outlines import PlannedCall, outline
from kosmolua.recordings.planned import Planner
from kosmolua.recordings.plans import Plan

pytestmark = pytest.mark.slow

HEAD = "local yard = app.integrations.yard\n"
POLLING = """
yard.set_item({ id = "i-3", note = "mend" })
repeat
  sleep(60)
  local found = yard.get_item({ id = "i-3" }).item
until found.state == "ready"
yard.set_item({ id = "i-3", note = "up" })
"""
ADDING = """
local first, second = yard.add_item({ name = "first" }).item, yard.add_item({ name = "second" }).item
yard.set_item({ id = first.id, note = yard.get_item({ id = first.id }).item.name })
yard.set_item({ id = second.id, note = "kept" })
"""


@pytest.fixture
def service() -> Yard:
    """The service."""
    return Yard()


@pytest.fixture
def runtime(service: Yard) -> Iterator[Runtime]:
    """A runtime with the service's integration only, which has nobody to ask."""
    with Loopback(service) as server:
        plugins = Plugins([yard()], places=(), entry_points=dict)
        with Runtime({"yard": {"default": {"url": server.url}}}, plugins=plugins, environ={}) as runtime:
            yield runtime


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ('yard.set_item({ id = "i-1" })', {}, "needs note, a string"),
        ('pcall(yard.set_item, { id = "i-1" })', {}, "needs note, a string"),
        ('yard.delete_item({ id = "i-1" })', {"deny": ["yard.delete_item"]}, "denied by --deny"),
        ('yard.delete_item({ id = "i-1" })', {"read_only": True}, "read-only"),
        ('yard.set_item({ id = "i-1", note = "n", size = arg[1] })', {"check": True}, "size is nil"),
        ('yard.remove_item({ id = "i-1" })', {"check": True}, "has no 'remove_item'"),
        ('yard.set_item({ id = "i-1", note = "n" }) error("no")', {}, "no"),
    ],
)
def test_a_plan_of_what_a_run_would_refuse_is_refused(
    runtime: Runtime, service: Yard, source: str, options: dict[str, object], said: str
) -> None:
    """It says which call, fails, and cannot be applied."""
    plan = runtime.plan(HEAD + source, **options)  # type: ignore[arg-type]
    assert said in plan.refused[0]["message"]
    assert not plan.outcome.ok
    with pytest.raises(Denied, match=f"The plan {plan.id} is refused: .* Nothing was sent"):
        runtime.apply(plan)
    assert service.log == []


def test_a_plan_says_of_what_destroys_that_it_cannot_be_undone(runtime: Runtime) -> None:
    """As the question about the call does, also where its function says nothing about it."""
    plan = runtime.plan(HEAD + 'yard.delete_item({ id = "i-1" })')
    assert plan.outline()[0].text == "yard.delete_item [default], destroys, cannot be undone"


def test_making_a_plan_keeps_no_answers(runtime: Runtime) -> None:
    """Only a rehearsal needs them, for the application that follows."""
    planner = Planner()
    runtime.run(HEAD + 'yard.get_item({ id = "i-1" })', planning=planner)
    assert planner.values == {}


def test_a_plan_goes_on_as_if_what_a_write_brings_about_had_come(runtime: Runtime) -> None:
    """Where its function says so; the plan names what was assumed, and `sleep` passes at once."""
    source = HEAD + 'yard.start_item({ id = "i-3" })' + POLLING
    plan = runtime.plan(source)
    assert [call.path for call in plan.writes] == ["yard.start_item", "yard.set_item", "yard.set_item"]
    assert plan.assumptions == [
        {"line": 6, "number": 1, "path": "yard.start_item", "key": "item.state", "value": "ready"}
    ]
    assert plan.outcome.usage["wall_ms"] < 10_000


def test_time_passes_in_a_plan_while_it_sleeps(runtime: Runtime) -> None:
    """So a loop until a deadline ends."""
    plan = runtime.plan("local t = time.now() repeat sleep(50) until time.now() > t + 1000 return time.now() - t")
    assert plan.outcome.ok
    assert 1000 < plan.outcome.result[0] < 1100


def test_planning_ends_where_a_script_waits_for_what_a_plan_cannot_know(runtime: Runtime, service: Yard) -> None:
    """After five equal answers; applied, each later write is asked about, and pauses where nobody can be."""
    plan = runtime.plan(HEAD + POLLING.replace("60", "0.01"))
    assert plan.open_at == 6
    assert plan.outcome.ok
    assert len(plan.writes) == 1
    assert len(plan.reads) == 4
    service.items["i-3"]["state"] = "starting"
    outcome = runtime.apply(plan)
    assert isinstance(outcome.error, Paused)
    assert [call["arguments"]["note"] for call in outcome.error.calls] == ["up"]
    assert [sent["note"] for _, _, sent in service.log] == ["mend"]


def test_wait_until_looks_once_in_a_plan(runtime: Runtime) -> None:
    """And planning ends there, unless what it asks for is so."""
    source = HEAD + 'wait_until(function()\n  return yard.get_item({ id = "i-3" }).item.state == "ready"\nend)'
    plan = runtime.plan(source)
    assert plan.open_at == 2
    assert len(plan.reads) == 1


def test_what_follows_an_open_plan_can_be_allowed(runtime: Runtime, service: Yard) -> None:
    """As if there were no plan."""
    plan = runtime.plan(HEAD + POLLING.replace("60", "0"))
    service.items["i-3"]["state"] = "starting"
    assert runtime.apply(plan, allow=["yard.set_item"]).ok
    assert [sent["note"] for _, _, sent in service.log] == ["mend", "up"]


def test_a_plan_is_applied_without_some_of_its_calls(runtime: Runtime, service: Yard) -> None:
    """Nor are those made that take their results."""
    plan = runtime.plan(HEAD + ADDING)
    first = next(call for call in plan.writes if call.arguments["name"] == "first")
    outcome = runtime.apply(plan, without=[first.number])
    assert outcome.ok
    assert outcome.warnings == []
    assert [sent.get("name") or sent["note"] for _, _, sent in service.log] == ["second", "kept"]
    with pytest.raises(ConfigError, match="Call 99 is not a write of the plan"):
        runtime.apply(runtime.plan(HEAD + ADDING), without=[99])


def test_what_a_plan_leaves_out_stays_left_out_when_it_goes_on(runtime: Runtime, service: Yard) -> None:
    """The calls that depend on it, too: no text that stands for a result is sent, not even by a read."""
    source = """
    local first = yard.add_item({ name = "first" }).item
    print(yard.get_item({ id = first.id }).item.name)
    yard.set_item({ id = "i-7", note = "kept" })
    yard.set_item({ id = "i-8", note = "last" })
    print(yard.get_item({ id = first.id .. "x" }).item.name)
    """
    plan = runtime.plan(HEAD + source)
    lost = service.items.pop("i-8")
    assert "there is no item i-8" in str(runtime.apply(plan, without=[1]).error)
    service.items["i-8"] = lost
    outcome = runtime.apply(plan)
    assert outcome.ok, outcome.error
    assert [sent["note"] for _, _, sent in service.log] == ["kept", "last", "last"]


def test_a_plan_is_for_its_accounts(runtime: Runtime, service: Yard, tmp_path: Path) -> None:
    """An account that leads elsewhere now gets nothing of it, not even a read, unless a person agrees."""
    runtime.plan(HEAD + 'yard.set_item({ id = "i-1", note = yard.get_item({ id = "i-2" }).item.name })').save(
        tmp_path / "plan.json"
    )
    other, asked = Yard(), []
    with Loopback(other) as server:
        accounts = {"yard": {"default": {"url": server.url}}}
        with Runtime(accounts, plugins=Plugins([yard()], places=(), entry_points=dict), environ={}) as moved:
            with pytest.raises(
                ConfigError, match=r"made with other accounts: yard\.default led to .*Nothing was sent\."
            ):
                moved.apply(Plan.load(tmp_path / "plan.json"))
            with pytest.raises(ConfigError, match="other accounts"):
                moved.apply(Plan.load(tmp_path / "plan.json"), accept_accounts=lambda said: bool(asked.append(said)))
            assert other.log == []
            assert f"leads to {server.url}" in asked[0]
            assert moved.apply(Plan.load(tmp_path / "plan.json"), accept_accounts=True).ok
    assert [id for _, id, _ in other.log] == ["i-1"]
    assert service.log == []


@pytest.mark.parametrize(
    ("source", "given"),
    [
        ('yard.set_item({ id = "i-1", note = "hunter2secret" })', None),
        ('yard.set_item({ id = "i-1", note = input.word })', {"word": "hunter2secret"}),
    ],
)
def test_a_plan_of_a_script_with_a_secret_is_refused(runtime: Runtime, source: str, given: object) -> None:
    """A plan has the mask of the secret, which would be sent instead of it; by its name the secret is sent."""
    named = {"environ": {"BANK": "hunter2secret"}, "secrets": {"bank": "env:BANK"}}
    accounts = {"yard": {"default": runtime.accounts.sections.settings(runtime.catalog.integration("yard"), "default")}}
    with Runtime(accounts, plugins=Plugins([yard()], places=(), entry_points=dict), **named) as other:
        plan = other.plan(HEAD + source, input=given)
        assert "hunter2secret" not in json.dumps(plan.to_json())
        assert "which no plan keeps" in plan.outline()[-2].text
        assert plan.outcome.error is not None
        with pytest.raises(Denied, match="is refused: its script or input contains a secret"):
            other.apply(plan)
        assert other.apply(other.plan(HEAD + 'yard.set_item({ id = "i-1", note = secrets.bank })')).ok


def test_a_plan_says_where_a_script_reads_what_it_changes(runtime: Runtime) -> None:
    """Since the answer is that of before, which is no answer once the write was made."""
    before = 'local note = yard.get_item({ id = "i-1" }).item.note\n'
    plan = runtime.plan(HEAD + before + 'yard.set_item({ id = "i-1", note = "new" })\n' + before)
    [said] = [line.text for line in plan.outline() if line.kind == "note"]
    assert said == "from line 4 on it depends on the result of yard.set_item (call 2): the answer of yard.get_item"


def test_the_name_of_a_script_cannot_steer_a_terminal(runtime: Runtime) -> None:
    """Not even in the Markdown of its plan."""
    plan = runtime.plan("return 1", name="a\x1b[31mb`.lua")
    assert r"`a\u001b[31mb'.lua`" in plan.markdown()


def test_changes_that_change_no_argument_can_be_accepted(runtime: Runtime, service: Yard) -> None:
    """The writes that would not be made any more are listed."""
    source = """
    for _, each in ipairs(yard.list_items().items) do
      if each.state == "ready" then yard.set_item({ id = each.id, note = "x" }) end
    end"""
    plan = runtime.plan(HEAD + source)
    service.items["i-2"]["state"] = "broken"
    stale = runtime.apply(plan).error
    assert isinstance(stale, Stale)
    assert stale.hint == "make a new plan, or pass accept_changes=True"
    assert stale.differences == [
        'call 3, yard.set_item with default, would not be made: {"id": "i-2", "note": "x"}',
        "call 1, yard.list_items(), has another answer",
    ]
    outcome = runtime.apply(plan, accept_changes=True)
    assert outcome.ok
    assert [id for _, id, _ in service.log] == ["i-1", "i-4"]
    assert len(outcome.warnings) == 1


def test_an_application_that_goes_on_keeps_clock_and_random_numbers(
    runtime: Runtime, service: Yard, tmp_path: Path
) -> None:
    """Those that were given before, and those that follow."""
    source = """
    for n = 1, 4 do
      yard.set_item({ id = "i-" .. n, note = math.random(1000000) .. " " .. time.now() })
    end"""
    runtime.plan(HEAD + source).save(tmp_path / "p.json")
    plan = Plan.load(tmp_path / "p.json")
    third = service.items.pop("i-3")
    assert not runtime.apply(plan).ok
    assert len(service.log) == 3
    service.items["i-3"] = third
    assert runtime.apply(Plan.load(tmp_path / "p.json")).ok
    assert [service.items[f"i-{n}"]["note"] for n in range(1, 5)] == [call.arguments["note"] for call in plan.writes]
    assert len(service.log) == 5


def test_wait_until_returns_what_came(runtime: Runtime) -> None:
    """Also in branches; it raises `timeout` when it took too long."""
    source = """
    local looks = 0
    local function look() looks = looks + 1 return looks > 3 and looks end
    local found = parallel.all({ function() return wait_until(look, { every = 0.01 }) end })
    local ok, err = pcall(wait_until, function() end, { every = 0.01, timeout = "0.02s" })
    return found[1], ok, err.code
    """
    assert runtime.run(source).result == [4, False, "timeout"]
    outcome = runtime.run("wait_until(function() end, { every = 0.01, timeout = 0 })")
    assert outcome.error
    assert outcome.error.code == "timeout"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("wait_until(1)", "function expected, got number"),
        ("wait_until(print, 1)", "table expected, got number"),
        ('wait_until(print, { every = "soon" })', "every: seconds or a text such as"),
        ("wait_until(print, { timeout = -1 })", "timeout: seconds or a text such as"),
        ("wait_until(print, { every = 0, timeout = 1 })", "every: more than 0 seconds expected"),
    ],
)
def test_wait_until_refuses_what_it_cannot_use(runtime: Runtime, source: str, said: str) -> None:
    """With the place in the script."""
    error = runtime.run(source).error
    assert error
    assert said in error.message
    assert error.line == 1


def test_the_check_knows_wait_until(runtime: Runtime) -> None:
    """Its function is called, its result is that of the function, and its options have names."""
    check = runtime.checker().check
    found = [
        [each.message for each in check((HEAD + source).encode()).findings]
        for source in (
            'wait_until(yard.get_item({ id = "i-1" }))',
            'wait_until(function() return yard.get_item({ id = "i-1" }).itm end)',
            "wait_until(function() return true end, { evry = 1 })",
            'return wait_until(function() return yard.get_item({ id = "i-1" }).item end).name',
        )
    ]
    assert "takes a function, but this calls the function first" in found[0][0]
    assert "has no field 'itm'" in found[1][0]
    assert "wait_until has no option 'evry'" in found[2][0]
    assert found[3] == []


def test_a_plan_of_many_writes_is_shown_in_sixty_lines(runtime: Runtime) -> None:
    """Grouped by function, with what is left out counted, and the counts in the last line."""
    source = """
    for n = 1, 400 do yard.set_item({ id = "i-" .. n, note = "x" }) end
    for n = 1, 400 do yard.add_item({ name = "item " .. n }) end
    for n = 1, 200 do yard.delete_item({ id = "i-" .. n }) end
    """
    plan = runtime.plan(HEAD + source)
    lines = [line.text for line in plan.outline()]
    assert len(lines) <= 60
    assert lines[0] == "400 x yard.set_item [default], writes"
    assert "       and 392 more" in lines
    assert lines[-1] == "Plan: 400 to create, 400 to change, 200 to destroy."
    assert plan.markdown().startswith("### Plan: 400 to create, 400 to change, 200 to destroy.\n\n```diff\n# 400 x")


class _Screen(io.StringIO):
    """A terminal without colours."""

    def isatty(self) -> bool:
        return True


def test_a_plan_fits_a_narrow_terminal(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long lines go on below the arguments of their call; in a pipe a call is one line."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    plan = runtime.plan(HEAD + 'yard.set_item({ id = "i-1", note = "' + "word " * 14 + '", state = "new or mended" })')
    screen, pipe = _Screen(), io.StringIO()
    show(plan, screen)
    show(plan, pipe)
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) < 60
    assert lines[2].startswith("       word word")
    assert '       state = "new or mended"' in lines
    assert len(pipe.getvalue().splitlines()) == 3


def test_a_plan_of_a_loop_that_waits_is_short(runtime: Runtime) -> None:
    """Its reads of what does not exist yet are one row a look, and few."""
    source = """
    local id = yard.add_item({ name = "new" }).item.id
    repeat sleep(5) until yard.get_item({ id = id }).item.note == "done"
    yard.delete_item({ id = id })"""
    plan = runtime.plan(HEAD + source)
    lines = [line.text for line in plan.outline()]
    assert len(lines) <= 20
    assert lines[-2] == "planning ended in line 4: each write from there on is asked about"
    assert lines[-1] == "Plan: 1 to create, 0 to change, 0 to destroy."


def test_an_outline_says_what_is_refused_and_assumed(runtime: Runtime) -> None:
    """With the call, and the line."""
    assumed = runtime.plan(HEAD + 'yard.start_item({ id = "i-3" })' + POLLING).outline()
    assert [line.text for line in assumed if line.kind == "note"] == [
        'line 6 goes on as if item.state were "ready" after call 1'
    ]
    refused = runtime.plan(HEAD + 'pcall(yard.set_item, { id = "i-1" })').outline()
    assert refused[0].text.startswith("refused: call 1 in line 2: yard.set_item needs note, a string")


def test_a_plan_goes_past_the_wait_for_a_deploy(simulated: Runtime) -> None:
    """Of Render, whose functions say what their deploys, jobs and databases come to."""
    source = """
    local render = app.integrations.render2
    local id = render.list_services({ limit = 1 }).services[1].id
    local deploy = render.trigger_deploy({ service_id = id }).deploy
    wait_until(function()
      return render.get_deploy({ service_id = id, deploy_id = deploy.id }).deploy.status == "live"
    end)
    render.suspend_service({ service_id = id })
    wait_until(function() return render.get_service({ service_id = id }).service.status == "suspended" end)
    render.resume_service({ service_id = id })
    """
    plan = simulated.plan(source)
    assert [call.path for call in plan.writes] == [
        "render2.trigger_deploy",
        "render2.suspend_service",
        "render2.resume_service",
    ]
    assert not plan.is_open
    assert len(plan.outline()) <= 20
    outcome = simulated.apply(plan)
    assert outcome.ok, outcome.error


def test_long_arguments_hide_no_short_one() -> None:
    """What is left out of a line is of the longest arguments."""
    given = {"repo": "r" * 100, "runtime": "node", "command": "c" * 100}
    lines = outline([PlannedCall(1, 1, "shop.create_item", "default", "write", given)], [], [])
    assert lines[1].text.startswith('    1  runtime = "node", repo = "rrr')


def test_a_secret_alone_is_taken_for_a_change() -> None:
    """A masked value looks like any other, so nobody is told that it stays."""
    calls = [PlannedCall(1, 1, "shop.rotate", "default", "write", {"token": "***"}, before={"token": "***"})]
    assert outline(calls, [], [])[1].kind == "change"
