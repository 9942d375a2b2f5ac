"""Tenants apart: the ways from one to what is another's, all of which lead nowhere."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
import requests
from httpx2 import AsyncClient
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult
from support.agents import DISCOVERY, HANDSHAKE, Person, execute, text_of
from support.servers import wait_for
from support.serving import ACME, GLOBEX, Serving, agent, bearing, serving

pytestmark = pytest.mark.slow
PLUGIN = Path(__file__).parent / "plugins" / "notebook.py"
WORDS = ("notebook", "quarterly", "acme-secret", "ledger-account", "a-key-of-the-notebook")
"""What only acme has: a plugin, a script, a secret, an account, a credential."""
ACCOUNTS = """\
[notebook.ledger-account]
key = "a-key-of-the-notebook"
file = "{folder}/notebook"
permissions = {{ write = "ask" }}

[kosmolua.secrets]
acme_secret = "acme-secret-text"
"""
SERVER = f"""\
[serve]
approval_wait = "100ms"

[tenants.acme]
token = "{ACME}"
accounts = "acme.toml"
plugins = ["{PLUGIN}"]
scripts = "acme-scripts"
workers = 1

[tenants.globex]
token = "{GLOBEX}"
accounts = "globex.toml"
workers = 1
"""
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
}
LISTING = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
ACCEPT = {"Accept": "application/json, text/event-stream"}


@dataclass
class Acme:
    """What acme has done, and a stranger might have learned of.

    Args:
        server: The server.
        done: The run of a script that ended.
        paused: One that waits for an approval.
        page: The page of an answer that was cut.
        cookie: The cookie of its client.
        session: A session that is open.
    """

    server: Serving
    done: str = ""
    paused: str = ""
    page: str = ""
    cookie: str = ""
    session: str = ""


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acme]:
    """A server with two tenants, one of which has worked."""
    folder = tmp_path_factory.mktemp("tenants")
    (folder / "acme-scripts").mkdir()
    (folder / "acme-scripts" / "quarterly.lua").write_text("-- The quarterly report of acme.\nreturn 1\n")
    for name, text in (("acme", ACCOUNTS.format(folder=folder)), ("globex", "")):
        (folder / f"{name}.toml").write_text(text)
        (folder / f"{name}.toml").chmod(0o600)
    with serving(folder, SERVER) as server:
        found = Acme(server)
        anyio.run(work, found)
        opened = requests.post(server.url, json=INITIALIZE, headers={**bearing(ACME), **ACCEPT}, timeout=60)
        found.session = opened.headers["mcp-session-id"]
        yield found


async def work(acme: Acme) -> None:
    """Let acme do what leaves traces."""
    headers = {**bearing(ACME)}
    async with (
        AsyncClient(headers=headers, timeout=60) as web,
        Client(streamable_http_client(acme.server.url, http_client=web), mode=DISCOVERY) as client,
    ):
        done = await execute(client, "print('acme-secret-text'); return app.integrations.notebook.wait({seconds = 0})")
        paused = await execute(client, "return app.integrations.notebook.add({ line = 'acme-secret' })")
        cut = await execute(client, "return ('acme-secret '):rep(5000)", budget=4000)
        acme.cookie = web.cookies["kosmolua-client"]
    acme.done, acme.paused = (result.structured_content["run"] for result in (done, paused))  # type: ignore[index]
    assert paused.structured_content["error"]["code"] == "paused"  # type: ignore[index]
    assert f"The user can approve them at {acme.server.base}/a/{acme.paused}-1." in text_of(paused)
    acme.page = re.findall(r'page "(run:\w+)"', text_of(cut))[0]


def lua(code: str) -> Callable[[Client, Acme], Awaitable[str]]:
    """Return what a script of the other tenant says."""

    async def way(client: Client, acme: Acme) -> str:
        return text_of(await execute(client, code.replace("RUN", acme.done)))

    return way


def tool(name: str, **arguments: str) -> Callable[[Client, Acme], Awaitable[str]]:
    """Return what a tool says to the other tenant; capital words stand for what acme has."""

    async def way(client: Client, acme: Acme) -> str:
        known = {"DONE": acme.done, "PAUSED": acme.paused, "PAGE": acme.page}
        given = {
            key: next((value.replace(word, said) for word, said in known.items() if word in value), value)
            for key, value in arguments.items()
        }
        return text_of(await client.call_tool(name, given))

    return way


async def resources(client: Client, acme: Acme) -> str:
    return repr(await client.list_resources())


async def page_as_resource(client: Client, acme: Acme) -> str:
    return repr(await client.read_resource("kosmolua://docs/integrations.notebook"))


async def prompt(client: Client, acme: Acme) -> str:
    return repr(await client.get_prompt("write_script", {"task": "x", "integration": "notebook"}))


async def tools(client: Client, acme: Acme) -> str:
    return repr([each for each in (await client.list_tools()).tools if each.name != "x"])


async def instructions(client: Client, acme: Acme) -> str:
    return repr(client.instructions)


WAYS: dict[str, Callable[[Client, Acme], Awaitable[str]]] = {
    "a call": lua("return app.integrations.notebook.add({ line = 'x' })"),
    "a call with an account": lua("return app.integrations['notebook']['ledger-account'].wait({ seconds = 0 })"),
    "a list of integrations": lua("for name in pairs(app.integrations) do print(name) end"),
    "a list of everything": lua("for root in pairs(app) do for name in pairs(app[root]) do print(root, name) end end"),
    "a name that is close": lua("return app.integrations.notebok"),
    "the docs of a script": lua("print(lua_list_docs())"),
    "a search of a script": lua("print(lua_search_docs('a line in a file of accounts'))"),
    "a page of a script": lua("print(lua_read_doc('integrations.notebook.add'))"),
    "a script": lua("return app.scripts.quarterly({})"),
    "a list of scripts": lua("for name in pairs(app.scripts) do print(name) end"),
    "the page of a script of its own": lua("print(lua_read_doc('scripts.quarterly'))"),
    "a secret": lua("return tostring(secrets.acme_secret)"),
    "a list of secrets": lua("for name in pairs(secrets) do print(name) end"),
    "a server": lua("for name in pairs(app.mcp) do print(name) end; return app.mcp.notebook"),
    "what went wrong": lua("return pcall(function() return app.integrations.notebook.add end)"),
    "a tool that lists": tool("lua_list_docs"),
    "a tool that lists one": tool("lua_list_docs", namespace="integrations.notebook"),
    "a tool that searches": tool("lua_search_docs", query="add a line"),
    "a tool that reads": tool("lua_read_doc", page="integrations.notebook"),
    "a script as a tool": tool("quarterly"),
    "the last answer": tool("lua_read_doc", page="run:last"),
    "an answer by its page": tool("lua_read_doc", page="PAGE"),
    "a run that ended": tool("execute_lua", resume="DONE"),
    "a run that waits": tool("execute_lua", resume="PAUSED"),
    "a run by a path": tool("execute_lua", resume="../../acme/recordings/DONE"),
    "the list of resources": resources,
    "a page as a resource": page_as_resource,
    "a prompt": prompt,
    "the list of tools": tools,
    "the instructions": instructions,
}


WAYS_NAMING = {
    "a call": ("notebook",),
    "a call with an account": ("notebook", "ledger-account"),
    "a name that is close": (),
    "a page of a script": ("notebook",),
    "a script": ("quarterly",),
    "the page of a script of its own": ("quarterly",),
    "a server": ("notebook",),
    "what went wrong": ("notebook",),
    "a tool that lists one": ("notebook",),
    "a tool that reads": ("notebook",),
    "a script as a tool": ("quarterly",),
    "a page as a resource": ("notebook",),
    "a prompt": ("notebook",),
}
"""What a way names itself, which may be in what it is told."""
REFUSED = re.compile(r"has no |There is no |no page|names no ", re.IGNORECASE)


@pytest.mark.parametrize("way", WAYS)
def test_a_way_leads_nowhere(acme: Acme, way: str) -> None:
    """Whatever one tenant asks for, it learns nothing that is another's: it is told that there is no such thing."""

    async def talk() -> str:
        person = Person("accept", allow="this call")
        async with agent(acme.server.url, GLOBEX, elicitation_callback=person) as client:
            try:
                said = await WAYS[way](client, acme)
            except MCPError as error:
                said = str(error)
        assert person.asked == []
        return said

    said = anyio.run(talk)
    named = {word for word in WORDS if word in WAYS_NAMING.get(way, ())}
    assert not any(word in said for word in WORDS if word not in named), said
    if named:
        assert REFUSED.search(said), said
    assert not (acme.server.state.parent.parent / "notebook").exists()


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_the_session_of_another_is_not_found(acme: Acme, method: str) -> None:
    """With its own token, a tenant finds no session of another, and cannot end it."""
    session = {"mcp-session-id": acme.session, **ACCEPT}
    body = LISTING if method == "POST" else None
    stolen = requests.request(
        method, acme.server.url, json=body, headers={**bearing(GLOBEX), **session}, timeout=20, stream=True
    )
    assert stolen.status_code in (400, 404)
    own = requests.post(acme.server.url, json=LISTING, headers={**bearing(ACME), **session}, timeout=60)
    assert own.status_code == 200


