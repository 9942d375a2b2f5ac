"""Accounts that log in by OAuth 2, against a strict server on loopback."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
import pytest
import requests
from conftest import Program, Write
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from support import servers
from support.loopback import Loopback
from support.oauth_server import SECRET, USER, OAuthServer

from kosmolua import Runtime
from kosmolua.accounts.logins import Logins
from kosmolua.broker.backends import Canned
from kosmolua.cli import logins
from kosmolua.errors import KosmoError, NetworkError, NotConfigured
from kosmolua.http import oauth, proofs
from kosmolua.http.auth import OAuth2
from kosmolua.http.messages import Request, Response
from kosmolua.http.oauth import Tokens
from kosmolua.http.oauth_services import Service, discover, register

pytestmark = pytest.mark.slow

PLUGIN = '''
"""A service with a login."""
from dataclasses import dataclass
from typing import Annotated
from kosmolua.plugin import Api, Integration, OAuth2, Secret, Send

@dataclass(frozen=True)
class Account:
    """Logs in."""
    token: Annotated[Secret, "Of a login.", OAuth2(URLS, scopes=("read",), client_id="app")]
    client_secret: Annotated[Secret | None, "The client's."] = None
    def open(self, send: Send) -> Api:
        return Api(send, "BASE", bearer=self.token)

integration = Integration("notes", Account, about="Notes.")

@integration.identifies
def identify(api: Api, /) -> str:
    """Say who it is."""
    return api.get("/api")["who"]

@integration.reads
def who(api: Api, /) -> dict:
    """Say who it is."""
    return api.get("/api")
'''


def service_of(server: OAuthServer, **changes: Any) -> Service:
    """Return the server as a client with an id and a secret sees it."""
    login = OAuth2(
        token=f"{server.url}/token",
        authorize=f"{server.url}/authorize",
        device=f"{server.url}/device",
        revoke=f"{server.url}/revoke",
        scopes=("read",),
    )
    return replace(Service(login, client_id=USER, client_secret=SECRET, issuer=server.url), **changes)


def visit(url: str, change: Callable[[dict[str, str]], dict[str, str]] = dict) -> None:
    """Open a page as a browser does, in a thread; ``change`` may falsify what is asked for."""
    parts = urlsplit(url)
    asked = change(dict(parse_qsl(parts.query)))
    Thread(target=requests.get, args=(f"{parts._replace(query='').geturl()}?{urlencode(asked)}",), daemon=True).start()


def test_a_login_by_browser_gives_tokens() -> None:
    """The code goes through the browser, the tokens do not; PKCE, state, scope and the loopback address are there."""
    pages: list[str] = []
    with OAuthServer() as server:
        service, tokens = oauth.log_in_by_browser(service_of(server), lambda url: (pages.append(url), visit(url)))
        assert tokens.access in server.tokens
    asked = dict(parse_qsl(urlsplit(pages[0]).query))
    assert asked["code_challenge_method"] == "S256"
    assert asked["scope"] == "read"
    assert asked["redirect_uri"].startswith("http://127.0.0.1:")
    assert len(asked["state"]) >= 20
    assert service.client_id == USER
    assert tokens.expires is not None
    assert 3500 < tokens.expires - time.time() <= 3600


def test_a_client_registers_itself_by_what_the_server_says() -> None:
    """Endpoints come from the server's metadata, and the client registers with its exact address."""
    with OAuthServer() as server:
        service = discover(f"{server.url}/mcp")
        assert service.login.token == f"{server.url}/token"
        assert service.issuer == server.url
        service, tokens = oauth.log_in_by_browser(service, visit)
        assert service.client_id == "client-1"
        assert tokens.access in server.tokens


@pytest.mark.parametrize(
    ("falsified", "answers", "message"),
    [
        ({"code_challenge": "A" * 43}, {}, "the code does not fit"),
        ({}, {"iss": "https://evil.example"}, "was answered by another service"),
    ],
)
def test_a_falsified_login_is_refused(falsified: dict[str, str], answers: dict[str, str], message: str) -> None:
    """Another challenge, or an answer in another service's name, gives no token."""
    with OAuthServer(answers=answers) as server, pytest.raises(NotConfigured, match=message):
        oauth.log_in_by_browser(service_of(server), lambda url: visit(url, lambda asked: asked | falsified))
    assert server.tokens == {}


