"""The command line: starts the sandbox first of all, then parses, dispatches, and maps errors to exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from kosmolua.workers import ColdChild


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with the status that the contract gives it.

    Args:
        arguments: What was typed after the program's name.
    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    child = ColdChild() if typed[:1] == ["run"] and not {"--help", "-h"} & set(typed) else None
    from kosmolua.cli.program import run_program

    status = run_program(typed, child)
    sys.stderr.flush()
    os._exit(_flushed(status))


def _flushed(status: int) -> int:
    """Flush standard output; interpreters complain at length about one that is closed."""
    try:
        sys.stdout.flush()
    except OSError:
        return status or 1
    return status
