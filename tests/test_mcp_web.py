"""Who is let in over HTTP, and where the server listens."""

from __future__ import annotations

import socket
import subprocess

import anyio
import pytest
from httpx2 import AsyncClient
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from requests import Session
from starlette.types import Message, Receive, Scope, Send
from support.agents import ENVIRON, SERVER, execute, http_server

from kosmolua.errors import ConfigError, UsageError
from kosmolua.mcp.http import Address, Guard

TOKEN = "a-long-token-for-a-test"


def status_of(token: str | None, **headers: str) -> int:
    """Return the status that a guard answers a request with, 200 being the guarded application's."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def send(message: Message) -> None:
        statuses.append(message.get("status", statuses[-1:] and statuses[-1]))

    async def receive() -> Message:
        return {"type": "http.request"}

    statuses: list[int] = []
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": raw}
    anyio.run(Guard(application, token), scope, receive, send)
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
    """With a token only requests that bear exactly this one get in, from whatever host."""
    assert status_of(TOKEN, host="agents.example", authorization=authorization) == status


@pytest.mark.parametrize(
    ("text", "said"),
    [("127.0.0.1:8000", "127.0.0.1:8000"), ("[::1]:0", "[::1]:0"), ("0.0.0.0:80", "0.0.0.0:80")],
)
def test_an_address_is_host_and_port(text: str, said: str) -> None:
    """IPv4, and IPv6 in brackets; only the loopback interface counts as such."""
    address = Address.read(text)
    assert str(address) == said
    assert address.loopback == (text != "0.0.0.0:80")


def test_a_name_means_its_first_address() -> None:
    """localhost is listened on where most clients look for it."""
    assert Address.read("localhost:8000").loopback


@pytest.mark.parametrize(
    "text", ["8000", "localhost", ":8000", "127.0.0.1:99999", "a:b", "u@localhost:1", "[::1:80", ""]
)
def test_what_is_no_address_is_a_usage_error(text: str) -> None:
    """The message shows the form."""
    with pytest.raises(UsageError, match="HOST:PORT"):
        Address.read(text)


def test_an_address_in_use_is_said() -> None:
    """A port that somebody else listens on is an error in a sentence."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = Address.read(f"127.0.0.1:{other.getsockname()[1]}")
        with pytest.raises(ConfigError, match=r"Cannot listen on 127\.0\.0\.1:\d+: Address already in use"):
            address.listen()


def test_without_a_token_only_loopback_is_served() -> None:
    """The program ends with status 3 before it listens, and says what to set."""
    done = subprocess.run([*SERVER, "--http", "0.0.0.0:0"], env=ENVIRON, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "set KOSMOLUA_MCP_TOKEN to a long random string, or listen on 127.0.0.1:0" in done.stderr
    assert "serving" not in done.stderr


def test_with_a_token_a_client_gets_in() -> None:
    """The SDK's client bears the token and works; a request without it gets no further than the door."""

    async def conversation() -> None:
        async with (
            AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as web,
            Client(streamable_http_client(url, http_client=web)) as client,
        ):
            assert (await execute(client, "return 1")).structured_content["result"] == [1]

    with http_server(KOSMOLUA_MCP_TOKEN=TOKEN) as (_, url):
        anyio.run(conversation)
        with Session() as web:
            refused = web.post(url, json={})
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert TOKEN not in refused.text
