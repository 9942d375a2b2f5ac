"""Tokens of tenants: those that were given to them, and those that an issuer signed (JWT)."""

from __future__ import annotations

import hmac
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from jwt.utils import base64url_encode
from support.identifiers import stable

from kosmolua.errors import ConfigError
from kosmolua.secret import Secret
from kosmolua.serve import settings
from kosmolua.serve.settings import Issuer
from kosmolua.serve.tenant_runtime import Common
from kosmolua.serve.tenants import Tenants
from kosmolua.serve.tokens import SignedTokens, TenantTokens

ISSUER, AUDIENCE = "https://login.example", "kosmolua"
KEY, OTHER = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
FIRST, SECOND = "the-first-token", "the-second-token"


def jwks(**keys: rsa.RSAPrivateKey) -> dict[str, Any]:
    """Return the public keys of an issuer, by their names."""
    listed = [{**json.loads(RSAAlgorithm.to_jwk(key.public_key())), "kid": kid} for kid, key in keys.items()]
    return {"keys": listed}


def signed(key: Any = KEY, kid: str | None = "one", algorithm: str = "RS256", **claims: object) -> bytes:
    """Return a token that is valid but for what is given; a claim that is None is left out."""
    whole = {"iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 300, "sub": "ada", "org": "acme", **claims}
    known = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(known, key, algorithm, headers={"kid": kid} if kid else {}).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the issuer's keys."""
    (tmp_path / "jwks.json").write_text(json.dumps(jwks(one=KEY)))
    return tmp_path


def accepts(folder: Path, *tokens: bytes, jwks: str = "jwks.json") -> list[bool]:
    """Return which tokens a tenant accepts, one after the other."""
    issuer = Issuer(ISSUER, AUDIENCE, jwks, {"org": "acme"})

    async def accept() -> list[bool]:
        tenant = SignedTokens(issuer, folder, lambda sentence: None)
        return [await tenant.accept(token) for token in tokens]

    return anyio.run(accept)


@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        ({}, True),
        ({"kid": None}, True),
        ({"aud": ["others", AUDIENCE]}, True),
        ({"aud": "others"}, False),
        ({"iss": "https://evil.example"}, False),
        ({"org": "globex"}, False),
        ({"org": None}, False),
        ({"exp": 1}, False),
        ({"exp": None}, False),
        ({"aud": None}, False),
        ({"nbf": 9_999_999_999}, False),
        ({"key": OTHER}, False),
        ({"kid": "two"}, False),
        ({"key": "", "algorithm": "none"}, False),
    ],
    ids=stable,
)
def test_a_signed_token(folder: Path, given: dict[str, Any], accepted: bool) -> None:
    """It is accepted if the issuer signed it for this audience, with the claims, and it is valid now."""
    shown = {name: value for name, value in given.items() if name != "key" or value != OTHER}
    token = signed(**given)

    assert accepts(folder, token) == [accepted], shown


def test_a_public_key_signs_nothing(folder: Path) -> None:
    """A token that is signed with what everybody knows, as by a secret shared with the issuer, is refused."""
    header = {"alg": "HS256", "typ": "JWT", "kid": "one"}
    claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": 9_999_999_999, "org": "acme"}
    said = b".".join(base64url_encode(json.dumps(part).encode()) for part in (header, claims))
    secret = RSAAlgorithm.to_jwk(KEY.public_key()).encode()
    forged = said + b"." + base64url_encode(hmac.digest(secret, said, "sha256"))

    assert accepts(folder, forged) == [False]


@pytest.mark.parametrize("token", [b"", b"..", b"a.b.c", b"\xff.\xfe.\xfd", b"." * 3, signed()[:-4] + b"AAAA"])
def test_what_is_no_token(folder: Path, token: bytes) -> None:
    """Whatever else is sent is refused, and breaks nothing."""
    assert accepts(folder, token) == [False]


