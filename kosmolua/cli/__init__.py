"""The command line program. For ``kosmolua run``, a sandbox boots while the command line is parsed."""

from __future__ import annotations

import gc
import os
import sys

from kosmolua.processes import launch  # all else is imported after the start of the sandbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command that a command line names, by default this process's, and end the process with its status."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = _run(typed)
    except KeyboardInterrupt:  # pressed before the command could report it
        status = INTERRUPTED
    if "opentelemetry.trace" in sys.modules:
        from kosmolua.runs.telemetry import flush_spans

        flush_spans()
    sys.stderr.flush()
    try:
        sys.stdout.flush()
    except OSError:
        status = status or 1
    os._exit(status)  # when it shuts down, Python would print a traceback if standard output is closed


def _run(typed: list[str]) -> int:
    worker = _launch() if typed[:1] == ["run"] and not {"--help", "-h"} & set(typed) else None
    if typed[:1] in (["run"], ["mcp"], ["serve"]):
        gc.disable()  # off until it works: collecting would take a tenth of the start
    try:
        _prepare_process()
        return _run_command(typed, worker)
    finally:
        if worker:
            worker.process.kill()


def _launch() -> launch.WorkerProcess | None:
    """Start a sandbox. Return None if that fails: the run then starts a sandbox itself, and reports the error."""
    try:
        return launch.WorkerProcess()
    except OSError:
        return None


def _prepare_process() -> None:
    """Guard the standard streams, and reset SIGCHLD: ignored, it would lose the exit statuses of child processes."""
    import _signal as signal  # type: ignore[import-not-found]  # the module signal makes enums, which takes longer

    from kosmolua.cli.streams import guard_output, replace_closed_streams

    replace_closed_streams()
    guard_output()
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _run_command(typed: list[str], worker: launch.WorkerProcess | None) -> int:
    """Run a command and return its exit status.

    A simple ``run`` command line is parsed without click, which takes longer to import than a sandbox takes to boot.
    """
    if typed[:1] != ["doctor"] and any(name.startswith("OTEL_") for name in os.environ):
        from kosmolua.runs.telemetry import asks_for_spans, send_spans

        if asks_for_spans(os.environ):
            from kosmolua.cli.console import warn

            send_spans(warn)
    from kosmolua.cli.options import read_plainly

    plain = read_plainly(typed[1:]) if worker else None
    if plain is None:
        from kosmolua.cli.program import run_program

        return run_program(typed, worker)
    from kosmolua.cli.console import guarded
    from kosmolua.cli.defaults import user_defaults
    from kosmolua.cli.scripts import run_script

    def run() -> int:
        script, options = plain
        options.defaults = user_defaults(options.accounts, os.environ)
        return run_script(script, options, worker)

    return guarded(run)
