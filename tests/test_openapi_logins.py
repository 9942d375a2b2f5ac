"""Documents with an ``oauth2`` scheme: accounts of an imported one log in at a strict server on loopback."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Program, Write
from support.documents import live, serving, small
from support.oauth_server import SECRET, USER, OAuthServer

from kosmolua import Runtime
from kosmolua.cli import logins
from kosmolua.errors import NotConfigured
from kosmolua.http.messages import Request, Response
from kosmolua.openapi import importing
from kosmolua.openapi.accounts import ClientTokens, DocumentAccount
from kosmolua.openapi.document import Document
from kosmolua.openapi.importing import Wishes
from kosmolua.openapi.security import Access, Credential, alternatives_of
from kosmolua.secret import Secret


def document(base_url: str, flows: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a document of one operation, for which an account has to log in."""
    schemes = {"oauth": {"type": "oauth2", "flows": flows}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Notes", "version": "1"},
        "servers": [{"url": base_url}],
        "components": {"securitySchemes": schemes},
        "security": [{"oauth": []}],
        "paths": {"/api": {"get": {"operationId": "who", "responses": {"200": {"description": "Who it is."}}}}},
        **more,
    }


def flows_at(url: str, *names: str) -> dict[str, Any]:
    """Return flows of a document whose addresses begin with ``url``."""
    token, scopes = {"tokenUrl": f"{url}/token"}, {"scopes": {"read": "Read.", "write": "Write."}}
    every = {
        "authorizationCode": {"authorizationUrl": f"{url}/authorize", **token, **scopes},
        "deviceAuthorization": {"deviceAuthorizationUrl": f"{url}/device", **token, **scopes},
        "clientCredentials": {**token, **scopes},
    }
    return {name: every[name] for name in names}


@pytest.fixture
def browser(write: Write) -> str:
    """A program for ``$BROWSER`` that visits a page."""
    script = write("browser.py", "import sys, urllib.request\nurllib.request.urlopen(sys.argv[1], timeout=60).read()\n")
    return f"{sys.executable} {script} %s &"


@pytest.mark.slow
def test_an_imported_document_logs_in_by_browser_and_by_device(kosmolua: Program, write: Write, browser: str) -> None:
    """The token is used, renewed once it is refused, and revoked where the server's metadata say; nothing prints it."""
    accounts = write("accounts.toml", f'[notes.work]\nclient_id = "{USER}"\nclient_secret = "{SECRET}"\n')
    given = ("--accounts", str(accounts))
    with OAuthServer() as server:
        flows = flows_at(server.url, "authorizationCode", "deviceAuthorization", "clientCredentials")
        made = kosmolua("integrations", "import", write("notes.json", json.dumps(document(server.url, flows))))
        assert f"accounts log in at {server.url}" in made.stdout, made.stderr
        assert "run 'kosmolua accounts login notes.work'" in kosmolua("call", "notes.who", *given).stderr

        done = kosmolua("accounts", "login", "notes.work", *given, variables={"BROWSER": browser})
        assert "notes.work is logged in until" in done.stderr
        assert json.loads(kosmolua("call", "notes.who", *given).stdout) == {"who": "ann"}
        server.tokens.clear()  # revoked before its time
        called = kosmolua("call", "notes.who", *given)
        assert json.loads(called.stdout) == {"who": "ann"}
        (token,) = server.tokens
        out = kosmolua("accounts", "logout", "notes.work", *given)
        assert "notes.work is logged out" in out.stderr
        assert server.revoked == ["refresh_token", "access_token"]

        device = kosmolua("accounts", "login", "notes.work", "--device", *given)
        assert "type the code WDJB-MJHT" in device.stderr
        assert json.loads(kosmolua("call", "notes.who", *given).stdout) == {"who": "ann"}
        shown = "".join(each.stdout + each.stderr for each in (made, done, called, out, device))
        assert token not in shown
        assert SECRET not in shown
        assert server.granted[:2] == ["authorization_code", "refresh_token"]
        assert {*server.granted[2:]} == {"urn:ietf:params:oauth:grant-type:device_code"}


@pytest.mark.slow
def test_a_client_logs_in_by_itself(kosmolua: Program, write: Write) -> None:
    """``--client`` says so where a person could log in too; a token that is over is fetched again."""
    accounts = write("accounts.toml", f'[notes.work]\nclient_id = "{USER}"\nclient_secret = "{SECRET}"\n')
    given = ("--accounts", str(accounts))
    with OAuthServer(lifetime=5) as server:  # less than what a token must last to be used
        flows = flows_at(server.url, "authorizationCode", "clientCredentials")
        kosmolua("integrations", "import", write("notes.json", json.dumps(document(server.url, flows))))
        done = kosmolua("accounts", "login", "notes.work", "--client", *given)
        assert "notes.work is logged in until" in done.stderr
        assert done.returncode == 0, done.stderr
        assert json.loads(kosmolua("call", "notes.who", *given).stdout) == {"who": "ann"}
        assert len(server.granted) > 1
        assert {*server.granted} == {"client_credentials"}