@pytest.mark.parametrize("named", [None, "/"])
def test_a_redirect_names_its_issuer_exactly(named: str | None) -> None:
    """A server that says it names itself has to, and another spelling of its address is another service."""
    answers: dict[str, Any] = {"iss": named}
    says = {"authorization_response_iss_parameter_supported": True}
    with OAuthServer(answers=answers, metadata=says) as server:
        if named:
            answers["iss"] = f"{server.url}{named}"
        with pytest.raises(NotConfigured, match="was answered by another service"):
            oauth.log_in_by_browser(discover(f"{server.url}/mcp"), visit)
    assert server.tokens == {}


def test_a_client_registers_as_a_native_application() -> None:
    """Servers that check redirect addresses take one on loopback for nothing else."""
    with OAuthServer(metadata={"token_endpoint_auth_methods_supported": ["client_secret_post"]}) as server:
        register(discover(f"{server.url}/mcp"), "http://127.0.0.1:1/callback")
    assert server.registered[0]["application_type"] == "native"
    assert server.registered[0]["token_endpoint_auth_method"] == "client_secret_post"


@pytest.mark.parametrize(
    ("offered", "posted"), [(["client_secret_post"], SECRET), (["client_secret_post", "client_secret_basic"], None)]
)
def test_a_secret_goes_where_the_server_wants_it(offered: list[str], posted: str | None) -> None:
    """Into the form if the server takes it nowhere else."""
    with OAuthServer(metadata={"token_endpoint_auth_methods_supported": offered}) as server:
        service = replace(discover(f"{server.url}/mcp"), client_id=USER, client_secret=SECRET)
        oauth.log_in_as_client(service)
    assert server.forms[0].get("client_secret") == posted


@pytest.mark.parametrize(
    ("challenge", "supported", "asked"),
    [
        ('Bearer scope="notes:read"', [], ("notes:read",)),
        ('Bearer error="invalid_token", scope="a b"', ["offline_access"], ("a", "b", "offline_access")),
        ("Bearer", ["offline_access"], ()),
    ],
)
def test_scopes_are_those_that_the_server_asks_for(challenge: str, supported: list[str], asked: tuple[str]) -> None:
    """And the one by which a service gives a refresh token, if it has that."""
    with OAuthServer(challenge=challenge, metadata={"scopes_supported": supported}) as server:
        assert discover(f"{server.url}/mcp").login.scopes == asked


def test_a_server_without_metadata_is_its_own_service() -> None:
    """As the first version of the protocol had it; the login takes its course."""
    with OAuthServer(metadata=None) as server:
        _, tokens = oauth.log_in_by_browser(discover(f"{server.url}/mcp"), visit)
        assert tokens.access in server.tokens


def log_in(section: dict[str, Any], *scopes: str) -> None:
    """Log the server ``t`` with this section in, as the command does."""
    with Runtime({"mcp": {"t": section}}, environ={}) as runtime:
        logins.log_in(runtime, "mcp.t", by_device=False, as_client=False, scopes=scopes)


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep logins in a folder of the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.mark.usefixtures("own_state")
def test_a_private_key_logs_a_program_in() -> None:
    """The token that it signs is for the issuer, and says who the client is."""
    key = proofs.new_key()
    with OAuthServer() as server:
        log_in({"url": f"{server.url}/mcp", "client_id": "robot", "private_key": key})
    public: Any = load_pem_private_key(key.encode(), None).public_key()
    claims = jwt.decode(server.forms[0]["client_assertion"], public, ["ES256"], audience=server.url)
    assert claims["sub"] == claims["iss"] == "robot"
    assert server.forms[0]["grant_type"] == "client_credentials"


