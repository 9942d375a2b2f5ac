"""The flow of requests of a server of many: what is let in, how answers begin, and who is held up."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
import requests
from mcp.server.lowlevel import Server
from mcp_types import CallToolResult
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from support.agents import ENVIRON, with_constants
from support.servers import wait_for
from support.serving import ACME, TWO_TENANTS, Serving, bearing, serving

from kosmolua.mcp import transport
from kosmolua.mcp.http import HostCheck
from kosmolua.mcp.transport import McpTransport
from kosmolua.serve import flow
from kosmolua.serve.app import McpEndpoint
from kosmolua.serve.flow import Draining, Heartbeat, Newcomers, Pace, Refusals, Weighing
from kosmolua.serve.shares import Shares
from kosmolua.serve.siblings import Family, Siblings

EVENTS = b"text/event-stream"
FIRST_BYTES = 0.5
"""Seconds after which an answer of the server begins."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    text = f'{TWO_TENANTS}[serve]\nhosts = ["agents.example"]\nmax_request = "64KiB"\nmax_headers = "8KiB"\n'
    soon = with_constants("kosmolua.serve.flow", FIRST_BYTES=FIRST_BYTES, MAX_DELAY=2 * FIRST_BYTES)
    with serving(tmp_path_factory.mktemp("serve"), text, "--simulate", before=soon) as server:
        yield server


async def answer_of(
    app: ASGIApp, *headers: tuple[str, str], method: str = "POST", path: str = "/mcp", body: bytes = b""
) -> list[Message]:
    """Return the messages with which an application answers a request."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope: Scope = {"type": "http", "method": method, "path": path, "headers": raw, "client": ("192.0.2.1", 1)}
    await app(scope, receive, send)
    return sent


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


MODERN = "2026-07-28"


async def answered_by(work: Callable[[Any], Awaitable[None]], *, progress: bool = False, leaves: bool = False) -> Any:
    """Return the messages with which a tool that does this work is answered; the client ``leaves`` before that."""
    about = {"protocolVersion": MODERN, "clientInfo": {"name": "a test", "version": "1"}, "clientCapabilities": {}}
    meta: dict[str, Any] = {f"io.modelcontextprotocol/{name}": value for name, value in about.items()}
    meta |= {"progressToken": 1} if progress else {}
    params = {"name": "do", "arguments": {}, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    headers = {
        "host": "localhost",
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "mcp-protocol-version": MODERN,
        "mcp-method": "tools/call",
        "mcp-name": "do",
    }
    received: list[Message] = [
        {"type": "http.request", "body": body},
        *([{"type": "http.disconnect"}] if leaves else []),
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        if not received:
            await anyio.sleep_forever()
        return received.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    async def call_tool(context: Any, params: Any) -> CallToolResult:
        await work(context)
        return CallToolResult(content=[])

    app = McpTransport(Server("test", on_call_tool=call_tool))
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    async with app.run():
        await app({"type": "http", "method": "POST", "path": "/mcp", "headers": raw}, receive, send)
    return sent


def test_a_call_that_asks_for_no_progress_takes_no_further_task() -> None:
    """It is answered in the task of its request; one that asks for progress is told it in events."""
    tasks: list[Any] = []

    async def work(context: Any) -> None:
        tasks.append(asyncio.current_task())
        await context.session.report_progress(0.5)

    async def both() -> tuple[Any, Any]:
        tasks.append(asyncio.current_task())
        return await answered_by(work), await answered_by(work, progress=True)

    plain, told = asyncio.run(both())
    assert tasks[0] is tasks[1]
    assert len(plain) == 2
    assert json.loads(plain[1]["body"])["result"]["resultType"] == "complete"
    assert dict(told[0]["headers"])[b"content-type"] == EVENTS
    assert any(b'"progress":0.5' in each.get("body", b"") for each in told)


def test_a_call_of_a_client_that_leaves_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a stream too, in which the client would be missed."""
    monkeypatch.setattr(transport, "PATIENCE", 0.0)

    async def work(context: Any) -> None:
        await anyio.sleep_forever()

    assert anyio.run(lambda: answered_by(work, leaves=True)) == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("host", "agents.example")], 200),
        ([("host", "AGENTS.example:8000")], 200),
        ([("host", "localhost:8000")], 200),
        ([("host", "127.0.0.1:8000")], 200),
        ([("host", "192.0.2.7")], 200),
        ([("host", "[::1]:80")], 200),
        ([("host", "evil.example")], 421),
        ([("host", "agents.example.evil.example")], 421),
        ([("host", "[")], 421),
        ([("host", "evil.example@127.0.0.1:8000")], 421),
        ([("host", "")], 421),
        ([], 421),
        ([("host", "localhost"), ("host", "evil.example")], 421),
        ([("host", "agents.example"), ("origin", "https://agents.example")], 200),
        ([("host", "agents.example"), ("origin", "https://evil.example")], 403),
        ([("host", "agents.example"), ("origin", "null")], 403),
    ],
    ids=str,
)
def test_the_check_of_the_host(headers: list[tuple[str, str]], status: int) -> None:
    """A request has to call the server by a name of its own, and no page of another site can make one."""
    sent = anyio.run(lambda: answer_of(HostCheck(nothing, lambda: ("agents.example",), ""), *headers))

    assert sent[0]["status"] == status


