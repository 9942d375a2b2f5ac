"""Serving one client over standard input and output."""

from __future__ import annotations

import asyncio
import signal

from mcp.server.stdio import stdio_server

from kosmolua.mcp.server import Door


def serve(door: Door) -> None:
    """Serve until the client closes its end. Nothing but the protocol reaches standard output."""
    # A thread waits for the next line, and no exception reaches it there: let Ctrl-C end the process instead. Scripts
    # end with it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    asyncio.run(_serve(door))


async def _serve(door: Door) -> None:
    server = door.server()
    try:
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())
    finally:
        door.close()