def test_a_client_logs_in_without_a_word_where_nobody_else_can(write: Write) -> None:
    """Its token is kept like any other, and calls use it from then on; a client without a secret is told."""
    with OAuthServer() as server:
        file = write("notes.openapi.json", json.dumps(document(server.url, flows_at(server.url, "clientCredentials"))))
        accounts = write("accounts.toml", f'[notes.a]\nclient_id = "{USER}"\nclient_secret = "{SECRET}"\n[notes.b]\n')
        with Runtime(accounts, plugins=[file], environ={}) as runtime:
            assert logins.log_in(runtime, "notes.a", by_device=False, as_client=False)[0] == "notes.a"
            assert runtime.call("notes.a.who") == {"who": "ann"}
            with pytest.raises(NotConfigured, match=r"notes\.b needs its client_id and client_secret"):
                logins.log_in(runtime, "notes.b", by_device=False, as_client=False)
        assert server.granted == ["client_credentials"]


def test_a_client_without_a_login_fetches_a_token_for_itself(write: Write) -> None:
    """Its id and secret are enough for a call; half of them is told."""
    with OAuthServer() as server:
        file = write("notes.openapi.json", json.dumps(document(server.url, flows_at(server.url, "clientCredentials"))))
        section = {"client_id": USER, "client_secret": SECRET, "scopes": ["read"]}
        with Runtime({"notes": {"work": section}}, plugins=[file], environ={}) as runtime:
            assert runtime.call("notes.who") == {"who": "ann"}
            assert runtime.call("notes.who") == {"who": "ann"}
            assert runtime.accounts.login_state(runtime.catalog.integration("notes"), "work") is None
        assert server.granted == ["client_credentials"]
        half = {"notes": {"work": {"client_id": USER}}}
        with Runtime(half, plugins=[file], environ={}) as runtime, pytest.raises(NotConfigured, match="client_secret"):
            runtime.call("notes.who")


def test_an_address_of_the_service_itself_begins_with_a_slash(write: Write) -> None:
    """It is joined with where the account's service is, its variables filled in."""
    servers = [{"url": "https://{domain}/api", "variables": {"domain": {"default": "subdomain.okta.example"}}}]
    flows = flows_at("/oauth2/v1", "authorizationCode")
    file = write("notes.openapi.json", json.dumps(document("", flows, servers=servers)))
    sections = {"own": {"domain": "dev-1.okta.example"}, "moved": {"base_url": "https://b.example"}, "usual": {}}
    with Runtime({"notes": sections}, plugins=[file], environ={}) as runtime:
        integration = runtime.catalog.integration("notes")
        found = {name: runtime.accounts.service(integration, name).login.addresses for name in sections}
    hosts = {"own": "dev-1.okta.example", "moved": "b.example", "usual": "subdomain.okta.example"}
    for name, host in hosts.items():
        at = f"https://{host}/oauth2/v1"
        assert found[name] == {"authorize": f"{at}/authorize", "token": f"{at}/token"}


@pytest.mark.parametrize("url", ["http://a.example", "//a.example", "javascript:a"])
def test_no_login_leads_to_an_address_without_tls(write: Write, url: str) -> None:
    """Such an account takes a token and has no login."""
    file = write("notes.openapi.json", json.dumps(document("https://a.example", flows_at(url, "authorizationCode"))))
    with Runtime({"notes": {"work": {}}}, plugins=[file], environ={}) as runtime:
        integration = runtime.catalog.integration("notes")
        with pytest.raises(NotConfigured, match="notes has no OAuth login"):
            runtime.accounts.service(integration, "work")


def test_an_update_shows_that_accounts_would_log_in_elsewhere(tmp_path: Path) -> None:
    """A document that moves its login is not taken over unseen; the overlay says where tokens are revoked."""
    file = tmp_path / "notes.json"
    before = document("https://a.example", flows_at("https://a.example", "authorizationCode"))
    file.write_text(json.dumps(before))
    ready = importing.prepare(importing.fetch(str(file), bytes), Wishes(base='[account]\nrevoke = "/revoke"\n'))
    folder = ready.write(tmp_path / "integrations")[0].parent
    assert ready.result.access.alternatives[0][0].login["revoke"] == "/revoke"
    file.write_text(json.dumps(document("https://a.example", flows_at("https://b.example", "authorizationCode"))))
    changes = importing.update(folder, bytes)
    assert changes
    assert "  ! accounts log in at https://b.example, where they did not before" in changes.lines()