@pytest.mark.slow
def test_names_of_the_accounts_file(server: Serving) -> None:
    """Names beyond the address stand in the file."""
    for host, status in (("agents.example", 200), ("evil.example", 421)):
        assert requests.get(server.base + "/healthz", headers={"Host": host}, timeout=60).status_code == status


def test_refusals_are_slowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each further one of an address takes longer, up to a limit, and the log has each."""
    monkeypatch.setattr(flow, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(flow, "MAX_DELAY", 0.08)
    seen: list[str] = []
    delays: list[float] = []
    refusals = Refusals(seen.append)

    async def sleep(seconds: float) -> None:
        delays.append(seconds)

    async def refuse() -> None:
        for _ in range(5):
            assert (await answer_of(refusals))[0]["status"] == 401

    monkeypatch.setattr("asyncio.sleep", sleep)
    anyio.run(refuse)
    assert seen == ["192.0.2.1"] * 5
    assert delays == [0.01, 0.02, 0.04, 0.08, 0.08]


def test_large_requests_of_a_tenant_have_a_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """One begins at once, the next after the time that the bytes before it are worth; small ones never wait."""
    monkeypatch.setattr("kosmolua.serve.flow.monotonic", lambda: 100.0)
    pace, of_another = Pace(), Pace()
    assert pace.delay(3 * flow.RATE) == 0
    assert pace.delay(flow.RATE) == pytest.approx(3)
    assert pace.delay(flow.PACED) == 0
    assert pace.delay(flow.RATE) == pytest.approx(4)
    assert of_another.delay(flow.RATE) == 0


@pytest.mark.parametrize("header", [("content-length", "4000000"), ("transfer-encoding", "chunked")], ids=str)
def test_large_requests_beyond_the_pace_are_refused(monkeypatch: pytest.MonkeyPatch, header: tuple[str, str]) -> None:
    """With when to try again, instead of waiting without end; one without a length counts as the largest."""
    monkeypatch.setattr(flow, "MAX_PACE", 0.5)
    room: Any = SimpleNamespace(close=lambda: None)
    app = Weighing(nothing, lambda: room, Pace(), 4_000_000)
    assert anyio.run(answer_of, app, header)[0]["status"] == 200
    refused = anyio.run(answer_of, app, header)[0]
    assert refused["status"] == 503
    assert (b"retry-after", b"10") in refused["headers"]
    assert anyio.run(answer_of, app, ("content-length", "400"))[0]["status"] == 200


def test_memory_is_reserved_while_a_body_is_read() -> None:
    """Also if it has to be read to know which of several processes answers."""
    done: list[str] = []

    class Room:
        async def need_soon(self, size: int) -> None:
            done.append("reserve")

        def close(self) -> None:
            done.append("free")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert len((await receive())["body"]) == 3 * part
        done.append("answer")
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def authenticate(_: bytes) -> Any:
        return SimpleNamespace(
            name="acme", mcp=app, room=Room, pace=Pace(), share=Shares().of("acme"), is_stopped=False, person_of=repr
        )

    async def receive() -> Message:
        done.append("read")
        return {"type": "http.request", "body": bytes(part), "more_body": done.count("read") < 3}

    async def send(_: Message) -> None:
        return

    part = 300 * 1024
    tenants: Any = SimpleNamespace(authenticate=authenticate, settings=SimpleNamespace(max_request=10 * part))
    siblings = Siblings(0, Family(["/none"], "secret"))
    endpoint = McpEndpoint(tenants, Refusals(lambda _: None), siblings, lambda: False)
    scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": []}
    anyio.run(endpoint, scope, receive, send)
    assert done[:7] == ["read", "reserve"] * 3 + ["answer"]
    assert "free" in done


def events(pause: float, body: bytes, kind: bytes) -> ASGIApp:
    """Return an application that answers after a pause."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await anyio.sleep(pause)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await anyio.sleep(pause)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app


