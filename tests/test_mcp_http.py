"""The HTTP server: where it listens, which requests it lets in, and what it does with connections that send nothing."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
import requests
from httpx2 import AsyncClient, AsyncHTTPTransport
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from requests import Session
from requests.adapters import HTTPAdapter
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send
from support.agents import BEARER, DISCOVERY, ENVIRON, SERVER, TOKEN, Agent, execute, http_server, with_constants
from support.processes import linux_only, processor_seconds

from kosmolua.errors import ConfigError, UsageError
from kosmolua.mcp import executions
from kosmolua.mcp.addresses import SocketAddress, UnixAddress
from kosmolua.mcp.clients import MAX_SESSIONS_OF_ADDRESS
from kosmolua.mcp.http import MAX_SESSIONS, Guard


@pytest.fixture
def url() -> Iterator[str]:
    with http_server() as (_, url):
        yield url


def status_of(token: str | None, *more: tuple[str, str], names: tuple[str, ...] = (), **headers: str) -> int:
    """Return the status that a guard answers a request with, 200 being the guarded application's."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def send(message: Message) -> None:
        statuses.append(message.get("status", statuses[-1:] and statuses[-1]))

    async def receive() -> Message:
        return {"type": "http.request"}

    statuses: list[int] = []
    raw = [(name.encode(), value.encode("latin-1")) for name, value in [*headers.items(), *more]]
    scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": raw}
    anyio.run(Guard(application, token, names), scope, receive, send)
    return statuses[0]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost:8000", 200),
        ("LOCALHOST", 200),
        ("[::1]:8000", 200),
        ("127.1.2.3:80", 200),
        ("evil.example:8000", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example:8000", 421),
        ("192.168.1.5:8000", 421),
        ("[", 421),
        ("", 421),
        ("evil.example@127.0.0.1:8000", 421),
        ("evil.example#@localhost", 421),
        ("localhost/evil.example", 421),
        ("localhost?evil.example", 421),
        ("localhost:evil.example", 421),
        ("[127.0.0.1]", 421),
    ],
)
def test_without_a_token_host_is_a_loopback_name(host: str, status: int) -> None:
    """A name that was made to point to this machine (DNS rebinding) is refused."""
    assert status_of(None, host=host) == status


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8000", 200),
        ("http://localhost:9000", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("http://localhost:8000.evil.example", 403),
        ("http://[", 403),
    ],
)
def test_origin_is_the_server_itself(origin: str, status: int, token: str | None) -> None:
    """A request that a page of another site makes is refused, with or without a token."""
    assert status_of(token, host="localhost:8000", origin=origin, authorization=f"Bearer {TOKEN}") == status


def test_each_origin_has_to_be_the_server_itself() -> None:
    """Of two that differ, neither makes up for the other."""
    own, other = "http://localhost:8000", "https://evil.example"
    for first, second in ((own, other), (other, own)):
        assert status_of(None, ("origin", second), host="localhost:8000", origin=first) == 403


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        ("Bearer", 401),
        ("Bearer \xe9", 401),
        (f"Basic {TOKEN}", 401),
        ("", 401),
    ],
)
def test_a_token_has_to_be_borne(authorization: str, status: int) -> None:
    """With a token only requests that bear exactly this one get in."""
    assert status_of(TOKEN, host="192.0.2.7:8000", authorization=authorization) == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("agents.example:8000", 200),
        ("192.0.2.7", 200),
        ("localhost", 200),
        ("evil.example", 421),
        ("evil.example@127.0.0.1", 421),
        ("evil.example@localhost:8000", 421),
        ("", 421),
    ],
)
def test_a_token_gets_in_under_the_servers_own_names_alone(host: str, status: int) -> None:
    """A page of another site whose name was made to point here cannot send even a token that it has found."""
    assert status_of(TOKEN, names=("agents.example",), host=host, authorization=f"Bearer {TOKEN}") == status


@pytest.mark.slow
def test_the_name_to_listen_on_is_a_name_of_the_server(tmp_path: Path) -> None:
    """A client may use the name that --http was given, an address, or localhost, and no other name."""
    with http_server() as (_, url):
        for host, status in (("localhost", 401), ("evil.example", 421)):
            assert requests.post(url, headers={"Host": host}, timeout=60).status_code == status


