"""``kosmolua run``: run a Lua script."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kosmolua.cli import show
from kosmolua.cli.options import Options, make_runtime, running_options
from kosmolua.cli.program import status_of
from kosmolua.errors import KosmoError
from kosmolua.launch import Worker
from kosmolua.outcome import Outcome
from kosmolua.workers import ColdChild


@click.command("run")
@click.argument("file", required=False, metavar="[FILE|-]")
@click.argument("arguments", nargs=-1, metavar="[ARGS]...")
@click.option("-e", "code", metavar="CODE", help="Run this instead of a file.")
@running_options
@click.pass_obj
def command(
    worker: Worker | None, file: str | None, arguments: tuple[str, ...], code: str | None, options: Options
) -> int:
    """Run a Lua script in the sandbox.

    FILE is the script, or - for standard input; ARGS are what it finds in arg and "...". Standard output is the
    script's output only.
    """
    if code is None and file is None:
        raise click.UsageError("Name a script, or - for standard input, or give one with -e.")
    if code is not None and file is not None:
        arguments = (file, *arguments)
    try:
        name, source = ("=(command line)", code.encode("utf-8", "surrogateescape")) if code is not None else _read(file)
        outcome = _run(options, worker, name, source, arguments)
    except KosmoError as error:
        if not options.json:
            raise
        outcome = Outcome([], "", error, [])
    return _report(outcome, options, name.lstrip("="))


def _run(options: Options, worker: Worker | None, name: str, source: bytes, arguments: tuple[str, ...]) -> Outcome:
    from kosmolua.cli.trace import tracer

    runtime = make_runtime(options)
    with runtime, tracer(options.trace) as watch:
        outcome: Outcome = runtime.run(
            source,
            name=name,
            args=arguments,
            on_output=(lambda piece: None) if options.json else show.write,
            watch=watch,
            child=ColdChild(worker),
        )
    return outcome


def _read(file: str | None) -> tuple[str, bytes]:
    if file == "-":
        if sys.stdin is None or sys.stdin.closed:
            raise click.UsageError("Standard input is closed, so there is no script to read.")
        return "stdin", sys.stdin.buffer.read()
    path = Path(str(file))
    try:
        return path.name, path.read_bytes()
    except OSError as error:
        raise click.UsageError(f"The script {file} cannot be read: {error.strerror}.") from None


def _report(outcome: Outcome, options: Options, script: str) -> int:
    if options.json:
        show.as_json(outcome.to_json())
    elif outcome.error:
        show.complain_of(outcome.error, script)
    return status_of(outcome.error)
