"""``kosmolua journal``: show the calls in a journal, a file that has a line for each call."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import click

from kosmolua.cli import console, terminal
from kosmolua.cli.parsing import Command, examples
from kosmolua.cli.streams import standard
from kosmolua.escaping import harmless
from kosmolua.folders import is_missing, journal_file, lines_within
from kosmolua.schema.effects import EFFECTS
from kosmolua.schema.names import parts_of
from kosmolua.suggestions import did_you_mean

Entry = dict[str, Any]

COLUMNS = ("time", "run", "path", "account", "effect", "status", "ms", "error")
SPARE = ("effect", "ms", "run")
"""The columns that a narrow terminal leaves out."""
LENGTH_OF_YEAR, LENGTH_OF_RUN = len("2026-"), 4
"""The parts of times and run ids that a terminal shows: no year, and only the beginning of an id."""
STATUSES = ("ok", "failed", "refused", "unknown")
SIMULATED = "simulated calls are in no journal, but run --record keeps them in a recording"
TOTALS = ("path", "account", "calls", *STATUSES, "ms", "slowest")


@click.command(
    "journal",
    cls=Command,
    epilog=examples(
        "kosmolua journal --last 20 -v",
        "kosmolua journal calls.jsonl --effect write",
        "kosmolua journal calls.jsonl --account render2.production --status failed",
        "kosmolua journal calls.jsonl --totals",
    ),
)
@click.argument("file", required=False, type=click.Path(), metavar="[FILE|-]")
@click.option(
    "--path", metavar="PATH", help="Only calls of this function or integration, such as render2.list_services."
)
@click.option(
    "--account", metavar="NAME", help="Only calls with this account, such as production or render2.production."
)
@click.option("--effect", type=click.Choice(EFFECTS), help="Only calls with this effect.")
@click.option("--status", type=click.Choice(STATUSES), help="Only calls with this status.")
@click.option("--run", metavar="ID", help="Only calls of this run; the beginning of its id is enough.")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the last N calls.")
@click.option("--totals", is_flag=True, help="Show totals for each function and account.")
@click.option("-v", "--verbose", is_flag=True, help="Show arguments, the script, and who allowed each call.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the arguments of each call.")
def command(
    file: str | None,
    path: str | None,
    account: str | None,
    effect: str | None,
    status: str | None,
    run: str | None,
    last: int | None,
    totals: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Show the calls in a journal, the oldest first.

    FILE is a journal written with --journal, or - for standard input; by default the journal in your state folder.

    A journal also lists calls that were refused, for which nothing was sent. Incomplete lines are left out.
    """
    wanted = {"path": path, "account": account, "effect": effect, "status": status, "run": run}
    given = {option: value for option, value in wanted.items() if value is not None}
    entries = read_journal(file)
    chosen = [entry for entry in entries if all(_fits(entry, *each) for each in given.items())]
    if file is None and not entries:
        console.complain(f"no call has been made yet; {SIMULATED}")
    elif entries and not chosen:
        console.complain(_why_none(entries, given))
    chosen = chosen[-last:] if last else chosen
    if totals:
        _show_totals(_totals(chosen), as_json=as_json)
    elif as_json:
        console.as_json(chosen)
    elif verbose:
        for entry in chosen:
            console.say(_paragraph(entry))
    else:
        console.table("Calls", [*COLUMNS], [_row(entry) for entry in chosen], has_header=True, spare=SPARE)


def read_journal(file: str | None) -> list[Entry]:
    """Return the records of a journal, the oldest first; for None, of that in the user's state folder, if there is one.

    Raises:
        UsageError: The journal cannot be read.
    """
    path = journal_file() if file is None else file
    if file is None and is_missing(path):
        return []
    with standard.opened(path, f"The journal {path}", "there is no journal to read") as lines:
        return [*_read(lines_within(lines))]


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
        console.warn(f"left out, since it is not a complete record: line {broken[0]}{others}")


def _parse(line: bytes) -> Entry | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("path"), str) else None


def _fits(entry: Entry, option: str, value: str) -> bool:
    if option == "run":
        return _cell(entry.get("run")).startswith(value)
    wanted = ".".join(parts_of(value)) if option == "path" else value
    return wanted in _names(entry, option)


def _names(entry: Entry, option: str) -> list[str]:
    integration, _, function = entry["path"].partition(".")
    account = _cell(entry.get("account"))
    if option == "path":
        return [entry["path"], integration, function, f"{integration}.{account}", f"{integration}.{account}.{function}"]
    if option == "account":
        return [account, f"{integration}.{account}"]
    return [_cell(entry.get(option))]


def _why_none(entries: list[Entry], given: dict[str, str]) -> str:
    for option, value in given.items():
        if not any(_fits(entry, option, value) for entry in entries):
            known = sorted({name for entry in entries for name in _names(entry, option)[:2]})
            hint = did_you_mean(value, known)
            return f"no call has the {option} {value!r}" + (f" ({hint})" if hint else "")
    return "no call fits all of these options"


def _row(entry: Entry) -> list[object]:
    cells = [entry.get(name) for name in ("path", "account", "effect", "status")]
    time, run = terminal.moment(entry.get("time")), _cell(entry.get("run"))
    shown = [time[LENGTH_OF_YEAR:], run[:LENGTH_OF_RUN]] if terminal.on_terminal() else [time, run]
    return [*shown, *cells, f"{_milliseconds(entry):.0f}", entry.get("error")]


def _paragraph(entry: Entry) -> str:
    """Return all details of a call as a text: first a summary, then a line for each argument and other detail."""
    cells = [terminal.moment(entry.get("time")), _cell(entry.get("run")), entry["path"]]
    cells += [
        f"[{_cell(entry.get('account')) or '?'}, {_cell(entry.get('effect')) or '?'}]",
        _cell(entry.get("status")),
    ]
    lines = [" ".join([*cells, f"{_milliseconds(entry):.0f} ms", _cell(entry.get("error"))]).rstrip()]
    arguments = entry.get("arguments")
    if isinstance(arguments, dict):
        lines += [f"  {name} = {json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items()]
    script, digest = entry.get("script"), _cell(entry.get("sha256"))[:12]
    lines += [f"  script: {script} (sha256 {digest}), {_cell(entry.get('mode'))}"] if script else []
    lines += [f"  allowed by: {entry['allowed_by']}"] if entry.get("allowed_by") else []
    return "\n".join(map(harmless, lines))


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
        **{status: statuses.count(status) for status in STATUSES},
        "requests": sum(len(entry.get("attempts") or []) for entry in entries),
        "ms": round(sum(times), 1),
        "slowest": round(max(times), 1),
    }


def _show_totals(totals: list[Entry], *, as_json: bool) -> None:
    rows = [[total[name] for name in TOTALS] for total in totals]
    console.answer(
        totals,
        lambda: console.table("Totals", [*TOTALS], rows, has_header=True, spare=("refused", "unknown")),
        in_json=as_json,
    )
