"""``kosmolua server``: look at a server of ``kosmolua serve``, cancel runs, drain tenants, and end sessions."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from kosmolua.accounts.sources import Sources, source_of
from kosmolua.cli import console
from kosmolua.cli.parsing import Group, examples
from kosmolua.cli.remote import Remote
from kosmolua.errors import ConfigError, UsageError
from kosmolua.secret import Secret

TOKEN, URL = "KOSMOLUA_SERVER_TOKEN", "KOSMOLUA_SERVER_URL"
"""The environment variables with the token and the URL of the server."""


@click.group(
    "server",
    cls=Group,
    epilog=examples(
        "kosmolua server status --url https://agents.example --token env:ACME_TOKEN",
        "kosmolua server runs --status running",
        "kosmolua server cancel 0123456789ab",
        "kosmolua server drain --tenant acme",
    ),
)
def command() -> None:
    """Look at a server of kosmolua serve, cancel runs, drain tenants and end sessions, over its HTTP API."""


def _asking(work: Callable[..., None]) -> Callable[..., None]:
    """Decorate a command: it gets the server that the options name, and whether to answer in JSON."""

    @wraps(work)
    def gather(*, url: str | None, token: str | None, tenant: str | None, in_json: bool, **given: Any) -> None:
        if not url:
            raise UsageError("The server is not named", hint=f"name it with --url URL, or set {URL}")
        work(Remote(url, _read_token(token), tenant), in_json=in_json, **given)

    options = (
        click.option("--url", metavar="URL", envvar=URL, help="The URL of the server."),
        click.option("--token", metavar="SOURCE", help=f"The token: env:NAME, file:PATH, ... [env:{TOKEN}]."),
        click.option("--tenant", metavar="NAME", help="The tenant, if the token is that of the server's operator."),
        click.option("--json", "in_json", is_flag=True, help="Answer in JSON."),
    )
    for option in reversed(options):
        gather = option(gather)
    return gather


def _read_token(source: str | None) -> Secret:
    try:
        given = source_of(source or f"env:{TOKEN}")
    except ValueError:
        raise UsageError("--token is not a source", hint="name one such as env:NAME or file:PATH") from None
    try:
        return Sources(Path.cwd(), os.environ, console.warn).read("--token", given)
    except ConfigError:
        if source:
            raise
        raise UsageError("There is no token", hint=f"name one with --token SOURCE, or set {TOKEN}") from None


@command.command("status")
@_asking
def status(remote: Remote, *, in_json: bool) -> None:
    """Show how busy the server is, for each tenant of the token."""
    _show_status(remote.ask("GET", "status"), in_json=in_json)


@command.command("runs")
@click.option("--status", "status", metavar="STATUS", help="Only runs with this status, such as running.")
@click.option("--limit", type=click.IntRange(1, 1000), help="The most runs to list.")
@_asking
def runs(remote: Remote, *, in_json: bool, status: str | None, limit: int | None) -> None:
    """List the recorded runs of a tenant, the latest first."""
    query = {"status": status, "limit": limit and str(limit)}
    answer = remote.ask("GET", "runs", **{name: value for name, value in query.items() if value})
    if in_json:
        console.as_json(answer)
        return
    rows = [[each[name] for name in ("run", "status", "time", "script", "client")] for each in answer["runs"]]
    console.table("Runs", ["run", "status", "began", "script", "client"], rows, has_header=True)


@command.command("cancel")
@click.argument("run")
@_asking
def cancel(remote: Remote, *, in_json: bool, run: str) -> None:
    """End the script of a RUN within seconds, at whichever server it runs. Its client is told."""
    answer = remote.ask("POST", "runs", run, "cancel")
    console.answer(answer, lambda: console.complain(f"the run {run} is being cancelled"), in_json=in_json)


@command.command("drain")
@click.option("--end", "ends", is_flag=True, help="Let scripts begin again.")
@_asking
def drain(remote: Remote, *, in_json: bool, ends: bool) -> None:
    """Begin no scripts of a tenant, or of all tenants, at any server. Those that run go on.

    This needs the token operator_token in [serve] of the server's accounts file.
    """
    _show_status(remote.ask("POST", "drain", body={"drained": not ends}), in_json=in_json)


@command.command("sessions")
@click.option("--revoke", metavar="SESSION", help="End this session at all servers.")
@_asking
def sessions(remote: Remote, *, in_json: bool, revoke: str | None) -> None:
    """List the sessions of people on the website of a tenant, or end one of them."""
    answer = remote.ask("DELETE", "sessions", revoke) if revoke else remote.ask("GET", "sessions")
    if in_json:
        console.as_json(answer)
    elif revoke:
        console.complain(f"the session {revoke} has ended")
    else:
        rows = [[each["session"], each["until"]] for each in answer["sessions"]]
        console.table("Sessions", ["session", "until"], rows, has_header=True)


def _show_status(answer: Any, *, in_json: bool) -> None:
    if in_json:
        console.as_json(answer)
        return
    names = ("tenant", "workers", "busy", "queued", "approvals_waiting", "drained")
    rows = [[str(each[name]).lower() for name in names] for each in answer.get("tenants", [answer])]
    console.table("Tenants", [name.replace("_", " ") for name in names], rows, has_header=True)
