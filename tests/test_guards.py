"""Guards refuse writes that a nil key or a part of a list has led to; facts tell what a run silently did."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kosmolua import Outcome, Runtime
from kosmolua.calls.facts import Fact
from kosmolua.catalog.plugins import Plugins
from kosmolua.lua.values import UNKNOWN
from kosmolua.plugin import Integration, Send
from kosmolua.runs.session import Session

R = "local r = app.integrations.render2\n"


@dataclass(frozen=True)
class Account:
    """Needs nothing."""

    def open(self, send: Send) -> None:
        """Return nothing."""


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    """A simulated runtime in which writes are allowed."""
    with Runtime(simulate=True, yes=True) as opened:
        yield opened


def written(outcome: Outcome) -> list[str]:
    """Return the statuses of the writes of a run."""
    return [str(call["status"]) for call in outcome.calls if call["effect"] != "read"]


def refused(outcome: Outcome) -> str:
    """Return the message of the refusal that ended a run before it wrote anything."""
    assert outcome.error is not None
    assert outcome.error.code == "bad_arguments", outcome.error
    assert set(written(outcome)) <= {"refused"}
    return outcome.error.message


RENAME = "r.update_service({ service_id = s.id, name = 'x' })"
UPDATE = "r.update_service({ service_id = 'srv-cabc12345678', "
SUSPEND_ALL = "for _, s in ipairs(found.services) do r.suspend_service({ service_id = s.id }) end"


@pytest.mark.parametrize(
    "source",
    [
        f"local found = r.list_services({{ name = arg[1], all = true }}) {SUSPEND_ALL}",
        f"local found = r.list_services({{\n  name = arg[1],\n  all = true,\n}}) {SUSPEND_ALL}",
        f"local wanted = {{ name = arg[1], all = true }} local found = r.list_services(wanted) {SUSPEND_ALL}",
        "local ok, found = pcall(r.list_services, { name = arg[1], all = true })\n"
        f"if not ok then error(found) end {SUSPEND_ALL}",
        "local function find(name) return r.list_services({ name = name, all = true }) end\n"
        f"local found = find(arg[1]) {SUSPEND_ALL}",
        "local function find(name) local page = r.list_services({ name = name, all = true }) return page end\n"
        f"local found = find(arg[1]) {SUSPEND_ALL}",
        "local function find(name) return r.list_services({ name = name, all = true }) end\n"
        "local first = find('api') for _, s in ipairs(first.services) do r.get_service({ service_id = s.id }) end\n"
        f"local found = find(arg[1]) {SUSPEND_ALL}",
        "local names = json.decode('{}')\n"
        f"local found = r.list_services({{ name = names.api, all = true }}) {SUSPEND_ALL}",
    ],
)
def test_a_nil_key_of_a_read_that_decides_about_writes(runtime: Runtime, source: str) -> None:
    """Without the name, everything would be listed and suspended: the read is refused."""
    assert "name is nil" in refused(runtime.run(R + source, check=True))


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("r.update_service({ service_id = 'srv-cabc12345678', name = arg[1] })", "name"),
        ("parallel.map({ 1 }, function() return " + UPDATE + "name = arg[1] }) end)", "name"),
        ("r.create_service({ type = 'web_service', name = 'a', repo = 'https://github.com/acme/x', branch = arg[1],\n"
         " build_command = 'x', start_command = 'y' })", "branch"),
        ("local rows = { { name = 'a' }, { name = 'b' } }\n"
         "for _, row in ipairs(rows) do " + UPDATE + "name = row.nmae }) end", "name"),
        ("local function edit(name)\n" + UPDATE + "name = name })\nend if arg[2] then edit('') end\n"
         "edit(arg[1])", "name"),
        ("local name = nil for _, s in ipairs(r.list_services({ all = true, name = 'none' }).services) do\n"
         "name = s.name end " + UPDATE + "name = name })", "name"),
        ("local function edit(name)\nif name == 'x' then name = 'y' end\n" + UPDATE + "name = name })\nend\n"
         "edit(arg[1])", "name"),
    ],
)  # fmt: skip
def test_a_nil_key_of_a_write(runtime: Runtime, source: str, key: str) -> None:
    """The write is not sent, wherever the call stands."""
    outcome = runtime.run(R + source, check=True)
    assert f"{key} is nil" in refused(outcome)


@pytest.mark.parametrize(
    "function",
    [
        "local function plan_of(name) if name == 'x' then return 'pro' end end",
        "local function plan_of(name) return input end",
    ],
)
def test_a_function_that_may_find_nothing(runtime: Runtime, function: str) -> None:
    """Only ``return nil`` says that nil is meant."""
    source = f"{R}{function}\n{UPDATE}name = 'y', plan = plan_of('y') }})"
    assert "plan is nil" in refused(runtime.run(source, check=True))


def test_a_parameter_that_is_not_optional(runtime: Runtime) -> None:
    """A call that leaves it out is held to it."""
    head = "---@param plan string\nlocal function edit(name, plan)\n"
    source = f"{R}{head}{UPDATE}name = name, plan = plan }})\nend edit('x')"
    assert "plan is nil" in refused(runtime.run(source, check=True))


def test_keys_inside_lists_and_tables(runtime: Runtime) -> None:
    """Only values that can be nil are held, at any depth."""
    source = "r.create_service({ type = 'web_service', env_vars = { { key = 'A', value = arg[1] }, { key = input } } })"
    (site,) = runtime.checker().check(R + source).sites
    assert site.keys == (("env_vars", 1, "value"), ("env_vars", 2, "key"))


@pytest.mark.parametrize(
    "source",
    [
        "r.update_service({ service_id = 'srv-cabc12345678', name = 'x', auto_deploy = json.null })",
        "r.update_service({ service_id = 'srv-cabc12345678', name = 'x', auto_deploy = arg[1] and true or nil })",
        "local more = { service_id = 'srv-cabc12345678', name = 'x', auto_deploy = arg[1] }\n"
        "more.auto_deploy = nil r.update_service(more)",
        "local page repeat page = r.list_services({ limit = 100, cursor = page and page.cursor })\n"
        "for _, s in ipairs(page.services) do "
        "if s.name == 'no' then r.suspend_service({ service_id = s.id }) end end until not page.cursor",
        "local found = r.list_services({ all = true, name = arg[1] or 'no-such-name' }) " + SUSPEND_ALL,
        "local function edit(name, plan)\n" + UPDATE + "name = name, plan = plan })\nend edit('x') edit('y', 'pro')",
        "local function edit(name, plan)\n" + UPDATE + "name = name, plan = plan })\nend edit('x', nil)",
        "local M = {} function M:change(o)\no = o or {} " + UPDATE + "name = 'x', plan = o.plan })\nend\n"
        "M:change() M:change({ plan = 'pro' })",
        "for _, o in ipairs({ { name = 'x' }, { plan = 'pro' } }) do\n"
        + UPDATE
        + "name = o.name, plan = o.plan }) end",
        "local plan if arg[1] then plan = 'pro' end " + UPDATE + "name = 'x', plan = plan })",
        "local function plan_of(name)\nif name == 'x' then return 'pro' end\nreturn nil\nend\n"
        + UPDATE
        + "name = 'y', plan = plan_of('y') })",
        "---@param name string\n---@param plan? string\nlocal function edit(name, plan)\n"
        + UPDATE
        + "name = name, plan = plan })\nend edit('x')",
        "local plan = nil if arg[1] then plan = 'pro' end " + UPDATE + "name = 'x', plan = plan })",
        "parallel.map({ { 'x' }, { 'y', 'pro' } }, function(row)\n" + UPDATE + "name = row[1], plan = row[2] }) end)",
    ],
)
def test_a_key_that_is_left_out_on_purpose(runtime: Runtime, source: str) -> None:
    """The source says so by ``json.null``, ``nil``, or by a call or table that lacks what another one has."""
    outcome = runtime.run(R + source, check=True)
    assert outcome.ok, outcome.error


def test_a_function_that_calls_itself_in_many_places(runtime: Runtime) -> None:
    """What its calls pass is followed once, so that the check comes to an end."""
    source = "local function edit(name)\n" + "edit(name)\n" * 40 + UPDATE + "name = name })\nend edit(arg[1])"
    assert [site.keys for site in runtime.checker().check(R + source).sites] == [(("name",),)]


@pytest.mark.slow
def test_an_optional_parameter_of_the_header(runtime: Runtime) -> None:
    """A key whose value is a parameter that the header calls optional may be nil."""
    header = "---@param name? string\n"
    source = f"{R}local found = r.list_services({{ name = params.name, all = true }}) {SUSPEND_ALL}"
    assert runtime.run(header + source, check=True).ok
    assert "name is nil" in refused(runtime.run(source, check=True))


def test_a_nil_key_where_nothing_is_written(runtime: Runtime) -> None:
    """A script that only reads goes on, and its outcome has a fact."""
    outcome = runtime.run(R + "return #r.list_services({ name = arg[1], limit = 2 }).services", check=True)
    assert outcome.result == [2]
    assert outcome.facts[0] == Fact(2, "render2.list_services: name was nil")


ALL_CRON = "r.list_services({ type = 'cron_job' })"


@pytest.mark.parametrize(
    "source",
    [
        f"for _, s in ipairs({ALL_CRON}.services) do {RENAME} end",
        f"local found = {ALL_CRON}.services\nfor i = 1, #found do local s = found[i] {RENAME} end",
        f"local page = {ALL_CRON}\nlocal i = 1\nwhile i <= #page.services do\n"
        "r.suspend_service({ service_id = page.services[i].id }) i = i + 1 end",
        f"local page = {ALL_CRON}\nparallel.map(page.services, function(s)\n"
        "return r.suspend_service({ service_id = s.id }) end)",
        f"local page = {ALL_CRON}\nlocal function stop(s)\n r.suspend_service({{ service_id = s.id }})\n end\n"
        "for _, s in ipairs(page.services) do stop(s) end",
        f"for _, s in ipairs({ALL_CRON}.services) do if s.name == '' then goto continue end {RENAME} ::continue:: end",
        f"local found = {{ services = {ALL_CRON}.services }}\nfor _, s in ipairs(found.services) do {RENAME} end",
        f"local found = {{ count = 0 }}\nfound.services = {ALL_CRON}.services\n"
        f"for _, s in ipairs(found.services) do {RENAME} end",
        f"for _, s in next, {ALL_CRON}.services do {RENAME} end",
        f"local page = {ALL_CRON}\nfor _, s in ipairs(page.services) do\n"
        "local ok, problem = pcall(r.suspend_service, { service_id = s.id }) if not ok then error(problem) end end",
    ],
)
def test_a_loop_that_writes_over_a_part_of_a_list(runtime: Runtime, source: str) -> None:
    """The first write is refused, and the hint says how to get the whole list."""
    message = refused(runtime.run(R + source, check=True))
    assert "20 items" in message
    assert "all = true" in message


@pytest.mark.parametrize(
    "source",
    [
        "for _, s in ipairs(r.list_services({ limit = 2 }).services) do r.get_service({ service_id = s.id }) end",
        f"for _, s in ipairs(r.list_services({{ limit = 1 }}).services) do {RENAME} end",
        f"for _, s in ipairs(r.list_services().services) do {RENAME} break end",
        f"for _, s in ipairs(r.list_services().services) do {RENAME} goto done end ::done::",
        "local page = r.list_services()\nlocal some = {} for _, s in ipairs(page.services) do some[#some + 1] = s end\n"
        "for i = 1, 1 do r.update_service({ service_id = some[i].id, name = 'x' }) end",
        "local page = r.list_services()\nif page.cursor then print('more') end\n"
        f"for i, s in ipairs(page.services) do if i == 1 then {RENAME} end end",
    ],
)
def test_a_part_of_a_list_that_is_meant(runtime: Runtime, source: str) -> None:
    """A limit, a loop that leaves early, a list of the script's own, or a look at the cursor says so."""
    outcome = runtime.run(R + source, check=True)
    assert outcome.ok, outcome.error