def test_the_cookie_of_another_grants_nothing(acme: Acme) -> None:
    """A client is told from others by a cookie, which leads to nothing of another tenant."""

    async def talk() -> str:
        headers = {**bearing(GLOBEX), "Cookie": f"kosmolua-client={acme.cookie}"}
        async with (
            AsyncClient(headers=headers, timeout=60) as web,
            Client(streamable_http_client(acme.server.url, http_client=web), mode=DISCOVERY) as client,
        ):
            return text_of(await client.call_tool("lua_read_doc", {"page": "run:last"}))

    assert "There is no kept answer" in anyio.run(talk)


def test_pages_of_another_are_not_found(acme: Acme) -> None:
    """Who is signed in as one tenant sees no run, no page and no approval of another."""
    browser = requests.Session()
    form = re.findall(r'name="(\w+)" value="([^"]+)"', browser.get(acme.server.base + "/login", timeout=60).text)
    sign_in = {**dict(form), "token": GLOBEX}
    browser.post(acme.server.base + "/login", data=sign_in, timeout=60)

    for path in ("/approvals", "/runs", f"/runs/{acme.done}", "/docs", "/accounts", "/insights"):
        answer = browser.get(acme.server.base + path, timeout=60)
        assert "Sign out" in answer.text or answer.status_code == 404, path
        assert not any(word in answer.text for word in ("acme-secret", "a-key-of", acme.paused)), path
    assert browser.get(f"{acme.server.base}/runs/{acme.done}", timeout=60).status_code == 404
    assert browser.get(f"{acme.server.base}/docs/integrations.notebook", timeout=60).status_code == 404


