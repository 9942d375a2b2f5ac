"""The command line: starts the sandbox first of all, then parses, dispatches, and maps errors to exit codes."""

from __future__ import annotations

import os
import sys

from kosmolua.processes import launch

INTERRUPTED = 130
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with the status that the contract gives it.

    Args:
        arguments: What was typed after the program's name.
    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    _replace_closed_streams()
    try:
        status = _start(typed)
    except KeyboardInterrupt:  # while there was nothing yet that would say so
        status = INTERRUPTED
    sys.stderr.flush()
    os._exit(_flushed(status))


def _start(typed: list[str]) -> int:
    worker = _launch() if typed[:1] == ["run"] and not {"--help", "-h"} & set(typed) else None
    _hear_of_children()
    try:
        return _run(typed, worker)
    finally:
        if worker:
            worker.process.kill()


def _launch() -> launch.Worker | None:
    """Start the sandbox; where it cannot be started, whoever needs it says why."""
    try:
        return launch.Worker()
    except OSError:
        return None


def _hear_of_children() -> None:
    """Have the system keep the status of a child that has ended, also where the caller wanted none of its own."""
    import signal

    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _run(typed: list[str], worker: launch.Worker | None) -> int:
    """Run a plain command line of ``run`` without click, which takes longer to import than the sandbox to boot."""
    from kosmolua.cli.options import read_plainly
    from kosmolua.cli.streams import name_losses

    name_losses()
    plain = read_plainly(typed[1:]) if worker else None
    if plain is None:
        from kosmolua.cli.program import run_program

        return run_program(typed, worker)
    from kosmolua.cli.console import guarded
    from kosmolua.cli.scripts import run_script

    return guarded(lambda: run_script(*plain, worker))


def _replace_closed_streams() -> None:
    """Stand in for standard streams that the caller closed, so that no pipe gets their numbers.

    What is written to standard error is lost then; writing to standard output fails.
    """
    while (descriptor := os.open(os.devnull, os.O_RDONLY)) < launch.STANDARD_DESCRIPTORS:
        continue
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def _flushed(status: int) -> int:
    """Flush standard output; interpreters complain at length about one that is closed."""
    try:
        sys.stdout.flush()
    except OSError:
        return status or 1
    return status