@pytest.mark.parametrize(
    ("text", "said"),
    [("127.0.0.1:8000", "127.0.0.1:8000"), ("[::1]:0", "[::1]:0"), ("0.0.0.0:80", "0.0.0.0:80")],
)
def test_an_address_is_host_and_port(text: str, said: str) -> None:
    """IPv4, and IPv6 in brackets."""
    assert str(SocketAddress.read(text)) == said


def test_a_name_means_its_first_address() -> None:
    """localhost is listened on where most clients look for it."""
    assert str(SocketAddress.read("localhost:8000")) == "127.0.0.1:8000"


@pytest.mark.parametrize(
    "text", ["8000", "localhost", ":8000", "127.0.0.1:99999", "a:b", "u@localhost:1", "[::1:80", ""]
)
def test_what_is_no_address_is_a_usage_error(text: str) -> None:
    """The message shows the form."""
    with pytest.raises(UsageError, match="HOST:PORT"):
        SocketAddress.read(text)


def test_an_address_in_use_is_said() -> None:
    """A port that somebody else listens on is an error in a sentence."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = SocketAddress.read(f"127.0.0.1:{other.getsockname()[1]}")
        with pytest.raises(ConfigError, match=r"Cannot listen on 127\.0\.0\.1:\d+: Address already in use") as caught:
            address.listen()
    assert "--listen HOST:PORT" in str(caught.value)


# Tokens


def without_token(state: Path) -> dict[str, str]:
    """Return an environment without a token, and with a state folder of its own."""
    kept = {name: value for name, value in ENVIRON.items() if name != "KOSMOLUA_MCP_TOKEN"}
    return kept | {"XDG_STATE_HOME": str(state)}


def refused(environ: dict[str, str]) -> str:
    """Start a server that refuses to serve, and return what it says."""
    command = [*SERVER, "--http", "127.0.0.1:0"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "serving" not in done.stderr
    return done.stderr


@pytest.mark.slow
def test_a_token_is_made_and_kept(tmp_path: Path) -> None:
    """It is in a file of mode 600, whose path is told, and which the next start keeps; no request gets in without."""
    tokens = set()
    for _ in range(2):
        with http_server(environ=without_token(tmp_path)) as (process, url), Session() as web:
            assert process.stderr
            said = process.stderr.readline().decode()
            path = Path(said.rpartition(" in ")[2].strip())
            tokens.add(token := path.read_text().strip())
            assert path.stat().st_mode & 0o777 == 0o600
            assert token not in said
            assert len(token) > 30
            assert web.post(url, json={}).status_code == 401
            assert web.post(url, json={}, headers={"Authorization": f"Bearer {token}"}).status_code != 401
    assert len(tokens) == 1


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="there are no modes here")
def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """The sentence names the file and what to do."""
    file = tmp_path / "kosmolua" / "mcp-token"
    file.parent.mkdir()
    file.write_text("known-to-everybody")
    file.chmod(0o644)
    assert f"Other users can read or write the token in {file} (remove the file" in refused(without_token(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_a_blank_token_is_refused(blank: str) -> None:
    """An empty or blank variable is a mistake, and not the wish for a server without a token."""
    said = refused(ENVIRON | {"KOSMOLUA_MCP_TOKEN": blank})
    assert "KOSMOLUA_MCP_TOKEN is blank (set it to a long random string, or unset it" in said


@pytest.mark.slow
def test_a_token_from_the_environment_is_not_kept(tmp_path: Path) -> None:
    """No file is made, and nothing is said of one."""
    with http_server(XDG_STATE_HOME=str(tmp_path)) as (process, _):
        process.terminate()
        assert process.stderr
        assert process.stderr.read() == b""
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_with_the_token_a_client_gets_in(url: str) -> None:
    """The SDK's client bears the token and works; a request without it gets no further than the door."""

    async def conversation(client: Client) -> None:
        assert (await execute(client, "return 1")).structured_content["result"] == [1]

    Agent(url, DISCOVERY).talk(conversation)
    with Session() as web:
        answer = web.post(url, json={})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert TOKEN not in answer.text


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no Unix sockets here")
def test_a_unix_socket_needs_no_token(tmp_path: Path) -> None:
    """Only its user can connect. A client finds the tools there, and a file that a killed server left is replaced."""
    path = tmp_path / "kosmolua.sock"

    async def conversation() -> None:
        async with (
            AsyncClient(transport=AsyncHTTPTransport(uds=str(path))) as web,
            Client(streamable_http_client("http://localhost/mcp", http_client=web)) as client,
        ):
            assert (await execute(client, "return 1")).structured_content["result"] == [1]

    for how in (signal.SIGKILL, signal.SIGTERM):
        command = [*SERVER, "--http", f"unix:{path}"]
        with subprocess.Popen(command, env=without_token(tmp_path), stderr=subprocess.PIPE) as process:
            assert process.stderr
            assert f"serving on unix:{path}".encode() in process.stderr.readline()
            assert path.stat().st_mode & 0o777 == 0o600
            anyio.run(conversation)
            with pytest.raises(ConfigError, match="Address already in use"):
                UnixAddress(str(path)).listen()
            process.send_signal(how)
            process.wait(60)
    assert not path.exists()


