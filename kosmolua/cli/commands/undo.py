"""``kosmolua undo``: plan the calls that take back what a recorded run wrote, and make them."""

from __future__ import annotations

import sys
from typing import Any

import click

from kosmolua.cli import console, plans, recordings
from kosmolua.cli.decisions import Numbers, accepted, accounts_option, numbers_in
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, applying_options, examples
from kosmolua.cli.scripts import open_runtime, perform, watched, where_it_is
from kosmolua.recordings.outlines import MAX_NOTES
from kosmolua.recordings.signing import Signer
from kosmolua.runs import Outcome
from kosmolua.runs.recorded import was_made_here
from kosmolua.schema.effects import is_final
from kosmolua.stores.opening import default_store


@click.command(
    "undo",
    cls=Command,
    epilog=examples("kosmolua undo 3f2a", "kosmolua undo 3f2a 7 9", "kosmolua undo run.jsonl --json"),
)
@click.argument("file", metavar="RUN", type=click.Path())
@click.argument("calls", metavar="[N]...", nargs=-1, type=Numbers(), callback=numbers_in)
@click.option(
    "--accept-changes",
    is_flag=True,
    help="Undo the run although what it wrote has changed since, or is undone already.",
)
@accounts_option
@applying_options
def command(file: str, calls: list[int] | bool, accept_changes: bool, accept_accounts: bool, options: Options) -> int:
    """Undo what a recorded run wrote: all of it, or the calls with these numbers, the newest first.

    RUN is a recording, or the beginning of the id of a recorded run; kosmolua runs show has the numbers. The calls that
    take the writes back are shown as a plan, and made after a yes; what cannot be undone is named, with the reason.
    If other values are there now than the run wrote, or it is undone already, you are asked, or pass --accept-changes.
    Where nobody can be asked, the plan is kept for kosmolua apply, unless --yes allows its calls: it never allows calls
    that destroy, nor those from a recording that was made elsewhere.
    """
    store = default_store()
    recording = recordings.find(file, store)
    is_own = was_made_here(recording, Signer(store))
    options = recordings.options_again(options, recording.header["host"], f"The recording {file}", is_own=is_own)

    def run(**callbacks: Any) -> Outcome:
        given = {**options.limits, **callbacks}
        with open_runtime(options) as runtime:
            chosen = [] if isinstance(calls, bool) else calls
            agreed: dict[str, Any] = {
                "accept_accounts": accepted(accept_accounts),
                "accept_changes": accepted(accept_changes, "Undo it all the same?"),
            }
            plan = runtime.undo(recording, chosen, **agreed, **given)
            outcome: Outcome = plan.outcome
            outcome.plan = plan.to_json()
            if not outcome.ok:
                return outcome
            plans.show(plan, sys.stderr)
            for sentence in plan.lost[MAX_NOTES:]:
                console.complain(sentence)
            if not plan.writes:
                return outcome
            runtime.plans.keep(plan)
            given["record"] = options.record_file or True
            is_destroying = any(is_final(call.effect) for call in plan.writes)
            is_allowed = is_own and options.yes and not is_destroying
            if is_allowed or (console.can_ask() and console.agrees(f"Make these {len(plan.writes)} calls?")):
                applied = runtime.apply(plan, **given)
                applied.plan = outcome.plan
                return applied
            why = ", since --yes allows no call that destroys" if options.yes and is_destroying else ""
            console.complain(f"nothing was sent{why}; kosmolua apply {plan.id} makes these calls")
            return outcome

    def where(outcome: Outcome) -> str | None:
        if not outcome.ok:
            return f"recorded: kosmolua apply {outcome.plan and outcome.plan['id']} goes on"
        return where_it_is(str(outcome.recording), can_go_on=False)

    return perform(lambda: watched(run, options), options, f"undo {recording.header['run']}", where, in_full=True)
