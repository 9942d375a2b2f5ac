"""``kosmolua runs``: list the runs in a journal, show, compare and stop recorded ones, and remove old recordings."""

from __future__ import annotations

import os
import time
from difflib import unified_diff
from tempfile import mkstemp
from typing import Any

import click

from kosmolua.calls.records import may_have_written
from kosmolua.calls.titles import deeds_of, made_by
from kosmolua.cli import console, recordings, terminal, waterfall
from kosmolua.cli.commands.journal import SIMULATED, STATUSES, Entry, read_journal
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, ListGroup, examples, listing_options, reading_options
from kosmolua.cli.scripts import open_to_list
from kosmolua.cli.tenants import Kept, tenant_options
from kosmolua.cli.values import Duration
from kosmolua.errors import ConfigError, UsageError
from kosmolua.recordings.answers import calls_of
from kosmolua.recordings.recording import Recording
from kosmolua.recordings.timeline import compared
from kosmolua.stores.opening import default_store
from kosmolua.stores.store import Store, Summary

COLUMNS = ("run", "time", "title", "mode", "calls", *STATUSES, "writes", "status")
OF_TENANT = ("run", "time", "title", "mode", "status", "waiting", "by")
"""The columns in a list of a tenant's runs, which comes from its store. The user's list comes from the journal too."""
FOR_PEOPLE = ("status", "time", "title", "took", "mode", "calls", "failed", "writes", "waiting", "by", "run")
SPARE = ("mode", "by", "took", "failed", "calls")
"""The columns that a terminal shows if a run has something there, and those of them that a narrow one leaves out."""
LENGTH_OF_RUN = 6
"""How much of a run's id a terminal shows: commands take the beginning of an id."""
DEFAULT_RUNS = 20


@click.group(
    "runs",
    cls=ListGroup,
    epilog=examples(
        "kosmolua runs",
        "kosmolua runs --last 100 --json",
        "kosmolua runs show 3f2a",
        "kosmolua runs diff 3f2a 41c0",
        "kosmolua runs show run.jsonl --html run.html",
        "kosmolua runs stop 3f2a --tenant acme",
        "kosmolua runs prune --keep 7d",
        "kosmolua runs list --tenant acme",
    ),
)
def command() -> None:
    """List the latest runs, show, compare and stop recorded ones, or remove old recordings."""


@command.command("list", cls=Command)
@click.argument("file", required=False, type=click.Path(), metavar="[FILE]")
@click.option(
    "--last",
    type=click.IntRange(min=1),
    metavar="N",
    default=DEFAULT_RUNS,
    help=f"Only the last N runs [{DEFAULT_RUNS}].",
)
@tenant_options
@reading_options
def list_runs(file: str | None, last: int, kept: Kept, options: Options) -> None:
    """List the latest runs, the oldest first: those in your journal, and those that were recorded in your state folder.

    A run that made no live call and was not recorded is in neither, such as a simulated one without --record. With
    FILE, only the runs in that journal are listed. Pass the id of a run to kosmolua journal --run, or, if the run
    was recorded, to kosmolua runs show; the column status says how it ended. With --tenant, the recorded runs of a
    tenant of kosmolua serve are listed.
    """
    if kept.tenant:
        if file:
            raise UsageError("Name a journal or a --tenant, but not both: a tenant's runs are not in a journal")
        with kept.opened(options.accounts) as store:
            found = [_of_tenant(each) for each in reversed(store.runs(limit=last))]
        if not found:
            console.complain(f"the tenant {kept.tenant} has no runs yet")
        _print(found, OF_TENANT, options)
        return
    store = default_store()
    recorded = {} if file else {each.run: each for each in store.runs(limit=last)}
    runs: dict[str, list[Entry]] = {}
    for entry in read_journal(file):
        runs.setdefault(str(entry.get("run")), []).append(entry)
    listed = [_summary(name, entries) for name, entries in list(runs.items())[-last:]]
    listed += [_of_recording(each, store) for run, each in recorded.items() if run not in runs]
    listed.sort(key=lambda run: str(run["time"]))
    for run in listed:
        entry_of = recorded.get(run["run"])
        run["status"], run["ended"] = (entry_of.status, entry_of.ended) if entry_of else (None, None)
    if not listed and file is None:
        console.complain(f"no run has made a call or was recorded yet; {SIMULATED}")
    _print(listed[-last:], COLUMNS, options)


