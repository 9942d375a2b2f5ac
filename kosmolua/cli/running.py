"""Running one script for ``kosmolua run``: from its options to its exit status."""

from __future__ import annotations

import sys

from kosmolua.cli import show
from kosmolua.cli.arguments import Options, Script
from kosmolua.cli.exits import status_of
from kosmolua.cli.opening import open_runtime
from kosmolua.cli.signals import taken_as_interrupts
from kosmolua.cli.source import name_of, read_file, read_input
from kosmolua.cli.streams import standard
from kosmolua.errors import KosmoError
from kosmolua.outcome import Outcome
from kosmolua.processes.children import ColdChild
from kosmolua.processes.launch import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COMMAND_LINE = "=(command line)"


def run_script(script: Script, options: Options, worker: Worker | None) -> int:
    """Run a script, show what became of it, and return the exit status.

    Args:
        script: What to run.
        options: The shared options.
        worker: A worker that was started already.

    Raises:
        KosmoError: There was nothing to run, and no JSON was asked for.
    """
    name = _name_of(script)
    with taken_as_interrupts():
        try:
            outcome = _run(name, script, options, worker)
        except KosmoError as error:
            if not options.json:
                raise
            outcome = Outcome([], "", error, [])
        if options.json:
            show.as_json(outcome.to_json())
        elif outcome.error:
            show.complain_of(outcome.error, name.removeprefix("="))
    return status_of(outcome.error)


def _name_of(script: Script) -> str:
    if script.code is not None:
        return COMMAND_LINE
    return "stdin" if script.file == "-" else name_of(str(script.file))


def _read(script: Script, most: int) -> bytes:
    if script.code is not None:
        return script.code.encode("utf-8", "surrogateescape")
    return read_input(most) if script.file == "-" else read_file(str(script.file), most)


def _run(name: str, script: Script, options: Options, worker: Worker | None) -> Outcome:
    runtime = open_runtime(options)
    child = ColdChild(worker)

    def run(**telling: Any) -> Outcome:
        if options.json:
            del telling["on_output"]
        return runtime.run(source, name=name, args=script.arguments, child=child, **telling)

    try:
        source = _read(script, runtime.limits.max_source)
        if not (options.trace or standard.is_shown or sys.stderr.isatty()):
            return run(on_output=standard.write)
        from kosmolua.cli.watching import watching

        with watching(trace=options.trace) as watched:
            return watched.end(run(on_output=watched.write, watch=watched.watch, approve=watched.approve))
    finally:
        child.close()
        runtime.close()
