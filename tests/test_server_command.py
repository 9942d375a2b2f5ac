"""``kosmolua server``: what is asked at one server of several holds at all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
import requests
from support.agents import ENVIRON
from support.page import Person
from support.processes import eventually
from support.rounds import rounds
from support.servers import wait_for
from support.serving import ACME, TWO_TENANTS, Serving, bearing, is_ready, serving

OPERATOR = "the-token-of-the-operator"
ENDLESS = "while true do end"


@pytest.fixture(scope="module", params=["postgres", "processes", "folder"][: rounds(2, 3)])
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Serving]]:
    """Two servers with one store, or one server of two processes."""
    folder = tmp_path_factory.mktemp("servers")
    store = str(folder / "shared")
    if request.param == "postgres":
        store = request.getfixturevalue("postgres").address
    text = f'[serve]\noperator_token = "{OPERATOR}"\nstore = "{store}"\n{TWO_TENANTS}'
    count = 1 if request.param == "processes" else 2
    options = ["--simulate", "--timeout", "300", "--cpu", "300", *(["--processes", "2"] if count == 1 else [])]
    with ExitStack() as stack:
        started = []
        for number in range(count):
            (folder / str(number)).mkdir()
            started.append(stack.enter_context(serving(folder / str(number), text, *options)))
        for each in started:
            wait_for(partial(is_ready, each), 120)
        yield started


def server_command(server: Serving, *words: str, token: str = ACME, status: int = 0) -> Any:
    """Run the command against a server, and return what it prints in JSON; or, for an error, what it says."""
    command = [sys.executable, "-m", "kosmolua", "server", *words, "--url", server.base]
    if status == 0:
        command.append("--json")
    environ = {**ENVIRON, "KOSMOLUA_SERVER_TOKEN": token}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout) if status == 0 else done.stderr


def run(server: Serving, source: str) -> Any:
    """Run a script at a server, over a connection of its own, and return the answer."""
    return requests.post(f"{server.base}/api/runs", json={"source": source}, headers=bearing(ACME), timeout=300).json()


def running(server: Serving) -> Any:
    """Return the runs that a server lists as running."""
    shown = requests.get(f"{server.base}/api/runs?status=running", headers=bearing(ACME), timeout=60)
    return shown.json()["runs"]


@pytest.mark.slow
def test_a_run_is_cancelled_at_another_server(servers: list[Serving]) -> None:
    """Whichever server is asked, the run ends soon where it runs, and its client is told that it was interrupted."""
    one, two = servers[0], servers[-1]
    with ThreadPoolExecutor(4) as threads:
        outcomes = [threads.submit(run, one, ENDLESS) for _ in range(4)]
        wait_for(lambda: len(running(two)) == 4, 90)
        for each in server_command(two, "runs", "--status", "running")["runs"]:
            assert server_command(two, "cancel", each["run"]) == {"run": each["run"], "cancelled": True}
        answers = [each.result(120) for each in outcomes]
    assert [each["status"] for each in answers] == ["interrupted"] * 4
    ended = {each["run"]: each["status"] for each in server_command(two, "runs")["runs"]}
    assert [ended[each["run"]] for each in answers] == ["interrupted"] * 4
    assert "is not running" in server_command(one, "cancel", answers[0]["run"], status=1)
    assert "There is no such run" in server_command(one, "cancel", "0123456789ab", status=1)


def is_refused(error: dict[str, Any]) -> bool:
    """Return whether a run was refused for a drain, to be tried again."""
    return "drained" in error.get("message", "") and error["retryable"] is True


@pytest.mark.slow
def test_a_tenant_is_drained_at_all_servers(servers: list[Serving]) -> None:
    """No script of it begins at any server until that is undone. It needs the operator's token."""
    one, two = servers[0], servers[-1]
    assert "operator_token" in server_command(two, "drain", status=1)
    assert server_command(two, "drain", "--tenant", "acme", token=OPERATOR)["drained"] is True
    assert eventually(lambda: is_refused(run(one, "return 1")["error"] or {}))
    shown = server_command(one, "status", token=OPERATOR)["tenants"]
    assert [(each["tenant"], each["drained"]) for each in shown] == [("acme", True), ("globex", False)]
    server_command(one, "drain", "--end", token=OPERATOR)
    assert eventually(lambda: run(two, "return 1").get("status") == "done")


@pytest.mark.slow
def test_a_session_is_revoked_at_all_servers(servers: list[Serving]) -> None:
    """People who are signed in are listed until they sign out; one whose session is revoked has to sign in again."""
    one, two = servers[0], servers[-1]
    before = {each["session"] for each in server_command(two, "sessions")["sessions"]}
    leaving, revoked, staying = (Person(one.base) for _ in range(3))
    known = []
    for person in (leaving, revoked, staying):
        person.sign_in(ACME)
        found = {each["session"] for each in server_command(two, "sessions")["sessions"]} - before - {*known}
        known += found
        assert len(found) == 1
    leaving.send("/logout")
    server_command(two, "sessions", "--revoke", known[1])
    assert {each["session"] for each in server_command(two, "sessions")["sessions"]} - before == {known[2]}
    assert eventually(lambda: "/login" in revoked.open("/accounts").url)
    assert staying.open("/accounts").url.endswith("/accounts")
    assert "There is no such session" in server_command(two, "sessions", "--revoke", known[1], status=1)


@pytest.mark.slow
def test_what_is_wrong_is_a_sentence(servers: list[Serving]) -> None:
    """A wrong token, another tenant, a tenant that is missing, and a name that leads elsewhere."""
    (server, *_) = servers
    assert "does not take the token" in server_command(server, "status", token="wrong-wrong", status=1)
    assert "another tenant" in server_command(server, "runs", "--tenant", "globex", status=1)
    assert "on a command line with --tenant" in server_command(server, "runs", token=OPERATOR, status=1)
    assert "no such tenant" in server_command(server, "runs", "--tenant", "nobody", token=OPERATOR, status=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://agents.example", "unencrypted to agents.example, so nothing was sent"),
        ("agents.example", "is not the URL of a server"),
    ],
)
def test_the_token_stays_here(url: str, said: str) -> None:
    """A URL without TLS, or none at all, is refused before anything is sent."""
    command = [sys.executable, "-m", "kosmolua", "server", "status", "--url", url]
    environ = {**ENVIRON, "KOSMOLUA_SERVER_TOKEN": ACME}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert said in done.stderr
