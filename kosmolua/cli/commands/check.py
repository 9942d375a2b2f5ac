"""``kosmolua check``: report mistakes in scripts, and what the scripts may do, without running them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kosmolua.check.checker import Checker, Report
from kosmolua.cli import console
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, examples, listing_options
from kosmolua.cli.scripts import name_of, open_to_list, read_file
from kosmolua.cli.streams import names_standard_input
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
        "generate-script | kosmolua check - --simulate --json",
    ),
)
@click.argument("files", nargs=-1, required=True, type=click.Path(), metavar="FILE|-...")
@listing_options
def command(files: tuple[str, ...], options: Options) -> int:
    """Find mistakes in Lua scripts without running them.

    Code that is certain to fail is an error: bad syntax, unknown names under app, wrong arguments, missing accounts,
    variables that are never defined. Probable mistakes are warnings. The last lines for each script say what it may
    read, write and destroy, and with which accounts.

    The exit status is 1 if there are errors, and 0 otherwise.
    """
    with open_to_list(options) as runtime:
        checker = runtime.checker(is_complete=False)
        reports = {_shown(file): _report_on(_source_of(file, runtime), checker, runtime) for file in files}
    console.answer(_as_json(reports), lambda: _show(reports), in_json=options.json)
    return 1 if any(report.errors for report in reports.values()) else 0


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


def _show(reports: dict[str, Report]) -> None:
    for file, report in reports.items():
        for finding in report.findings:
            console.line(f"{file}:{finding}")
        if not report.is_read:
            console.line(
                f"{file}: could not be read by the check (too long, or too deeply nested?), though Lua may run it"
            )
        if bill := report.summary():
            console.line(f"{file}: {bill}")
        for flow in report.flows:
            console.line(f"{file}:{flow.line}: {flow}")


def _as_json(reports: dict[str, Report]) -> dict[str, Any]:
    return {
        "findings": [
            {"file": file, **finding._asdict()} for file, report in reports.items() for finding in report.findings
        ],
        "bill": [{"file": file, **charge._asdict()} for file, report in reports.items() for charge in report.bill],
        "flows": [{"file": file, **flow._asdict()} for file, report in reports.items() for flow in report.flows],
    }
