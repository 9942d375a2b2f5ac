"""``kosmolua mcp``: run a server of the Model Context Protocol, with which agents run scripts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import click

from kosmolua.broker.options import DEFAULT_WORKERS
from kosmolua.cli import console
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, serving_options
from kosmolua.cli.scripts import collect_from_here, open_runtime
from kosmolua.cli.streams import standard
from kosmolua.errors import UsageError


@click.command("mcp", cls=Command)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    default=DEFAULT_WORKERS,
    help=f"Scripts that run at once; more wait their turn [{DEFAULT_WORKERS}].",
)
@click.option(
    "--http", "address", metavar="HOST:PORT|unix:PATH", help="Serve over HTTP, not over standard input and output."
)
@click.option("--toolkit", metavar="NAME", default="", help="Only the functions that [toolkits.NAME] lists.")
@serving_options
def command(address: str | None, workers: int, toolkit: str, options: Options) -> None:
    """Serve agents over the Model Context Protocol.

    If a call needs an approval, the user is asked through the client, if the client supports that. Over HTTP, clients
    send a bearer token: the value of the variable KOSMOLUA_MCP_TOKEN, or, if that is not set, the token in a file that
    the server names when it starts. A Unix socket needs no token.
    """
    console.need("mcp", "The MCP server needs", "mcp")
    from kosmolua.cli.progress import tracer

    with (
        _readers(address) as apart,
        open_runtime(options, workers=workers, apart=apart, flow="ask", toolkit=toolkit) as runtime,
        tracer(options.trace) as watch,
    ):
        runtime.warm()
        from kosmolua.mcp.log import log_in_sentences
        from kosmolua.mcp.server import Handlers

        log_in_sentences(console.warn)
        simulated = bool(options.simulate)
        handlers = Handlers(
            runtime, read_only=options.read_only, simulated=simulated, watch=watch, check=not options.no_check
        )
        if address is None:
            if sys.stdin is None:
                raise UsageError("Standard input is closed, so no client can connect")
            if not standard.is_writable:
                raise UsageError("Standard output is closed, so no client can be answered")
            from kosmolua.mcp import stdio
            from kosmolua.mcp.pipes import are_pipes

            if standard.is_typed:
                console.complain("serving on standard input, for a client that starts this program; Ctrl-C ends it")
            collect_from_here()
            if are_pipes(standard.input, standard.output):
                stdio.serve(handlers, (standard.input, standard.output), complain=console.complain)
            else:
                with standard.given_back():  # the protocol's library protects them itself
                    stdio.serve(handlers, None, complain=console.complain)
        else:
            from kosmolua.mcp import http
            from kosmolua.mcp.addresses import SocketAddress
            from kosmolua.mcp.hosts import host_names

            collect_from_here()
            names, where = host_names(address), SocketAddress.read(address)
            http.serve(handlers, where, environ=os.environ, announce=console.complain, names=names)


@contextmanager
def _readers(address: str | None) -> Iterator[Callable[..., Any] | None]:
    """Yield what checks and searches in other processes, for a server with several clients."""
    if address is None:
        yield None
        return
    from kosmolua.processes.readers import Readers

    with closing(Readers()) as readers:
        yield readers.call
