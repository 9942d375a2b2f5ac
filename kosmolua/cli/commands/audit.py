"""``kosmolua audit``: look whether the audit of a server is as it was written, and print its lines."""

from __future__ import annotations

import json
import os
from datetime import datetime

import click

from kosmolua.cli import console
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, Group, examples, reading_options
from kosmolua.folders import state_folder


@click.group(
    "audit",
    cls=Group,
    epilog=examples("kosmolua audit verify", "kosmolua audit export --since 2026-03-01 > march.jsonl"),
)
def command() -> None:
    """Look after the audit of kosmolua serve: a file with a line for each run, bound to the line before it."""


_file = click.argument("file", required=False, type=click.Path(dir_okay=False))


@command.command("verify", cls=Command)
@_file
@reading_options
def verify(file: str | None, options: Options) -> int:
    """Say whether every line of the audit is as it was written. The exit status is 1 if one is not.

    FILE is the audit, by default that in your state folder; files that were renamed beside it are read too. Lines that
    were written with the key audit_key in [serve] of the accounts file need it.
    """
    from kosmolua.cli.tenants import audit_key
    from kosmolua.serve import audit

    found = audit.verify(file or _default(), lambda: audit_key(options.accounts))
    if options.json:
        console.as_json(found._asdict() | {"breaks": [each._asdict() for each in found.breaks]})
        return 1 if found.breaks else 0
    for each in found.breaks:
        console.say(f"{each.file}:{each.line}: {each.problem}")
    if found.unchained:
        console.say(f"{found.unchained:,} lines of an earlier version have no digest")
    if not found.is_whole:
        console.say("the lines before the first are not here, so it is not known whether they were as written")
    said = f"{len(found.breaks):,} of them are not as written" if found.breaks else "all as written"
    bound = f"{found.keyed:,} bound with audit_key" if found.keyed else "bound without a key"
    console.say(f"{found.lines:,} lines, {said}, {bound}; the digest of the last is {found.last or 'none'}")
    return 1 if found.breaks else 0


@command.command("export", cls=Command)
@_file
@click.option("--since", type=click.DateTime(), help="Only lines of this time or later, local as 2026-03-01 or so.")
@reading_options
def export(file: str | None, since: datetime | None, options: Options) -> None:
    """Print the lines of the audit, the oldest first, each with its digest. With --json they are one list."""
    from kosmolua.serve import audit

    lines = audit.entries(file or _default(), since.astimezone() if since else None)
    if options.json:
        console.as_json([json.loads(line) for line in lines])
        return
    for line in lines:
        console.line(line.decode("utf-8", "replace").rstrip("\n"))


def _default() -> str:
    from kosmolua.serve.audit import AUDIT

    return os.path.join(state_folder(), AUDIT)