@pytest.mark.parametrize("era", [HANDSHAKE, DISCOVERY])
def test_a_busy_tenant_keeps_no_other_waiting(acme: Acme, era: str, tmp_path: Path) -> None:
    """Each has workers of its own: the scripts of one do not wait for those of another, nor can it tell."""

    async def talk() -> None:
        async with (
            agent(acme.server.url, ACME, era) as busy,
            agent(acme.server.url, GLOBEX, era) as other,
            anyio.create_task_group() as group,
        ):
            for _ in range(3):
                group.start_soon(keep_busy, busy)
            await anyio.to_thread.run_sync(wait_for, begun.exists)
            assert "Result:\n1" in text_of(await execute(other, "return 1"))
            assert ended == []
            ends.touch()

    async def keep_busy(client: Client) -> None:
        ended.append(await execute(client, wait))

    begun, ends = tmp_path / "begun", tmp_path / "ends"
    wait = f"return app.integrations.notebook.wait({{ seconds = 60, file = '{ends}', sign = '{begun}' }})"
    ended: list[CallToolResult] = []
    anyio.run(talk)


def test_acme_itself_has_it_all(acme: Acme) -> None:
    """What no other finds is there for whom it belongs to."""

    async def talk() -> dict[str, Any]:
        person = Person("accept", allow="this call")
        async with agent(acme.server.url, ACME, elicitation_callback=person) as client:
            listed = text_of(await client.call_tool("lua_list_docs", {}))
            tools = [tool.name for tool in (await client.list_tools()).tools]
            done = text_of(await client.call_tool("execute_lua", {"resume": acme.done}))
            return {"listed": listed, "tools": tools, "done": done}

    found = anyio.run(talk)
    assert "notebook" in found["listed"]
    assert "quarterly" in found["tools"]
    assert "Result:" in found["done"]
