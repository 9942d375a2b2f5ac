"""``kosmolua replay``: run a recorded script again, with the results of its calls from the recording."""

from __future__ import annotations

from typing import Any

import click

from kosmolua.cli import recordings
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, examples, session_options
from kosmolua.cli.scripts import perform, watched
from kosmolua.cli.tenants import Kept, tenant_options
from kosmolua.runs import Outcome
from kosmolua.runtime import Runtime


@click.command(
    "replay",
    cls=Command,
    epilog=examples(
        "kosmolua replay run.jsonl", "kosmolua replay 3f2a --script changed.lua", "kosmolua replay 3f2a --json"
    ),
)
@click.argument("file", type=click.Path())
@recordings.script_option
@tenant_options
@session_options
def command(file: str, script: str | None, kept: Kept, options: Options) -> int:
    """Run a recorded script again, with the results of its calls from the recording.

    FILE is a recording, or the beginning of the id of a recorded run of yours or of a tenant. Nothing is sent, no
    account is needed, and the script does not really wait. Output, calls, result and exit status are those of the
    recorded run. If the script asks for something that was not recorded, it fails with code diverged and exit status 1.
    """
    with kept.opened(options.accounts) as store:
        recording = recordings.find(file, store)
        name = recording.script["name"]
        given: dict[str, Any] = options.limits_given
        if changed := recordings.changed_script(script):
            name, given["script"] = changed
            given["name"] = name

        def run(**callbacks: Any) -> Outcome:
            with Runtime({}, store=store) as runtime:
                return runtime.replay(recording, **given, **callbacks)

        return perform(lambda: watched(run, options), options, name.removeprefix("="), kept.where_it_is)