def test_a_plain_list_is_whole() -> None:
    """A function that takes a limit, and returns a list that says nothing of a next part, has returned all."""
    books = Integration("books", Account, about="Books.")

    @books.reads
    def list_books(opened: None, /, *, limit: int | None = None) -> list[str]:
        """List books."""
        return ["a", "b"]

    @books.writes
    def lend(opened: None, /, *, book: str) -> None:
        """Lend a book."""

    plugins = Plugins([books], places=(), entry_points=dict)
    lend_all = "local b = app.integrations.books for _, book in ipairs(b.list_books()) do b.lend({ book = book }) end"
    with Runtime({"books": {"default": {}}}, plugins=plugins, yes=True) as opened:
        outcome = opened.run(lend_all, check=True)
    assert outcome.ok, outcome.error
    assert [str(fact) for fact in outcome.facts] == ["line 1: books.list_books: 2 items"]


@pytest.mark.slow
def test_a_chunk_of_a_session_is_guarded(runtime: Runtime) -> None:
    """Unless it calls a function of an earlier chunk, whose lines are those of that chunk."""
    with Session(runtime.run) as session:
        assert session.evaluate("local r = app.integrations.render2").outcome.ok
        assert "name is nil" in refused(session.value(f"{UPDATE}name = input }})", check=True).outcome)
        there = dict.fromkeys(session.names().types, UNKNOWN)
        sites = runtime.checker().check(f"{UPDATE}name = input }})", there).sites
        assert "name is nil" in refused(session.evaluate(f"{UPDATE}name = input }})", sites=sites).outcome)
        assert session.evaluate(f"\nlocal function edit(name) {UPDATE}name = 'x', plan = name }}) end").outcome.ok
        assert session.value("edit()", check=True).outcome.ok
        loop = f"do {R}for _, s in ipairs({ALL_CRON}.services) do {RENAME} end end"
        outcome = session.value(loop, check=True).outcome
        assert "20 items" in refused(outcome)