def beaten(monkeypatch: pytest.MonkeyPatch, app: ASGIApp, accept: str = "application/json, text/event-stream") -> Any:
    """Return the messages of an answer with a quick heartbeat."""
    monkeypatch.setattr(flow, "FIRST_BYTES", 0.05)
    monkeypatch.setattr(flow, "SILENCE", 0.1)
    return anyio.run(lambda: answer_of(Heartbeat(app), ("accept", accept)))


@pytest.mark.slow
def test_a_stream_begins_at_once_and_is_never_silent_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy sees bytes early and now and then; a client takes them for comments."""
    sent = beaten(monkeypatch, events(0.25, b"event: message\r\ndata: {}\r\n\r\n", EVENTS))

    assert sent[0]["type"] == "http.response.start"
    bodies = [message["body"] for message in sent[1:]]
    assert bodies[0].startswith(b":")
    assert bodies.count(b"event: message\r\ndata: {}\r\n\r\n") == 1
    assert sum(body.startswith(b":") for body in bodies) >= 3
    assert [message["type"] for message in sent].count("http.response.start") == 1
    assert sent[-1]["more_body"] is False


@pytest.mark.slow
def test_a_refusal_is_one_however_late(server: Serving) -> None:
    """A client whose token is wrong gets 401 even after the time at which slow answers begin as streams."""
    headers = {**bearing("a-wrong-token"), "Accept": "application/json, text/event-stream"}
    took, statuses = 0.0, set()
    while took < 2 * FIRST_BYTES:
        answer = requests.post(server.url, json={}, headers=headers, timeout=60)
        statuses.add((answer.status_code, answer.headers["content-type"]))
        took = answer.elapsed.total_seconds()

    assert statuses == {(401, "text/plain; charset=utf-8")}


@pytest.mark.slow
def test_what_is_no_request_leaves_no_line(server: Serving) -> None:
    """Anybody can send rubbish and requests for other protocols, so the log has nothing of them."""
    host, _, port = server.base.removeprefix("http://").partition(":")
    upgrade = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    for sent, status in ((b"rubbish\r\n\r\n", b"400"), (upgrade, b"200")):
        with socket.create_connection((host, int(port)), timeout=60) as client:
            client.sendall(sent)
            assert client.recv(100).split()[1] == status
    assert "request" not in server.log.read_text()


def test_a_server_that_stops_sends_its_clients_away() -> None:
    """While it drains, each answer ends its connection, and what is not for agents or probes is 503 with a time."""
    is_draining = False
    app = Draining(nothing, lambda: is_draining, {"/mcp"})
    first = anyio.run(lambda: answer_of(app))
    is_draining = True
    late, page = anyio.run(lambda: answer_of(app)), anyio.run(lambda: answer_of(app, path="/runs"))

    assert first[0]["status"] == 200
    assert first[0]["headers"] == []
    assert late[0]["status"] == 200
    assert late[0]["headers"] == [(b"connection", b"close")]
    assert page[0]["status"] == 503
    assert {(b"connection", b"close"), (b"retry-after", b"1")} <= set(page[0]["headers"])


@pytest.mark.parametrize(
    ("params", "session", "status"),
    [
        ('"method": "initialize"', None, 503),
        ('"method":"tools/call", "params": {"arguments": {"code": "return 1"}}', None, 503),
        ('"method": "tools/call", "params": {"arguments": {"code": "print([[\\"page\\": \\"run:]])"}}', None, 503),
        ('"method": "tools/call", "params": {"arguments": {"code": "return 1"}}', "a-session", 200),
        ('"method": "tools/call", "params": {"requestState": "1-abc", "arguments": {}}', None, 200),
        ('"method": "tools/call", "params": {"arguments": {"page": "run:0123456789ab"}}', None, 200),
        ('"method": "tools/list"', None, 200),
        ('"method": "notifications/cancelled"', None, 200),
    ],
)
def test_a_server_that_stops_begins_no_session_and_no_run(params: str, session: str | None, status: int) -> None:
    """A client is sent to another server by HTTP and by JSON-RPC, but for what goes on at this one."""
    headers = [("mcp-session-id", session)] if session else []
    body = f'{{"jsonrpc": "2.0", "id": 1, {params}}}'.encode()
    sent = anyio.run(lambda: answer_of(Newcomers(nothing, 1_000), *headers, body=body))

    assert sent[0]["status"] == status
    if status == 503:
        assert (b"retry-after", b"1") in sent[0]["headers"]
        error = json.loads(sent[1]["body"])["error"]
        assert error["data"]["code"] == "unavailable"
        assert error["data"]["retryable"] is True


@pytest.mark.slow
def test_an_answer_that_comes_late_is_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a stream has begun already, an answer in JSON is its last event."""
    sent = beaten(monkeypatch, events(0.2, b'{"id":1}', b"application/json"))

    assert dict(sent[0]["headers"])[b"content-type"] == EVENTS
    assert sent[-1]["body"] == b'event: message\r\ndata: {"id":1}\r\n\r\n'
    assert sent[-1]["more_body"] is False


