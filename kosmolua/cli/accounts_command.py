"""``kosmolua accounts``: which there are, whether they work, and the stanza to paste for a new one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from kosmolua.catalog import Catalog
from kosmolua.cli import show
from kosmolua.cli.arguments import Options
from kosmolua.cli.completion import accounts, completes, integrations
from kosmolua.cli.exits import status_of
from kosmolua.cli.opening import open_to_list
from kosmolua.cli.options import Group, examples, listing_options
from kosmolua.errors import KosmoError, PluginError
from kosmolua.runtime import Runtime
from kosmolua.spec.integration import Integration
from kosmolua.stanza import example_file, stanza


@click.group(
    "accounts",
    cls=Group,
    invoke_without_command=True,
    epilog=examples(
        "kosmolua accounts", "kosmolua accounts example render2 >> accounts.toml", "kosmolua accounts check render2"
    ),
)
@listing_options
@click.pass_context
def command(context: click.Context, options: Options) -> None:
    """List the accounts, never a secret."""
    context.obj = options
    if context.invoked_subcommand:
        return
    runtime = open_to_list(options)
    entries = permissions_of(runtime)
    if options.json:
        show.as_json(entries)
    elif entries:
        rows = [[str(entry[key]) for key in ("integration", "account", "read", "write")] for entry in entries]
        show.table("Accounts", ["integration", "account", "read", "write"], rows)
    else:
        path = runtime.catalog.accounts_path
        show.complain(f"there are no accounts; run 'kosmolua accounts example' and write {path}")


def permissions_of(runtime: Runtime) -> list[dict[str, object]]:
    """Return for each account ``integration``, its name as ``account``, and what it may do as ``read`` and ``write``.

    An integration that cannot be loaded is a warning.
    """
    return [entry for name in runtime.catalog.names() for entry in _describe(runtime, name)]


def _describe(runtime: Runtime, name: str) -> list[dict[str, object]]:
    try:
        return runtime.catalog.permissions(name)
    except PluginError as error:
        show.warn(f"the integration {name} cannot be loaded: {error.message}")
        return []


@command.command("example")
@click.argument("names", nargs=-1, metavar="[INTEGRATION]...", shell_complete=completes(integrations))
@listing_options
@click.pass_obj
def example(earlier: Options, names: tuple[str, ...], options: Options) -> None:
    """Print the stanza of each INTEGRATION to paste into accounts.toml, or a whole file to start from."""
    catalog = open_to_list(options.over(earlier)).catalog
    if not names:
        show.line(example_file(_loadable(catalog)).rstrip())
    for name in names:
        show.line(stanza(catalog.integration(name)))


def _loadable(catalog: Catalog) -> Iterator[Integration]:
    for name in catalog.names():
        try:
            yield catalog.integration(name)
        except PluginError as error:
            show.warn(f"the integration {name} cannot be loaded: {error.message}")


@command.command("check")
@click.argument("names", nargs=-1, metavar="[INTEGRATION[.ACCOUNT]]...", shell_complete=completes(accounts))
@listing_options
@click.pass_obj
def check(earlier: Options, names: tuple[str, ...], options: Options) -> int:
    """Make one cheap call with each account and say who it is."""
    options = options.over(earlier)
    with open_to_list(options) as runtime:
        entries = [_identify(runtime, *each) for each in runtime.catalog.matching(names)]
    errors = [error for entry in entries if isinstance(error := entry["error"], KosmoError)]
    if options.json:
        show.as_json([{**entry, "error": error.report() if (error := entry["error"]) else None} for entry in entries])
    else:
        show.table("Accounts", ["account", "is"], [_row(entry) for entry in entries])
    return max(map(status_of, errors), default=0)


def _identify(runtime: Runtime, integration: str, account: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"integration": integration, "account": account, "identity": None, "error": None}
    try:
        entry["identity"] = runtime.identify(integration, account)
    except KosmoError as error:
        entry["error"] = error
    return entry


def _row(entry: dict[str, Any]) -> list[str]:
    said = entry["identity"] or f"error: {entry['error']}"
    return [f"{entry['integration']}.{entry['account']}", said]
