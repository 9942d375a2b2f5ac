"""The MCP server from its start to its first answers, against a server of the bare SDK with one empty tool."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from ratio import Ratio, compare, timed

BARE = """
from mcp.server.mcpserver import MCPServer

server = MCPServer("bare")

@server.tool()
def nothing() -> None:
    "Do nothing."

server.run()
"""
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
OURS = [sys.executable, "-m", "kosmolua", "mcp", "--simulate"]
THEIRS = [sys.executable, "-c", BARE]


class Server:
    """A server that runs, and whose answers are waited for.

    Args:
        command: What starts it.
    """

    def __init__(self, command: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        self._requests = 0
        self._ask("initialize", HELLO)
        self._send({"method": "notifications/initialized"})

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def call(self, params: dict[str, Any]) -> None:
        """Use a tool."""
        self._ask("tools/call", params)

    def _ask(self, method: str, params: dict[str, Any]) -> None:
        self._requests += 1
        self._send({"id": self._requests, "method": method, "params": params})
        assert self._process.stdout
        assert "result" in json.loads(self._process.stdout.readline())

    def _send(self, frame: dict[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **frame}).encode() + b"\n")
        self._process.stdin.flush()


def exchange(command: Sequence[str], calls: Sequence[dict[str, Any]]) -> None:
    """Start a server, shake hands, make calls of tools, and wait for each answer."""
    with Server(command) as server:
        for call in calls:
            server.call(call)


def ratios() -> Iterator[Ratio]:
    """Yield the ratio of the first answer, and of the first answer to the call of a tool."""
    script = {"name": "execute_lua", "arguments": {"code": "return 1"}}
    for what, ours, theirs in (("handshake", [], []), ("call of a tool", [script], [{"name": "nothing"}])):
        yield compare(
            f"`kosmolua mcp`: start and first {what}",
            "bare SDK server",
            timed(lambda calls=ours: exchange(OURS, calls)),
            timed(lambda calls=theirs: exchange(THEIRS, calls)),
            goal=1.3,
        )
