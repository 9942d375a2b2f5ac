"""``kosmolua journal``: show what a journal holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import IO, Any

import click

from kosmolua.cli import show
from kosmolua.cli.options import Command, examples

Entry = dict[str, Any]

COLUMNS = ("time", "path", "account", "effect", "status", "ms", "error")
YEAR = len("2026-")
TOTALS = ("path", "account", "calls", "ok", "failed", "refused", "ms", "slowest")


@click.command(
    "journal",
    cls=Command,
    epilog=examples(
        "kosmolua journal calls.jsonl --effect write",
        "kosmolua journal calls.jsonl --account render2.production --status failed",
        "kosmolua journal calls.jsonl --totals",
    ),
)
@click.argument("file", type=click.File("rb"))
@click.option("--path", metavar="PATH", help="Only calls of this function, or of this integration.")
@click.option(
    "--account", metavar="NAME", help="Only calls with this account, such as production or render2.production."
)
@click.option("--effect", type=click.Choice(["read", "write"]), help="Only calls of this effect.")
@click.option("--status", type=click.Choice(["ok", "failed", "refused"]), help="Only calls that ended like this.")
@click.option("--run", metavar="ID", help="Only calls of this run.")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the last N of them.")
@click.option("--totals", is_flag=True, help="Show what the calls of each function and account come to.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    file: IO[bytes],
    path: str | None,
    account: str | None,
    effect: str | None,
    status: str | None,
    run: str | None,
    last: int | None,
    totals: bool,  # noqa: FBT001 - the value of an option
    as_json: bool,  # noqa: FBT001 - the value of an option
) -> None:
    """Show the calls that a journal holds, the oldest first. FILE is what --journal was given, or - for standard input.

    A call that was refused is there too: nothing was sent for it. Lines that are not whole are left out.
    """
    wanted = {"effect": effect, "status": status, "run": run}
    chosen = [entry for entry in _read(file) if _fits(entry, wanted) and _is_of(entry, path, account)]
    chosen = chosen[-last:] if last else chosen
    if totals:
        _show_totals(_totals(chosen), as_json=as_json)
    elif as_json:
        show.as_json(chosen)
    else:
        show.table("Calls", [*COLUMNS], [_row(entry) for entry in chosen])


def _read(lines: Iterable[bytes]) -> Iterator[Entry]:
    broken: list[int] = []
    for number, line in enumerate(lines, start=1):
        entry = _parse(line)
        if entry is None:
            broken.append(number)
        else:
            yield entry
    if broken:
        others = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
        show.warn(f"no whole record, and left out: line {broken[0]}{others}")


def _parse(line: bytes) -> Entry | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("path"), str) else None


def _fits(entry: Entry, wanted: dict[str, str | None]) -> bool:
    return all(value is None or entry.get(name) == value for name, value in wanted.items())


def _is_of(entry: Entry, path: str | None, account: str | None) -> bool:
    integration = entry["path"].partition(".")[0]
    own = entry.get("account")
    is_function = path is None or path in (entry["path"], integration)
    return is_function and (account is None or account in (own, f"{integration}.{own}"))


def _row(entry: Entry) -> list[str]:
    cells = [entry.get(name) for name in ("path", "account", "effect", "status")]
    time = str(entry.get("time", ""))[:19].replace("T", " ")
    shown = time[YEAR:] if show.on_terminal() else time
    return [shown, *map(_cell, cells), f"{_milliseconds(entry):.0f}", _cell(entry.get("error"))]


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _milliseconds(entry: Entry) -> float:
    value = entry.get("duration_ms")
    return value if isinstance(value, (int, float)) else 0.0


def _totals(entries: list[Entry]) -> list[Entry]:
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry["path"], _cell(entry.get("account"))), []).append(entry)
    return [_total(path, account, groups[path, account]) for path, account in sorted(groups)]


def _total(path: str, account: str, entries: list[Entry]) -> Entry:
    statuses = [entry.get("status") for entry in entries]
    times = [_milliseconds(entry) for entry in entries]
    return {
        "path": path,
        "account": account,
        "calls": len(entries),
        **{status: statuses.count(status) for status in ("ok", "failed", "refused")},
        "requests": sum(len(entry.get("attempts") or []) for entry in entries),
        "ms": round(sum(times), 1),
        "slowest": round(max(times), 1),
    }


def _show_totals(totals: list[Entry], *, as_json: bool) -> None:
    if as_json:
        show.as_json(totals)
    else:
        show.table("Totals", [*TOTALS], [[_cell(total[name]) for name in TOTALS] for total in totals])
