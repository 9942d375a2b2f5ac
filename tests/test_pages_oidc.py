"""Signing in to the page by OpenID Connect, at a strict provider."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from support.loopback import Loopback
from support.oidc_server import CLIENT, KEY, OTHER_KEY, SECRET, OidcServer
from support.page import Pages, served

from kosmolua.errors import KosmoError
from kosmolua.plugin import Response
from kosmolua.secret import Secret
from kosmolua.serve.pages.oidc import Begun, OidcLogin
from kosmolua.serve.settings import OidcProvider


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcServer]:
    with OidcServer() as provider:
        yield provider


@pytest.fixture(scope="module")
def pages(provider: OidcServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    jwt_of = f'issuer = "{provider.url}", audience = "{CLIENT}", jwks = "{provider.url}/keys"'
    accounts = f"""\
[serve.oidc]
issuer = "{provider.url}"
client_id = "{CLIENT}"
client_secret = "{SECRET}"

[tenants.initech]
jwt = {{ {jwt_of}, claims = {{ org = "acme" }} }}

[tenants.hooli]
jwt = {{ {jwt_of}, claims = {{ org = "hooli" }} }}
"""
    with served(tmp_path_factory.mktemp("pages"), accounts=accounts) as pages:
        provider.back = f"{pages.url}/login/provider/done"
        yield pages


@pytest.fixture(autouse=True)
def honest(provider: OidcServer) -> None:
    """The provider does what it should, until a test has it do something else."""
    provider.claims, provider.answers, provider.key = {}, {}, KEY


def signed_in(browser: requests.Session, pages: Pages, following: str = "") -> requests.Response:
    """Return where a person arrives who signs in at the provider."""
    done = browser.get(f"{pages.url}/login/provider?next={following}", timeout=60)
    onward = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', done.text)
    return browser.get(pages.url + onward[1], timeout=60) if onward else done


def test_a_person_signs_in_at_the_provider(pages: Pages) -> None:
    """Who comes back with a token for a tenant sees its page, on the page that was asked for first."""
    browser = requests.Session()
    assert "Sign in with 127.0.0.1" in browser.get(pages.url, timeout=60).text
    page = signed_in(browser, pages, "/insights")

    assert page.url == f"{pages.url}/insights"
    assert "initech" in page.text


def test_claims_say_whose_a_person_is(pages: Pages, provider: OidcServer) -> None:
    """The same provider lets people of several tenants in, each to their own."""
    provider.claims = {"org": "hooli"}
    page = signed_in(requests.Session(), pages)

    assert "hooli" in page.text
    assert "initech" not in page.text


@pytest.mark.parametrize(
    "claims",
    [
        {"org": "nobody"},
        {"nonce": "another"},
        {"nonce": ""},
        {"aud": "another-client"},
        {"iss": "https://other.example"},
        {"exp": 1},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_this_sign_in_opens_nothing(
    pages: Pages, provider: OidcServer, claims: dict[str, Any]
) -> None:
    """Another tenant's, another sign-in's, another client's, another issuer's or an old token begins no session."""
    provider.claims = claims
    browser = requests.Session()

    assert signed_in(browser, pages).status_code == 401
    assert "/login" in browser.get(f"{pages.url}/runs", timeout=60).url


def test_a_token_that_somebody_else_signed_opens_nothing(pages: Pages, provider: OidcServer) -> None:
    """Only the provider's own key counts."""
    provider.key = OTHER_KEY

    assert signed_in(requests.Session(), pages).status_code == 401


@pytest.mark.parametrize(
    "answers", [{"state": "another"}, {"state": ""}, {"code": "another"}, {"iss": "https://other.example"}], ids=str
)
def test_an_answer_to_another_sign_in_opens_nothing(
    pages: Pages, provider: OidcServer, answers: dict[str, str]
) -> None:
    """A state, a code or an issuer that does not fit is refused."""
    provider.answers = answers

    assert signed_in(requests.Session(), pages).status_code == 401


def test_an_answer_counts_once_and_in_its_browser(pages: Pages) -> None:
    """An address that came back with a person opens nothing in another browser, and nothing a second time."""
    browser, other = requests.Session(), requests.Session()
    leaving = browser.get(f"{pages.url}/login/provider", allow_redirects=False, timeout=60)
    back = requests.get(leaving.headers["location"], allow_redirects=False, timeout=60).headers["location"]

    assert other.get(back, timeout=60).status_code == 400
    assert "Signed in" in browser.get(back, timeout=60).text
    assert requests.Session().get(back, timeout=60).status_code == 400
    browser.cookies.set("kosmolua_login", leaving.cookies["kosmolua_login"])
    assert browser.get(back, timeout=60).status_code == 401


def test_a_code_goes_to_no_other_address(provider: OidcServer) -> None:
    """If the token endpoint redirects, nobody is signed in, and the error says why."""
    with Loopback(lambda _: Response(200, {}, b"{}")) as other:
        moved = Response(307, {"Location": f"{other.url}/token"})
        with Loopback(lambda _: moved) as endpoint:
            provider.description = {"token_endpoint": f"{endpoint.url}/token"}
            login = OidcLogin(OidcProvider(issuer=provider.url, client_id=CLIENT), Secret(SECRET))
            begun = Begun("state", "v" * 48, "nonce", "/")
            with pytest.raises(KosmoError, match="redirects to another address"):
                login.finish(begun, "http://127.0.0.1/back", {"state": "state", "code": "code-1"})
            assert len(endpoint.requests) == 1
        assert not other.requests
    provider.description = {}


def test_the_provider_is_asked_as_it_should_be(pages: Pages, provider: OidcServer) -> None:
    """Each sign-in has a state, a nonce and a challenge of its own, and the cookie comes back from another site."""
    first, second = (
        requests.get(f"{pages.url}/login/provider?next=//evil.example", allow_redirects=False, timeout=60)
        for _ in range(2)
    )
    assert "SameSite=lax" in first.headers["set-cookie"]
    assert "HttpOnly" in first.headers["set-cookie"]
    for name in ("state", "nonce", "code_challenge"):
        values = [re.search(rf"{name}=([^&]+)", each.headers["location"]) for each in (first, second)]
        assert values[0]
        assert values[1]
        assert values[0][1] != values[1][1]


def test_a_signed_token_ends_its_session(pages: Pages, provider: OidcServer) -> None:
    """A signed token may be pasted too; the session lasts as long as it does."""
    claims = {"iss": provider.url, "aud": CLIENT, "org": "acme", "exp": time.time() - 27}
    browser = requests.Session()
    form = browser.get(f"{pages.url}/login", timeout=60).text
    mark = re.search(r'token_of_form" value="([^"]+)"', form)
    assert mark
    token = jwt.encode(claims, KEY, "RS256", headers={"kid": "one"})
    sent = browser.post(f"{pages.url}/login", data={"token": token, "token_of_form": mark[1]}, timeout=60)

    assert "/login" in sent.url  # the tenant allows for clocks that differ, a session does not


@pytest.mark.parametrize("issuer", ["http://login.example", "ftp://login.example", "login.example"])
def test_a_provider_without_protection_is_refused(tmp_path: Path, issuer: str) -> None:
    """Where a provider is named that anybody could pretend to be, the server does not start."""
    from kosmolua.errors import ConfigError
    from kosmolua.serve import settings

    file = tmp_path / "accounts.toml"
    file.write_text(f'[serve.oidc]\nissuer = "{issuer}"\nclient_id = "x"\n')
    with pytest.raises(ConfigError, match="https"):
        settings.read(str(file))
