"""Reads a script that the command line names, runs it, and shows its outcome. Also opens the runtimes of commands."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # the module signal makes enums, which takes longer
import gc
import os
import re
import sys
from contextlib import contextmanager

from kosmolua.cli import console
from kosmolua.cli.console import status_of
from kosmolua.cli.options import Options, ScriptArgument
from kosmolua.cli.streams import OutputLost, names_standard_input, standard
from kosmolua.errors import ConfigError, KosmoError, Paused, Stale, UnderWay, UsageError
from kosmolua.expressions import regex
from kosmolua.folders import is_special, recordings_folder, scripts_folder
from kosmolua.processes.child import ColdChild
from kosmolua.processes.launch import WorkerProcess
from kosmolua.runs import Outcome
from kosmolua.runtime import Runtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any, BinaryIO, NoReturn

    from kosmolua.calls.approvals import Approve
    from kosmolua.recordings.plans import Plan

COMMAND_LINE = "=(command line)"
"""The name of a script that is given on the command line."""
BLOCK = 1024 * 1024
YOUNG = 50_000
"""How many objects are made, beyond those that are freed, between two collections of garbage."""
SURPLUS = 4
"""How many bytes are read beyond the limit: 3 for a byte order mark, which does not count, and 1 to see the excess."""
_NAMES_APP = regex(rb"\bapp\b")
"""Matches scripts that may make calls. Other scripts can send nothing, so they start sooner, without a check."""
_SAVED = regex(r"\w[\w-]*")
"""Matches a name that a saved script can have: without a folder and an ending."""
_UTF_16 = b"\xff\xfe", b"\xfe\xff"
_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def open_runtime(options: Options, approve: Approve | None = None, **given: Any) -> Runtime:
    """Return a runtime for a command that runs scripts or makes calls; ``approve`` asks a person about calls.

    Raises:
        ConfigError: A file cannot be read, or has an invalid key or value.
    """
    runtime = _open(
        options,
        read_only=options.read_only,
        yes=options.yes,
        allow=options.allow,
        deny=options.deny,
        allow_flow=options.allow_flow,
        approve=approve,
        journal=options.journal or True,
        share_limits=True,
        require_isolation=options.require_isolation,
        **given,
    )
    runtime.limits = runtime.limits.but(**options.limits)
    return runtime


def open_to_list(options: Options, **given: Any) -> Runtime:
    """Return a runtime for a command that only lists or checks integrations and accounts."""
    return _open(options, journal=True, **given)


def _open(options: Options, **given: Any) -> Runtime:
    standard.set_apart()
    if not options.simulate and (options.simulate_state or options.simulate_fail):
        raise UsageError("--simulate-state and --simulate-fail need --simulate")
    places: dict[str, Any] = {
        "plugins": options.plugin,
        "scripts": options.scripts,
        "simulate": (options.simulate_state or True) if options.simulate else False,
        "failures": dict(each.split("=", 1) for each in options.simulate_fail),
        "warn": console.warn,
        "servers": _servers(options) | given.pop("servers", {}),
        "trace": console.trace if options.trace else None,
        "command_line": True,
    }
    if options.scripts and not os.path.isdir(options.scripts):
        console.warn(f"there is no folder {options.scripts}, which --scripts names")
    if options.secret:
        from kosmolua.cli.inputs import read_secrets

        places["secrets"] = read_secrets(options.secret)
    if not options.debug:
        return Runtime(options.accounts, **places, **given)
    from kosmolua.cli.tracebacks import Tracebacks

    tracebacks = Tracebacks()
    runtime = Runtime(options.accounts, **places, **given)
    tracebacks.redact = runtime.redact
    return runtime


def _servers(options: Options) -> dict[str, Any]:
    """Return the settings of the MCP servers that ``--server`` names, by name, in the form of the accounts file."""
    if not options.server:
        return {}
    from kosmolua.mcp_client.imports import read_given

    return dict(map(read_given, options.server))


def collect_from_here() -> None:
    """Turn garbage collection on, if it is off, without the objects that exist now, as nearly all of them stay.

    So do those that the imports for the first call make, of which there are fewer than :data:`YOUNG`.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
        gc.enable()


