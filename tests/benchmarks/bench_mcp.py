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


def exchange(command: Sequence[str], calls: Sequence[dict[str, Any]]) -> None:
    """Start a server, shake hands, make calls of tools, and wait for each answer."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        assert process.stdin
        assert process.stdout
        requests = [("initialize", HELLO), *(("tools/call", call) for call in calls)]
        for number, (method, params) in enumerate(requests):
            frames = [{"jsonrpc": "2.0", "id": number, "method": method, "params": params}]
            if number == 1:
                frames.insert(0, {"jsonrpc": "2.0", "method": "notifications/initialized"})
            process.stdin.write(b"".join(json.dumps(frame).encode() + b"\n" for frame in frames))
            process.stdin.flush()
            assert "result" in json.loads(process.stdout.readline())
        process.kill()


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
