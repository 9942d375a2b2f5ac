"""``kosmolua apply``: run the script of a plan, and allow only the writes that the plan lists."""

from __future__ import annotations

from typing import Any

import click

from kosmolua.broker.planning import Plan
from kosmolua.cli import plans
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, applying_options, examples
from kosmolua.cli.recordings import options_again
from kosmolua.cli.scripts import open_runtime, perform, watched
from kosmolua.runs import Outcome


@click.command("apply", cls=Command, epilog=examples("kosmolua apply plan.json", "kosmolua apply 3f2a41 --record"))
@click.argument("file", metavar="PLAN", type=click.Path())
@click.option("--again", is_flag=True, help="Apply the plan even if it was applied before.")
@applying_options
def command(file: str, again: bool, options: Options) -> int:  # noqa: FBT001 - the value of an option
    """Run the script of a plan. Exactly the planned writes are allowed, each once.

    PLAN is a plan that kosmolua run --plan wrote: a file, or its name in your state folder. A write that is not in the
    plan is denied before it is sent. Planned writes that the script did not make are listed. The accounts, plugins,
    scripts and simulators are those with which the plan was made, unless options name others.
    """
    path = plans.find(file)
    loaded = Plan.load(path)
    options = options_again(options, loaded.run["host"])

    def run(**callbacks: Any) -> Outcome:
        given = {**options.limits, **callbacks}
        if record := options.record_file or options.record:
            given["record"] = record
        with open_runtime(options) as runtime:
            outcome = runtime.apply(loaded, again=again, **given)
        loaded.save(path)
        return outcome

    return perform(lambda: watched(run, options), options, loaded.script["name"].removeprefix("="))
