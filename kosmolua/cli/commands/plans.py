"""``kosmolua plans``: list the plans that were made, and show one."""

from __future__ import annotations

import sys

import click

from kosmolua.cli import console, plans, terminal
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, ListGroup, examples, reading_options
from kosmolua.recordings.kept_plans import KeptPlans
from kosmolua.recordings.plans import Plan
from kosmolua.stores.opening import default_store

COLUMNS = ("plan", "time", "script", "mode", "writes", "status")


@click.group(
    "plans",
    cls=ListGroup,
    epilog=examples("kosmolua plans", "kosmolua plans show p-3f2a41c0", "kosmolua plans show plan.json --markdown"),
)
def command() -> None:
    """List the plans that kosmolua run --plan made, or show one."""


@command.command("list", cls=Command)
@reading_options
def list_plans(options: Options) -> None:
    """List the plans in your state folder, the latest first."""
    found = [_row(plan) for plan in KeptPlans(default_store()).all()]
    if options.json:
        console.as_json(found)
    elif not found:
        console.complain("there are no plans; 'kosmolua run --plan FILE' makes one")
    else:
        rows = [[*(row | {"time": terminal.moment(row["time"])}).values()] for row in found]
        console.table("Plans", [*COLUMNS], rows, has_header=True)


def _row(plan: Plan) -> dict[str, object]:
    script = plan.script["name"].removeprefix("=")
    about = {"plan": plan.id, "time": plan.time, "script": script, "mode": plan.run["mode"]}
    return {**about, "writes": len(plan.writes), "status": plan.status}


@command.command("show", cls=Command)
@click.argument("file", metavar="PLAN", type=click.Path())
@click.option("--markdown", is_flag=True, help="Write Markdown, for instance for a comment on a pull request.")
@reading_options
def show(file: str, markdown: bool, options: Options) -> None:
    """Show a plan: a file, or the id of a plan in your state folder."""
    plan = plans.find(file)
    if options.json:
        console.as_json(plan.to_json())
    elif markdown:
        sys.stdout.write(plan.markdown())
    else:
        plans.show(plan, sys.stdout)
