"""Secrets of Vault and of AWS Secrets Manager, asked over HTTP on this machine, and leases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.library import library
from support.loopback import Loopback

from kosmolua.accounts import aws, vault
from kosmolua.accounts.accounts import Accounts
from kosmolua.accounts.sources import PART_OF_LEASE
from kosmolua.entry_points import EntryPoint, function_of
from kosmolua.errors import NotConfigured
from kosmolua.plugin import Request, Response
from kosmolua.schema.settings import parse
from kosmolua.secret import Leased, Redactor

TOKEN = "a-token-of-vault"
PATHS: dict[str, Any] = {
    "/v1/secret/data/render": {"data": {"data": {"api_key": "rnd_from_vault_2"}, "metadata": {"version": 1}}},
    "/v1/kv/render": {"lease_duration": 3600, "data": {"api_key": "rnd_from_vault_1", "owner": "tea"}},
}
POINTS = parse(Path(__file__).parent.parent / "pyproject.toml")["project"]["entry-points"]["kosmolua.secrets"]


def answer(request: Request) -> Response:
    """Answer as Vault does."""
    path = "/" + request.url.split("/", 3)[3]
    sent = {name.lower(): value for name, value in request.headers.items()}
    if sent.get("x-vault-token") != TOKEN:
        return Response(403, {"Content-Type": "application/json"}, b'{"errors": ["permission denied"]}')
    if path not in PATHS:
        return Response(404, {"Content-Type": "application/json"}, b'{"errors": []}')
    return Response(200, {"Content-Type": "application/json"}, json.dumps(PATHS[path]).encode())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A server like Vault, which the variables name."""
    pytest.importorskip("hvac", reason="needs the extra vault")
    with Loopback(answer) as loopback:
        monkeypatch.setenv("VAULT_ADDR", loopback.url)
        monkeypatch.setenv("VAULT_TOKEN", TOKEN)
        yield loopback


@pytest.fixture
def by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry points of this source, whatever is installed."""
    points = {name: [EntryPoint(name, value, "kosmolua", "kosmolua.secrets")] for name, value in POINTS.items()}
    monkeypatch.setattr("kosmolua.accounts.sources.installed", lambda group: points)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reference", "text", "seconds"),
    [
        ("secret/data/render#api_key", "rnd_from_vault_2", 0),
        ("secret/data/render", "rnd_from_vault_2", 0),
        ("/kv/render#api_key", "rnd_from_vault_1", 3600),
    ],
)
def test_vault_gives_a_field(server: Loopback, reference: str, text: str, seconds: float) -> None:
    """Of both versions of its key-value store, with the lease; a single field needs no name."""
    found = vault.secret(reference)
    assert found == text
    assert isinstance(found, Leased)
    assert found.seconds == seconds


@pytest.mark.parametrize(
    ("reference", "token", "problem"),
    [
        ("secret/data/other#a", TOKEN, "Vault has nothing at secret/data/other"),
        ("kv/render", TOKEN, "Vault has no text '' at kv/render (name one of its fields, as in kv/render#api_key)"),
        ("kv/render#nothing", TOKEN, "Vault has no text 'nothing' at kv/render"),
        ("kv/render#api_key", "wrong", "Vault refuses kv/render: permission denied"),
    ],
)
def test_vault_refuses(
    server: Loopback, monkeypatch: pytest.MonkeyPatch, reference: str, token: str, problem: str
) -> None:
    """What is missing or not allowed is a sentence, without a credential."""
    monkeypatch.setenv("VAULT_TOKEN", token)
    with pytest.raises(NotConfigured) as told:
        vault.secret(reference)
    assert problem in told.value.message
    assert token not in told.value.message


def test_vault_that_is_away_is_told(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the variable."""
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:9")
    with pytest.raises(NotConfigured, match="Vault cannot be reached: ConnectionError"):
        vault.secret("kv/render#api_key")


AWS = {
    "prod/render": {"SecretString": '{"api_key": "rnd_from_aws"}'},
    "plain": {"SecretString": "a plain secret"},
    "bytes": {"SecretBinary": "Ynl0ZXM="},
}


def answer_as_aws(request: Request) -> Response:
    """Answer as AWS Secrets Manager does."""
    sent = {name.lower(): value for name, value in request.headers.items()}
    assert sent["x-amz-target"] == "secretsmanager.GetSecretValue"
    assert sent["authorization"].startswith("AWS4-HMAC-SHA256 Credential=testing/")
    found = AWS.get(json.loads(request.body or b"")["SecretId"])
    missing = {"__type": "ResourceNotFoundException", "Message": "Secrets Manager can't find the specified secret."}
    kind = {"Content-Type": "application/x-amz-json-1.1"}
    return Response(200 if found else 400, kind, json.dumps(found or missing).encode())


def test_aws_gives_a_secret_or_a_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTP from a server that answers as AWS does; what is missing is a sentence."""
    pytest.importorskip("boto3", reason="needs the extra aws")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with Loopback(answer_as_aws) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        assert aws.secret("prod/render#api_key") == "rnd_from_aws"
        assert aws.secret("plain") == "a plain secret"
        for reference, problem in {
            "prod/render#other": "has no text 'other'",
            "plain#other": "has no text 'other'",
            "bytes": "is not a text",
            "nowhere": "refuses nowhere: ResourceNotFoundException",
        }.items():
            with pytest.raises(NotConfigured, match=problem):
                aws.secret(reference)


def test_the_entry_points_name_the_functions() -> None:
    """Both are found by their names."""
    points = [EntryPoint(name, value, "kosmolua", "kosmolua.secrets") for name, value in POINTS.items()]
    assert {each.name: function_of(each) for each in points} == {"vault": vault.secret, "aws": aws.secret}


def test_a_lease_is_honoured(server: Loopback, by_name: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret is fetched once, and again when most of its lease is over; one without a lease is kept."""
    now = 1_000.0
    for module in ("accounts", "sources"):
        monkeypatch.setattr(f"kosmolua.accounts.{module}.monotonic", lambda: now)
    given = {"kept": {"vault": "secret/data/render"}, "lent": {"vault": "kv/render#api_key"}}
    accounts = Accounts({"kosmolua": {"secrets": given}}, Path("/a.toml"), environ={}, redactor=Redactor())
    assert accounts.secret("lent").reveal() == "rnd_from_vault_1"
    assert accounts.secret("kept").reveal() == "rnd_from_vault_2"
    assert not accounts.is_over("kosmolua.secrets.lent")
    now += 3600 * PART_OF_LEASE + 1
    assert accounts.is_over("kosmolua.secrets.lent")
    assert not accounts.is_over("kosmolua.secrets.kept")
    accounts.secret("lent")
    assert not accounts.is_over("kosmolua.secrets.lent")


def test_an_account_is_resolved_again(by_name: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the lease of one of its secrets ends, its next call has the new one."""
    now, given = 1_000.0, ["the first key 1", "the second key"]
    for module in ("accounts", "sources"):
        monkeypatch.setattr(f"kosmolua.accounts.{module}.monotonic", lambda: now)
    monkeypatch.setattr(vault, "secret", lambda _: Leased(given.pop(0), 60))
    integration, tables = library(), {"library": {"work": {"api_key": {"vault": "kv/a"}}}}
    accounts = Accounts(tables, Path("/a.toml"), environ={}, redactor=Redactor())
    assert accounts.settings(integration, "work")["api_key"].reveal() == "the first key 1"
    assert accounts.settings(integration, "work")["api_key"].reveal() == "the first key 1"
    now += 50
    assert accounts.settings(integration, "work")["api_key"].reveal() == "the second key"
