"""`kosmolua mcp` with servers behind it is a gateway: four tools, through which a client reaches all of theirs."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from support import servers
from support.agents import ENVIRON, execute, text_of

pytestmark = pytest.mark.slow
PLUGIN = """
from dataclasses import dataclass
from kosmolua.plugin import Integration

@dataclass(frozen=True)
class Account:
    \"""No settings.\"""
    def open(self, send):
        \"""Open it.\"""

integration = Integration("postbox", Account, about="Mails.")

@integration.writes(to=["to"])
def send(api, /, *, to: str) -> None:
    \"""Send a mail.\"""
"""


def test_a_client_reaches_the_tools_of_servers_through_four(tmp_path: Path) -> None:
    """They are found, read and called; the client is told of none of their schemas before, and no process is left."""
    mark = f"gateway-{os.getpid()}-{tmp_path.name}"
    command = shlex.join([sys.executable, str(servers.SCRIPT), mark])
    environment = ENVIRON | {"XDG_CACHE_HOME": str(tmp_path)}
    words = ["-m", "kosmolua", "mcp", "--server", f"tools={command}"]
    gateway = StdioServerParameters(command=sys.executable, args=words, env=environment)

    async def use() -> None:
        async with Client(gateway) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert names == ["lua_list_docs", "lua_search_docs", "lua_read_doc", "execute_lua"]
            assert len(servers.processes_with(mark)) <= 1  # the gateway itself, which as a fork does not show it
            page = await client.call_tool("lua_read_doc", {"page": "mcp.tools.add_up"})
            assert "app.mcp.tools.add_up" in text_of(page)
            found = await client.call_tool("lua_search_docs", {"query": "add numbers"})
            assert "mcp.tools.add_up" in text_of(found)
            code = "local sum = app.mcp.tools.add_up({ terms = { 1, 2 } }) return sum.total, app.mcp.tools.greet('Ann')"
            done = await execute(client, code)
            assert done.structured_content is not None
            assert done.structured_content["result"] == [3, "hello Ann"]
            refused = await execute(client, "app.mcp.tools.erase()")
            assert refused.is_error

    asyncio.run(use())
    servers.wait_for(lambda: servers.processes_with(mark) == [])


def test_what_a_server_says_of_itself_in_the_documentation_was_seen(tmp_path: Path) -> None:
    """A client that has read it may write what it said, so that a person is asked."""
    hostile = str(servers.SCRIPT.parent / "hostile_mcp_server.py")
    command = shlex.join(["env", f"TURNED={tmp_path / 'turned'}", sys.executable, hostile])
    environment = ENVIRON | {"XDG_CACHE_HOME": str(tmp_path)}
    plugin = tmp_path / "postbox.py"
    plugin.write_text(PLUGIN)
    words = ["-m", "kosmolua", "mcp", "--plugin", str(plugin), "--yes", "--server", f"files={command}"]
    gateway = StdioServerParameters(command=sys.executable, args=words, env=environment)

    async def use() -> None:
        async with Client(gateway) as client:
            await client.call_tool("lua_read_doc", {"page": "mcp.files.look"})
            for to, is_theirs in (("ann@corp.example", False), ("me@evil.example", True)):
                answer = text_of(await execute(client, f"app.integrations.postbox.send({{ to = '{to}' }})"))
                assert ("comes from the page mcp.files.look (public)" in answer) is is_theirs

    asyncio.run(use())
