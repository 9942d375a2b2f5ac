"""Headers of scripts: what they say, options on the command line, and checks before a run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
from conftest import Program, Write

from kosmolua import Runtime
from kosmolua.check.checker import Checker
from kosmolua.cli.commands.run import command
from kosmolua.cli.headers import params_of
from kosmolua.errors import BadArguments, ScriptError
from kosmolua.lua.header import read_header
from kosmolua.schema.types import INTEGER, STRING, Choice, List, Map, Record

REPORT = """#!/usr/bin/env kosmolua
--- Lists the deploys of the last days.
---@param days? integer How many days back (default: 7)
---@param status "live"|"failed" Which ones
---@param tags? string[] Only these
---@param dry_run? boolean Do nothing
---@param timeout? integer A name that an option of the program has
---@return table params

return params, arg[1] or "none"
"""


@pytest.fixture
def report(write: Write) -> Path:
    """A script with a header."""
    return write("report.lua", REPORT)


def test_a_header_has_a_sentence_parameters_and_a_result() -> None:
    """Types are those of the schema, and a default stands in the sentence of its parameter."""
    header = read_header(REPORT)
    assert header.summary == "Lists the deploys of the last days."
    kinds = {each.name: each.type for each in header.parameters}
    assert kinds["days"] == INTEGER
    assert kinds["status"] == Choice(("live", "failed"))
    assert kinds["tags"] == List(STRING)
    assert [each.name for each in header.parameters if each.required] == ["status"]
    assert header.returns is not None


@pytest.mark.parametrize(
    ("spelled", "kind"),
    [
        ("table<string, integer>", Map(INTEGER)),
        ("table<integer, string>", List(STRING)),
        ("(string)[][] rows", List(List(STRING))),
        (
            "{ id: string, count?: integer } what",
            Record("x", {"id": STRING, "count": INTEGER}, required=frozenset({"id"})),
        ),
        ("'a'|'b'|1", Choice(("a", "b", 1))),
    ],
)
def test_types_are_read_as_luacats_writes_them(spelled: str, kind: object) -> None:
    """Brackets, unions, literals and tables with named keys."""
    assert read_header(f"---@param x {spelled}\n").parameters[0].type == kind


def test_a_comment_of_a_function_is_no_header() -> None:
    """Annotations right above a function are about that function."""
    assert not read_header("---Adds.\n---@param a integer\nlocal function add(a) return a end\n").is_declared
    assert read_header("---Adds.\n---@param a integer\n\nlocal function add(b) return b end\n").is_declared


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("---@param days integer Days (default: soon)", "the default of days must be an integer"),
        ("---@param days { integer }", "the type of days cannot be read"),
        ("---@param days integer\n---@param days integer", "declared twice"),
    ],
)
def test_a_mistake_in_a_header_is_told_with_its_line(simulated: Runtime, line: str, problem: str) -> None:
    """Both by a run, before it begins, and by a check."""
    script = f"--- Does it.\n{line}\n\nprint('ran')"
    outcome = simulated.run(script)
    assert isinstance(outcome.error, ScriptError)
    assert problem in outcome.error.message
    assert outcome.error.line == line.count("\n") + 2
    assert outcome.output == ""
    (finding,) = Checker(simulated.catalog).check(script).findings
    assert finding.line == outcome.error.line
    assert finding.severity == "error"


def test_a_script_gets_its_parameters_and_defaults(simulated: Runtime) -> None:
    """What was given is checked and converted; what was not has the default of the header."""
    outcome = simulated.run(REPORT, name="report.lua", params={"status": "live", "days": 2.0})
    assert outcome.result == [{"status": "live", "days": 2}, "none"]
    assert simulated.run("return params, #arg", args=["a"]).result == [{}, 1]


def test_wrong_parameters_are_refused_before_the_run(simulated: Runtime) -> None:
    """All faults are told at once, and nothing runs."""
    outcome = simulated.run("print('ran')" and REPORT, name="report.lua", params={"status": "off", "day": 1})
    assert isinstance(outcome.error, BadArguments)
    assert "report has no parameter 'day' (did you mean 'days'?); status must be one of" in outcome.error.message
    assert outcome.calls == []


@pytest.mark.slow
def test_options_of_the_command_line_are_those_of_the_header(kosmolua: Program, report: Path) -> None:
    """They take the declared types, stand with the program's own, and leave arguments in arg."""
    words = ("--status", "failed", "--tags", "a", "--tags", "b", "--no-dry-run", "--param-timeout", "3", "rest")
    done = kosmolua("run", report, *words, "--json", "--timeout", "20")
    given = {"days": 7, "status": "failed", "tags": ["a", "b"], "dry_run": False, "timeout": 3}
    assert json.loads(done.stdout)["result"] == [given, "rest"]


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["--dry-run"], True),
        (["--dry-run", "true"], True),
        (["--dry-run=true"], True),
        (["--no-dry-run"], False),
        (["--dry-run", "false"], False),
        (["--dry-run=false"], False),
    ],
)
def test_a_boolean_takes_its_value_in_every_spelling(report: Path, words: list[str], given: bool) -> None:
    """The word behind the option is its value and no argument; a later one is."""
    context = command.make_context("run", [str(report), *words, "rest", "false", "--", "--dry-run", "true"])
    assert params_of(context, context.params) == {"dry_run": given}
    assert context.params["arguments"] == ("rest", "false", "--dry-run", "true")
    with pytest.raises(click.UsageError, match="--dry-run is true or false, not 'maybe'"):
        command.make_context("run", [str(report), "--dry-run=maybe"])


