"""Several processes of a server of many: each tenant lives in one, and together they are one server."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
import requests
from support.agents import HANDSHAKE, execute, text_of
from support.servers import wait_for
from support.serving import ACME, GLOBEX, TWO_TENANTS, Serving, agent, bearing, serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no processes that share an address"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("serve")
    with serving(folder, TWO_TENANTS, "--simulate", "--processes", "2") as server:
        wait_for(lambda: _ready(server), 30)
        yield server
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0


def _ready(server: Serving) -> bool:
    return requests.get(server.base + "/readyz", timeout=10).status_code == 200


def children(process: int) -> list[int]:
    """Return the processes that a process has started, which have its command line."""
    found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(each) for each in found]


def test_a_session_stays_where_it_is(server: Serving) -> None:
    """However many connections a client makes, all of them reach the process that has its session."""
    kind = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    for token in (ACME, GLOBEX):
        headers = {**bearing(token), **kind, "Connection": "close"}
        begin = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
        opened = requests.post(server.url, json=begin, headers=headers, timeout=20)
        headers["mcp-session-id"] = opened.headers["mcp-session-id"]
        listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        statuses = {requests.post(server.url, json=listing, headers=headers, timeout=20).status_code for _ in range(20)}
        assert statuses == {200}


def test_a_head_that_comes_in_pieces_reaches_its_process(server: Serving) -> None:
    """Who serves a connection is decided once the head is whole, and nothing of it is lost."""
    host, _, port = server.base.removeprefix("http://").partition(":")
    body = b'{"jsonrpc": "2.0", "id": 7, "method": "ping"}'
    for token, is_let_in in ((ACME, True), (GLOBEX, True), ("a-wrong-token", False)):
        head = (
            f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
            f"MCP-Protocol-Version: 2025-11-25\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        with socket.create_connection((host, int(port)), timeout=20) as client:
            for place in range(0, len(head + body), 50):
                client.sendall((head + body)[place : place + 50])
            assert (client.recv(12).split()[1] != b"401") is is_let_in


@pytest.mark.parametrize("header", ["X-Forwarded-For", "via", "Forwarded"])
def test_a_proxy_gets_a_connection_for_each_request(server: Serving, header: str) -> None:
    """It would send requests of several tenants over one; clients themselves keep theirs."""
    body = {"jsonrpc": "2.0", "id": 7, "method": "ping"}
    kind = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
    for token in (ACME, GLOBEX):
        direct = requests.post(server.url, json=body, headers={**bearing(token), **kind}, timeout=20)
        passed_on = requests.post(
            server.url, json=body, headers={**bearing(token), **kind, header: "192.0.2.1"}, timeout=20
        )
        assert (direct.status_code, direct.text) == (passed_on.status_code, passed_on.text)
        assert "close" not in direct.headers.get("Connection", "")
        assert passed_on.headers["Connection"] == "close"


def test_scripts_of_many_clients_run(server: Serving) -> None:
    """Both tenants are served at once, in both eras of the protocol, and the metrics count what all processes did."""

    async def talk() -> None:
        async def work(token: str, era: str) -> None:
            async with agent(server.url, token, era) as client:
                for _ in range(3):
                    assert "Result:\n1" in text_of(await execute(client, "return 1"))

        async with anyio.create_task_group() as group:
            for token in (ACME, GLOBEX):
                for era in (HANDSHAKE, "2026-07-28"):
                    group.start_soon(work, token, era)

    anyio.run(talk)
    counts: set[str] = set()
    for _ in range(6):
        text = requests.get(server.base + "/metrics", headers={"Connection": "close"}, timeout=20).text
        counts |= {"".join(re.findall(r'kosmolua_runs_total{.*tenant="(\w+)"} 6.0', text))}
    assert counts in ({"acmeglobex"}, {"globexacme"})


def test_a_process_that_dies_is_replaced(tmp_path: Path) -> None:
    """The others serve on, and soon there are as many as before."""
    with serving(tmp_path, TWO_TENANTS, "--simulate", "--processes", "2") as server:
        wait_for(lambda: _ready(server), 30)
        wait_for(lambda: len(children(server.process.pid)) == 2, 30)
        victim = children(server.process.pid)[0]
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: victim not in children(server.process.pid), 10)
        wait_for(lambda: len(children(server.process.pid)) == 2, 30)

        async def talk() -> None:
            for token in (ACME, GLOBEX):
                async with agent(server.url, token) as client:
                    assert "Result:\n1" in text_of(await execute(client, "return 1"))

        anyio.run(talk)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
