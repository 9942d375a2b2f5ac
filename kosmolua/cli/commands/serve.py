"""``kosmolua serve``: serve several tenants over HTTP, each with accounts of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from kosmolua.cli import console
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, examples, hosting_options
from kosmolua.cli.streams import standard
from kosmolua.cli.tenants import common_options
from kosmolua.cli.values import Duration
from kosmolua.errors import ConfigError, UsageError
from kosmolua.folders import ACCOUNTS_VARIABLE, accounts_file
from kosmolua.locks import temporary_folder

if TYPE_CHECKING:
    from kosmolua.serve.tenant_runtime import Common

DEFAULT_ADDRESS = "127.0.0.1:8000"
DEFAULT_DRAIN = "30s"
COUNTS = "PROMETHEUS_MULTIPROC_DIR"


@click.command(
    "serve",
    cls=Command,
    meant={"--port": "--listen", "--host": "--listen", "--bind": "--listen"},
    epilog=examples("kosmolua serve --simulate", "kosmolua serve --listen 0.0.0.0:80"),
)
@click.option(
    "--listen",
    "address",
    metavar="HOST:PORT|unix:PATH",
    default=DEFAULT_ADDRESS,
    help=f"The address to listen on [{DEFAULT_ADDRESS}].",
)
@click.option(
    "--drain",
    type=Duration(),
    metavar="S",
    default=DEFAULT_DRAIN,
    help=f"Time that runs get to end when the server is told to stop [{DEFAULT_DRAIN}].",
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    help="Processes that serve the address together [1].",
)
@click.option(
    "--check", "only_checks", is_flag=True, help="Check the settings, accounts, secrets and store; do not serve."
)
@hosting_options
def command(address: str, drain: float, processes: int, only_checks: bool, options: Options) -> int:
    """Serve several tenants over HTTP: agents at /mcp, people on web pages.

    A tenant is a user or a team with accounts of its own. Each section [tenants.NAME] of the accounts file describes
    one: its token, its accounts, and what its scripts may do.

    With --check, the exit status is 0 if nothing is wrong, and 3 otherwise.
    """
    console.need("serve", "The server needs", "mcp", "prometheus_client", "jwt", "jinja2", "authlib")
    if processes > 1 and not hasattr(os, "fork"):
        raise UsageError("On this system, several processes cannot serve one address", hint="leave out --processes")
    standard.set_apart()
    common = replace(common_options(options), processes=processes)
    accounts = _accounts(options)
    if only_checks:
        return _check(accounts, common)
    _refuse_mistakes(accounts, address, common)
    with _counting_together(processes):
        from kosmolua.mcp.log import log_in_sentences
        from kosmolua.serve.server import ServerOptions, serve

        log_in_sentences(console.warn)
        serve(ServerOptions(address, accounts, common, drain, processes, standard.write, console.complain))
    return 0


def _refuse_mistakes(accounts: str | None, address: str, common: Common) -> None:
    """Refuse wrong settings before the libraries of the server are imported, which takes a second."""
    from kosmolua.mcp.addresses import SocketAddress
    from kosmolua.serve import settings as files

    settings, where = files.read(accounts), SocketAddress.read(address)
    if not settings.tenants and not (common.simulate and where.is_loopback):
        raise ConfigError("No tenant is served", hint=files.STANZA)


def _check(accounts: str | None, common: Common) -> int:
    """Show what the check of the settings has found. Return the exit status."""
    from kosmolua.serve.checking import examine

    findings = list(examine(accounts, common))
    rows = [[each.subject, "error" if each.error else "ok", each.words] for each in findings]
    console.table("Server", ["what", "state", "found"], rows)
    return max(console.status_of(each.error) for each in findings)


def _accounts(options: Options) -> str | None:
    """Return the path of the accounts file; None if there is none.

    A server that only simulates does not use the one in the config folder, whose tenants are real ones, with tokens.
    """
    if options.simulate and not (options.accounts or os.environ.get(ACCOUNTS_VARIABLE)):
        return None
    path, exists = accounts_file(options.accounts, os.environ)
    return path if exists else None


@contextmanager
def _counting_together(processes: int) -> Iterator[None]:
    """During the ``with`` block, provide a folder in which prometheus_client adds up the metrics of several processes.

    The library finds the folder in an environment variable, which it reads when it is imported.
    """
    if processes == 1:
        os.environ.pop(COUNTS, None)
        yield
        return
    with temporary_folder("kosmolua-counts-") as folder:
        os.environ[COUNTS] = folder
        yield