# Connections


ACCEPT = {"Accept": "application/json, text/event-stream"}
HALF_A_HEAD = b"POST /mcp HTTP/1.1\r\nHost: x\r\n"
HALF_A_BODY = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\nAuthorization: Bearer %s\r\n\r\n{"
FEW_DESCRIPTORS = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
os.execv(sys.argv[1], sys.argv[1:])
"""
SHORT_TIMEOUTS = with_constants("kosmolua.mcp.connections", HEAD_TIMEOUT=0.5, BODY_TIMEOUT=2)


class FromAddress(HTTPAdapter):
    """Sends from an address of this machine.

    Args:
        address: The address.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **given: Any) -> None:
        super().init_poolmanager(*args, source_address=(self._address, 0), **given)


def send_part(url: str, part: bytes) -> socket.socket:
    """Connect, and send the beginning of a request."""
    where = urlsplit(url)
    assert where.hostname
    connection = socket.create_connection((where.hostname, where.port or 0), timeout=60)
    with contextlib.suppress(OSError):
        connection.sendall(part)
    return connection


def ask(url: str) -> tuple[int, float]:
    """Open a session over a new connection, and return the answer's status and how many seconds it took."""
    began = time.monotonic()
    status = open_session(url).status_code
    return status, time.monotonic() - began


def is_closed(connection: socket.socket) -> bool:
    """Read what there is, and return whether the other end has closed the connection."""
    try:
        return connection.recv(10_000) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.slow
@linux_only
@pytest.mark.parametrize("part", [b"", HALF_A_HEAD, HALF_A_BODY % TOKEN.encode()], ids=["nothing", "head", "body"])
def test_connections_that_send_nothing_keep_nobody_out(part: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """With 300 of them and 256 descriptors, a client is answered soon, and the processor rests."""
    took = []
    with http_server(before=[sys.executable, "-c", FEW_DESCRIPTORS]) as (process, url):
        ask(url)
        connections = [send_part(url, part) for _ in range(300)]
        used = processor_seconds(process.pid)
        for _ in range(3):
            status, seconds = ask(url)
            assert status == 200
            took.append(seconds)
        spent = processor_seconds(process.pid) - used
        with capsys.disabled():
            answered = ", ".join(f"{seconds * 1000:.0f}" for seconds in took)
            print(f"\n300 half-open connections: a client is answered after {answered} ms; {spent:.2f} s of CPU")
        assert max(took) < 10
        assert spent < 5
        for connection in connections:
            connection.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "seconds"),
    [(HALF_A_HEAD, 0.5), (HALF_A_BODY % TOKEN.encode(), 2), (HALF_A_BODY % b"wrong", 2)],
    ids=["head", "body", "refused"],
)
def test_a_request_has_to_come_in_time(part: bytes, seconds: float) -> None:
    """A connection whose head or body does not come is closed, though a byte arrives now and then."""
    with http_server(before=SHORT_TIMEOUTS) as (_, url):
        began = time.monotonic()
        with send_part(url, part) as connection:
            connection.settimeout(0.1)
            while not is_closed(connection):
                assert time.monotonic() - began < seconds + 60
                with contextlib.suppress(OSError):
                    connection.sendall(b"x")
        assert time.monotonic() - began > seconds - 0.2


@pytest.mark.slow
def test_a_connection_waits_for_its_next_request() -> None:
    """Longer than for a head, so that a proxy which keeps one sends no request into its end; then for its head."""
    with http_server(before=SHORT_TIMEOUTS) as (_, url):
        client = HTTPConnection(urlsplit(url).netloc, timeout=60)
        for pause in (0, 1.5):
            time.sleep(pause)
            client.request("GET", "/mcp")
            connection = client.sock
            answer = client.getresponse()
            assert (answer.status, bool(answer.read())) == (401, True)
            assert client.sock is connection, "it is still open"
        connection.sendall(HALF_A_HEAD)
        assert is_closed(connection)


