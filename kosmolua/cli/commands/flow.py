"""``kosmolua flow``: show which texts of others decided where the calls of a recorded run went."""

from __future__ import annotations

import click

from kosmolua.cli import console, recordings
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, examples, reading_options
from kosmolua.recordings.answers import calls_of
from kosmolua.stores.opening import default_store


@click.command("flow", cls=Command, epilog=examples("kosmolua flow 3f2a", "kosmolua flow run.jsonl --json"))
@click.argument("file", metavar="RUN", type=click.Path())
@reading_options
def command(file: str, options: Options) -> None:
    """Show where the destinations of a recorded run came from, as far as others wrote them.

    RUN is a file, or the beginning of an id. Each line is a call that a person was asked about, or would have been in
    the mode ask of [kosmolua.flow]: see kosmolua docs flow.
    """
    calls = calls_of(recordings.find(file, default_store()))
    found = [
        {"number": number, "path": call["path"], "account": call["account"], "status": call["status"], "flow": flow}
        for number, call in sorted(calls.items())
        for flow in call.get("flows", ())
    ]
    if options.json:
        console.as_json(found)
    elif found:
        for each in found:
            console.say(f"call {each['number']}: {each['path']} [{each['account']}], {each['status']}: {each['flow']}")
    else:
        console.say("no call went where a text by somebody else said")