def _print(runs: list[dict[str, Any]], columns: tuple[str, ...], options: Options) -> None:
    if options.json:
        console.as_json(runs)
    elif terminal.on_terminal():
        names = [name for name in FOR_PEOPLE if name == "took" or name in columns]
        names = [name for name in names if not runs or any(_shown(run, name) for run in runs)]
        console.table("Runs", names, [[_shown(run, name) for name in names] for run in runs], spare=SPARE)
    else:
        timed = [run | {"time": terminal.moment(run["time"])} for run in runs]
        console.table("Runs", [*columns], [[run[name] for name in columns] for run in timed], has_header=True)


@command.command("show", cls=Command)
@click.argument("file", metavar="[RUN]", required=False, type=click.Path())
@click.option("--html", metavar="FILE", type=click.Path(), help="Write a page with the calls as a waterfall.")
@tenant_options
@reading_options
def show(file: str | None, html: str | None, kept: Kept, options: Options) -> None:
    """Show the calls of a recorded run, with their numbers for kosmolua resume --approve, --done and --again.

    RUN is a recording, or the beginning of the id of a recorded run of yours or of a tenant; by default the newest. A
    bar shows the time of a call. It is dim if the call reads, blue if it writes, and red if it destroys or failed.
    """
    with kept.opened(options.accounts) as store:
        recording = recordings.find(file or _newest(store), store)
    if html:
        _write_page(html, recording)
    if options.json:
        calls = list(calls_of(recording).values())
        names = ("run", "time", "mode", "args")
        header = {name: recording.header[name] for name in names}
        script = {name: recording.script[name] for name in ("name", "sha256")}
        console.as_json({**header, "script": script, "status": recording.status, "calls": calls})
    elif not html:
        waterfall.draw(recording)


@command.command("open", cls=Command)
@click.argument("file", metavar="[RUN]", required=False, type=click.Path())
@tenant_options
@reading_options
def open_page(file: str | None, kept: Kept, options: Options) -> None:
    """Open a page with the calls of a recorded run in the browser. RUN is as for kosmolua runs show.

    The page is a file that only you can read, in the folder for temporary files.
    """
    with kept.opened(options.accounts) as store:
        recording = recordings.find(file or _newest(store), store)
    descriptor, path = mkstemp(prefix=f"kosmolua-{recording.header['run']}-", suffix=".html")
    os.close(descriptor)
    _write_page(path, recording)
    console.answer({"page": path}, lambda: console.say(path), in_json=options.json)
    click.launch(f"file://{path}")


@command.command("diff", cls=Command)
@click.argument("first", metavar="RUN", type=click.Path())
@click.argument("second", metavar="RUN", type=click.Path())
@tenant_options
@reading_options
def diff(first: str, second: str, kept: Kept, options: Options) -> None:
    """Show how two recorded runs differ: in how they ended, and in their calls with arguments and statuses.

    A line with - is in the first run alone, and one with + in the second alone.
    """
    with kept.opened(options.accounts) as store:
        before, after = (compared(recordings.find(named, store)) for named in (first, second))
    count = max(len(before), len(after))
    lines = list(unified_diff(before, after, n=count, lineterm=""))[3:]
    if options.json:
        console.as_json({"equal": not lines, "lines": lines})
    elif not lines:
        console.say("the runs ended alike, with the same calls")
    elif terminal.on_terminal():
        roles = {"-": "danger", "+": "create", " ": "dim"}
        pieces = [
            (roles[line[0]], piece) for line in lines for piece in terminal.broken(line, terminal.width(), "    ")
        ]
        console.shown([terminal.styled(piece, role) for role, piece in pieces])
    else:
        console.line("\n".join(lines))


