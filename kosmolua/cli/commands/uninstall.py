"""``kosmolua uninstall``: take the entry for KosmoLua out of the settings of MCP clients."""

from __future__ import annotations

import os

import click

from kosmolua.cli import console
from kosmolua.cli.commands.install import chosen, complained, difference, planned, report
from kosmolua.cli.parsing import Command, examples
from kosmolua.clients.installation import Installation


@click.command("uninstall", cls=Command, epilog=examples("kosmolua uninstall", "kosmolua uninstall cursor --print"))
@click.argument("names", nargs=-1, metavar="[CLIENT]...")
@click.option("--print", "only_shows", is_flag=True, help="Show what would change, and write nothing.")
@click.option("--yes", "-y", is_flag=True, help="Write into all clients that are there, without asking.")
@click.option("--json", "in_json", is_flag=True, help="Print JSON, even on failure.")
def command(names: tuple[str, ...], only_shows: bool, yes: bool, in_json: bool) -> int:
    """Take KosmoLua out of MCP clients: those with these names, or all that are there.

    A file that nobody has changed since 'kosmolua install' is as it was before.
    """
    installation = Installation(os.environ)
    clients = chosen(installation, names, yes=yes or only_shows, verb="Take kosmolua out of")
    changes, errors = planned(clients, installation.removing)
    for change in changes:
        if not only_shows and change.after != change.before:
            installation.apply(change)

    def show() -> None:
        for change in changes:
            if change.after == change.before:
                console.complain(f"{change.client.title} has no kosmolua in {change.file}")
                continue
            console.line(difference(change))
            said = "would change like this; nothing was written" if only_shows else "has no kosmolua any more"
            console.complain(f"{change.file} {said}")

    told = [*map(report, changes), *({"error": error.report()} for error in errors)]
    console.answer(told, show, in_json=in_json)
    return complained(errors, in_json=in_json)