@pytest.mark.parametrize(
    ("about", "prefix"),
    [
        ("Pass it in the header prefixed with SSWS: `Authorization: SSWS {API Token}`", "SSWS"),
        ("SSWS {API Token}", "SSWS"),
        ('With the required prefix "Token"', "Token"),
        ("The key.", ""),
        ("The API Key with format `Token token=<API_KEY>`", "Token token="),
        ("Set the `Authorization` header to `Klaviyo-API-Key your-private-api-key`", "Klaviyo-API-Key"),
        ('API tokens must be prepended with "token" followed by a space.', "token"),
        ('The string "OAuth" followed by the token: OAuth ACCESS_TOKEN', "OAuth"),
        ("Put it into the header in the format `Bearer {token}`.", "Bearer"),
        ("The key; see [the settings](https://a.example) or 'My Keys'.", ""),
    ],
)
def test_a_description_shows_the_word_before_a_key(write: Write, about: str, prefix: str) -> None:
    """As in Okta: the scheme is a key in the header Authorization, and only its prose knows the word."""
    key = {"type": "apiKey", "in": "header", "name": "Authorization", "description": about}
    file = write(
        "notes.json", json.dumps(document("https://a.example", {}, components={"securitySchemes": {"oauth": key}}))
    )
    ready = importing.prepare(importing.fetch(str(file), bytes), Wishes())
    assert [each.prefix for each in ready.result.access.alternatives[0]] == [prefix]
    assert ("sends it as Authorization: " in "\n".join(ready.lines())) == bool(prefix)
    bare = importing.prepare(importing.fetch(str(file), bytes), Wishes(prefix=""))
    assert [each.prefix for each in bare.result.access.alternatives[0]] == [""]


@pytest.mark.parametrize(("prefix", "sent"), [("Token token=", "Token token=k-1"), ("SSWS", "SSWS k-1"), ("", "k-1")])
def test_a_key_is_sent_with_its_word(prefix: str, sent: str) -> None:
    """A space follows the word, but no equals sign."""
    access = Access("https://a.example", [], [[Credential("header", ["key"], "Authorization", prefix)]])
    account = DocumentAccount(access, None, ClientTokens(), key=Secret("k-1"))
    requests: list[Request] = []

    def send(request: Request) -> Response:
        requests.append(request)
        return Response(204)

    account.open(send).api("").fetch("GET", "/me", {})
    assert requests[0].fields["Authorization"] == sent


@pytest.mark.parametrize(("required", "count"), [(True, 1), (False, 2)])
def test_keys_that_each_request_needs_belong_together(write: Write, required: bool, count: int) -> None:
    """As in Trello: both are declared as alternatives, but each operation requires both; neither is an argument."""
    schemes = {name: {"type": "apiKey", "in": "query", "name": name} for name in ("key", "token")}
    parameters = [{"name": name, "in": "query", "required": required, "schema": {}} for name in schemes]
    listing = {"parameters": parameters, "responses": {"200": {"description": "ok"}}}
    made = document("https://a.example", {}, components={"securitySchemes": schemes}, paths={"/a": {"get": listing}})
    made["security"] = [{name: []} for name in schemes]
    ready = importing.prepare(importing.fetch(str(write("notes.json", json.dumps(made))), bytes), Wishes())
    assert len(ready.result.access.alternatives) == count
    assert ready.result.functions[0].operation.fields == []


def secured(scheme: dict[str, Any], *requirements: dict[str, Any]) -> dict[str, Any]:
    """Return a document of one operation, with one security scheme and these requirements."""
    components = {"securitySchemes": {"key": scheme}}
    return document("https://notes.example", {}, components=components, security=list(requirements))


def test_a_credential_that_a_document_does_not_require_can_be_missing(tmp_path: Path) -> None:
    """A request carries it if the account has it."""
    optional = secured({"type": "http", "scheme": "bearer"}, {}, {"key": []})
    path = small(tmp_path, optional, "notes")
    with serving() as service:
        for token in (None, "made-up-12345"):
            with live(path, "notes", service, token=token) as runtime:
                runtime.call("notes.who")
        assert [each.headers.get("authorization") for each in service.sent] == [None, "Bearer made-up-12345"]


def test_half_of_a_credential_is_told_although_none_is_required(tmp_path: Path) -> None:
    """Without a word, calls would be sent as if by nobody."""
    path = small(tmp_path, secured({"type": "http", "scheme": "basic"}, {"key": []}, {}), "notes")
    with serving() as service, live(path, "notes", service, username="ann") as runtime:
        with pytest.raises(NotConfigured, match="has no password"):
            runtime.call("notes.who")
        assert service.sent == []


@pytest.mark.parametrize("scheme", [{"type": "http", "scheme": "Digest"}, {"type": "mutualTLS"}])
def test_a_credential_that_is_no_text_is_none(scheme: dict[str, Any]) -> None:
    """A note names the scheme, and no field of the account promises that it would be sent."""
    given = Document(secured(scheme, {"key": []}))
    assert alternatives_of(given) == []
    assert any("the security scheme key" in note for note in given.notes)