def test_small_answers_are_sent_at_once() -> None:
    """The listener names TCP, so that asyncio turns Nagle's algorithm off for what it accepts."""

    async def option_of_accepted() -> int:
        option = asyncio.get_running_loop().create_future()

        async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            option.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener, address = SocketAddress.read("127.0.0.1:0").listen()
        async with await asyncio.start_server(note, sock=listener):
            with socket.create_connection((address.ip, address.port)):
                return int(await option)

    assert asyncio.run(option_of_accepted())


def open_session(url: str) -> requests.Response:
    """Open a session of the older protocol."""
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "a test", "version": "1"}}
    frame = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    return requests.post(url, json=frame, headers=BEARER | ACCEPT, timeout=60)


def use_session(url: str, session: str, frame: dict[str, object]) -> int:
    """Send a frame in a session and return the answer's status."""
    headers = BEARER | ACCEPT | {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-06-18"}
    return requests.post(url, json=frame, headers=headers, timeout=60).status_code


@pytest.mark.slow
def test_the_sessions_of_an_address_are_bounded(url: str) -> None:
    """Who opens sessions without end loses those that it never used, and neither those in use nor the newest."""
    ping: dict[str, object] = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    used = open_session(url).headers["Mcp-Session-Id"]
    assert use_session(url, used, {"jsonrpc": "2.0", "method": "notifications/initialized"}) == 202
    assert use_session(url, used, ping) == 200
    opened = [open_session(url) for _ in range(MAX_SESSIONS_OF_ADDRESS + 20)]
    assert {each.status_code for each in opened} == {200}
    names = [each.headers["Mcp-Session-Id"] for each in opened]
    assert use_session(url, used, ping) == 200
    assert [use_session(url, name, ping) for name in names[:10]] == [404] * 10
    assert [use_session(url, name, ping) for name in names[-10:]] == [200] * 10


@linux_only
@pytest.mark.slow
def test_the_sessions_of_all_are_bounded(url: str) -> None:
    """Addresses together have so many sessions; further ones are refused until some have ended."""
    statuses = []
    with Session() as session:
        for number in range(MAX_SESSIONS + 1):
            session.mount("http://", FromAddress(f"127.0.1.{number // MAX_SESSIONS_OF_ADDRESS + 1}"))
            hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
            frame = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
            statuses.append(session.post(url, json=frame, headers=BEARER | ACCEPT, timeout=60).status_code)
    assert statuses == [200] * MAX_SESSIONS + [503]


@pytest.mark.slow
@linux_only
def test_sighup_opens_the_journal_anew(tmp_path: Path) -> None:
    """After a rotation the server goes on, and writes into a file of the old name."""
    journal = tmp_path / "journal"
    code = "app.integrations.render2.list_owners() return 1"
    with http_server("--journal", str(journal)) as (process, url):

        async def conversation(client: Client) -> None:
            await execute(client, code)
            journal.rename(tmp_path / "journal.1")
            process.send_signal(signal.SIGHUP)
            while not journal.exists():
                await anyio.sleep(0.01)
            await execute(client, code)

        Agent(url, DISCOVERY).talk(conversation)
    assert [len(each.read_text().splitlines()) for each in (tmp_path / "journal.1", journal)] == [1, 1]


@pytest.mark.parametrize(
    ("authorization", "key", "told"),
    [(f"Bearer {TOKEN}", TOKEN, "Write to ann"), (f"Bearer {TOKEN}", "another token", ""), ("", TOKEN, "")],
)
def test_a_persons_words_count_with_the_signature_of_the_token(authorization: str, key: str, told: str) -> None:
    """What a model puts there without the token is not the person's."""
    request = Request({"type": "http", "headers": [(b"authorization", authorization.encode())], "client": None})
    context: Any = SimpleNamespace(
        session=SimpleNamespace(client_params=None),
        request=request,
        request_id=1,
        protocol_version=DISCOVERY,
        meta=None,
    )
    signature = hmac.new(key.encode(), b"Write to ann", "sha256").hexdigest()
    meta = {"kosmolua/task": {"text": "Write to ann", "signature": signature}}
    assert executions.Client(context).task(meta) == told
