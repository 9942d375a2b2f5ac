"""Agents: MCP clients made with the SDK, the servers they talk to, and the person who answers for them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
from httpx2 import AsyncClient, Limits, Timeout
from mcp import Client, StdioServerParameters
from mcp.client.context import ClientRequestContext
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult

ROOT = Path(__file__).parent.parent.parent
SERVER = [sys.executable, "-m", "kosmolua", "mcp", "--simulate"]
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("KOSMOLUA_")}
ENVIRON |= {"PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(ROOT / "nowhere")}
TOKEN = "a-long-token-for-a-test"
ENVIRON |= {"KOSMOLUA_MCP_TOKEN": TOKEN}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
HANDSHAKE, DISCOVERY = "legacy", "2026-07-28"
"""The eras of the protocol: servers ask clients in requests of their own, or in the answer to the client's request."""

Conversation = Callable[[Client], Awaitable[None]]


def with_constants(module: str, **values: float) -> list[str]:
    """Return a command for ``before`` that runs the server with other values for a module's constants."""
    return [sys.executable, str(Path(__file__).with_name("changed.py")), module, json.dumps(values)]


class Person:
    """Answers what a client shows, and remembers what was asked."""

    def __init__(self, action: str, **content: str) -> None:
        self.asked: list[str] = []
        self.reply(action, **content)

    def reply(self, action: str, **content: str) -> None:
        """Answer so from now on."""
        self._reply = ElicitResult(action=action, content=content or None)  # type: ignore[arg-type]

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        self.asked.append(params.message)
        return self._reply


class Agent:
    """Holds conversations with a server, each over a connection of its own.

    Args:
        url: Where the server listens; without it each conversation starts one of its own.
        era: :data:`HANDSHAKE` or :data:`DISCOVERY`.
        options: What the command line of a server of its own has besides.
    """

    def __init__(self, url: str | None, era: str, *options: str) -> None:
        self._url = url
        self._era = era
        self._options = options

    def talk(self, conversation: Conversation, person: Person | None = None) -> None:
        """Hold a conversation, with a person who can be asked or without."""

        async def connect() -> None:
            with anyio.fail_after(180):
                if self._url:
                    opened = open_client(self._url, self._era, elicitation_callback=person)
                else:
                    opened = Client(self._command(), mode=self._era, elicitation_callback=person)
                async with opened as client:
                    await conversation(client)

        anyio.run(connect)

    def _command(self) -> StdioServerParameters:
        command, *arguments = [*SERVER, *self._options]
        return StdioServerParameters(command=command, args=arguments, env=ENVIRON)


@asynccontextmanager
async def open_client(url: str, era: str, **options: Any) -> AsyncIterator[Client]:
    """Connect to a server over HTTP with the token of the tests, with connections and cookies of one's own."""
    patient, many = Timeout(300), Limits(max_connections=1_000)
    async with (
        AsyncClient(headers=BEARER, timeout=patient, limits=many) as web,
        Client(streamable_http_client(url, http_client=web), mode=era, **options) as client,
    ):
        yield client


async def execute(client: Client, code: str, **arguments: Any) -> CallToolResult:
    """Run a script."""
    return await client.call_tool("execute_lua", {"code": code, **arguments})


def text_of(result: CallToolResult) -> str:
    """Return the text of a result."""
    assert result.content[0].type == "text"
    return result.content[0].text


@contextmanager
def http_server(
    *options: str, before: Sequence[str] = (), environ: Mapping[str, str] = ENVIRON, **variables: str
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start a server on a free port and yield its process and its URL.

    Args:
        options: What its command line has besides.
        before: A command that runs the server's, which follows it.
        environ: Its environment.
        variables: What the environment has besides.
    """
    command = [*before, *SERVER, "--http", "127.0.0.1:0", *options]
    streams: Any = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env={**environ, **variables}, **streams) as process:
        assert process.stderr
        said = process.stderr.readline().decode()
        found = re.search(r"http://\S+", said)
        assert found, said
        try:
            yield process, found[0]
        finally:
            process.kill()
