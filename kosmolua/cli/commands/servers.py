"""``kosmolua servers``: list, add, check and remove MCP servers, and import them from the settings of MCP clients."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from kosmolua.accounts.toml import remove_section, set_section
from kosmolua.cli import console
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Group, examples, listing_options
from kosmolua.cli.scripts import open_to_list
from kosmolua.errors import KosmoError, UsageError
from kosmolua.mcp_client.imports import CLIENTS, holds_credential, read_client, read_source
from kosmolua.mcp_client.settings import reached
from kosmolua.mcp_client.tools import effect_of, seem_to_read
from kosmolua.runtime import Runtime
from kosmolua.schema.integration import Integration
from kosmolua.schema.names import SERVERS, objection_to_integration, qualified
from kosmolua.schema.settings import Table


@click.group(
    "servers",
    cls=Group,
    invoke_without_command=True,
    epilog=examples(
        "kosmolua servers add files -- npx -y @modelcontextprotocol/server-filesystem ~/notes",
        "kosmolua servers add notes --url https://mcp.example.com/mcp --header Authorization=env:NOTES",
        "kosmolua servers import claude ~/.claude.json",
        "kosmolua docs mcp.files",
    ),
)
@listing_options
@click.pass_context
def command(context: click.Context, options: Options) -> int:
    """List the MCP servers whose tools are functions under app.mcp.

    Each section [mcp.NAME] of the accounts file describes a server. This command starts none of them.
    """
    if context.invoked_subcommand:
        return 0
    errors: list[KosmoError] = []
    with open_to_list(options) as runtime:
        entries = [_describe(runtime, name, errors) for name in runtime.servers.names()]
    if options.json:
        console.as_json(entries)
    elif not entries:
        console.complain("there are no servers; 'kosmolua servers add --help' shows how to add one")
    else:
        rows = [[entry["name"], entry["reached"], _summary(entry)] for entry in entries]
        console.table("MCP servers", ["name", "by", "what"], rows)
    return max(map(console.status_of, errors), default=0)


def _describe(runtime: Runtime, name: str, errors: list[KosmoError]) -> dict[str, Any]:
    """Return what is known about a server. If its section has a mistake, add the error to ``errors``."""
    entry: dict[str, Any] = {"name": name, "reached": None, "title": None, "tools": None, "error": None}
    try:
        entry["reached"] = reached(runtime.servers.section(name))
        if card := runtime.servers.card(name):
            info = card.get("server") or {}
            entry["title"] = info.get("title") or info.get("name")
            entry["tools"] = len(card["tools"])
    except KosmoError as error:
        entry["error"] = str(error)
        errors.append(error)
    return entry


def _summary(entry: dict[str, Any]) -> str:
    if entry["error"]:
        return f"error: {entry['error']}"
    if entry["tools"] is None:
        return f"not started yet: kosmolua servers check {entry['name']}"
    return f"{entry['title']}: {entry['tools']} tools"


@command.command("add")
@click.argument("name")
@click.argument("words", nargs=-1, metavar="[-- COMMAND [ARGUMENT]...]")
@click.option("--url", metavar="URL", help="The address of a server that is reached over HTTP.")
@click.option(
    "--env", "env", multiple=True, metavar="NAME=SOURCE", help="A variable: NAME=env:VAR, NAME=file:PATH or NAME=TEXT."
)
@click.option("--header", "headers", multiple=True, metavar="NAME=SOURCE", help="A header, in the same form.")
@click.option("--yes", "-y", is_flag=True, help="Add the server without asking.")
@listing_options
def add(
    name: str,
    words: tuple[str, ...],
    url: str | None,
    env: tuple[str, ...],
    headers: tuple[str, ...],
    yes: bool,
    options: Options,
) -> None:
    """Start an MCP server, show its tools with their effects, and write its settings into the accounts file."""
    if objection := objection_to_integration(name):
        raise UsageError(f"A server cannot be called {name!r} ({objection})")
    if bool(url) == bool(words):
        raise UsageError("Name either --url URL or, after --, the command that starts the server")
    table: Table = {"url": url} if url else {"command": words[0], "args": [*words[1:]]}
    table |= {"env": dict(map(read_source, env))} if env else {}
    table |= {"headers": dict(map(read_source, headers))} if headers else {}
    _refuse_secrets(table)
    from kosmolua.cli.adding import open_to_add

    with open_to_add(options, servers={name: table}) as runtime:
        if not options.json:
            _show_tools(runtime, name)
        file, tools = runtime.catalog.accounts_path, _card(runtime, name)["tools"]
        reading = seem_to_read(tools)
        said = ", ".join(reading)
        if reading and yes:
            note = 'by their names they only read; tools = { NAME = "read" } in the section says so'
            console.complain(f"{said}: {note}")
        elif reading and console.can_ask() and console.agrees(f"By their names these only read: {said}. Do they?"):
            table["tools"] = dict.fromkeys(reading, "read")
        console.confirm(f"Add {name} to {file}?", yes=yes)
        set_section(file, (SERVERS, name), table)
    said = f"added [{SERVERS}.{name}] to {file}; a script calls app.{SERVERS}.{name}"
    told = {"name": name, "tools": len(tools), "file": str(file)}
    console.answer(told, lambda: console.complain(said), in_json=options.json)


@command.command("check")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@listing_options
def check(names: tuple[str, ...], options: Options) -> int:
    """Start the servers with these NAMEs, or all servers without a NAME, and show their current tools."""
    status = 0
    entries = []
    with open_to_list(options) as runtime:
        for name in names or runtime.servers.names():
            entry: dict[str, Any] = {"name": name, "tools": [], "error": None}
            try:
                card = _card(runtime, name)
                stated = runtime.servers.section(name).get("tools", {})
                entry["tools"] = [{"name": tool["name"], "effect": effect_of(tool, stated)} for tool in card["tools"]]
                if not options.json:
                    _show_tools(runtime, name)
            except KosmoError as error:
                entry["error"] = error.report()
                status = max(status, console.status_of(error))
                if not options.json:
                    console.complain_of(error)
            entries.append(entry)
    if options.json:
        console.as_json(entries)
    return status


@command.command("remove")
@click.argument("name")
@listing_options
def remove(name: str, options: Options) -> None:
    """Remove the MCP server with this NAME from the accounts file."""
    with open_to_list(options) as runtime:
        file = runtime.catalog.accounts_path
    if not remove_section(file, (SERVERS, name)):
        raise UsageError(f"{file} has no section [{SERVERS}.{name}]", hint="kosmolua servers lists the servers")
    said = f"removed [{SERVERS}.{name}] from {file}"
    console.answer({"name": name, "file": str(file)}, lambda: console.complain(said), in_json=options.json)


@command.command("import")
@click.argument("client", type=click.Choice([*CLIENTS]))
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--yes", "-y", is_flag=True, help="Add the servers without asking.")
@listing_options
def import_(client: str, file: Path, yes: bool, options: Options) -> None:
    """Copy the MCP servers of another program, CLIENT, from its FILE of settings into the accounts file.

    The commands of the servers are shown first. No server is started. A server is left out if the accounts file already
    has one of its name.
    """
    from kosmolua.cli.adding import open_to_add

    with open_to_add(options) as runtime:
        accounts, usable = runtime.catalog.accounts_path, _usable(client, file, runtime.servers.names())
        if usable and not options.json:
            rows = [
                [name, reached(table), ", ".join((*table.get("env", ()), *table.get("headers", ())))]
                for name, table in usable.items()
            ]
            console.table(f"Servers in {file}", ["name", "by", "variables and headers"], rows)
        if usable:
            console.confirm(f"Add {len(usable)} to {accounts}?", yes=yes)
        for name, table in usable.items():
            set_section(accounts, (SERVERS, name), table)
    told = [{"name": name, "reached": reached(table)} for name, table in usable.items()]
    said = f"added {len(usable)} to {accounts}; 'kosmolua servers check' starts them"
    console.answer(told, lambda: console.complain(said), in_json=options.json)


def _usable(client: str, file: Path, taken: list[str]) -> dict[str, Table]:
    """Return the sections of the servers in another program's file, and warn of each that is left out."""
    usable: dict[str, Table] = {}
    for name, section in read_client(client, file, os.environ):
        if isinstance(section, str):
            console.warn(f"{name} is left out: {section}")
        elif name in taken or name in usable:
            console.warn(f"{name} is left out: there is a server of this name")
        else:
            usable[name] = section
    return usable


def _card(runtime: Runtime, name: str) -> dict[str, Any]:
    console.need("mcp", "MCP servers need", "mcp")
    return runtime.servers.refresh(name)


def _show_tools(runtime: Runtime, name: str) -> None:
    _card(runtime, name)
    integration: Integration = runtime.catalog.integration(qualified(SERVERS, name))
    rows = [[each.name, each.effect, each.summary] for each in integration.functions.values()]
    console.table(f"app.{SERVERS}.{name}: {integration.about}", ["function", "effect", "what"], rows)


def _refuse_secrets(table: Table) -> None:
    """Raise a UsageError for an argument that looks like a credential: every user can read a program's arguments."""
    if any(map(holds_credential, table.get("args", ()))):
        raise UsageError(
            "One of the arguments looks like a credential, and every user of this machine can read it "
            "(pass it as --env NAME=env:VARIABLE)"
        )
