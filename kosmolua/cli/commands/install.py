"""``kosmolua install``: write an entry for KosmoLua into the settings of MCP clients, and try it once."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from difflib import unified_diff
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import click

from kosmolua.cli import console
from kosmolua.cli.parsing import Command, examples
from kosmolua.clients.formats import found, with_entry
from kosmolua.clients.installation import Change, Installation, client_called, differing
from kosmolua.clients.known import ENTRY, ClientProgram, Data
from kosmolua.errors import ConfigError, KosmoError, UsageError
from kosmolua.schema.settings import without_keys

HANDSHAKE_TIMEOUT = 30.0
_LEAD = re.compile(r"[^\w\n]*\Z")
"""The punctuation and blanks before a change, with which its first line is as it stands in the file."""
_WORD = re.compile(r"\w")
_HELLO = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


@click.command(
    "install",
    cls=Command,
    epilog=examples(
        "kosmolua install",
        "kosmolua install cursor claude-code",
        "kosmolua install codex -- --read-only --accounts ~/work.toml",
        "kosmolua install vscode --tenant https://agents.example/mcp",
    ),
)
@click.argument("words", nargs=-1, metavar="[CLIENT]... [-- OPTION...]")
@click.option("--tenant", "url", metavar="URL", help="Reach a server of kosmolua serve, in place of this program.")
@click.option("--print", "only_shows", is_flag=True, help="Show what would change, and write nothing.")
@click.option("--yes", "-y", is_flag=True, help="Write into all clients that are there, without asking.")
@click.option("--json", "in_json", is_flag=True, help="Print JSON, even on failure.")
def command(words: tuple[str, ...], url: str | None, only_shows: bool, yes: bool, in_json: bool) -> int:
    """Set KosmoLua up in MCP clients: those with these names, or all that are there.

    Options after -- are those of kosmolua mcp. Comments and other servers in a client's settings stay as they are, and
    'kosmolua uninstall' writes them back.
    """
    split = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
    names, options = words[:split], words[split:]
    if url and (options or urlsplit(url).scheme not in ("http", "https")):
        raise UsageError("--tenant takes a URL, such as https://agents.example/mcp, and no options after --")
    program = [*program_line(), "mcp", *options]
    installation = Installation(os.environ)
    clients = chosen(installation, names, yes=yes or only_shows, verb="Write into")
    changes, errors = planned(clients, lambda client: installation.adding(client, _entry(client, program, url)))
    told = [*map(report, changes), *({"error": error.report()} for error in errors)]
    if changes and not only_shows:
        objection = _objection(program, url)
        if objection and not url:
            objection.advise("nothing was written")
            raise objection
        for change in changes:
            if change.after != change.before:
                installation.apply(change)
        for each in told[: len(changes)]:
            each["handshake"] = objection.report() if objection else "ok"
        errors += [objection] if objection else []
    console.answer(told, lambda: _show(changes, only_shows=only_shows), in_json=in_json)
    return complained(errors, in_json=in_json)


def planned(
    clients: Sequence[ClientProgram], plan: Callable[[ClientProgram], Change]
) -> tuple[list[Change], list[KosmoError]]:
    """Return the changes of several clients, and why others have none. The error of a single one is raised."""
    if len(clients) == 1:
        return [plan(clients[0])], []
    changes: list[Change] = []
    errors: list[KosmoError] = []
    for client in clients:
        try:
            changes.append(plan(client))
        except KosmoError as error:
            errors.append(error)
    return changes, errors


def complained(errors: Sequence[KosmoError], *, in_json: bool) -> int:
    """Write errors to standard error, unless they are told in JSON, and return the exit status."""
    for error in () if in_json else errors:
        console.complain_of(error)
    return max(map(console.status_of, errors), default=0)


def chosen(installation: Installation, names: Sequence[str], *, yes: bool, verb: str) -> list[ClientProgram]:
    """Return the clients with these names, or else all that are there, if the user agrees."""
    if names:
        return [client_called(name) for name in dict.fromkeys(names)]
    present = installation.present()
    if not present:
        raise ConfigError("No MCP client is there that KosmoLua knows", hint="'kosmolua docs mcp' lists them")
    console.confirm(f"{verb} the settings of {', '.join(present)}?", yes=yes)
    return [client_called(name) for name in present]


def report(change: Change) -> dict[str, Any]:
    """Return what is told about a change as JSON."""
    return {
        "client": change.client.name,
        "file": str(change.file),
        "changed": change.after != change.before,
        "change": difference(change),
    }


def difference(change: Change) -> str:
    """Return the lines of our entry that change, each with - or + before it.

    Of an entry that comes or goes it is what changes in the file: what stands around may have others' secrets.
    """
    old, new = (_entry_in(change.client, text) for text in (change.before, change.after))
    if old and new:
        style, keys = change.client.style, change.client.keys_in({})
        before, after = (with_entry(style, "", keys, each).splitlines() for each in (old, new))
        lines = unified_diff(before, after, n=0, lineterm="")
        return without_keys("\n".join(line for line in [*lines][2:] if not line.startswith("@@")), old)
    at, *parts = differing(change.before or "", change.after or "")
    lead = _LEAD.search((change.after or "")[max(at - 80, 0) : at])
    shown = ((mark, part.splitlines()) for mark, part in zip("-+", parts, strict=True) if part)
    told: list[str] = []
    for mark, (first, *rest) in shown:
        margin = lead[0] if lead and _WORD.search(first) else ""
        told += [f"{mark}{line}" for line in (margin + first, *rest)]
    return "\n".join(line for line in told if line[1:].strip(" \t,"))


def _entry_in(client: ClientProgram, text: str | None) -> Data | None:
    data = client.style.read(text or "")
    entry = found(data, client.keys_in(data))
    return entry if isinstance(entry, dict) else None


def program_line() -> list[str]:
    """Return the command line of this program, with an absolute path, since clients have a PATH of their own."""
    called = Path(sys.argv[0])
    if called.stem == ENTRY and called.is_file():
        return [os.path.abspath(called)]
    found = shutil.which(ENTRY)
    return [os.path.abspath(found)] if found else [sys.executable, "-m", ENTRY]


def _entry(client: ClientProgram, program: Sequence[str], url: str | None) -> Data:
    if url is None:
        return client.local(program)
    if client.remote is None:
        hint = f"add {url} in its settings, under Connectors"
        raise ConfigError(f"{client.title} has no remote servers in its file, so nothing was written", hint=hint)
    return client.remote(url)


def _show(changes: Sequence[Change], *, only_shows: bool) -> None:
    for change in changes:
        client = change.client
        if change.after == change.before:
            console.complain(f"{client.title} has kosmolua already, in {change.file}")
            continue
        console.line(difference(change))
        if only_shows:
            console.complain(f"{change.file} would change like this; nothing was written")
        else:
            console.complain(f"added kosmolua to {change.file}; now {client.restart}")


def _objection(program: Sequence[str], url: str | None) -> KosmoError | None:
    """Return what is wrong with the server, after one handshake with it; None if it answers."""
    if url:
        return _objection_to_address(url)
    from kosmolua.runtime import Runtime

    try:
        console.need("mcp", "The MCP server needs", "mcp")
        with Runtime({}, servers={ENTRY: {"command": program[0], "args": [*program[1:]]}}) as runtime:
            runtime.servers.refresh(ENTRY, HANDSHAKE_TIMEOUT)
    except KosmoError as error:
        return error
    return None


def _objection_to_address(url: str) -> KosmoError | None:
    """Return what is wrong with a server at a URL. One that wants a login is right."""
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    try:
        with urlopen(Request(url, _HELLO, headers, method="POST"), timeout=HANDSHAKE_TIMEOUT):
            return None
    except HTTPError as error:
        if error.code == 401 and "resource_metadata=" not in error.headers.get("WWW-Authenticate", ""):
            what = f"{url} takes a token, and does not say where clients log in"
            return ConfigError(what, hint="add the header Authorization to the entry, or see kosmolua docs serving")
        if error.code in (400, 401):
            return None
        return ConfigError(f"{url} answers with the status {error.code}", hint="check the URL; it usually ends in /mcp")
    except (HTTPException, OSError, ValueError) as error:
        return ConfigError(f"{url} cannot be reached: {getattr(error, 'reason', error)}", hint="check the URL")
