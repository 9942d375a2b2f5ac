"""``kosmolua serve``: serve many over HTTP, each with accounts of its own."""

from __future__ import annotations

import os
from importlib.util import find_spec

import click

from kosmolua.cli import console
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, examples, hosting_options
from kosmolua.cli.streams import standard
from kosmolua.errors import ConfigError
from kosmolua.folders import accounts_file

DEFAULT_ADDRESS = "127.0.0.1:8000"


@click.command("serve", cls=Command, epilog=examples("kosmolua serve --simulate", "kosmolua serve --listen 0.0.0.0:80"))
@click.option(
    "--listen",
    "address",
    metavar="HOST:PORT|unix:PATH",
    default=DEFAULT_ADDRESS,
    help=f"Where to listen [{DEFAULT_ADDRESS}].",
)
@hosting_options
def command(address: str, options: Options) -> None:
    """Serve many over HTTP: agents at /mcp, people with a page.

    Who is served stands in [tenants.NAME] of the accounts file: the token, the accounts, what is allowed at most.
    """
    for library in ("mcp", "prometheus_client", "jwt"):
        if not find_spec(library):
            raise ConfigError(f"The server needs the package {library}", hint="pip install 'kosmolua[serve]'")
    from kosmolua.mcp.addresses import Address
    from kosmolua.mcp.log import log_in_sentences
    from kosmolua.serve import server, settings
    from kosmolua.serve.tenants import Common

    standard.set_apart()
    log_in_sentences(console.warn)
    path, exists = accounts_file(options.accounts, os.environ)
    common = Common(
        simulate=options.simulate,
        failures=dict(each.split("=", 1) for each in options.simulate_fail),
        plugins=options.plugin,
        read_only=options.read_only,
        deny=options.deny,
        limits=options.limits,
        require_isolation=options.require_isolation,
        check=not options.no_check,
        warn=console.warn,
    )
    read = settings.read(path if exists else None)
    server.serve(Address.read(address), read, common, announce=console.complain)
