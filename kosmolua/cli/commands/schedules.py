"""``kosmolua schedules``: list the schedules and hooks of a server's tenant, run a schedule now, and pause one."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from kosmolua.cli import console, terminal
from kosmolua.cli.options import Options, ScriptArgument
from kosmolua.cli.parsing import Command, ListGroup, examples, reading_options
from kosmolua.cli.scripts import run_script
from kosmolua.cli.tenants import Kept, tenant_options
from kosmolua.errors import UsageError
from kosmolua.stores.tasks import HOOK, SCHEDULE, begin_by_hand
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
    """List the schedules and hooks that kosmolua serve runs, run a schedule now, or pause one."""


@command.command("list", cls=Command)
@tenant_options
@reading_options
def list_schedules(kept: Kept, options: Options) -> None:
    """List the schedules and hooks of a tenant: when each runs next, and what became of the last run.

    --tenant may be left out if the accounts file has only one tenant.
    """
    with _opened(kept, options) as (tenant, work, store):
        from kosmolua.serve.work.overview import entries

        found = entries(tenant, work, store)
    if found and not tenant:
        console.complain("nothing runs these here: kosmolua serve does, if the accounts file has a tenant")
    if options.json:
        console.as_json([each.to_json() for each in found])
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
    with _opened(kept, options) as (tenant, work, store):
        from kosmolua.serve.work.settings import is_file

        _known(name, work.schedules, "schedule")
        schedule = work.schedules[name]
        if not tenant:
            file = str(work.folder / schedule.script) if is_file(schedule.script) else schedule.script
            return run_script(ScriptArgument(file, None, (), dict(schedule.params)), options, None)
        task = begin_by_hand(store.tasks, name)
    shows = shlex.join(["kosmolua", "runs", "show", task.run, *kept.again(tenant, options.accounts)])
    said = f"a server of this store begins the run {task.run}; {shows} shows it"
    console.answer({"run": task.run}, lambda: console.complain(said), in_json=options.json)
    return 0


@command.command("pause", cls=Command)
@click.argument("name")
@click.option("--end", "ends", is_flag=True, help="Let its ticks or deliveries run again.")
@click.option("--hook", "is_hook", is_flag=True, help="NAME is a hook, where a schedule has this name too.")
@tenant_options
@reading_options
def pause(name: str, *, ends: bool, is_hook: bool, kept: Kept, options: Options) -> None:
    """Skip the ticks of the schedule NAME, or the deliveries of the hook NAME, at all servers until this is ended."""
    with _opened(kept, options) as (_, work, store):
        from kosmolua.serve.work import overview

        kind = HOOK if is_hook or (name in work.hooks and name not in work.schedules) else SCHEDULE
        _known(name, work.hooks if is_hook else [*work.schedules, *work.hooks], kind)
        overview.pause(store, kind, name, ends=ends)
    said = f"the {kind} {name} {'runs again' if ends else 'is paused'}"
    told = {"kind": kind, "name": name, "paused": not ends}
    console.answer(told, lambda: console.complain(said), in_json=options.json)


def _known(name: str, known: Collection[str], kind: str) -> None:
    """Refuse a name that no schedule or hook has."""
    if name not in known:
        hint = did_you_mean(name, known) or f"there are: {', '.join(known) or 'none'}"
        raise UsageError(f"There is no {kind} {name[:80]!r}", hint=hint)


@contextmanager
def _opened(kept: Kept, options: Options) -> Iterator[tuple[str, WorkSettings, Store]]:
    """Open a tenant's store for the ``with`` block, with the schedules and hooks in the accounts file."""
    one = kept.or_the_only(options.accounts)
    with one.opened(options.accounts) as store:
        yield one.tenant or "", one.work(options.accounts), store


def _row(each: Entry) -> list[str | None]:
    known = each.to_json()
    last = known["last"] or {}
    following = "paused" if each.is_paused else terminal.moment(known["next"])
    told = [terminal.moment(last.get("time")), last.get("status"), last.get("run")]
    return [each.name, each.rule, each.script, following, *told]
