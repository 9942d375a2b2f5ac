"""``kosmolua mcp``: serve agents over the Model Context Protocol."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import click

from kosmolua.cli import show
from kosmolua.cli.arguments import Options
from kosmolua.cli.opening import open_runtime
from kosmolua.cli.options import Command, running_options
from kosmolua.cli.streams import standard
from kosmolua.errors import ConfigError, UsageError


@click.command("mcp", cls=Command)
@click.option("--http", "address", metavar="HOST:PORT", help="Serve over HTTP, not over standard input and output.")
@running_options
def command(address: str | None, options: Options) -> None:
    """Serve agents over the Model Context Protocol.

    Calls that need an approval are put to the user by the client where it can do that. Over HTTP, only the loopback
    interface is served unless KOSMOLUA_MCP_TOKEN is set, which clients then have to send as a bearer token.
    """
    if not find_spec("mcp"):
        raise ConfigError("The MCP server needs the package mcp", hint="pip install 'kosmolua[mcp]'")
    from kosmolua.cli.trace import tracer

    with open_runtime(options) as runtime, tracer(options.trace) as watch:
        from kosmolua.mcp.server import Handlers

        handlers = Handlers(runtime, read_only=options.read_only, watch=watch)
        if address is None:
            if sys.stdin is None:
                raise UsageError("Standard input is closed, so no client can speak")
            from kosmolua.mcp import stdio

            if standard.is_typed:
                show.complain("serving on standard input, for a client that starts this; Ctrl-C leaves")
            with standard.given_back():  # the protocol's library keeps them apart itself
                stdio.serve(handlers)
        else:
            from kosmolua.mcp import web

            web.serve(
                handlers,
                web.Address.read(address),
                token=os.environ.get(web.TOKEN_VARIABLE) or None,
                announce=lambda url: show.complain(f"serving on {url}"),
            )
