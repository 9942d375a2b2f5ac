"""The user's own scripts: as functions of others, as pages, as tools, and everywhere with the same results."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Program, Write
from mcp import Client
from mcp_types import CallToolResult
from support.agents import HANDSHAKE, Agent

from kosmolua import Runtime
from kosmolua.check.checker import Checker
from kosmolua.errors import BadArguments, CallError, ConfigError
from kosmolua.limits import Limits
from kosmolua.mcp.tools import script_tools

COUNT = """--- Counts the services.
--- More about it.
---@param limit? integer How many at most (default: 2)
---@param name? string Only this name
---@return integer

leak = 1
string.extra = 1
return #app.integrations.render2.list_services({ limit = params.limit }).services
"""
RESTART = "--- Restarts.\n---@param id string\n\napp.integrations.render2.restart_service({ service_id = params.id })"
SCRIPTS = {
    "count.lua": COUNT,
    "re-start.lua": RESTART,
    "twice.lua": "--- Counts twice.\nreturn app.scripts.count({ limit = 1 }) * 2",
    "here.lua": "return app.scripts.there()",
    "there.lua": "return app.scripts.here()",
    "plain.lua": "return params.a, arg[0], #arg, input",
    "hidden.lua": "local i = app.integrations\nreturn i[params.name].list_owners()",
}


@pytest.fixture
def folder(write: Write) -> Path:
    """A folder of scripts."""
    files = [write(f"scripts/{name}", text) for name, text in SCRIPTS.items()]
    return files[0].parent


@pytest.fixture
def runtime(folder: Path) -> Iterator[Runtime]:
    """A runtime over simulators with these scripts."""
    with Runtime(os.devnull, simulate=True, yes=True, environ={}, scripts=folder) as opened:
        yield opened


def test_a_script_is_a_function(runtime: Runtime) -> None:
    """With arguments by name or in order, defaults from its header, and several results."""
    source = """
    local scripts = app.scripts
    print(scripts.count({ limit = 1 }), scripts.count(), scripts.count(1), scripts.twice())
    return scripts.plain({ a = 7 })
    """
    outcome = runtime.run(source, args=["x"], input=1)
    assert outcome.output == "1\t2\t1\t2\n"
    assert outcome.result == [7, "plain.lua", 0, None] or outcome.result == [7, "plain.lua", 0]


def test_globals_are_its_own(runtime: Runtime) -> None:
    """What a script sets is seen by no other, neither the one that calls nor the next call."""
    source = 'mine = 1\nprint(app.scripts.count(), leak, string.extra, mine)\nreturn load("return leak")()'
    outcome = runtime.run(source)
    assert outcome.output == "2\tnil\tnil\t1\n"


def test_scripts_cannot_call_each_other_without_end(runtime: Runtime) -> None:
    """The error tells the chain, and can be caught."""
    outcome = runtime.run("local ok, err = pcall(app.scripts.here)\nreturn ok, err.code, err.message")
    ok, code, message = outcome.result
    assert ok is False
    assert code == "script_cycle"
    assert "here -> there -> here" in message


def test_calls_count_for_the_whole_run(runtime: Runtime) -> None:
    """One budget: a script that is called uses up the calls of the one that calls."""
    outcome = runtime.run("for _ = 1, 5 do app.scripts.count() end", max_calls=3)
    assert outcome.status == "limit"
    assert len(outcome.calls) == 4


def test_the_journal_says_through_which_script(folder: Path, tmp_path: Path) -> None:
    """The outermost first; a call of the main script says nothing."""
    journal = tmp_path / "calls.jsonl"
    with Runtime(os.devnull, simulate=True, environ={}, scripts=folder, journal=journal) as runtime:
        runtime.run("app.scripts.twice() app.integrations.render2.list_owners()", name="main.lua")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [(line["script"], line.get("through")) for line in lines] == [
        ("main.lua", ["twice", "count"]),
        ("main.lua", None),
    ]


@pytest.mark.slow
def test_branches_of_parallel_run_scripts(runtime: Runtime) -> None:
    """Each in its turn, with globals of its own."""
    outcome = runtime.run("return parallel.map({ 1, 2, 1 }, function(n) return app.scripts.count({ limit = n }) end)")
    assert outcome.result == [[1, 2, 1]]


def test_a_recording_holds_the_scripts(runtime: Runtime, folder: Path, tmp_path: Path) -> None:
    """A replay runs those that ran then, though the files are others now."""
    path = tmp_path / "run.jsonl"
    first = runtime.run("return app.scripts.twice()", record=path)
    (folder / "count.lua").write_text("error('other')")
    assert runtime.replay(path).result == first.result == [2]


def test_errors_name_the_script_and_its_line(runtime: Runtime, folder: Path) -> None:
    """Of a script that fails, and of one that is not Lua."""
    (folder / "twice.lua").write_text("\nerror('oops')")
    (folder / "here.lua").write_text("return = 1")
    assert "twice.lua:2: oops" in str(runtime.run("app.scripts.twice()").error)
    assert "here.lua:1: unexpected symbol" in str(runtime.run("app.scripts.here()").error)


def expect_refused(folder: Path, name: str, outcome: str) -> None:
    """Expect of a broken script that a call, a check, its page and the list say why; and that other scripts work."""
    with Runtime(os.devnull, simulate=True, environ={}, scripts=folder) as runtime:
        error = runtime.run(f"return app.scripts.{name}()").error
        assert isinstance(error, CallError)
        assert error.code == "plugin_error"
        assert error.message == outcome
        (finding,) = Checker(runtime.catalog).check(f"return app.scripts.{name}()").findings
        assert f"{finding.message} ({finding.hint})" == outcome
        with pytest.raises(CallError) as caught:
            runtime.docs.read(f"scripts.{name}")
        assert caught.value.message == outcome
        page = runtime.run(f"return pcall(lua_read_doc, 'app.scripts.{name}')").result
        assert page[0] is False
        assert page[1]["message"] == outcome
        scripts = runtime.catalog.integration("scripts")
        assert [mistake.message for mistake in scripts.broken.values()] == [outcome]
        assert name not in scripts.functions
        assert runtime.run("return app.scripts.count()").result == [2]


@pytest.mark.slow
def test_a_script_that_is_too_large_is_refused(folder: Path) -> None:
    """It is not cut, which could run half of it."""
    lines = "-- more\n" * (Limits().max_source // 8)
    (folder / "larger.lua").write_text(f"{lines}\n")
    hint = "split it into several scripts, or raise max_source in [kosmolua.limits]"
    expect_refused(folder, "larger", f"The script larger is not read: larger.lua is larger than 4 MiB ({hint})")


@pytest.mark.slow
def test_one_limit_for_all_scripts(folder: Path) -> None:
    """A script may be as large whether it is run or called, even if the limit is set later; a mark does not count."""
    source = b"\xef\xbb\xbfreturn 1" + b" " * 3_000_000
    (folder / "large.lua").write_bytes(source)
    with Runtime(os.devnull, simulate=True, environ={}, scripts=folder) as runtime:
        assert runtime.run(source).result == runtime.run("return app.scripts.large()").result == [1]
        runtime.limits = Limits(max_source=3_000_008)
        assert runtime.run(source).result == runtime.run("return app.scripts.large()").result == [1]
        runtime.limits = Limits(max_source=3_000_007)
        called = runtime.run("return app.scripts.large()").error
        assert runtime.run(source).status == "limit"
        assert isinstance(called, CallError) and "large.lua is larger than 3,000,007 bytes" in called.message


def test_the_page_of_scripts_asks_for_no_account(runtime: Runtime) -> None:
    """An account would be of no use, and none could be added."""
    page = runtime.docs.read("scripts")
    assert "A script needs no account" in page
    assert "accounts example" not in page


def test_two_scripts_of_one_name_are_refused(folder: Path) -> None:
    """Neither is taken for the other."""
    (folder / "re_start.lua").write_text("return 1")
    outcome = (
        "Several scripts are called re_start: re-start.lua and re_start.lua "
        "(rename all but one of the scripts called re_start)"
    )
    expect_refused(folder, "re_start", outcome)


@pytest.mark.slow
def test_the_list_names_broken_scripts(kosmolua: Program, folder: Path) -> None:
    """After those that can be called, and with the file."""
    (folder / "re_start.lua").write_text("return 1")
    done = kosmolua("scripts", "--scripts", folder, "--simulate")
    assert done.returncode == 1
    assert "count(" in done.stdout and "re_start" not in done.stdout
    assert f"{folder / 're-start.lua'}: Several scripts are called re_start" in done.stderr


def test_a_check_knows_scripts(runtime: Runtime) -> None:
    """Names, parameters and effects."""
    checker = Checker(runtime.catalog)
    first, second = checker.check('app.scripts.count({ limit = "a" }) app.scripts.cuont()').findings
    assert "limit must be an integer" in first.message
    assert "count" in first.message + second.hint
    assert not checker.check("print(app.scripts.twice())").findings


@pytest.mark.parametrize(
    ("option", "pattern", "message"),
    [
        ("allow", "render3.x", 'allow=["render3.x"] matches no function'),
        ("deny", "scripts.cuont", "deny=[\"scripts.cuont\"] matches no function (did you mean 'scripts.count'"),
        ("allow", "scripts.re_start", 'allow=["scripts.re_start"] allows nothing: what needs approval are the calls'),
    ],
)
def test_a_pattern_is_judged_beside_scripts(folder: Path, option: str, pattern: str, message: str) -> None:
    """A typo is an error, and so is a script that is to be allowed as a whole: its calls are what needs approval."""
    with pytest.raises(ConfigError) as refused:
        Runtime(os.devnull, simulate=True, environ={}, scripts=folder, **{option: [pattern]})  # type: ignore[arg-type]
    assert refused.value.message.startswith(message)


def test_a_script_can_be_denied_by_its_name(folder: Path) -> None:
    """No other script can call it, and clients get no tool for it."""
    with Runtime(os.devnull, simulate=True, environ={}, scripts=folder, deny=["scripts.count"]) as runtime:
        outcome = runtime.run("return app.scripts.twice()")
        assert outcome.error is not None
        assert outcome.error.code == "denied"
        assert 'scripts.count is denied by deny=["scripts.count"]' in outcome.error.message
        tools = script_tools(runtime, ())
        assert "count" not in tools
        assert "twice" in tools


@pytest.mark.parametrize(
    ("source", "only_reads"),
    [
        ("return app.scripts.twice()", True),
        ("local r = app.integrations.render2\nreturn r.list_owners()", True),
        ("return app.scripts.re_start({ id = 'srv-x' })", False),
        ("local f = app.integrations.render2[params.name]\nf()", False),
        ("for name in pairs(app.integrations) do app.integrations[name].delete_service() end", False),
        ("local r = app.integrations.render2\nr = other\nr.list_owners()", False),
        ("local t = { app.integrations.render2 }\nt[1].delete_service({})", False),
        ("load('app.integrations.render2.delete_service{}')()", False),
        ("_G['app'].integrations.render2.delete_service({})", False),
        ("print(app.scripts.hidden({ name = 'render2' }))", False),
        ("return 1 + 1", True),
    ],
)
def test_reading_is_proved_or_not_claimed(runtime: Runtime, source: str, only_reads: bool) -> None:
    """Whatever the check cannot follow counts as a write."""
    assert Checker(runtime.catalog).check(source).is_read_only is only_reads


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (("run", "greet", "--name", "Ann"), "hello Ann\n"),
        (("run", "greet", "--name=Ann", "--read-only"), "hello Ann\n"),
        (("run", "say-it"), "said\n"),
        (("run", "say_it"), "said\n"),
    ],
)
def test_a_saved_script_is_a_command(kosmolua: Program, write: Write, words: tuple[str, ...], printed: str) -> None:
    """By the name of its file, with the parameters of its header as options."""
    folder = write("saved/greet.lua", "--- Greet.\n---@param name string\n\nprint('hello ' .. params.name)").parent
    write("saved/say-it.lua", "print('said')")
    ran = kosmolua(*words, "--scripts", folder)
    assert ran.stdout == printed
    assert ran.stderr == ""


def test_a_file_goes_before_a_saved_script(kosmolua: Program, write: Write, home: Path) -> None:
    """A file of the current folder with exactly this name."""
    folder = write("saved/greet.lua", "print('saved')").parent
    (home / "greet").write_text("print('file')")
    assert kosmolua("run", "greet", "--scripts", folder).stdout == "file\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing", "--item", "x"), "There is no file nothing, and no saved script of this name"),
        (("great",), "There is no file great, and no saved script of this name (did you mean 'greet'?)"),
        (("nothing", "--json"), "There is no file nothing, and no saved script of this name"),
        (("nothing.lua",), "The script nothing.lua cannot be read: No such file or directory"),
        (("a-b",), "Several saved scripts are called a-b: a-b.lua and a_b.lua"),
    ],
)
def test_a_script_that_is_not_there_is_told(kosmolua: Program, write: Write, words: tuple[str, ...], said: str) -> None:
    """Also where an option follows that only the script could have declared."""
    folder = write("saved/greet.lua", "print(1)").parent
    write("saved/a-b.lua", "")
    write("saved/a_b.lua", "")
    ran = kosmolua("run", *words, "--scripts", folder)
    assert ran.returncode == 2
    assert said in ran.stderr + ran.stdout


def test_a_script_is_added_shown_and_removed(kosmolua: Program, write: Write, home: Path) -> None:
    """The copy is a command; another one of its name replaces it only with --yes, after its difference is shown."""
    words = ("--scripts", write("saved/other.lua", "").parent)
    file = write("greet-all.lua", "--- Greet.\n---@param name string\n\nprint('hello ' .. params.name)\n")
    added = kosmolua("scripts", "add", file, *words)
    assert "Next: kosmolua run greet_all" in added.stdout, added.stderr
    assert kosmolua("run", "greet_all", "--name", "Ann", *words).stdout == "hello Ann\n"
    assert kosmolua("scripts", "show", "greet-all", *words).stdout == file.read_text()
    file.write_text("print('other')\n")
    refused = kosmolua("scripts", "add", file, *words)
    assert refused.returncode == 2
    assert "Replace the script greet_all? There is no terminal to ask on: pass --yes" in refused.stderr
    assert "+print('other')" in refused.stderr
    assert kosmolua("scripts", "add", file, "--yes", *words).returncode == 0
    assert kosmolua("run", "greet_all", *words).stdout == "other\n"
    assert kosmolua("scripts", "remove", "greet_all", "--yes", *words).returncode == 0
    assert "app.scripts has no 'greet_all'" in kosmolua("scripts", "show", "greet_all", *words).stderr


def test_a_script_from_standard_input_needs_a_name(kosmolua: Program, home: Path) -> None:
    """It would be saved under a name that nobody chose."""
    words = ("--scripts", str(home / "saved"))
    refused = kosmolua("scripts", "add", "-", *words, input="print(1)")
    assert "A script from standard input has no name (give it one with --name)" in refused.stderr
    assert refused.returncode == 2
    assert kosmolua("scripts", "add", "-", "--name", "one", *words, input="print(1)").returncode == 0
    assert [file.name for file in (home / "saved").iterdir()] == ["one.lua"]


def test_a_folder_of_scripts_that_is_missing_is_told(kosmolua: Program) -> None:
    """With a warning, since the script may need no other."""
    ran = kosmolua("run", "-e", "print(1)", "--scripts", "nowhere")
    assert ran.stdout == "1\n"
    assert "warning: there is no folder nowhere, which --scripts names" in ran.stderr


@pytest.mark.slow
def test_docs_and_lists_know_scripts(kosmolua: Program, folder: Path) -> None:
    """A page from the header, hits of a search, the list of scripts, and definitions for editors."""
    given = ("--scripts", folder, "--simulate")
    page = kosmolua("docs", "scripts.count", *given).stdout
    assert "app.scripts.count" in page and "Counts the services." in page and "`limit`" in page
    listed = kosmolua("scripts", *given, "--json").stdout
    effects = {each["name"]: each["effect"] for each in json.loads(listed)}
    assert effects["count"] == effects["twice"] == "read"
    assert effects["re_start"] == effects["here"] == effects["hidden"] == "write"
    assert "scripts" not in kosmolua("accounts", *given).stdout
    kosmolua("stubs", folder / "stubs", *given)
    stub = next((folder / "stubs").rglob("scripts.lua")).read_text()
    assert "function account.count(args) end" in stub and "---@field scripts app.scripts" in stub


@pytest.mark.slow
def test_every_door_gives_the_same(runtime: Runtime, kosmolua: Program, folder: Path) -> None:
    """The command, a function of another script, a tool and a fleet: the same result, and the same refusal."""
    told: list[CallToolResult] = []
    tools: dict[str, Any] = {}

    async def converse(client: Client) -> None:
        tools.update({tool.name: tool for tool in (await client.list_tools()).tools})
        told.append(await client.call_tool("count", {"limit": 1}))
        told.append(await client.call_tool("count", {"limt": 1}))
        told.append(await client.call_tool("count", {"limit": "x"}))

    Agent(None, HANDSHAKE, "--scripts", str(folder)).talk(converse)
    file, options = folder / "count.lua", ("--simulate", "--json")
    ran = json.loads(kosmolua("run", file, "--limit", "1", *options).stdout)
    called = runtime.run("return app.scripts.count({ limit = 1 })")
    (fleet,) = runtime.map(COUNT, [{"limit": 1}], name="count.lua")
    assert ran["result"] == called.result == fleet.result == [1]
    assert told[0].structured_content and told[0].structured_content["result"] == [1]
    assert tools["count"].annotations.read_only_hint and not tools["re_start"].annotations.read_only_hint
    assert tools["count"].input_schema["properties"]["limit"]["type"] == "integer"

    wrong = runtime.run(COUNT, name="count.lua", params={"limt": 1}).error
    (sent,) = runtime.map(COUNT, [{"limt": 1}], name="count.lua")
    inner = runtime.run("app.scripts.count({ limt = 1 })").error
    assert isinstance(wrong, BadArguments) and isinstance(inner, CallError) and sent.error
    assert wrong.message == sent.error.message == inner.message
    assert told[1].is_error and wrong.message in told[1].content[0].text  # type: ignore[union-attr]
    unknown = kosmolua("run", file, "--limt", "1")  # a command line has a usage of its own
    assert "Did you mean '--limit'?" in unknown.stderr
    assert unknown.returncode == 2

    misfit = runtime.run(COUNT, name="count.lua", params={"limit": "x"}).error
    (sent,) = runtime.map(COUNT, [{"limit": "x"}], name="count.lua")
    inner = runtime.run("app.scripts.count({ limit = 'x' })").error
    assert isinstance(misfit, BadArguments) and isinstance(inner, CallError) and sent.error
    assert misfit.message == sent.error.message == inner.message
    assert told[2].is_error and misfit.message in told[2].content[0].text  # type: ignore[union-attr]
    command = kosmolua("run", file, "--limit", "x")
    assert misfit.message in command.stderr
    assert command.returncode == 1