@pytest.mark.usefixtures("own_state")
def test_a_key_that_cannot_sign_is_told() -> None:
    """The message names the two settings, and shows nothing of the key."""
    with OAuthServer() as server, pytest.raises(NotConfigured, match="cannot sign with ES256") as caught:
        log_in({"url": f"{server.url}/mcp", "client_id": "robot", "private_key": "no key at all"})
    assert "no key at all" not in str(caught.value)
    assert server.forms == []


@pytest.mark.usefixtures("own_state")
def test_another_service_vouches_for_a_program() -> None:
    """By a token for the workload, or by one that an identity provider gives for its user."""
    with OAuthServer() as server:
        url = f"{server.url}/mcp"
        log_in({"url": url, "client_id": "robot", "assertion": "token of the workload"})
        provider = {"token_endpoint": f"{server.url}/token", "client_id": "idp-client", "id_token": "token of ann"}
        log_in({"url": url, "client_id": USER, "client_secret": SECRET, "idp": provider})
    own, exchanged, vouched = server.forms
    assert own["assertion"] == "token of the workload"
    assert own["client_id"] == "robot"
    assert exchanged["subject_token"] == "token of ann"
    assert exchanged["client_id"] == "idp-client"
    assert vouched["assertion"] == f"vouched for {server.url}"


@pytest.mark.usefixtures("own_state")
def test_a_login_without_a_person_reads_its_credentials_anew(tmp_path: Path, write: Write) -> None:
    """A workload's token lives for minutes: the next login has the one that is in the file by then."""
    token = write("token", "first token of it")
    with OAuthServer(lifetime=0) as server:
        section = {"url": f"{server.url}/mcp", "client_id": "robot", "assertion": {"file": str(token)}}
        with Runtime({"mcp": {"t": section}}, environ={}) as runtime:
            logins.log_in(runtime, "mcp.t", by_device=False, as_client=False)
            token.write_text("second token of it")
            runtime.accounts.login(*logins.find(runtime, "mcp.t")).token()
    assert [form["assertion"] for form in server.forms] == ["first token of it", "second token of it"]
    kept = "".join(file.read_text() for file in (tmp_path / "state").rglob("*.json"))
    assert "token of it" not in kept


@pytest.mark.usefixtures("own_state")
def test_credentials_do_not_follow_a_server_to_another_service() -> None:
    """A server that names another service gets no secret there, until a person says so."""
    with OAuthServer() as first, OAuthServer() as second:
        section = {
            "url": f"{first.url}/mcp",
            "client_id": USER,
            "client_secret": SECRET,
            "assertion": "of the workload",
        }
        log_in(section)
        with pytest.raises(NotConfigured, match=f"now logs in at {second.url}") as caught:
            log_in({**section, "url": f"{second.url}/mcp"})
    assert "kosmolua accounts logout mcp.t" in str(caught.value.hints)
    assert second.forms == []


@pytest.mark.usefixtures("own_state")
def test_a_scope_is_asked_for_in_addition() -> None:
    """What the login has is kept, so that one more call works and the others still do."""
    with OAuthServer(challenge='Bearer scope="read"') as server:
        section = {"url": f"{server.url}/mcp", "client_id": "robot", "assertion": "of the workload"}
        log_in(section)
        log_in(section, "write")
    assert [form["scope"] for form in server.forms] == ["read", "read write"]


