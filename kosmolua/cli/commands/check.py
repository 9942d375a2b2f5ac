"""``kosmolua check``: report mistakes in scripts, and what the scripts may do, without running them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from kosmolua.check.checked import Checked
from kosmolua.check.checker import Checker, Report
from kosmolua.check.findings import SETUP
from kosmolua.cli import console, terminal
from kosmolua.cli.findings import commands, counted, framed, sarif, unread
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, examples, listing_options
from kosmolua.cli.scripts import name_of, open_to_list, read_file
from kosmolua.cli.streams import names_standard_input
from kosmolua.errors import UsageError
from kosmolua.runs.job import chunk_of
from kosmolua.runtime import Runtime

COMPILE = "return load(input, '=script') ~= nil"
"""A script that says whether Lua compiles the text that is its input."""


@click.command(
    "check",
    cls=Command,
    epilog=examples(
        "kosmolua check report.lua",
        "kosmolua check scripts/*.lua --accounts production.toml",
        "kosmolua check scripts/*.lua --format sarif > findings.sarif",
        "generate-script | kosmolua check - --simulate --json",
    ),
)
@click.argument("files", nargs=-1, required=True, type=click.Path(), metavar="FILE|-...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "github", "sarif"]),
    default="text",
    help="Show findings as text, as annotations of GitHub's workflows, or as SARIF 2.1.0 [text].",
)
@listing_options
def command(files: tuple[str, ...], form: str, options: Options) -> int:
    """Find mistakes in Lua scripts without running them.

    Code that is certain to fail is an error: bad syntax, unknown names under app, wrong arguments, missing accounts,
    variables that are never defined. Probable mistakes are warnings. The last lines for each script say what it may
    read, write and destroy, and with which accounts.

    The exit status is 1 if there are errors, and 0 otherwise.
    """
    if options.json and form != "text":
        raise UsageError(f"--json and --format {form} cannot be combined: leave one of them out")
    reports: dict[str, Checked] = {}
    with open_to_list(options) as runtime:
        checker = runtime.checker(is_complete=False)
        for file in files:
            source = _source_of(file, runtime)
            reports[_shown(file)] = Checked(source, _report_on(source, checker, runtime))
    if options.json:
        console.as_json(_as_json(reports))
    elif form == "sarif":
        console.as_json(sarif(reports))
    else:
        _show(reports, form)
    if not options.simulate and any(each.code == SETUP for one in reports.values() for each in one.report.findings):
        console.complain("to check a script before it has its accounts, pass --simulate.")
    return 1 if any(checked.report.errors for checked in reports.values()) else 0


def _report_on(source: bytes, checker: Checker, runtime: Runtime) -> Report:
    """Check a script. If Lua compiles what the check takes for a syntax error, the script is only not checked."""
    report = checker.check(source)
    if not report.is_lua and runtime.run(COMPILE, input=source.decode("utf-8", "replace")).result == [True]:
        return Report([], [], is_read=False)
    return report


def _source_of(file: str, runtime: Runtime) -> bytes:
    limit = runtime.limits.max_source
    source = chunk_of(read_file(file, limit))
    if len(source) > limit:
        raise runtime.limits.exceeded("source")
    return source


def _shown(file: str) -> str:
    return "stdin" if names_standard_input(file) else str(Path(file).parent / name_of(file))


def _show(reports: Mapping[str, Checked], form: str) -> None:
    if form == "github":
        for each in commands(reports):
            console.line(each)
    elif terminal.on_terminal():
        console.shown([line for file, checked in reports.items() for line in framed(file, checked)])
        console.say(counted(reports))
    else:
        for file, (_, report) in reports.items():
            lines = [f"{file}:{finding}" for finding in report.findings]
            lines += [] if report.is_read else [unread(file)]
            lines += [f"{file}: {bill}"] if (bill := report.summary()) else []
            for line in [*lines, *(f"{file}:{flow.line}: {flow}" for flow in report.flows)]:
                console.line(line)


def _as_json(reports: Mapping[str, Checked]) -> dict[str, Any]:
    every = [(file, checked.report) for file, checked in reports.items()]
    return {
        "findings": [{"file": file, **each.to_json()} for file, report in every for each in report.findings],
        "bill": [{"file": file, **each._asdict()} for file, report in every for each in report.bill],
        "flows": [{"file": file, **each._asdict()} for file, report in every for each in report.flows],
    }