@pytest.mark.slow
@pytest.mark.parametrize("accept", ["application/json", "application/json, text/event-stream"])
def test_an_answer_that_comes_soon_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, accept: str) -> None:
    """An answer in JSON is passed on, and never becomes a stream for a client that takes none."""
    pause = 0.2 if accept == "application/json" else 0.0
    sent = beaten(monkeypatch, events(pause, b"{}", b"application/json"), accept)

    assert [message.get("body") for message in sent] == [None, b"{}", b""]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"X": "x" * 20_000}, b"{}", 400),
        ({}, b" " * 100_000, 413),
    ],
)
def test_large_requests_are_refused(server: Serving, headers: dict[str, str], body: bytes, status: int) -> None:
    """Heads and bodies have limits."""
    kind = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    answer = requests.post(server.url, data=body, headers={**bearing(ACME), **kind, **headers}, timeout=60)

    assert answer.status_code == status


@pytest.mark.slow
def test_a_connection_is_watched(server: Serving) -> None:
    """The system asks after clients that are silent, so that one whose machine is gone holds nothing for long."""
    host, _, port = server.base.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as client:
        wait_for(lambda: _timers(int(port), client.getsockname()[1]))


def _timers(server: int, client: int) -> bool:
    """Return True if the server's side of a connection has a keepalive timer, as the kernel lists it."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ends = [int(fields[place].rpartition(":")[2], 16) for place in (1, 2)]
        if ends == [server, client]:
            return fields[5].startswith("02")
    return False


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


@pytest.mark.slow
def test_a_unix_socket(tmp_path: Path) -> None:
    """It is for programs of the same user, and takes tokens as any other address."""
    path = tmp_path / "serve.sock"
    (tmp_path / "accounts.toml").write_text(TWO_TENANTS)
    command = [sys.executable, "-m", "kosmolua", "serve", "--listen", f"unix:{path}", "--simulate"]
    command += ["--accounts", str(tmp_path / "accounts.toml")]
    environ = {**ENVIRON, "XDG_STATE_HOME": str(tmp_path)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: path.exists() and _listens(path))
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
            for token, status in ((ACME, b"400"), ("wrong", b"401")):
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(str(path))
                    head = f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
                    client.sendall(f"{head}Content-Length: 2\r\nContent-Type: application/json\r\n\r\n{{}}".encode())
                    assert status in client.recv(100) or status == b"400"
        finally:
            process.kill()