def test_guards_are_not_set_without_a_check(runtime: Runtime) -> None:
    """``--no-check`` turns the guards off as well."""
    source = R + "r.update_service({ service_id = 'srv-cabc12345678', name = 'x', auto_deploy = arg[1] })"
    assert runtime.run(source).ok
    assert not runtime.run(source, check=True).ok


def test_a_call_that_cannot_be_told_from_another_is_not_guarded(runtime: Runtime) -> None:
    """A guard holds only if it holds for each call that can stand at this place."""
    update = "service_id = 'srv-cabc12345678', name = 'x'"
    either = f"local f = arg[1] and r.get_service r.update_service({{ {update}, auto_deploy = arg[2] }}) "
    both = f"local t = {{ {update} }} r.update_service(t) "
    assert not runtime.run(f"{R}{both}\n{either}", check=True).ok
    assert runtime.run(f"{R}{both} if arg[1] then {either} end", check=True).ok


def test_a_loaded_chunk_is_not_guarded(runtime: Runtime) -> None:
    """The lines of a chunk that the script loads are not its own."""
    chunk = f"local r = ... {UPDATE}name = 'x' }})"
    source = f'{R}local update = load("{chunk}")\n'
    both = "update(r) if arg[1] then r.update_service({ service_id = 'srv-cabc12345678', name = arg[2] }) end"
    assert runtime.run(source + both, check=True).ok


