"""The guide on MCP: the configurations that it shows start a server, and what it says of tools is what they are."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from support.agents import ENVIRON

from kosmolua.clients.known import CLIENTS
from kosmolua.docs.pages import GuidePage
from kosmolua.limits import Limits
from kosmolua.mcp.tools import DEFAULT_ANSWER, DEFAULT_PAGE, MAX_ANSWER, tools_for

GUIDE = GuidePage("mcp").full()


def servers() -> list[dict[str, Any]]:
    blocks = [json.loads(code) for code in re.findall(r"^```json\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)]
    return [server for file in blocks for group in file.values() for server in group.values()]


@pytest.mark.slow
@pytest.mark.parametrize("server", servers())
def test_a_configuration_starts_a_server(server: dict[str, Any]) -> None:
    """A client that starts what the guide shows finds the tools, with no accounts file at all."""

    async def connect() -> None:
        parameters = StdioServerParameters(
            command=sys.executable, args=["-m", "kosmolua", *server["args"]], env=ENVIRON
        )
        async with Client(parameters) as client:
            assert len((await client.list_tools()).tools) == 4

    assert server["command"].endswith("/kosmolua")
    anyio.run(connect)


def test_every_client_is_named() -> None:
    """The table has each client with the name that install takes."""
    for client in CLIENTS.values():
        assert f"| {client.title} | `{client.name}` |" in GUIDE


def test_every_tool_and_argument_is_named() -> None:
    """The tables have each tool and each argument, with the numbers that hold."""
    for tool in tools_for(Limits(), read_only=False):
        assert f"`{tool.name}`" in GUIDE
        for name in tool.input_schema["properties"]:
            assert f"`{name}`" in GUIDE, f"{tool.name} {name}"
    for number in (DEFAULT_PAGE, DEFAULT_ANSWER, MAX_ANSWER):
        assert f"{number:,}" in GUIDE
