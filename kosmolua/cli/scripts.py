"""Running one script for ``kosmolua run``: from its options to its exit status."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager

from kosmolua.cli import console
from kosmolua.cli.console import status_of
from kosmolua.cli.options import Options, Script
from kosmolua.cli.streams import standard
from kosmolua.errors import KosmoError, UsageError
from kosmolua.processes.child import ColdChild
from kosmolua.processes.launch import Worker
from kosmolua.runs.run import Outcome
from kosmolua.runtime import Runtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any, BinaryIO, NoReturn

    from kosmolua.broker.permissions import Approve


def open_runtime(options: Options, approve: Approve | None = None) -> Runtime:
    """Return a runtime that makes calls.

    Args:
        options: The shared options of the command line.
        approve: Asks a person about them, where the run does not say who asks.

    Raises:
        ConfigError: A file cannot be read, or says something that it may not.
    """
    standard.set_apart()
    runtime = _debugged(
        options,
        options.accounts,
        simulate=options.simulate,
        plugins=options.plugin,
        read_only=options.read_only,
        yes=options.yes,
        approve=approve,
        journal=options.journal,
        require_isolation=options.require_isolation,
        warn=console.warn,
    )
    runtime.limits = runtime.limits.but(**options.limits)
    return runtime


def open_to_list(options: Options) -> Runtime:
    """Return a runtime for a command that only lists what there is."""
    standard.set_apart()
    return _debugged(options, options.accounts, plugins=options.plugin, simulate=options.simulate, warn=console.warn)


def _debugged(options: Options, *args: Any, **given: Any) -> Runtime:
    """Return a new runtime; with ``--debug``, tracebacks of integrations are shown from now on."""
    if not options.debug:
        return Runtime(*args, **given)
    from kosmolua.cli.tracebacks import Tracebacks

    shown = Tracebacks()
    runtime = Runtime(*args, **given)
    shown.redact = runtime.redact
    return runtime


_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def taken_as_interrupts() -> Iterator[None]:
    """Have SIGTERM and SIGHUP raise KeyboardInterrupt until the ``with`` block ends, where the first ends the program.

    A second one does at once. One that whoever started this program has it ignore stays ignored.
    """
    came: list[int] = []

    def interrupt(number: int, _: object) -> NoReturn:
        came.append(number)
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    taken = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
        if came:
            signal.raise_signal(came[0])


SURPLUS = 4
"""Bytes read beyond the limit: a byte order mark, which does not count, and one that shows that there are too many."""
PIECE = 1024 * 1024
_UTF_16 = b"\xff\xfe", b"\xfe\xff"


def name_of(path: str | Path) -> str:
    """Return what messages call the script in a file: its name, with U+FFFD for bytes that are not UTF-8."""
    return os.fsencode(os.path.basename(path)).decode("utf-8", "replace")


def read_file(path: str | Path, most: int) -> bytes:
    """Return the script in a file, and of one that is too long as much as shows that.

    Args:
        path: The file.
        most: Bytes that a script may have.

    Raises:
        UsageError: It cannot be read, or is no text.
    """
    if path == "":
        raise UsageError("No script is named (is a variable empty?)")
    try:
        with open(path, "rb") as stream:
            return _read(stream, f"The script {path}", most)
    except OSError as error:
        _refuse(f"The script {path}", error.strerror)
    except ValueError:
        _refuse(f"The script {path}", "it is no path")


def read_input(most: int) -> bytes:
    """Return the script on standard input, as :func:`read_file` does from a file."""
    if sys.stdin is None:
        raise UsageError("Standard input is closed, so there is no script to read")
    try:
        return _read(standard.reader, "Standard input", most)
    except OSError as error:
        _refuse("Standard input", error.strerror)


def _read(stream: BinaryIO, what: str, most: int) -> bytes:
    read = bytearray()
    while len(read) < most + SURPLUS and (piece := stream.read(min(PIECE, most + SURPLUS - len(read)))):
        read += piece
    source = bytes(read)
    if len(source) <= most and not _is_text(source):
        _refuse(what, "it is not UTF-8 text")
    return source


def _is_text(source: bytes) -> bool:
    """Say whether a source may be Lua, which may hold any byte, but not in its first line: there they mean UTF-16."""
    return not source.startswith(_UTF_16) and b"\0" not in source.partition(b"\n")[0]


def _refuse(what: str, reason: str | None) -> NoReturn:
    raise UsageError(f"{what} cannot be read: {reason}")


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
            console.as_json(outcome.to_json())
        elif outcome.error:
            console.complain_of(outcome.error, name.removeprefix("="))
    return status_of(outcome.error)


def _name_of(script: Script) -> str:
    if script.code is not None:
        return COMMAND_LINE
    return "stdin" if script.file == "-" else name_of(str(script.file))


def _read_source(script: Script, most: int) -> bytes:
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
        source = _read_source(script, runtime.limits.max_source)
        if not (options.trace or standard.is_shown or sys.stderr.isatty()):
            return run(on_output=standard.write)
        from kosmolua.cli.progress import watching

        with watching(trace=options.trace) as watched:
            return watched.end(run(on_output=watched.write, watch=watched.watch, approve=watched.approve))
    finally:
        child.close()
        runtime.close()
