"""A second, independent client agrees: the command line of the MCP inspector, which is made with the TypeScript SDK."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.agents import ENVIRON, SERVER, TOKEN, http_server

HEADER = f"Authorization: Bearer {TOKEN}"
PACKAGE = "@modelcontextprotocol/inspector@1"


def inspect(*arguments: str) -> Any:
    """Return what the inspector prints."""
    inspector = os.environ.get("MCP_INSPECTOR") or shutil.which("mcp-inspector")
    if not shutil.which("node") or not inspector or not Path(inspector).exists():
        pytest.skip(f"node and mcp-inspector are not both here: npm install -g {PACKAGE}")
    command = [inspector, "--cli", *arguments]
    done = subprocess.run(command, env=ENVIRON, capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def over_stdio(*arguments: str) -> Any:
    return inspect(*SERVER, *arguments)


@pytest.mark.slow
def test_it_lists_the_tools() -> None:
    """The four tools, with their annotations."""
    tools = {tool["name"]: tool for tool in over_stdio("--method", "tools/list")["tools"]}
    assert list(tools) == ["lua_list_docs", "lua_search_docs", "lua_read_doc", "execute_lua"]
    assert tools["execute_lua"]["annotations"]["destructiveHint"] is True


@pytest.mark.slow
def test_it_reads_a_page() -> None:
    """A call whose result is text."""
    page = ["--tool-name", "lua_read_doc", "--tool-arg", "page=render2.list_services"]
    result = over_stdio("--method", "tools/call", *page)
    assert result["content"][0]["text"].startswith("# app.integrations.render2.list_services")


@pytest.mark.slow
def test_it_runs_a_script_over_http() -> None:
    """A call whose result has structure too, over the other transport."""
    code = "code=return #app.integrations.render2.list_services({limit = 2}).services"
    with http_server() as (_, url):
        call = ["--method", "tools/call", "--tool-name", "execute_lua", "--tool-arg", code]
        result = inspect(url, "--transport", "http", "--header", HEADER, *call)
    assert result["structuredContent"]["result"] == [2]


@pytest.mark.slow
def test_it_reads_a_resource() -> None:
    """A page by its URI."""
    result = over_stdio("--method", "resources/read", "--uri", "kosmolua://docs/overview")
    assert result["contents"][0]["text"].startswith("# Overview")
