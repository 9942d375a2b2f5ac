"""``kosmolua run``: run a Lua script."""

from __future__ import annotations

from typing import Any

import click

from kosmolua.cli.headers import HeaderCommand, params_of
from kosmolua.cli.options import Options, ScriptArgument
from kosmolua.cli.parsing import examples, running_options
from kosmolua.cli.scripts import run_script
from kosmolua.processes.launch import WorkerProcess


@click.command(
    "run",
    cls=HeaderCommand,
    advice="Arguments of the script that begin with a dash go after --.",
    epilog=examples(
        "kosmolua run report.lua --simulate",
        "kosmolua run report.lua --help",
        "kosmolua run report.lua 2026-01 --trace --journal calls.jsonl",
        "kosmolua run -e 'print(#app.integrations.render2.list_services().services)'",
        "generate-script | kosmolua run - --read-only --timeout 30 --json",
    ),
)
@click.argument("file", required=False, type=click.Path(), metavar="[FILE|-]")
@click.argument("arguments", nargs=-1, type=click.Path(), metavar="[ARGS]...")
@click.option("-e", "code", metavar="CODE", multiple=True, help="Run this script instead of a file.")
@running_options
@click.pass_context
def command(
    context: click.Context,
    /,
    file: str | None,
    arguments: tuple[str, ...],
    code: tuple[str, ...],
    options: Options,
    **given: Any,
) -> int:
    """Run a Lua script in the sandbox.

    FILE is the script, or - for standard input. The script finds ARGS in the global arg and in "...". If the script
    begins with a header, the parameters in the header are options after FILE, which --help after FILE explains.
    Standard output has only the script's output; errors, questions and --trace go to standard error. On a terminal, the
    values that the script returns are shown too.

    The exit status is 0 when the script ran to its end, 1 when it failed, 2 and 3 when the command line or the accounts
    file is wrong, 75 when it waits for an approval, 124 when a limit stopped it, and 130 when it was interrupted.
    """
    if not code and file is None:
        raise click.UsageError("Name a script, or - for standard input, or give its text with -e.")
    if len(code) > 1:
        raise click.UsageError("There are several -e; write the whole script in one.")
    worker: WorkerProcess | None = context.obj
    params = params_of(context, given)
    return run_script(ScriptArgument(file, next(iter(code), None), arguments, params), options, worker)
