"""The guide on MCP: the configurations that it shows start a server, and what it says of tools is what they are."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import anyio
import pytest
import tomli
from mcp import Client, StdioServerParameters
from support.agents import ENVIRON

from kosmolua.docs.pages import GuidePage
from kosmolua.limits import Limits
from kosmolua.mcp.tools import DEFAULT_ANSWER, DEFAULT_PAGE, MAX_ANSWER, tools_for

GUIDE = GuidePage("mcp").full()


def servers() -> list[dict[str, Any]]:
    blocks = [json.loads(code) for code in re.findall(r"^```json\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)]
    (codex,) = re.findall(r"^```toml\n# config.toml\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    files = [*blocks, tomli.loads(codex)]
    return [server for file in files for group in file.values() for server in group.values()]


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

    assert server["command"] == "kosmolua"
    anyio.run(connect)


def test_every_tool_and_argument_is_named() -> None:
    """The tables have each tool and each argument, with the numbers that hold."""
    for tool in tools_for(Limits(), read_only=False):
        assert f"`{tool.name}`" in GUIDE
        for name in tool.input_schema["properties"]:
            assert f"`{name}`" in GUIDE, f"{tool.name} {name}"
    for number in (DEFAULT_PAGE, DEFAULT_ANSWER, MAX_ANSWER):
        assert f"{number:,}" in GUIDE