@pytest.fixture
def issuer() -> Iterator[tuple[str, list[str], dict[str, Any]]]:
    """An issuer on loopback: the URL of its keys, the requests for them, and what it answers."""
    asked: list[str] = []
    answer: dict[str, Any] = {"body": jwks(one=KEY)}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps(answer["body"]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *given: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/jwks", asked, answer
    server.shutdown()


@pytest.mark.slow
def test_keys_are_fetched_once(folder: Path, issuer: tuple[str, list[str], dict[str, Any]]) -> None:
    """They are fetched for the first token; a key that nobody knows does not have them fetched again and again."""
    url, asked, _ = issuer
    unknown = [signed(OTHER, kid=f"key-{number}") for number in range(20)]

    assert accepts(folder, signed(), signed(), *unknown, jwks=url) == [True, True] + [False] * 20
    assert len(asked) == 1


def test_keys_that_cannot_be_fetched(folder: Path) -> None:
    """Nothing is accepted without keys, and they are refused where anybody could change them on the way."""
    assert accepts(folder, signed(), jwks="http://127.0.0.1:1/jwks") == [False]
    assert accepts(folder, signed(), jwks="nowhere.json") == [False]
    with pytest.raises(ConfigError, match="would be fetched without TLS"):
        accepts(folder, signed(), jwks="http://login.example/jwks")


def tenants(folder: Path, text: str) -> Tenants:
    """Return the tenants of an accounts file, whose calls are simulated."""
    file = folder / "accounts.toml"
    file.write_text(text)
    file.chmod(0o600)
    environ = {"ACME_TOKEN": FIRST, "BLANK": ""}
    return Tenants(settings.read(str(file)), Common(simulate=True, environ=environ))


def name_of(tenants: Tenants, token: bytes) -> str | None:
    """Return the tenant that a token leads to, or None."""
    found = anyio.run(tenants.authenticate, token)
    return found and found.name


def test_each_token_leads_to_its_tenant(folder: Path) -> None:
    """Given tokens, two at a time, from their sources, and signed ones, told apart by their claims."""
    (folder / "second").write_text(SECOND + "\n")
    both = f'issuer = "{ISSUER}", audience = "{AUDIENCE}", jwks = "jwks.json"'
    found = tenants(
        folder,
        f"""\
[tenants.acme]
token = [{{ env = "ACME_TOKEN" }}, {{ file = "second" }}]

[tenants.blue]
jwt = {{ {both}, claims = {{ org = "acme" }} }}

[tenants.green]
jwt = {{ {both}, claims = {{ org = "globex" }} }}
""",
    )

    assert name_of(found, FIRST.encode()) == name_of(found, SECOND.encode()) == "acme"
    assert name_of(found, signed()) == "blue"
    assert name_of(found, signed(org="globex")) == "green"
    for wrong in (b"", b" ", FIRST.upper().encode(), FIRST.encode() + b"\0", signed(org="initech"), signed(OTHER)):
        assert name_of(found, wrong) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('token = { env = "BLANK" }', "an environment variable that is not set"),
        ('token = "       "', "is empty"),
        ("token = []", "one secret, or a list of two"),
        ('jwt = { issuer = "x", audience = "y" }', "jwt must have the key jwks"),
        ('jwt = { issuer = "x", audience = "y", jwks = "z", claim = 1 }', "did you mean 'claims'"),
    ],
)
def test_a_token_that_would_let_anybody_in(folder: Path, text: str, said: str) -> None:
    """A blank token, or half of an issuer, keeps the server from starting."""
    with pytest.raises(ConfigError, match=said):
        tenants(folder, f"[tenants.acme]\n{text}\n")


def test_two_tenants_that_a_token_would_fit(folder: Path) -> None:
    """Signed tokens lead to one tenant alone, so their claims have to differ."""
    both = f'issuer = "{ISSUER}", audience = "{AUDIENCE}", jwks = "jwks.json"'
    first = f'[tenants.acme]\njwt = {{ {both}, claims = {{ org = "acme" }} }}\n'
    with pytest.raises(ConfigError, match="acme and blue would accept the same token"):
        tenants(folder, f'{first}[tenants.blue]\njwt = {{ {both}, claims = {{ team = "x" }} }}\n')


def test_the_time_says_nothing() -> None:
    """A token that is almost right takes as long as one that is quite wrong, and the first as long as the second."""
    tokens = TenantTokens([Secret(FIRST * 4), Secret(SECOND * 4)])
    right = (FIRST * 4).encode()
    candidates = [right, right[:-1] + b"x", b"x" * len(right), (SECOND * 4).encode()]
    fastest = [float("inf")] * len(candidates)
    for _ in range(3_000):
        for place, candidate in enumerate(candidates):
            started = time.perf_counter_ns()
            tokens.accept(candidate)
            fastest[place] = min(fastest[place], time.perf_counter_ns() - started)

    assert max(fastest) < 1.5 * min(fastest)


def test_where_calls_are_approved_is_a_link(folder: Path) -> None:
    """With the server's own URL, an answer about a paused run says where to go."""
    stanza = f'[tenants.acme]\ntoken = "{SECOND}"\n'
    (tenant,) = tenants(folder, f'[serve]\nurl = "https://agents.example/"\n{stanza}')
    assert tenant.way_to_approve("http://10.0.0.1", "a/1-2", "1") == "at https://agents.example/a/1-2"
    with pytest.raises(ConfigError, match="must be the URL at which people reach the server"):
        tenants(folder, f'[serve]\nurl = "agents.example"\n{stanza}')
