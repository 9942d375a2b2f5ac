"""Accounts that act on behalf of the person who is logged in: their token is exchanged (RFC 8693)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any
from urllib.parse import parse_qs

import pytest
from support.library import library
from support.loopback import Loopback

from kosmolua import Runtime
from kosmolua.catalog.plugins import Plugins
from kosmolua.plugin import Request, Response, Secret

pytestmark = pytest.mark.slow

ANN, BOB = Secret("the token of ann at the issuer"), Secret("the token of bob at the issuer")


class Exchange:
    """An authorization server that gives each person a token of their own, and the service that takes it."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.seen: list[str] = []
        self.seconds: float | None = 3600
        self.refuses = False
        self.is_asked = Event()
        self.first_waits: Event | None = None

    def __call__(self, request: Request) -> Response:
        if not request.url.endswith("/token"):
            self.seen.append(str(request.headers.get("Authorization")))
            return Response(200, body=b'{"books": []}', headers={"Content-Type": "application/json"})
        content = request.content or b""
        given = {name: each[0] for name, each in parse_qs(content.decode()).items()}
        self.asked.append(given)
        self.is_asked.set()
        if self.first_waits and len(self.asked) == 1:
            self.first_waits.wait(60)
        if self.refuses:
            said = {"error": "invalid_target", "error_description": "ann may not use the library"}
            return Response(400, body=json.dumps(said).encode(), headers={"Content-Type": "application/json"})
        name = given["subject_token"].split()[3]
        answer: dict[str, Any] = {"access_token": f"library-token-of-{name}-{len(self.asked)}", "token_type": "Bearer"}
        answer |= {"expires_in": self.seconds} if self.seconds is not None else {}
        return Response(200, body=json.dumps(answer).encode(), headers={"Content-Type": "application/json"})


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


@pytest.fixture
def runtime(exchange: Exchange) -> Iterator[Runtime]:
    with Loopback(exchange) as server:
        settings = {
            "token_url": f"{server.url}/token",
            "client_id": "kosmolua",
            "client_secret": {"env": "EXCHANGE"},
            "audience": "library",
            "scopes": ["read", "lend"],
        }
        accounts = {"library": {"work": {"base_url": server.url, "on_behalf": settings}}}
        plugins = Plugins([library()], places=(), entry_points=dict)
        environ = {"EXCHANGE": "the secret of kosmolua"}
        with Runtime(accounts, plugins=plugins, environ=environ) as runtime:
            yield runtime


LIST = "return app.integrations.library.list_books()"


def test_the_persons_token_is_exchanged(runtime: Runtime, exchange: Exchange) -> None:
    """With what the section says; the service gets the new token alone, and the script sees none."""
    outcome = runtime.run(f"{LIST}, 'library-token-of-ann-1'", subject=ANN)
    assert outcome.ok, outcome.error
    assert exchange.seen == ["Bearer library-token-of-ann-1"]
    assert outcome.result[1] == "***"
    assert exchange.asked == [
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "subject_token": ANN.reveal(),
            "client_id": "kosmolua",
            "client_secret": "the secret of kosmolua",
            "audience": "library",
            "scope": "read lend",
        }
    ]


def test_a_token_is_kept_for_its_person_alone(runtime: Runtime, exchange: Exchange) -> None:
    """Until it expires; another person never has it."""
    for person in (ANN, BOB, ANN, BOB):
        assert runtime.run(LIST, subject=person).ok
    names = [each.rpartition("-of-")[2] for each in exchange.seen]
    assert names == ["ann-1", "bob-2", "ann-1", "bob-2"]


@pytest.mark.parametrize(("seconds", "count"), [(5, 2), (3600, 1), (None, 1)])
def test_an_expired_token_is_exchanged_anew(
    runtime: Runtime, exchange: Exchange, seconds: float | None, count: int
) -> None:
    """Also shortly before its end; one of unknown end is kept for a minute."""
    exchange.seconds = seconds
    for _ in range(2):
        assert runtime.run(LIST, subject=ANN).ok
    assert len(exchange.asked) == count


def test_a_long_run_gets_a_new_token(runtime: Runtime, exchange: Exchange) -> None:
    """A token that ends during a run is exchanged again for its next call."""
    exchange.seconds = 5
    outcome = runtime.run(f"app.integrations.library.list_books() {LIST}", subject=ANN)
    assert outcome.ok, outcome.error
    assert [each.rpartition("-")[2] for each in exchange.seen] == ["1", "2"]


def test_nobody_waits_for_the_token_of_another(runtime: Runtime, exchange: Exchange) -> None:
    """While the service for tokens is slow for one person, it answers another."""
    exchange.first_waits = Event()
    with ThreadPoolExecutor() as threads:
        first = threads.submit(runtime.run, LIST, subject=ANN)
        assert exchange.is_asked.wait(60)
        assert runtime.run(LIST, subject=BOB).ok
        exchange.first_waits.set()
        assert first.result().ok
    assert [each.rpartition("-of-")[2] for each in exchange.seen] == ["bob-2", "ann-2"]


def test_without_a_person_nothing_is_sent(runtime: Runtime, exchange: Exchange) -> None:
    """The error says who has to log in where."""
    error = runtime.run(LIST).error
    assert error
    assert error.code == "not_configured"
    assert "library.work acts on behalf of the person who is logged in, and this run has none" in error.message
    assert "Nothing was sent." in error.message
    assert exchange.asked == exchange.seen == []


def test_a_refusal_has_the_servers_words(runtime: Runtime, exchange: Exchange) -> None:
    """And the service is not called."""
    exchange.refuses = True
    error = runtime.run(LIST, subject=ANN).error
    assert error
    assert "ann may not use the library" in error.message
    assert exchange.seen == []


def test_the_persons_token_is_not_recorded(runtime: Runtime) -> None:
    """Nor the one that was exchanged for it."""
    path = runtime.run(LIST, subject=ANN, record=True).recording
    assert path
    with open(path, encoding="utf-8") as file:
        recorded = file.read()
    assert ANN.reveal() not in recorded
    assert "library-token-of-ann" not in recorded


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"client_id": "x"}, "on_behalf must have the key token_url"),
        ({"token_url": "https://a.example", "audiance": "x"}, "on_behalf"),
        ("yes", "on_behalf must be a table"),
    ],
)
def test_a_mistake_in_the_section_is_named(given: object, said: str) -> None:
    """Before anything is sent."""
    plugins = Plugins([library()], places=(), entry_points=dict)
    with Runtime({"library": {"work": {"on_behalf": given}}}, plugins=plugins, environ={}) as runtime:
        error = runtime.run(LIST, subject=ANN).error
    assert said in str(error)