def test_a_replay_needs_no_guards(runtime: Runtime, tmp_path: Path) -> None:
    """What a guard refused is recorded as the error of the call, so a replay ends like the run."""
    source = R + "r.update_service({ service_id = 'srv-cabc12345678', name = arg[1] })"
    outcome = runtime.run(source, check=True, record=tmp_path / "run.jsonl")
    again = runtime.replay(tmp_path / "run.jsonl")
    assert str(again.error) == str(outcome.error)
    assert again.status == outcome.status


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (f"local found = r.list_services()\n{SUSPEND_ALL}", "20 items"),
        ("r.list_services({ limit = 1 })\nr.update_service({ service_id = 'srv-cabc12345678', name = 'x', "
         "auto_deploy = arg[1] })", "auto_deploy is nil"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("calls", [1, 1000])
def test_a_resumed_run_is_guarded(runtime: Runtime, tmp_path: Path, source: str, said: str, calls: int) -> None:
    """What a guard refused, or what a limit ended before, is not written when the run is resumed."""
    ended = runtime.run(R + source, check=True, record=tmp_path / "run.jsonl", max_calls=calls)
    assert not ended.ok
    resumed = runtime.resume(tmp_path / "run.jsonl", max_calls=1000)
    assert said in refused(resumed)
    assert resumed.facts[-1].line == 2
    assert "there are more" in resumed.facts[-1].text


def test_a_corrected_script_is_refused_like_a_new_one(runtime: Runtime, tmp_path: Path) -> None:
    """The check of a resumed run refuses a script that is certain to fail, unless it is the one that has begun."""
    source = R + "r.list_owners()\nr.update_service({ service_id = 'srv-cabc12345678', nme = 'x' })"
    runtime.run(R + "r.list_owners()\nr.list_owners()", check=True, record=tmp_path / "run.jsonl", max_calls=1)
    resumed = runtime.resume(tmp_path / "run.jsonl", script=source, max_calls=1000)
    assert resumed.error is not None
    assert resumed.error.code == "check"


def test_a_resumed_run_has_the_facts_of_the_whole(runtime: Runtime, tmp_path: Path) -> None:
    """Calls that the recording answers are told with their lines, and the keys that were nil."""
    few = "local function few()\n  return r.list_services({ limit = 1, name = arg[1] })\nend\nfew()\n"
    runtime.run(R + few + "r.list_owners()", check=True, record=tmp_path / "run.jsonl", max_calls=1)
    resumed = runtime.resume(tmp_path / "run.jsonl", max_calls=1000)
    assert [str(fact) for fact in resumed.facts] == [
        "line 3: render2.list_services: name was nil",
        "line 3: render2.list_services: 1 item, and there are more",
        "line 6: render2.list_owners: 1 item",
    ]


def test_a_plan_is_guarded(runtime: Runtime) -> None:
    """A plan refuses what the run would refuse."""
    plan = runtime.plan(R + f"local found = r.list_services({{ name = arg[1], all = true }}) {SUSPEND_ALL}", check=True)
    assert "name is nil" in refused(plan.outcome)


@pytest.mark.parametrize(
    ("source", "facts"),
    [
        ("r.list_services({ limit = 3 })", ["line 2: render2.list_services: 3 items, and there are more"]),
        ("r.list_services({ all = true, name = 'nobody' })", ["line 2: render2.list_services: no items with name"]),
        ("r.list_services({ name = 'nobody' })\nr.list_owners()",
         ["line 2: render2.list_services: no items with name", "line 3: render2.list_owners: 1 item"]),
        ("for _ = 1, 12 do r.get_service({ service_id = 'srv-cabc12345678' }) end",
         ["line 2: render2.get_service: the same arguments and the same answer (12 times)"]),
        ("for _ = 1, 10 do r.get_service({ service_id = 'srv-cabc12345678' }) end", []),
        ("local c repeat local p = r.list_services({ cursor = c, limit = 100 }) c = p.cursor until not c",
         ["line 2: render2.list_services: 112 items in 2 calls"]),
        ("local q = { resource_id = 'srv-cabc12345678', limit = 40, start_time = '2026-03-02T08:00:00Z',\n"
         "end_time = '2026-03-02T09:00:00Z' } repeat local p = r.list_logs(q)\n"
         "q.start_time, q.end_time = p.next_start_time, p.next_end_time until not p.has_more",
         ["line 3: render2.list_logs: 60 items in 2 calls"]),
        ("local f = r.list_services\nlocal function few() return f({ limit = 1 }) end\nfew()",
         ["line 3: render2.list_services: 1 item, and there are more"]),
        ("r.suspend_service({ service_id = 'srv-cabc12345678' })", []),
    ],
)  # fmt: skip
def test_the_facts_of_a_run(runtime: Runtime, source: str, facts: list[str]) -> None:
    """What a list had, what was not found, and what was repeated, each with its line."""
    assert [str(fact) for fact in runtime.run(R + source, check=True).facts] == facts


def test_there_are_at_most_twenty_facts(runtime: Runtime) -> None:
    """A long script does not have a long list of facts."""
    source = R + "\n".join(itertools.repeat("r.list_owners()", 30))
    outcome = runtime.run(source)
    assert len(outcome.facts) == 20
    assert outcome.to_json()["facts"] == [vars(fact) for fact in outcome.facts]


LEFT_OUT = "name = 'x',\n  auto_deploy = arg[1] })"
CALLED = {
    "mend.lua": f"--- Mends.\n---@param id string\n{R}r.update_service({{\n  service_id = params.id, {LEFT_OUT}",
    "suspend.lua": f"{R}local found = r.list_services()\n{SUSPEND_ALL}",
    "one.lua": f"{R}local found = r.list_services({{ limit = 1, name = arg[1] }})\nreturn #found.services",
    "last.lua": f"{R}return {UPDATE}{LEFT_OUT}",
    "rename.lua": f"--- Renames.\n---@param id string\n---@param name? string\n{R}"
    "r.update_service({ service_id = params.id, name = params.name or 'x' })",
    "find.lua": f"--- Finds.\n---@param name? string\n{R}return r.list_services({{ name = params.name, all = true }})",
}


@pytest.fixture(scope="module")
def calling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A simulated runtime with scripts to call."""
    folder = tmp_path_factory.mktemp("scripts")
    for name, text in CALLED.items():
        (folder / name).write_text(text)
    with Runtime(simulate=True, yes=True, scripts=folder) as opened:
        yield opened


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("app.scripts.mend({ id = 'srv-cabc12345678' })", "auto_deploy is nil"),
        ("parallel.map({ 'srv-cabc12345678' }, function(id) app.scripts.mend({ id = id }) end)", "auto_deploy is nil"),
        ("app.scripts.suspend()", "20 items"),
        ("app.scripts.last()", "auto_deploy is nil"),
        ("app.scripts.rename({ id = 'srv-cabc12345678', name = arg[1] })", "name is nil"),
        (f"{R}local found = app.scripts.find({{ name = arg[1] }})\n{SUSPEND_ALL}", "name is nil"),
    ],
)
def test_a_called_script_is_guarded_like_the_main_script(calling: Runtime, source: str, said: str) -> None:
    """By its own lines, not by the line that calls it."""
    assert said in refused(calling.run(source, check=True))
    assert calling.run(source).ok


def test_a_called_script_is_guarded_in_a_resumed_run(calling: Runtime, tmp_path: Path) -> None:
    """Also if the recording has the answer to the call of the script."""
    ended = calling.run("app.scripts.suspend()", check=True, record=tmp_path / "run.jsonl", max_calls=1)
    assert ended.error
    assert "20 items" in refused(calling.resume(tmp_path / "run.jsonl", max_calls=1000))


def test_a_guard_of_a_called_script_is_not_one_of_the_main_script(calling: Runtime) -> None:
    """Two scripts that call a function on lines of the same number are told apart."""
    update = f"{R}\n\nr.update_service({{ service_id = 'srv-cabc12345678', name = 'x' }})"
    assert calling.run(f"{update} app.scripts.one()", check=True).ok


def test_facts_about_a_called_script_have_the_line_that_calls_it(calling: Runtime) -> None:
    """Also the keys that were nil there."""
    assert [str(fact) for fact in calling.run("\napp.scripts.one()", check=True).facts] == [
        "line 2: render2.list_services: name was nil",
        "line 2: render2.list_services: 1 item, and there are more",
    ]


def test_a_replay_has_the_facts_of_the_run(runtime: Runtime, tmp_path: Path) -> None:
    """The calls are not made again, so the facts are the recorded ones; those of a changed script are not known."""
    source = f"{R}local found = r.list_services({{ limit = 1, name = arg[1] }})"
    outcome = runtime.run(source, check=True, record=tmp_path / "run.jsonl")
    assert len(outcome.facts) == 2
    assert runtime.replay(tmp_path / "run.jsonl").facts == outcome.facts
    assert runtime.replay(tmp_path / "run.jsonl", script=f"{source}\nprint(1)").facts == []
