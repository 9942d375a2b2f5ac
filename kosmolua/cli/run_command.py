"""``kosmolua run``: run a Lua script."""

from __future__ import annotations

import click

from kosmolua.cli.arguments import Options, Script
from kosmolua.cli.options import running_options
from kosmolua.cli.running import run_script
from kosmolua.launch import Worker


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
    return run_script(Script(file, code, arguments), options, worker)
