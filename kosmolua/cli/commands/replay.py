"""``kosmolua replay``: run recorded scripts again, with the results of their calls from the recordings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from kosmolua.cli import console, recordings
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, examples, session_options
from kosmolua.cli.scripts import perform, taken_as_interrupts, watched
from kosmolua.cli.tenants import Kept, tenant_options
from kosmolua.errors import ConfigError, Diverged, UsageError
from kosmolua.recordings.recording import Recording, read
from kosmolua.runs import Outcome
from kosmolua.runtime import Runtime

SAME, DIVERGED, DAMAGED = "same", "diverged", "damaged"


@dataclass(frozen=True)
class Repetition:
    """What became of a recording that was replayed.

    Args:
        name: The name of its file, or the id of its run.
        result: ``same``, ``diverged`` or ``damaged``.
        message: Where the script left the recording, or what is wrong with it; empty if it is the same.
    """

    name: str
    result: str
    message: str = ""

    def __str__(self) -> str:
        return f"{self.result:<9} {self.name}{': ' if self.message else ''}{self.message}"


@click.command(
    "replay",
    cls=Command,
    epilog=examples(
        *("kosmolua replay run.jsonl", "kosmolua replay 3f2a --script changed.lua", "kosmolua replay 3f2a --json"),
        "kosmolua replay --all tests/recordings --script report.lua",
    ),
)
@click.argument("file", type=click.Path(), required=False)
@recordings.script_option
@click.option("--all", "is_all", is_flag=True, help="Replay all recordings of the folder FILE, or of the store.")
@tenant_options
@session_options
def command(file: str | None, script: str | None, is_all: bool, kept: Kept, options: Options) -> int:
    """Run a recorded script again, with the results of its calls from the recording.

    FILE is a recording, or the beginning of the id of a recorded run of yours or of a tenant. Nothing is sent, no
    account is needed, and the script does not really wait. Output, calls, result and exit status are those of the
    recorded run. If the script asks for something that was not recorded, it fails with code diverged and exit status 1.

    With --all, FILE is a folder. There is a line for each of its recordings, and the exit status is 1 if a script left
    its recording, ended otherwise, or a recording is damaged: a check of a new script, or of a new version of KosmoLua.
    """
    given: dict[str, Any] = options.limits_given
    changed = recordings.changed_script(script)
    if changed:
        given["name"], given["script"] = changed
    with kept.opened(options.accounts) as store:
        if is_all:
            in_store = ((each.run, partial(store.read, each.run)) for each in store.runs())
            found = in_store if file is None else _in_folder(Path(file))
            return _repeat_all(found, given, options)
        if file is None:
            raise UsageError("Missing argument 'FILE'", hint="name a recording, or add --all for all of them")
        recording = recordings.find(file, store)
        name = changed[0] if changed else recording.script["name"]

        def run(**callbacks: Any) -> Outcome:
            with Runtime({}, store=store, command_line=True) as runtime:
                return runtime.replay(recording, **given, **callbacks)

        return perform(lambda: watched(run, options), options, name.removeprefix("="), kept.where_it_is)


def _in_folder(folder: Path) -> Iterator[tuple[str, Callable[[], Recording]]]:
    files = sorted(file for file in folder.glob("*.jsonl") if file.is_file())  # a pipe would wait for its writer
    if not files:
        what = "has no recording" if folder.is_dir() else "is no folder"
        raise UsageError(f"{folder} {what}", hint="--all takes a folder with files that end in .jsonl")
    return ((file.name, partial(read, file)) for file in files)


def _repeat_all(found: Iterator[tuple[str, Callable[[], Recording]]], given: dict[str, Any], options: Options) -> int:
    repetitions = []
    with taken_as_interrupts(), Runtime({}, command_line=True) as runtime:
        for name, open_recording in found:
            repetitions.append(_repeated(runtime, name, open_recording, given))
            if not options.json:
                console.say(str(repetitions[-1]))
    counted = Counter(each.result for each in repetitions)
    if options.json:
        console.as_json([asdict(each) for each in repetitions])
    else:
        said = (f"{counted[result]:,} {result}" for result in (SAME, DIVERGED, DAMAGED) if counted[result])
        console.complain(", ".join(said) or "there are no recordings")
    return int(counted[SAME] < len(repetitions))


def _repeated(
    runtime: Runtime, name: str, open_recording: Callable[[], Recording], given: dict[str, Any]
) -> Repetition:
    try:
        recording = open_recording()
        outcome = runtime.replay(recording, **given)
    except ConfigError as error:
        return Repetition(name, DAMAGED, error.message)
    if isinstance(outcome.error, Diverged):
        return Repetition(name, DIVERGED, outcome.error.message)
    if recording.end and outcome.status != recording.status:
        why = f" ({outcome.error.message})" if outcome.error else ""
        return Repetition(name, DIVERGED, f"the run is {outcome.status}{why}, and was {recording.status}")
    return Repetition(name, SAME)
