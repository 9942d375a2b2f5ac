"""``kosmolua accounts``: which there are, whether they work, and the stanza to paste for a new one."""

from __future__ import annotations

import click

from kosmolua.accounts import stanza
from kosmolua.cli import show
from kosmolua.cli.arguments import Options
from kosmolua.cli.exits import status_of
from kosmolua.cli.opening import open_to_list
from kosmolua.cli.options import listing_options
from kosmolua.errors import KosmoError, PluginError
from kosmolua.runtime import Runtime


@click.group("accounts", invoke_without_command=True)
@listing_options
@click.pass_context
def command(context: click.Context, options: Options) -> None:
    """List the accounts, never a secret."""
    context.obj = runtime = open_to_list(options)
    if context.invoked_subcommand:
        return
    entries = [entry for name in runtime.catalog.names() for entry in _describe(runtime, name)]
    if options.json:
        show.as_json(entries)
    elif entries:
        rows = [[str(entry[key]) for key in ("integration", "account", "read", "write")] for entry in entries]
        show.table("Accounts", ["integration", "account", "read", "write"], rows)
    else:
        show.complain(
            f"there are no accounts; run 'kosmolua accounts example' and write {runtime.catalog.accounts_path}"
        )


def _describe(runtime: Runtime, name: str) -> list[dict[str, object]]:
    try:
        return runtime.catalog.permissions(name)
    except PluginError as error:
        show.warn(f"the integration {name} cannot be loaded: {error.message}")
        return []


@command.command("example")
@click.argument("names", nargs=-1, metavar="[INTEGRATION]...")
@click.pass_obj
def example(runtime: Runtime, names: tuple[str, ...]) -> None:
    """Print the stanza to paste into accounts.toml."""
    for name in names or runtime.catalog.names():
        integration = runtime.catalog.integration(name)
        show.line(f"# {integration.about}\n{stanza(integration)}\n")


@command.command("check")
@click.argument("names", nargs=-1, metavar="[INTEGRATION[.ACCOUNT]]...")
@click.pass_obj
def check(runtime: Runtime, names: tuple[str, ...]) -> int:
    """Make one cheap call with each account and say who it is."""
    worst = 0
    for integration, account in runtime.catalog.matching(names):
        try:
            show.line(f"{integration}.{account}\t{runtime.identify(integration, account)}")
        except KosmoError as error:
            show.complain_of(error)
            worst = max(worst, status_of(error))
    return worst
