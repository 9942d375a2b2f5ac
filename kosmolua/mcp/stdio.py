"""Serving one client over standard input and output."""

from __future__ import annotations

import asyncio
import signal

from mcp.server.stdio import stdio_server

from kosmolua.mcp.server import Handlers


def serve(handlers: Handlers) -> None:
    """Serve until the client closes its end. Nothing but the protocol reaches standard output."""
    # A thread waits for the next line, and no exception reaches it there: let Ctrl-C end the process instead. Scripts
    # end with it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    asyncio.run(_serve(handlers))


async def _serve(handlers: Handlers) -> None:
    server = handlers.server()
    try:
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())
    finally:
        handlers.close()
