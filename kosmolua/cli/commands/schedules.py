"""``kosmolua schedules``: list the schedules and hooks of a server's tenant, run one now, and pause one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from kosmolua.cli import console, terminal
from kosmolua.cli.options import Options, ScriptArgument
from kosmolua.cli.parsing import Command, ListGroup, examples, reading_options
from kosmolua.cli.scripts import run_script
from kosmolua.cli.tenants import Kept, tenant_options
from kosmolua.errors import UsageError
from kosmolua.suggestions import did_you_mean

if TYPE_CHECKING:
    from kosmolua.serve.work.overview import Entry
    from kosmolua.serve.work.settings import WorkSettings
    from kosmolua.stores.store import Store

COLUMNS = ("name", "when", "script", "next", "last", "status", "run")


@click.group(
    "schedules",
    cls=ListGroup,
    epilog=examples(
        "kosmolua schedules", "kosmolua schedules --tenant acme --json", "kosmolua schedules run nightly --tenant acme"
    ),
)
def command() -> None:
    """List the schedules and hooks that kosmolua serve runs, run a schedule now, or pause it."""


@command.command("list", cls=Command)
@tenant_options
@reading_options
def list_schedules(kept: Kept, options: Options) -> None:
    """List the schedules and hooks of a tenant: when each runs next, and what became of the last run.

    --tenant may be left out if the accounts file has only one tenant.
    """
    from kosmolua.serve.work.overview import entries

    with _opened(kept, options) as (tenant, work, store):
        found = entries(tenant, work, store)
    if found and not tenant:
        console.complain("nothing runs these here: kosmolua serve does, if the accounts file has a tenant")
    if options.json:
        console.as_json([_as_json(each) for each in found])
        return
    console.table("Schedules and hooks", [*COLUMNS], [_row(each) for each in found], has_header=True)
    if not found:
        console.complain("the accounts file has no [schedules.NAME] and no [hooks.NAME]")


@command.command("run", cls=Command)
@click.argument("name")
@tenant_options
@reading_options
def run(name: str, kept: Kept, options: Options) -> int:
    """Let the server run the script of the schedule NAME now, besides its ticks. Its run's id is printed.

    If the accounts file has no tenant, the script runs here, as with kosmolua run.
    """
    from kosmolua.serve.work.settings import is_file
    from kosmolua.serve.work.worker import begin_by_hand

    with _opened(kept, options) as (tenant, work, store):
        _known(name, work)
        schedule = work.schedules[name]
        if not tenant:
            file = str(work.folder / schedule.script) if is_file(schedule.script) else schedule.script
            return run_script(ScriptArgument(file, None, (), dict(schedule.params)), options, None)
        task = begin_by_hand(store.tasks, name)
    said = f"a server of this store begins the run {task.run}; kosmolua runs show {task.run} --tenant {tenant} shows it"
    console.answer({"run": task.run}, lambda: console.complain(said), in_json=options.json)
    return 0


@command.command("pause", cls=Command)
@click.argument("name")
@click.option("--end", "ends", is_flag=True, help="Let its ticks come again.")
@tenant_options
@reading_options
def pause(name: str, *, ends: bool, kept: Kept, options: Options) -> None:
    """Skip the ticks of the schedule NAME at all servers, until this is ended."""
    from kosmolua.serve.work import overview

    with _opened(kept, options) as (_, work, store):
        _known(name, work)
        overview.pause(store, name, ends=ends)
    said = f"the schedule {name} {'runs again' if ends else 'is paused'}"
    console.answer({"name": name, "paused": not ends}, lambda: console.complain(said), in_json=options.json)


def _known(name: str, work: WorkSettings) -> None:
    if name not in work.schedules:
        hint = did_you_mean(name, work.schedules) or f"its schedules: {', '.join(work.schedules) or 'none'}"
        raise UsageError(f"There is no schedule {name[:80]!r}", hint=hint)


@contextmanager
def _opened(kept: Kept, options: Options) -> Iterator[tuple[str, WorkSettings, Store]]:
    """Open a tenant's store for the ``with`` block, with the schedules and hooks in the accounts file."""
    one = kept.or_the_only(options.accounts)
    with one.opened(options.accounts) as store:
        yield one.tenant or "", one.work(options.accounts), store


def _row(each: Entry) -> list[str]:
    following = "paused" if each.is_paused else _moment(each.next)
    last = [_moment(each.last.since), each.last.status, each.last.run] if each.last else ["", "", ""]
    return [each.name, each.rule, each.script, following, *last]


def _moment(seconds: float | None) -> str:
    return "" if seconds is None else terminal.moment(_utc(seconds))


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def _as_json(each: Entry) -> dict[str, Any]:
    last = each.last
    known = {"kind": each.kind, "name": each.name, "script": each.script, "when": each.rule, "paused": each.is_paused}
    told = last and {"time": _utc(last.since), "status": last.status, "run": last.run, "note": last.note or None}
    return {**known, "next": None if each.next is None else _utc(each.next), "last": told}
