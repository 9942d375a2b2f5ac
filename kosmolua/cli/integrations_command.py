"""``kosmolua integrations``: which there are, where each comes from, and what is wrong with it."""

from __future__ import annotations

import click

from kosmolua.cli import integrations_check, integrations_new, show
from kosmolua.cli.arguments import Options
from kosmolua.cli.opening import open_to_list
from kosmolua.cli.options import listing_options
from kosmolua.errors import ConfigError, PluginError
from kosmolua.runtime import Runtime


@click.group("integrations", invoke_without_command=True)
@listing_options
@click.pass_context
def command(context: click.Context, options: Options) -> None:
    """List the integrations: where each comes from, its functions and accounts, and errors."""
    context.obj = options
    if context.invoked_subcommand:
        return
    with open_to_list(options) as runtime:
        entries = [_describe(runtime, name) for name in runtime.catalog.names()]
    if options.json:
        show.as_json(entries)
        return
    rows = [[str(entry["name"]), str(entry["place"]), _summary(entry), _origin(entry)] for entry in entries]
    show.table("Integrations", ["name", "from", "what", "origin"], rows)


command.add_command(integrations_new.command)
command.add_command(integrations_check.command)


def _describe(runtime: Runtime, name: str) -> dict[str, object]:
    try:
        plugin = runtime.catalog.plugin(name)
    except PluginError as error:
        return {"name": name, "place": "broken", "origin": error.origin, "error": error.message}
    try:
        accounts, problem = runtime.catalog.accounts(name), None
    except ConfigError as error:
        accounts, problem = [], error.message
    effects = [function.effect for function in plugin.integration.functions.values()]
    return {
        "name": name,
        "place": plugin.place,
        "origin": plugin.origin,
        "about": plugin.integration.about,
        "reads": effects.count("read"),
        "writes": effects.count("write"),
        "accounts": accounts,
        "error": problem,
    }


def _origin(entry: dict[str, object]) -> str:
    """Return where an integration stands; on a terminal, which has little room, not where the program itself does."""
    return "" if entry["place"] == "bundled" and show.on_terminal() else str(entry["origin"])


def _summary(entry: dict[str, object]) -> str:
    if entry["error"]:
        return f"error: {entry['error']}"
    accounts = ", ".join(entry["accounts"]) if isinstance(entry["accounts"], list) and entry["accounts"] else "none"
    counts = ", ".join(_counted(entry[f"{effect}s"], effect) for effect in ("read", "write"))
    return f"{counts}; accounts: {accounts}"


def _counted(count: object, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
