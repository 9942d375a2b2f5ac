"""How a client logs in to a server of many by itself: the metadata of RFC 9728, and the SDK's own client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
import requests
from httpx2 import AsyncClient
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.oauth2 import AuthorizationCodeResult
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl
from support.agents import ENVIRON, Person, text_of
from support.loopback import Loopback
from support.oidc_server import CLIENT, OidcServer
from support.serving import Serving, serving

from kosmolua.plugin import Request, Response

BACK = "http://127.0.0.1:9/done"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcServer]:
    with OidcServer() as provider:
        provider.claims = {"email": "ann@acme.example"}
        yield provider


@pytest.fixture(scope="module")
def server(provider: OidcServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    accounts = f"""\
[serve.oidc]
issuer = "{provider.url}"
client_id = "{CLIENT}"

[tenants.acme]
jwt = {{ issuer = "{provider.url}", audience = "{CLIENT}", jwks = "{provider.url}/keys", claims = {{ org = "acme" }} }}
"""
    with serving(tmp_path_factory.mktemp("login"), accounts, "--simulate") as server:
        yield server


class Memory:
    """Keeps what a login yields."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Browser:
    """Opens the address of a login, and is sent back at once."""

    def __init__(self) -> None:
        self.brought: dict[str, list[str]] = {}

    async def open(self, address: str) -> None:
        answer = await anyio.to_thread.run_sync(lambda: requests.get(address, allow_redirects=False, timeout=60))
        self.brought = parse_qs(urlsplit(answer.headers["Location"]).query)

    async def answer(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(**{name: values[0] for name, values in self.brought.items()})


def test_a_client_logs_in_by_itself_and_the_audit_names_the_person(server: Serving, provider: OidcServer) -> None:
    """It knows the URL alone: it finds the provider, registers, and the run's line in the audit has the person."""

    async def conversation() -> None:
        browser, metadata = Browser(), OAuthClientMetadata(redirect_uris=[AnyUrl(BACK)], client_name="An agent")
        login = OAuthClientProvider(server.url, metadata, Memory(), browser.open, browser.answer)
        async with (
            AsyncClient(auth=login, timeout=60) as web,
            Client(streamable_http_client(server.url, http_client=web)) as client,
        ):
            done = await client.call_tool("execute_lua", {"code": "return 6 * 7"})
            assert done.structured_content
            assert done.structured_content["result"] == [42]

    anyio.run(conversation)
    assert provider.asked[-1]["resource"] == server.url
    (line,) = [json.loads(line) for line in (server.state / "audit.jsonl").read_text().splitlines()]
    assert (line["tenant"], line["person"]) == ("acme", "ann@acme.example")


PLUGIN = "from support.library import library\nintegration = library()\n"


def test_an_account_acts_on_behalf_of_the_person(provider: OidcServer, tmp_path: Path) -> None:
    """The token with which the person logged in is exchanged for one of the service; the audit has the person.

    Another person who has the run go on lends it no token.
    """
    paused: list[str] = []
    seen: list[str] = []

    def answer(request: Request) -> Response:
        said = {"access_token": "the-library-token-of-ann", "expires_in": 3600}
        if request.url.endswith("/token"):
            seen.append(parse_qs((request.content or b"").decode())["subject_token"][0])
        else:
            seen.append(str(request.headers["Authorization"]))
        return Response(200, body=json.dumps(said).encode(), headers={"Content-Type": "application/json"})

    person = Person("accept", allow="this call")

    async def conversation(url: str) -> None:
        browser, metadata = Browser(), OAuthClientMetadata(redirect_uris=[AnyUrl(BACK)], client_name="An agent")
        asks = person if paused else None
        login = OAuthClientProvider(url, metadata, Memory(), browser.open, browser.answer)
        async with (
            AsyncClient(auth=login, timeout=60) as web,
            Client(streamable_http_client(url, http_client=web), elicitation_callback=asks) as client,
        ):
            if paused:
                resumed = await client.call_tool("execute_lua", {"resume": paused[0]})
                assert "this run has none" in text_of(resumed)
                return
            code = "return app.integrations.library.list_books().expires_in"
            done = await client.call_tool("execute_lua", {"code": code})
            assert done.structured_content
            assert done.structured_content["result"] == [3600], done
            done = await client.call_tool("execute_lua", {"code": "app.integrations.library.lend({ book = 'b1' })"})
            assert done.structured_content
            paused.append(done.structured_content["run"])

    (tmp_path / "library.py").write_text(PLUGIN)
    tests = str(Path(__file__).parent)
    with Loopback(answer) as service:
        accounts = f"""\
[serve]
approval_wait = "1s"

[serve.oidc]
issuer = "{provider.url}"
client_id = "{CLIENT}"

[tenants.acme]
jwt = {{ issuer = "{provider.url}", audience = "{CLIENT}", jwks = "{provider.url}/keys", claims = {{ org = "acme" }} }}

[library.work]
base_url = "{service.url}"
on_behalf = {{ token_url = "{service.url}/token", audience = "library" }}
"""
        plugin = ("--plugin", str(tmp_path / "library.py"))
        with serving(tmp_path, accounts, *plugin, PYTHONPATH=f"{ENVIRON['PYTHONPATH']}:{tests}") as server:
            anyio.run(conversation, server.url)
            line, _ = [json.loads(line) for line in (server.state / "audit.jsonl").read_text().splitlines()]
            provider.claims = {"email": "bob@acme.example"}
            try:
                anyio.run(conversation, server.url)
            finally:
                provider.claims = {"email": "ann@acme.example"}
    assert len(seen) == 2
    assert seen[0].count(".") == 2
    assert seen[1] == "Bearer the-library-token-of-ann"
    assert line["person"] == "ann@acme.example"


def test_the_metadata_say_who_lets_clients_in(server: Serving, provider: OidcServer) -> None:
    """A refusal names them, they need no token, and no other path of their kind has anything."""
    refused = requests.post(server.url, timeout=60)
    where = f"{server.base}/.well-known/oauth-protected-resource/mcp"
    assert refused.headers["WWW-Authenticate"] == f'Bearer resource_metadata="{where}"'
    found = requests.get(where, timeout=60).json()
    assert found["resource"] == server.url
    assert found["authorization_servers"] == [provider.url]
    for other in ("oauth-protected-resource", "oauth-authorization-server", "openid-configuration"):
        assert requests.get(f"{server.base}/.well-known/{other}", timeout=60).status_code == 404


def test_the_host_of_a_request_is_checked(server: Serving) -> None:
    """A page that has its own name point to this machine learns nothing, not even the metadata."""
    where = f"{server.base}/.well-known/oauth-protected-resource/mcp"
    assert requests.get(where, headers={"Host": "evil.example"}, timeout=60).status_code == 421


def test_the_url_of_the_settings_is_that_of_the_resource(tmp_path: Path) -> None:
    """Behind a proxy, the metadata name the URL that clients use; without signed tokens there are none."""
    key = tmp_path / "keys.json"
    key.write_text('{"keys": []}')
    jwt = f'jwt = {{ issuer = "https://login.example", audience = "x", jwks = "{key}" }}'
    text = f'[serve]\nurl = "https://agents.example"\n[tenants.acme]\n{jwt}\n'
    with serving(tmp_path, text, "--simulate") as server:
        where = f"{server.base}/.well-known/oauth-protected-resource/mcp"
        found = requests.get(where, headers={"Host": "agents.example"}, timeout=60).json()
        assert found["resource"] == "https://agents.example/mcp"
    with serving(tmp_path, '[tenants.acme]\ntoken = "a-token-that-is-long"\n', "--simulate") as server:
        assert requests.get(f"{server.base}/.well-known/oauth-protected-resource/mcp", timeout=60).status_code == 404
        assert requests.post(server.url, timeout=60).headers["WWW-Authenticate"] == "Bearer"