@command.command("stop", cls=Command)
@click.argument("run", metavar="RUN")
@tenant_options
@listing_options
def stop(run: str, kept: Kept, options: Options) -> None:
    """Stop a run of a tenant, at whichever server it runs. RUN is the id of the run, or its beginning.

    The run ends as interrupted within a second or two, also one that sleeps. One that has failed and is to be tried
    again is not. A run of your own ends with Ctrl-C where it runs.
    """
    from kosmolua.serve.orders import Orders

    if not kept.tenant:
        raise UsageError("Which tenant's run is it?", hint="--tenant NAME says so; end a run of your own with Ctrl-C")
    with kept.opened(options.accounts) as store:
        found = store.runs(beginning=run, limit=2)
        if len(found) != 1:
            raise UsageError(f"{'Several runs begin' if found else 'No run begins'} with {run[:40]!r}")
        orders = Orders(lambda: store)
        if not orders.can_cancel(found[0].run, found[0].status):
            raise UsageError(f"The run {found[0].run} has ended already: it is {found[0].status}")
        orders.cancel(found[0].run)
    console.answer({"stopping": found[0].run}, lambda: console.say(f"stopping {found[0].run}"), in_json=options.json)


@command.command("prune", cls=Command)
@click.option("--keep", type=Duration(), metavar="AGE", help="Keep recordings younger than this, such as 7d [30d].")
@tenant_options
@listing_options
def prune(keep: float | None, kept: Kept, options: Options) -> None:
    """Remove old recordings: your own in your state folder, or those of a tenant.

    --keep says when a recording is old; otherwise, the setting keep in [kosmolua.recordings] of the accounts file does.
    Old recordings are also removed once a day, after a recorded run. Recordings that are being written, or that wait
    for an approval, are kept.
    """
    with kept.opened(options.accounts) as store:
        if keep is None:
            with kept.runtime(options, store) if kept.tenant else open_to_list(options) as runtime:
                keep = runtime.recordings.keep
        removed = store.prune(keep)
    said = f"removed {removed} {'recording' if removed == 1 else 'recordings'}"
    console.answer({"removed": removed}, lambda: console.say(said), in_json=options.json)


def _write_page(path: str, recording: Recording) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as page:
            if os.path.isfile(path):  # it may have existed, with other permissions
                os.chmod(path, 0o600)
            page.write(waterfall.page(recording))
    except OSError as error:
        raise UsageError(f"The page {path} cannot be written: {error.strerror}") from None


def _newest(store: Store) -> str:
    if newest := store.runs(limit=1):
        return newest[0].run
    raise UsageError("No run has been recorded yet", hint="kosmolua run --record records one")


def _of_tenant(run: Summary) -> dict[str, Any]:
    by = made_by(run.software, run.client, run.person)
    return {**run._asdict(), "title": run.title or run.script, "by": by}


def _of_recording(found: Summary, store: Store) -> dict[str, Any]:
    """Return the row of a run that is recorded and not in the journal, such as a simulated one."""
    try:
        calls = list(calls_of(store.read(found.run)).values())
    except ConfigError:  # it is listed as damaged
        calls = []
    entries = [{**call, "script": found.script, "sha256": found.sha256, "mode": found.mode} for call in calls]
    shown = _summary(found.run, entries or [{"script": found.script, "sha256": found.sha256, "mode": found.mode}])
    title = found.title or shown["title"]
    return {**shown, "title": title, "time": found.time, "calls": len(calls)}


def _summary(run: str, entries: list[Entry]) -> dict[str, Any]:
    first = entries[0]
    statuses = [entry.get("status") for entry in entries]
    return {
        "run": run,
        "time": first.get("time"),
        "title": first.get("title") or deeds_of(entries) or first.get("script"),
        "script": first.get("script"),
        "sha256": first.get("sha256"),
        "mode": first.get("mode"),
        "calls": len(entries),
        **{status: statuses.count(status) for status in STATUSES},
        "writes": sum(map(may_have_written, entries)),
    }


def _shown(run: dict[str, Any], name: str) -> str:
    """Return a cell of the list of runs as a terminal shows it."""
    value = run.get(name)
    if name == "status":
        return terminal.marked(value) if value else ""
    if name == "time":
        return terminal.age(value, time.time())
    if name == "run":
        return str(value)[:LENGTH_OF_RUN]
    if name == "took":
        return terminal.between(run["time"], run.get("ended"))
    if name == "mode":
        return "" if value == "live" else str(value)
    return str(value or "")