@pytest.mark.slow
def test_wrong_options_are_refused(kosmolua: Program, report: Path) -> None:
    """An unknown one as usage, with what was meant; a value that does not fit, or a missing one, as bad arguments."""
    assert re.search("Did you mean '?--status", kosmolua("run", report, "--statu", "live").stderr)
    missing = kosmolua("run", report)
    assert missing.returncode == 1
    assert "report needs status, one of 'live', 'failed'" in missing.stderr
    assert "days must be an integer" in kosmolua("run", report, "--status", "live", "--days", "x").stderr


def test_help_explains_the_script(kosmolua: Program, report: Path) -> None:
    """Its sentence, its parameters with defaults and choices, and where the other options are."""
    shown = kosmolua("run", report, "--help").stdout
    assert "Lists the deploys of the last days." in shown
    assert "--days INTEGER" in shown and "(default: 7)" in shown
    assert "[needed]" in shown
    assert "kosmolua run --help" in shown


@pytest.mark.slow
def test_shells_complete_options_and_choices(kosmolua: Program, report: Path) -> None:
    """As those of the program itself."""
    variables = {"_KOSMOLUA_COMPLETE": "bash_complete", "COMP_WORDS": f"kosmolua run {report} --st", "COMP_CWORD": "3"}
    assert "plain,--status" in kosmolua(variables=variables).stdout
    variables |= {"COMP_WORDS": f"kosmolua run {report} --status ", "COMP_CWORD": "4"}
    assert kosmolua(variables=variables).stdout.split() == ["plain,live", "plain,failed"]


def test_a_check_knows_the_parameters(simulated: Runtime) -> None:
    """A field that the header does not declare is likely a mistake."""
    script = "---@param days integer\n\nprint(params.day)"
    (finding,) = Checker(simulated.catalog).check(script).findings
    assert "'day'" in finding.message and "days" in finding.hint


def test_a_recording_holds_the_parameters(simulated: Runtime, tmp_path: Path) -> None:
    """A replay finds them again."""
    path = tmp_path / "run.jsonl"
    simulated.run(REPORT, name="report.lua", params={"status": "live"}, record=path)
    assert simulated.replay(path).result[0] == {"status": "live", "days": 7}


@pytest.mark.parametrize("words", [["--record=r.jsonl"], ["--simulate", "--plan=p.json"], ["--simulate=s.json"]])
@pytest.mark.parametrize("is_before", [True, False])
def test_options_with_a_file_after_an_equals_sign(
    kosmolua: Program, write: Write, words: list[str], *, is_before: bool
) -> None:
    """They stand before or after a script with parameters, which are known all the same."""
    script = write("p.lua", "--- Prints.\n---@param tag string A tag.\nprint(params.tag)\n")
    line = [*words, str(script), "--tag", "t0"] if is_before else [str(script), *words, "--tag", "t0"]
    done = kosmolua("run", *line)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "t0\n", done.stderr