@contextmanager
def taken_as_interrupts() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into KeyboardInterrupt in the ``with`` block, so that the block can clean up.

    After the block, the program ends by the signal that it received. A second signal ends the program immediately. A
    signal that was ignored when the program started stays ignored.
    """
    received: list[int] = []

    def interrupt(number: int, _: object) -> NoReturn:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    handled = [number for number in _ENDING if signal.getsignal(number) == signal.SIG_DFL]
    for number in handled:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
        if received:
            signal.raise_signal(received[0])


def name_of(path: str | Path) -> str:
    """Return the name of a script for messages: the last part of its path, with U+FFFD in place of invalid UTF-8."""
    return os.fsencode(os.path.basename(path)).decode("utf-8", "replace")


def located(file: str, options: Options) -> str:
    """Return the path of the script that a user named: a file, or else a saved script, named without its ending.

    Raises:
        UsageError: The name has no ending and no folder, and there is neither a file nor a saved script of this name.
    """
    if names_standard_input(file) or os.path.lexists(file) or not _SAVED.fullmatch(file):
        return file
    folder = options.scripts or scripts_folder()
    saved = {name[:-4]: os.path.join(folder, name) for name in _files_in(folder) if name.endswith(".lua")}
    found = [path for name, path in saved.items() if _as_function(name) == _as_function(file)]
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(map(os.path.basename, found))
        raise UsageError(f"Several saved scripts are called {file}: {names}", hint="name the file with its folder")
    from kosmolua.suggestions import did_you_mean

    hint = did_you_mean(file, [*saved, *_files_in(os.curdir)]) or f"scripts are saved in {folder}"
    raise UsageError(f"There is no file {file}, and no saved script of this name", hint=hint)


def _as_function(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _files_in(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def read_file(path: str | Path, limit: int) -> bytes:
    """Return the script in a file. If it is too long, return only its beginning, a few bytes more than the limit.

    Raises:
        UsageError: The file cannot be read, or is not text.
    """
    if path == "":
        raise UsageError("The name of the script is empty (is a shell variable unset?)")
    subject = "Standard input" if names_standard_input(path) else f"The script {path}"
    with standard.opened(path, subject, "there is no script to read") as stream:
        return _read(stream, subject, limit)


def _read(stream: BinaryIO, subject: str, limit: int) -> bytes:
    read = bytearray()
    while len(read) < limit + SURPLUS and (block := stream.read(min(BLOCK, limit + SURPLUS - len(read)))):
        read += block
    source = bytes(read)
    # Lua allows any byte, but a zero in the first line means UTF-16, or a compiled chunk.
    is_text = not source.startswith(_UTF_16) and b"\0" not in source.partition(b"\n")[0]
    if len(source) <= limit and not is_text:
        raise UsageError(f"{subject} cannot be read: it is not UTF-8 text")
    return source


def run_script(script: ScriptArgument, options: Options, worker: WorkerProcess | None) -> int:
    """Run the script of a ``run`` command line, in ``worker`` if there is one, and return the exit status.

    Raises:
        KosmoError: The script cannot be run, and ``--json`` was not given.
    """
    collect_from_here()
    try:
        script.file = script.file and located(script.file, options)
    except UsageError:
        if not options.json:
            raise
    return perform(lambda: _run(script, options, worker), options, _name_of(script).removeprefix("="))


def perform(
    work: Callable[[], Outcome],
    options: Options,
    name: str,
    where: Callable[[Outcome], str | None] | None = None,
    *,
    in_full: bool = False,
) -> int:
    """Call a function that runs a script, show the outcome, and return the exit status.

    ``name`` is the script's in messages. ``where`` returns a sentence about the recording of an outcome, or None; by
    default it is :func:`where_it_is`. With ``in_full``, all arguments of calls are shown that a person decides about.

    Raises:
        KosmoError: The script cannot be run, and ``--json`` was not given.
    """
    with taken_as_interrupts():
        try:
            outcome = work()
        except KosmoError as error:
            if not options.json:
                _list_calls(error, in_full=in_full)
                raise
            outcome = Outcome([], "", error, [])
        if options.json:
            console.as_json(outcome.to_json())
            return status_of(outcome.error)
        if outcome.error and outcome.exit is None:
            console.complain_of(outcome.error, name)
            _list_calls(outcome.error, in_full=in_full)
        elif standard.is_shown:
            console.show_values(outcome.result)
        for warning in outcome.warnings:
            console.warn(warning)
        if outcome.recording:
            said = where(outcome) if where else where_it_is(outcome.recording, can_go_on=not outcome.ok)
            if said:
                console.complain(said)
    return status_of(outcome.error)


def _list_calls(error: KosmoError, *, in_full: bool) -> None:
    """Write what an error names: calls about which a person must decide, or what has changed since a plan was made."""
    if isinstance(error, Stale):
        console.complain("\n".join(error.differences))
    if isinstance(error, (Paused, UnderWay)):
        from kosmolua.cli.approval import described

        for call in error.calls:
            console.complain(described(call, in_full=in_full))


def watched(run: Callable[..., Outcome], options: Options) -> Outcome:
    """Run a script with callbacks that show its output and calls and ask for approvals, and return its outcome."""
    lost: list[OutputLost] = []

    def shown(write: Callable[[bytes], None]) -> dict[str, Callable[[bytes], None]]:
        def on_output(piece: bytes) -> None:
            try:
                write(piece)
            except OutputLost as error:
                lost.append(error)
                raise KeyboardInterrupt from None  # so that the outcome names the writes that were under way

        return {} if options.json else {"on_output": on_output}

    if not (options.trace or standard.is_shown or sys.stderr.isatty()):
        outcome = run(**shown(standard.write))
    else:
        from kosmolua.cli.progress import watching

        with watching(trace=options.trace) as each:
            outcome = each.end(run(**shown(each.write), watch=each.watch, approve=each.approve))
    if lost:
        from kosmolua.schema.effects import changes

        if outcome.error and any(call.status == "unknown" and changes(call.effect) for call in outcome.calls):
            console.complain_of(outcome.error)
        raise lost[0]
    return outcome


def _run(script: ScriptArgument, options: Options, worker: WorkerProcess | None) -> Outcome:
    runtime = open_runtime(options)
    child = ColdChild(worker)

    def run(**given: Any) -> Outcome:
        check = not options.no_check and _NAMES_APP.search(source) is not None
        name = _name_of(script)
        if record := options.record_file or options.record:
            given["record"] = record
        given |= {"args": script.arguments, "params": script.params, "input": data}
        given |= {"name": name, "child": child, "check": check}
        if options.plan_file or options.plan:
            return _planned(runtime.plan(source, **given), options)
        return runtime.run(source, **given)

    try:
        source = _source_of(script, options, runtime.limits.max_source)
        _refuse_unwritable(options.plan_file)
        data = input_of(options, runtime, script)
        return watched(run, options)
    finally:
        child.close()
        runtime.close()


def _refuse_unwritable(plan_file: str | None) -> None:
    """Raise a ConfigError if the folder of a plan is not there or cannot be written, before the script runs."""
    if plan_file is None or is_special(plan_file):
        return
    if os.path.isdir(plan_file):
        raise ConfigError(f"The plan {plan_file} cannot be written: it is a folder. Nothing was sent.")
    folder = os.path.dirname(plan_file) or os.curdir
    if not (os.path.isdir(folder) and os.access(folder, os.W_OK)):
        problem = "cannot be written" if os.path.isdir(folder) else "does not exist"
        raise ConfigError(f"The plan {plan_file} cannot be written: the folder {folder} {problem}. Nothing was sent.")


def _planned(plan: Plan, options: Options) -> Outcome:
    """Save and show the plan of a script, and return the outcome of the run that made the plan."""
    from shlex import quote

    from kosmolua.cli import plans
    from kosmolua.recordings.kept_plans import KeptPlans
    from kosmolua.stores.opening import default_store

    if options.plan_file:
        plan.save(options.plan_file)
    else:
        KeptPlans(default_store()).keep(plan)
    if not options.json:
        if not plan.refused:
            applies = f"kosmolua apply {quote(options.plan_file or plan.id)} makes these writes:"
            console.complain(f"nothing was sent; {applies if plan.changes else 'the script changes nothing'}")
        plans.show(plan, sys.stderr)
    outcome: Outcome = plan.outcome
    outcome.plan = plan.to_json()
    return outcome


def input_of(options: Options, runtime: Runtime, script: ScriptArgument | None = None) -> object:
    """Return the global ``input`` of a script or, without a script, of the REPL; None without ``--input``.

    Raises:
        UsageError: The input cannot be read, or standard input is both the script and its input.
    """
    if options.input is None:
        if "input_format" in options.given:
            raise UsageError("--input-format needs --input")
        return None
    is_taken = script is None or (script.file is not None and names_standard_input(script.file))
    if names_standard_input(options.input) and is_taken:
        raise UsageError("Standard input cannot be both the script and its input: put one of them into a file")
    from kosmolua.cli.inputs import read_input

    return read_input(options.input, runtime.limits.max_result, options.input_format)


def where_it_is(path: str, *, can_go_on: bool, tenant: str | None = None) -> str:
    """Return a sentence with the commands that resume, if that can be, and replay a recorded run."""
    from shlex import quote

    folder, file = os.path.split(path)
    name = os.path.splitext(file)[0] if tenant or folder == recordings_folder() else quote(path)
    name += f" --tenant {tenant}" if tenant else ""
    goes_on = f"kosmolua resume {name} goes on, " if can_go_on else ""
    return f"recorded: {goes_on}kosmolua replay {name} repeats it"


def _name_of(script: ScriptArgument) -> str:
    if script.code is not None:
        return COMMAND_LINE
    return "stdin" if names_standard_input(str(script.file)) else name_of(str(script.file))


def _source_of(script: ScriptArgument, options: Options, limit: int) -> bytes:
    if script.code is not None:
        return script.code.encode("utf-8", "surrogateescape")
    return read_file(located(str(script.file), options), limit)