@pytest.mark.parametrize(("takes", "used"), [(True, "https://example.com/kosmolua.json"), (False, "client-1")])
@pytest.mark.usefixtures("own_state")
def test_the_url_of_a_document_is_an_id_where_it_is_taken(
    takes: bool, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere the client registers itself."""
    pages: list[str] = []
    monkeypatch.setattr(logins, "_open", lambda url, must: pages.append(url) or visit(url))
    monkeypatch.setattr(oauth, "LOGIN_TIMEOUT", 0.5)
    with OAuthServer(metadata={"client_id_metadata_document_supported": takes}) as server, suppress(NetworkError):
        log_in({"url": f"{server.url}/mcp", "client_id": "https://example.com/kosmolua.json"})
    assert dict(parse_qsl(urlsplit(pages[0]).query))["client_id"] == used


@pytest.mark.usefixtures("own_state")
def test_a_login_counts_at_once_in_an_open_runtime() -> None:
    """However often the server refused before, and without a new start of the program."""
    with (
        Loopback(lambda _: Response(401, {"WWW-Authenticate": "Bearer"})) as server,
        Runtime({"mcp": {"t": {"url": server.url}}}, environ={}) as runtime,
    ):
        for _ in range(3):
            with pytest.raises(
                NotConfigured, match=r"requires a valid credential \(run 'kosmolua accounts login mcp.t'"
            ):
                runtime.servers.refresh("t")
        login = runtime.accounts.login(*logins.find(runtime, "mcp.t"))
        login.keep(Service(OAuth2(token=f"{server.url}/token")), Tokens("token of ann"))
        with pytest.raises(NotConfigured):
            runtime.servers.refresh("t")
        sent = [request.fields.get("Authorization") for request in server.requests if request.url == f"{server.url}/"]
    assert sent[0] is None
    assert "Bearer token of ann" in sent


def test_a_call_that_needs_more_names_the_command_for_it() -> None:
    """The scopes are those of the server's answer, and the login is not said to be invalid."""
    asked = {"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="notes:write mail"'}
    with (
        Loopback(lambda _: Response(403, asked)) as server,
        Runtime({"mcp": {"t": {"url": server.url, "token": "token of ann"}}}, environ={}) as runtime,
        pytest.raises(NotConfigured, match="requires the scope notes:write mail") as caught,
    ):
        runtime.servers.refresh("t")
    assert caught.value.hints == ["run 'kosmolua accounts login mcp.t --scope notes:write --scope mail'"]


@pytest.mark.usefixtures("own_state")
def test_a_bound_token_is_sent_with_the_nonce_that_the_server_wants() -> None:
    """Each request has a proof of its own, signed with the key of the login."""
    key = proofs.new_key()
    with (
        Loopback(lambda _: Response(401, {"WWW-Authenticate": "DPoP", "DPoP-Nonce": "nonce 1"})) as server,
        Runtime({"mcp": {"t": {"url": server.url}}}, environ={}) as runtime,
    ):
        login = runtime.accounts.login(*logins.find(runtime, "mcp.t"))
        login.keep(Service(OAuth2(token=f"{server.url}/token")), Tokens("token of ann", key=key))
        with pytest.raises(NotConfigured):
            runtime.servers.refresh("t")
        first, second = server.requests[:2]
    public: Any = load_pem_private_key(key.encode(), None).public_key()
    proved = [jwt.decode(each.fields["DPoP"], public, ["ES256"]) for each in (first, second)]
    assert second.fields["Authorization"] == "DPoP token of ann"
    assert [each.get("nonce") for each in proved] == [None, "nonce 1"]
    assert proved[0]["jti"] != proved[1]["jti"]


def test_a_proof_is_for_one_request() -> None:
    """It has the method, the address without query, a hash of the token, and the key that it can be checked with."""
    key = proofs.new_key()
    proof = proofs.proof_of_possession(key, "POST", "https://a.example/mcp?b=c", token="secret token", nonce="n")
    public = jwt.PyJWK(jwt.get_unverified_header(proof)["jwk"], "ES256")
    claims = jwt.decode(proof, public.key, ["ES256"])
    assert claims["htm"] == "POST"
    assert claims["htu"] == "https://a.example/mcp"
    assert claims["nonce"] == "n"
    assert claims["ath"] == base64.urlsafe_b64encode(hashlib.sha256(b"secret token").digest()).rstrip(b"=").decode()
    assert "d" not in jwt.get_unverified_header(proof)["jwk"]


@pytest.mark.parametrize(
    ("falsified", "answers"),
    [({"redirect_uri": "http://evil.example/callback"}, {}), ({}, {"state": "of-somebody-else"})],
)
def test_an_answer_to_another_address_or_with_another_state_is_none(
    falsified: dict[str, str], answers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server refuses a wrong address, the client ignores a wrong state, and the login runs out of time."""
    monkeypatch.setattr(oauth, "LOGIN_TIMEOUT", 1.0)
    with OAuthServer(answers=answers) as server, pytest.raises(NetworkError, match="Nobody logged in in time"):
        oauth.log_in_by_browser(service_of(server), lambda url: visit(url, lambda asked: asked | falsified))
    assert server.granted == []


def test_a_person_may_refuse() -> None:
    """No is an error that says so."""
    with OAuthServer(refuses=True) as server, pytest.raises(NotConfigured, match="refused: access_denied"):
        oauth.log_in_by_browser(service_of(server), visit)


def test_a_device_waits_until_its_code_was_typed() -> None:
    """The page and the code are shown once, and the service is asked until somebody let the device in."""
    shown: list[tuple[str, str]] = []
    with OAuthServer() as server:
        _, tokens = oauth.log_in_by_device(service_of(server), lambda page, code: shown.append((page, code)))
        assert tokens.access in server.tokens
        assert server.polls == 3
        assert shown == [(f"{server.url}/activate", "WDJB-MJHT")]


def test_a_device_waits_as_usual_where_the_service_says_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number of seconds that is none, in the answer of a service, ends no login."""
    monkeypatch.setattr(oauth, "DEFAULT_INTERVAL", 0.01)
    with OAuthServer(metadata={"expires_in": None, "interval": "soon"}) as server:
        oauth.log_in_by_device(service_of(server), lambda page, code: None)
        assert server.polls == 3


@pytest.mark.parametrize("time", ["soon", [1]])
def test_an_answer_without_a_time_is_refused(time: Any) -> None:
    """The login says which service answers wrongly."""
    with OAuthServer(metadata={"expires_in": time}) as server, pytest.raises(NotConfigured, match="is no token"):
        oauth.log_in_by_device(service_of(server), lambda page, code: None)


def test_a_client_logs_in_by_itself_and_again() -> None:
    """Client credentials give no refresh token: the client logs in again."""
    with OAuthServer() as server:
        login = replace(service_of(server).login, authorize="", device="")
        service = service_of(server, login=login)
        _, tokens = oauth.log_in_as_client(service)
        assert tokens.refresh == ""
        assert oauth.renew(service, tokens).access != tokens.access
        assert server.granted == ["client_credentials"] * 2


@pytest.mark.parametrize(("seconds", "is_over"), [(20, True), (60, False)])
def test_a_token_is_over_half_a_minute_before_its_end(seconds: float, is_over: bool) -> None:
    """So that a call that begins with it ends with it."""
    assert Tokens("an access token", expires=time.time() + seconds).is_over is is_over


def test_a_refresh_token_is_used_once(tmp_path: Path) -> None:
    """An expired token is renewed, the new refresh token kept; one that was used before ends the login."""
    with OAuthServer() as server:
        service, tokens = oauth.log_in_by_browser(service_of(server), visit)
        login = Logins(tmp_path / "accounts.toml", tmp_path).of("notes.work")
        login.keep(service, replace(tokens, expires=time.time() - 1))
        fresh = login.token()
        assert fresh in server.tokens
        assert login.token() == fresh
        assert server.granted == ["authorization_code", "refresh_token"]
        again = Logins(tmp_path / "accounts.toml", tmp_path).of("notes.work")
        again.keep(service, replace(tokens, expires=time.time() - 1))
        with pytest.raises(NotConfigured, match=r"notes.work has to log in again: .* was used before"):
            again.token()


def test_a_login_that_another_process_made_counts(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runtime that is open uses it from its next run on, whoever logged in; one that logged out is missing then."""
    told: list[str] = []

    def answer(request: Request) -> Response:
        told.append(request.fields["Authorization"])
        return Response(200, {}, b"{}")

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    accounts = write("accounts.toml", "[notes.work]\n")
    logins = Logins(Path(accounts))
    given: Any = {"backend": Canned(lambda _: answer), "environ": {}}
    with OAuthServer() as server, Runtime(accounts, plugins=[plugin_for(server, write)], **given) as runtime:
        service, tokens = service_of(server), Tokens("token-of-ann-1", expires=time.time() + 3600)
        missing = runtime.run("return app.integrations.notes.who()").error
        assert isinstance(missing, NotConfigured)
        logins.of("notes.work").keep(service, tokens)
        assert runtime.run("return app.integrations.notes.who()").ok
        logins.of("notes.work").keep(service, replace(tokens, access="token-of-ben-2"))
        assert runtime.run("return app.integrations.notes.who()").ok
        logins.of("notes.work").forget()
        assert isinstance(runtime.run("return app.integrations.notes.who()").error, NotConfigured)
    assert told == ["Bearer token-of-ann-1", "Bearer token-of-ben-2"]


def test_a_token_that_the_service_refused_is_renewed(tmp_path: Path) -> None:
    """One that was revoked before its time is replaced, once."""
    with OAuthServer() as server:
        service, tokens = oauth.log_in_by_browser(service_of(server), visit)
        login = Logins(tmp_path / "accounts.toml", tmp_path).of("notes.work")
        login.keep(service, tokens)
        fresh = login.token(but_not=tokens.access)
        assert fresh != tokens.access
        assert login.token(but_not=tokens.access) == fresh
        assert server.granted.count("refresh_token") == 1


@pytest.mark.parametrize("processes", [1, 2])
def test_calls_that_are_refused_at_once_renew_a_token_once(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    """A token that ends before its time is met by six calls of each process; all of them succeed."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    accounts = write("accounts.toml", "[notes.work]\n")
    script = "return #parallel.map({1, 2, 3, 4, 5, 6}, function() return app.integrations.notes.who().who end)"
    source = f"""
import sys
from kosmolua import Runtime
with Runtime({str(accounts)!r}, plugins=[sys.argv[1]], environ={{}}) as runtime:
    first = runtime.run("return app.integrations.notes.who().who")
    print(first.result, flush=True)
    sys.stdin.readline()
    outcome = runtime.run({script!r})
    print(outcome.result, outcome.error)
"""
    with OAuthServer() as server:
        service, tokens = oauth.log_in_by_browser(service_of(server), visit)
        Logins(Path(accounts)).of("notes.work").keep(service, tokens)
        plugin = plugin_for(server, write)
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        for _ in range(3):
            refreshed = server.granted.count("refresh_token")
            started = [subprocess.Popen([sys.executable, "-c", source, plugin], **pipes) for _ in range(processes)]
            for process in started:
                assert process.stdout
                assert process.stdout.readline() == "['ann']\n"
            server.tokens.clear()
            server.delay = 0.2
            said = [process.communicate("\n")[0] for process in started]
            assert said == ["[6] None\n"] * processes
            assert server.granted.count("refresh_token") == refreshed + 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_request_of_a_login_follows_a_redirect(status: int) -> None:
    """Neither a refresh token, nor a secret, nor a code leaves the address that the account names."""
    with Loopback(lambda _: Response(200, {}, b'{"access_token":"from-elsewhere"}')) as other:
        there = {"Location": f"{other.url}/token", "Content-Type": "application/json"}
        with Loopback(lambda _: Response(status, there, b"{}")) as server:
            login = OAuth2(token=f"{server.url}/token", device=f"{server.url}/device", revoke=f"{server.url}/revoke")
            service = Service(login, client_id=USER, client_secret=SECRET, register=f"{server.url}/register")
            tokens = Tokens("access", "refresh", 0)
            for request in (
                lambda: oauth.renew(service, tokens),
                lambda: oauth.log_in_as_client(service),
                lambda: oauth.log_in_by_device(service, lambda *_: None),
                lambda: oauth.revoke(service, tokens),
                lambda: register(service, "http://127.0.0.1/"),
            ):
                with pytest.raises(NetworkError, match="redirects to another address"):
                    request()
            assert len(server.requests) == 5
        assert not other.requests


def test_eight_processes_renew_a_token_by_one_request(tmp_path: Path) -> None:
    """All of them get the same fresh token, and the refresh token is used once."""
    source = """
import sys
from pathlib import Path
from kosmolua.accounts.logins import Logins
login = Logins(Path(sys.argv[1]) / "accounts.toml", sys.argv[1]).of("notes.work")
print("ready", flush=True)
sys.stdin.readline()
print(login.token())
"""
    with OAuthServer() as server:
        service, tokens = oauth.log_in_by_browser(service_of(server), visit)
        Logins(tmp_path / "accounts.toml", tmp_path).of("notes.work").keep(service, replace(tokens, expires=0.0))
        server.delay = 0.3
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        processes = [subprocess.Popen([sys.executable, "-c", source, str(tmp_path)], **pipes) for _ in range(8)]
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        got = {process.communicate()[0].strip() for process in processes}
        assert len(got) == 1
        assert got <= server.tokens.keys()
        assert server.granted.count("refresh_token") == 1


def test_tokens_lie_in_a_file_of_their_owner(tmp_path: Path) -> None:
    """Nobody else can read it, nothing prints them, and a damaged file is told."""
    service = Service(OAuth2(token="https://example.com/token"), client_secret="client-secret-42")
    tokens = Tokens("access-secret-1", "refresh-secret-2")
    login = Logins(tmp_path / "accounts.toml", tmp_path / "logins").of("notes.work")
    file = Path(login.keep(service, tokens))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert "secret" not in f"{service} {tokens} {login.secret(lambda _: None)!r}"
    assert login.forget() == (service, tokens)
    assert not login.exists
    file.write_text("{")
    with pytest.raises(KosmoError, match="is damaged"):
        login.token()


@pytest.mark.parametrize("url", ["http://example.com/token", "ftp://127.0.0.1/token"])
def test_no_login_goes_to_an_address_without_tls(url: str) -> None:
    """A credential is sent to this machine or by TLS."""
    with pytest.raises(NotConfigured, match="is not protected by TLS"):
        oauth.log_in_as_client(Service(OAuth2(token=url), client_id=USER, client_secret=SECRET))


@pytest.fixture
def browser(write: Write) -> str:
    """A program for ``$BROWSER`` that visits a page."""
    script = write("browser.py", "import sys, urllib.request\nurllib.request.urlopen(sys.argv[1], timeout=60).read()\n")
    return f"{sys.executable} {script} %s &"


def plugin_for(server: OAuthServer, write: Write) -> Path:
    """Write the plugin whose accounts log in at a server."""
    names = ("token", "authorize", "revoke")
    urls = ", ".join(f'{name}="{server.url}/{name}"' for name in names)
    return write("notes.py", PLUGIN.replace("URLS", urls).replace("BASE", server.url))


def test_an_account_logs_in_is_used_checked_and_logs_out(kosmolua: Program, write: Write, browser: str) -> None:
    """`accounts login` opens $BROWSER, calls carry the token, `logout` revokes it, and nothing prints it."""
    accounts = write("accounts.toml", f'[notes.work]\nclient_secret = "{SECRET}"\n')
    journal = accounts.with_name("journal.jsonl")
    with OAuthServer() as server:
        given = ("--accounts", str(accounts), "--plugin", str(plugin_for(server, write)))
        before = kosmolua("call", "notes.who", *given)
        assert "run 'kosmolua accounts login notes.work'" in before.stderr
        done = kosmolua("accounts", "login", "notes.work", *given, variables={"BROWSER": browser})
        assert done.returncode == 0, done.stderr
        assert "notes.work is logged in until" in done.stderr
        checked = kosmolua("accounts", "check", "notes", *given)
        assert "ann; logged in until" in checked.stdout
        called = kosmolua("call", "notes.who", *given, "--journal", str(journal), "--trace")
        assert json.loads(called.stdout) == {"who": "ann"}
        (token,) = server.tokens
        shown = "".join(each.stdout + each.stderr for each in (done, checked, called)) + journal.read_text()
        assert token not in shown
        assert SECRET not in shown
        server.tokens.clear()  # revoked before its time
        assert json.loads(kosmolua("call", "notes.who", *given).stdout) == {"who": "ann"}
        assert server.granted.count("refresh_token") == 1
        out = kosmolua("accounts", "logout", "notes.work", *given)
        assert "notes.work is logged out" in out.stderr
        assert out.returncode == 0
        assert server.revoked == ["refresh_token", "access_token"]
        assert server.tokens == {}
        assert "not logged in" in kosmolua("accounts", "check", "notes", *given).stdout


def test_a_server_behind_a_login_is_reached_with_it(kosmolua: Program, write: Write, browser: str) -> None:
    """An MCP server says where to log in; its tools then take the token, which is renewed if the server refuses it."""
    with OAuthServer() as server, servers.over_http(ISSUER=server.url) as url:
        accounts = write("accounts.toml", f'[mcp.tools]\nurl = "{url}"\n')
        given = ("--accounts", str(accounts))
        refused = kosmolua("call", "mcp.tools.greet", "name=Ann", *given)
        assert "run 'kosmolua accounts login mcp.tools'" in refused.stderr
        done = kosmolua("accounts", "login", "mcp.tools", *given, variables={"BROWSER": browser})
        assert done.returncode == 0, done.stderr
        called = kosmolua("call", "mcp.tools.greet", "name=Ann", *given)
        assert called.stdout == '"hello Ann"\n', called.stderr
        (token,) = server.tokens
        server.tokens.clear()  # revoked before its time
        called = kosmolua("call", "mcp.tools.greet", "name=Bob", *given)
        assert called.stdout == '"hello Bob"\n', called.stderr
        assert server.granted.count("refresh_token") == 1
        assert token not in done.stdout + done.stderr + called.stderr


def test_github_logs_in_by_device_code() -> None:
    """Its account names GitHub's addresses; the client is the user's own OAuth app."""
    from kosmolua import Runtime

    with Runtime({"github": {"work": {"client_id": "Iv1.abc"}}}) as runtime:
        service = runtime.accounts.service(runtime.catalog.integration("github"), "work")
    assert service.client_id == "Iv1.abc"
    assert service.login.device == "https://github.com/login/device/code"
    assert service.login.authorize == ""
    assert os.environ.get("GITHUB_TOKEN") is None or service.client_secret == ""


def test_a_server_that_a_command_starts_has_no_login() -> None:
    """It has no address to log in at; one with a url has."""
    from kosmolua import Runtime

    sections = {"tools": {"command": "tools-mcp"}, "notes": {"url": "https://a.example/mcp"}}
    with Runtime({"mcp": sections}, environ={}) as runtime:
        state, declared = runtime.accounts.login_state, runtime.servers.declared
        assert {name: state(declared(name), "default") for name in sections} == {
            "tools": None,
            "notes": "not logged in",
        }
        with pytest.raises(NotConfigured, match=r"mcp\.tools has no OAuth login\."):
            runtime.accounts.service(declared("tools"), "default")


@pytest.mark.parametrize("scopes", [None, ["read"]])
def test_a_document_names_where_to_log_in(write: Write, scopes: list[str] | None) -> None:
    """The token of an `oauth2` scheme comes from the section, or from a login at the document's addresses."""
    from kosmolua import Runtime

    flow = {"authorizationUrl": "https://a.example/authorize", "tokenUrl": "https://a.example/token", "scopes": {}}
    document = {
        "openapi": "3.0.3",
        "info": {"title": "Pets", "version": "1"},
        "servers": [{"url": "https://a.example"}],
        "components": {"securitySchemes": {"oauth": {"type": "oauth2", "flows": {"authorizationCode": flow}}}},
        "security": [{"oauth": []}],
        "paths": {"/pets": {"get": {"operationId": "listPets", "responses": {"200": {"description": "Pets."}}}}},
    }
    file = write("pets.openapi.json", json.dumps(document))
    section = {"client_id": "mine"} | ({"scopes": scopes} if scopes else {})
    with Runtime({"pets": {"work": section}}, plugins=[file], environ={}) as runtime:
        service = runtime.accounts.service(runtime.catalog.integration("pets"), "work")
        error = runtime.run("app.integrations.pets.list_pets()").error
    login = OAuth2(token="https://a.example/token", authorize="https://a.example/authorize", scopes=(*(scopes or ()),))
    assert service.client_id == "mine"
    assert service.login == login
    assert "run 'kosmolua accounts login pets.work'" in str(error)
