"""``kosmolua accounts``: list, check and add accounts, log them in and out, and print examples of their settings."""

from __future__ import annotations

from typing import Any

import click

from kosmolua.accounts.accounts import NOT_LOGGED_IN
from kosmolua.accounts.toml import example_file, stanza
from kosmolua.cli import console, terminal
from kosmolua.cli.completion import accounts, completes, integrations
from kosmolua.cli.console import status_of
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Group, examples, listing_options
from kosmolua.cli.scripts import open_to_list
from kosmolua.errors import KosmoError, PluginError
from kosmolua.runtime import Runtime
from kosmolua.schema.effects import EFFECTS

COLUMNS = ("integration", "account", *EFFECTS, "functions")
MAX_SHOWN = 200
"""The most accounts shown on a terminal. A pipe and --json get all."""


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
    """List the accounts, without their secrets.

    The accounts file is the one that --accounts names, or else the one that the variable KOSMOLUA_ACCOUNTS names, or
    else accounts.toml in your config folder. On a terminal, its path follows the list.
    """
    if context.invoked_subcommand:
        return
    runtime = open_to_list(options)
    path = runtime.catalog.accounts_path
    entries = permissions_of(runtime)
    if options.json:
        console.as_json([{**entry, "file": str(path) if path.exists() else None} for entry in entries])
    elif not entries:
        console.complain(f"there are no accounts; 'kosmolua accounts example' prints what to write into {path}")
    else:
        show_permissions(entries)
        if terminal.on_terminal():
            console.complain(f"accounts file: {path}{'' if path.exists() else ', which does not exist'}")


def show_permissions(entries: list[dict[str, object]]) -> None:
    """Show what :func:`permissions_of` returns as a table, on a terminal at most :data:`MAX_SHOWN` accounts."""
    shown = entries[:MAX_SHOWN] if terminal.on_terminal() else entries
    console.table(
        "Accounts", [*COLUMNS], [[_cell(entry[name]) for name in COLUMNS] for entry in shown], has_header=True
    )
    if more := len(entries) - len(shown):
        console.complain(f"and {more:,} more; 'kosmolua accounts | less' and --json show all")


def permissions_of(runtime: Runtime) -> list[dict[str, object]]:
    """Return integration, name and permissions of each account, by effect and, in ``functions``, for single functions.

    If an integration cannot be loaded, a warning is written and its accounts are left out.
    """
    catalog = runtime.catalog
    return [entry for each in catalog.loadable(_warn_of) for entry in catalog.permissions(each.name)]


def _cell(value: object) -> object:
    return ", ".join(f"{key}: {each}" for key, each in value.items()) if isinstance(value, dict) else value


def _warn_of(name: str, error: PluginError) -> None:
    console.warn(f"the integration {name} cannot be loaded: {error.message}")


@command.command("example")
@click.argument("names", nargs=-1, metavar="[INTEGRATION]...", shell_complete=completes(integrations))
@listing_options
def example(names: tuple[str, ...], options: Options) -> None:
    """Print example settings for an account of each INTEGRATION, to paste into accounts.toml.

    Without an INTEGRATION, print a whole accounts file to start from.
    """
    catalog = open_to_list(options).catalog
    stanzas = [stanza(catalog.integration(name)) for name in names]
    text = "\n".join(stanzas) if names else example_file(catalog.loadable(_warn_of)).rstrip()
    console.answer({"text": text}, lambda: console.line(text), in_json=options.json)


