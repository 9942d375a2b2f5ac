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
            assert len(servers.processes_with(mark)) == 1  # the gateway itself
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
