"""``kosmolua runs``: list the runs in a journal."""

from __future__ import annotations

from typing import Any

import click

from kosmolua.cli import console
from kosmolua.cli.commands.journal import STATUSES, Entry, read_journal
from kosmolua.cli.parsing import Command, examples

COLUMNS = ("run", "time", "script", "mode", "calls", *STATUSES, "writes")
DEFAULT_RUNS = 20


@click.command(
    "runs",
    cls=Command,
    epilog=examples("kosmolua runs", "kosmolua runs --last 100 --json", "kosmolua journal --run 3f2a -v"),
)
@click.argument("file", required=False, type=click.Path(), metavar="[FILE]")
@click.option(
    "--last",
    type=click.IntRange(min=1),
    metavar="N",
    default=DEFAULT_RUNS,
    help=f"Only the last N runs [{DEFAULT_RUNS}].",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    file: str | None,
    last: int,
    as_json: bool,  # noqa: FBT001 - the value of an option
) -> None:
    """List the latest runs that made calls, the oldest first.

    FILE is a journal; by default the one that is kept in your state folder. A run's id is for kosmolua journal --run.
    """
    runs: dict[str, list[Entry]] = {}
    for entry in read_journal(file):
        runs.setdefault(str(entry.get("run")), []).append(entry)
    listed = [_summary(name, entries) for name, entries in list(runs.items())[-last:]]
    if as_json:
        console.as_json(listed)
    else:
        console.table("Runs", [*COLUMNS], [[_cell(run, name) for name in COLUMNS] for run in listed])


def _summary(run: str, entries: list[Entry]) -> dict[str, Any]:
    first = entries[0]
    statuses = [entry.get("status") for entry in entries]
    return {
        "run": run,
        "time": first.get("time"),
        "script": first.get("script"),
        "sha256": first.get("sha256"),
        "mode": first.get("mode"),
        "calls": len(entries),
        **{status: statuses.count(status) for status in STATUSES},
        "writes": sum(
            entry.get("effect") in ("write", "destroy") and entry["status"] != "refused" for entry in entries
        ),
    }


def _cell(run: dict[str, Any], name: str) -> str:
    value = run[name]
    if name == "time":
        return str(value or "")[:19].replace("T", " ")
    return "" if value is None else str(value)