@command.command("check")
@click.argument("names", nargs=-1, metavar="[INTEGRATION[.ACCOUNT]]...", shell_complete=completes(accounts))
@listing_options
def check(names: tuple[str, ...], options: Options) -> int:
    """Make one cheap call with each account, and show who the account belongs to, if the integration supports that.

    Without a name, accounts that are neither configured nor logged in are left out.
    """
    with open_to_list(options) as runtime:
        found = [each for each in runtime.catalog.matching(names) if names or _is_set_up(runtime, *each)]
        entries = [_identify(runtime, *each) for each in found]
    errors = [error for entry in entries if isinstance(error := entry["error"], KosmoError)]
    if options.json:
        console.as_json(
            [{**entry, "error": error.report() if (error := entry["error"]) else None} for entry in entries]
        )
    elif not entries:
        console.complain("no account is configured or logged in; 'kosmolua accounts add --help' shows how to add one")
    else:
        console.table("Accounts", ["account", "is"], [_row(entry) for entry in entries])
    return max(map(status_of, errors), default=0)


@command.command("add")
@click.argument("name", metavar="INTEGRATION[.ACCOUNT]", shell_complete=completes(integrations))
@listing_options
def add(name: str, options: Options) -> None:
    """Ask for the fields of a new account, try the account, and write it into the accounts file.

    Secrets are typed without echo. You choose where each is kept: in the keyring, in a file of its own, or in an
    environment variable that you set.
    """
    from kosmolua.cli import adding

    with adding.open_to_add(options) as runtime:
        section, file = adding.add(runtime, name)
    console.complain(f"added [{section}] to {file}")


@command.command("login")
@click.argument("name", metavar="INTEGRATION[.ACCOUNT]", shell_complete=completes(accounts))
@click.option("--device", is_flag=True, help="Show a code to type on another device, and open no browser.")
@click.option("--client", is_flag=True, help="Log in as the client itself, by its client_id and client_secret.")
@click.option("--scope", multiple=True, help="Ask for this scope too; repeatable.")
@listing_options
def login(name: str, device: bool, client: bool, scope: tuple[str, ...], options: Options) -> None:
    """Log an account in to its service, in the browser or with a code, and keep the token that the service returns.

    The token goes into the keyring if there is one, else into a file that only you can read. The token is renewed
    automatically.
    """
    from kosmolua.cli import logins

    with open_to_list(options) as runtime:
        section, kept = logins.log_in(runtime, name, by_device=device, as_client=client, scopes=scope)
        state = runtime.accounts.login_state(*logins.find(runtime, name))
    said = f"{section} is {state}; the token is in {kept}"
    console.answer({"account": section, "state": state}, lambda: console.complain(said), in_json=options.json)


@command.command("logout")
@click.argument("name", metavar="INTEGRATION[.ACCOUNT]", shell_complete=completes(accounts))
@listing_options
def logout(name: str, options: Options) -> None:
    """Remove the token of an account's login, and revoke the token if the service supports that."""
    from kosmolua.cli import logins

    with open_to_list(options) as runtime:
        section, is_revoked = logins.log_out(runtime, name)
    more = "" if is_revoked else "; the service has no way to revoke its token, or did not answer"
    said = f"{section} is logged out{more}"
    console.answer({"account": section, "revoked": is_revoked}, lambda: console.complain(said), in_json=options.json)


def _is_set_up(runtime: Runtime, integration: str, account: str) -> bool:
    """Return False for an account that nothing configures, and that needs a login which it lacks."""
    accounts, found = runtime.accounts, runtime.catalog.integration(integration)
    return accounts.login_state(found, account) != NOT_LOGGED_IN or account in accounts.sections.of(found).accounts


def _identify(runtime: Runtime, integration: str, account: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"integration": integration, "account": account, "identity": None, "error": None}
    entry["login"] = runtime.accounts.login_state(runtime.catalog.integration(integration), account)
    if runtime.catalog.integration(integration).identify is None:
        return entry
    try:
        entry["identity"] = runtime.identify(integration, account)
    except KosmoError as error:
        entry["error"] = error
    return entry


def _row(entry: dict[str, Any]) -> list[str]:
    problem = f"error: {entry['error']}" if entry["error"] else "not known: the integration does not support this"
    said = entry["identity"] or (problem if entry["error"] or not entry["login"] else None)
    return [f"{entry['integration']}.{entry['account']}", "; ".join(filter(None, [said, entry["login"]]))]
