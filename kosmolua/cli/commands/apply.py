"""``kosmolua apply``: run the script of a plan, and allow only the writes that the plan lists."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from shlex import quote
from typing import Any

import click

from kosmolua.cli import console, plans
from kosmolua.cli.decisions import NUMBERS, accepted, accounts_option, done_option, numbers_option
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, applying_options, examples
from kosmolua.cli.recordings import agree, options_again
from kosmolua.cli.scripts import open_runtime, perform, watched, where_it_is
from kosmolua.recordings.signing import Signer
from kosmolua.runs import Outcome
from kosmolua.stores.opening import default_store


class Apply(Command):
    """The command ``apply``. ``--again`` without numbers of calls applies the whole plan again."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line, with ``--again-whole`` in place of each ``--again`` that names no calls."""
        return super().parse_args(ctx, list(_with_whole(args)))


def _with_whole(words: Sequence[str]) -> Iterator[str]:
    for word, after in zip(words, [*words, ""][1:], strict=True):
        yield "--again-whole" if word == "--again" and not NUMBERS.fullmatch(after) else word


@click.command(
    "apply",
    cls=Apply,
    epilog=examples(
        "kosmolua apply plan.json", "kosmolua apply p-3f2a41c0", "kosmolua apply p-3f2a41c0 --done 12 --again 13"
    ),
)
@click.argument("file", metavar="PLAN", type=click.Path())
@numbers_option("--again", help="Send these writes without an answer again; alone: the whole plan.")
@click.option("--again-whole", is_flag=True, hidden=True)
@done_option
@numbers_option("--without", help="Leave these writes out, and those that need them.")
@click.option(
    "--accept-changes",
    is_flag=True,
    help="Apply the plan although what its script reads has changed, as long as no write has other arguments.",
)
@click.option("--accept-plan", is_flag=True, help="Apply a plan that was made elsewhere, or was changed.")
@accounts_option
@applying_options
def command(
    file: str,
    again: list[int] | bool,
    again_whole: bool,
    done: dict[int, Any],
    without: list[int] | bool,
    accept_changes: bool,
    accept_accounts: bool,
    accept_plan: bool,
    options: Options,
) -> int:
    """Run the script of a plan. Exactly the planned writes are allowed, each once.

    PLAN is a plan that kosmolua run --plan wrote: a file, or the id of a plan in your state folder. First its reads are
    made again: if the script would now write something else, the plan is stale, nothing is sent, and each difference is
    listed. A write that is not in the plan is denied before it is sent. Planned writes that the script did not make are
    listed. The accounts, plugins, scripts and simulators are those with which the plan was made, unless options name
    others.

    The plan is marked before its first write, and a plan is applied only once. If the run ends early, the same command
    continues it and repeats no write; a write without an answer needs --done or --again with the number of its call.
    """
    loaded = plans.find(file)
    is_own = loaded.was_made_here(Signer(default_store()))
    options = options_again(options, loaded.run["host"], f"The plan {file}", is_own=is_own)
    if not is_own and not accept_plan:
        if console.can_ask():
            plans.show(loaded, sys.stderr)
        said = f"The plan {file} was made elsewhere, or was changed since it was made"
        agree(said, "Apply it?", hint="look at its writes, then pass --accept-plan to apply it")

    def run(**callbacks: Any) -> Outcome:
        given = {**options.limits, **callbacks}
        if record := options.record_file or options.record:
            given["record"] = record
        with open_runtime(options) as runtime:
            decided: dict[str, Any] = {"again": again_whole or again, "done": done, "accept_changes": accept_changes}
            decided["accept_accounts"] = accepted(accept_accounts)
            decided["without"] = [call.number for call in loaded.writes] if without is True else without
            return runtime.apply(loaded, **decided, **given)

    def where(outcome: Outcome) -> str | None:
        if not outcome.ok:
            return f"recorded: kosmolua apply {quote(file)} goes on"
        return where_it_is(str(outcome.recording), can_go_on=False) if options.record_file or options.record else None

    return perform(lambda: watched(run, options), options, loaded.script["name"].removeprefix("="), where, in_full=True)
