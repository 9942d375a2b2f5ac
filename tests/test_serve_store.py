"""A server whose store is away: it says so at once, refuses runs at once, tells tenants no address, and comes back."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from mcp_types import CallToolResult
from support.agents import execute, text_of
from support.page import Person
from support.postgres import Postgres
from support.servers import wait_for
from support.serving import ACME, Serving, agent, serving

from kosmolua.errors import Unavailable
from kosmolua.memory import Memory
from kosmolua.serve.health import Health
from kosmolua.stores.opening import open_stores

PATIENCE = 60.0
"""Seconds in which a server comes back on a machine that has much else to do."""
SOON = 60.0
"""A very wide margin for what takes two seconds on an idle machine, and took as long as the outage before."""


def accounts(store: str) -> str:
    return f"""\
[serve]
store = "{store}"

[tenants.acme]
token = "{ACME}"
"""


def readiness(server: Serving) -> requests.Response:
    return requests.get(f"{server.base}/readyz", timeout=60)


def settle(server: Serving, status: int) -> float:
    """Wait until ``/readyz`` has a status, and return how many seconds that took."""
    began = time.monotonic()
    while readiness(server).status_code != status:
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.05)
    return time.monotonic() - began


def endure(server: Serving, away: Callable[[], AbstractContextManager[None]], secrets: list[str]) -> None:
    """Take the store away while a client is connected, and check what the client and the operator see."""

    async def main() -> None:
        async with agent(server.url, ACME) as client:
            settle(server, 200)
            assert (await execute(client, "return 1")).structured_content["result"] == [1]
            with away():
                began = time.monotonic()
                first = await execute(client, "return 1")  # it begins before anybody knows
                refused = await execute(client, "return 1")
                assert time.monotonic() - began < SOON
                for each in (first, refused):
                    is_unavailable(each, secrets)
                assert settle(server, 503) < SOON
                assert not any(each in readiness(server).text for each in secrets)
                assert b"kosmolua_store_up 0.0" in metrics(server)
                wait_for(lambda: '"store lost"' in server.out.read_text())  # once the late try has failed
            settle(server, 200)
            again = await execute(client, "return 1")
            assert again.structured_content["result"] == [1], text_of(again)

    asyncio.run(main())
    wait_for(lambda: b"kosmolua_store_up 1.0" in metrics(server))


def is_unavailable(result: CallToolResult, secrets: list[str]) -> None:
    assert result.structured_content, text_of(result)
    error: dict[str, Any] = result.structured_content["error"]
    assert error["code"] == "unavailable"
    assert error["retryable"] is True
    assert not [each for each in secrets if each in text_of(result) + str(error)]


def metrics(server: Serving) -> bytes:
    return requests.get(f"{server.base}/metrics", timeout=60).content


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stands still", "is stopped"])
def test_postgres_away(tmp_path: Path, postgres: Postgres, how: str) -> None:
    """A database that keeps its connections and answers nothing is noticed like one that is gone."""

    @contextmanager
    def stopped() -> Iterator[None]:
        postgres.stop()
        yield
        postgres.start()

    with serving(tmp_path, accounts(postgres.address), "--simulate") as server:
        hidden = [postgres.address.rpartition("=")[2], "postgresql", "nobody"]
        endure(server, postgres.standing_still if how == "stands still" else stopped, hidden)
        assert "postgresql" in server.out.read_text()


@pytest.mark.slow
def test_sqlite_locked(tmp_path: Path) -> None:
    """Another program holds the lock of the file."""

    @contextmanager
    def locked() -> Iterator[None]:
        holder = sqlite3.connect(file, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        yield
        holder.execute("ROLLBACK")
        holder.close()

    file = tmp_path / "runs.db"
    with serving(tmp_path, accounts(f"sqlite:///{file}"), "--simulate") as server:
        endure(server, locked, [str(tmp_path), "sqlite"])


@pytest.mark.slow
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """The folder of the store gives way to a file, as a mount that is lost does."""

    @contextmanager
    def lost() -> Iterator[None]:
        folder.rename(tmp_path / "away")
        folder.write_text("")
        yield
        folder.unlink()
        (tmp_path / "away").rename(folder)

    folder = tmp_path / "store"
    with serving(tmp_path, accounts(str(folder)), "--simulate") as server:
        endure(server, lost, [str(tmp_path)])


@pytest.mark.slow
def test_a_try_that_does_not_end_counts_as_failed() -> None:
    """Whoever waits for the store is told once, and the store is used again as soon as a try succeeds."""
    from threading import Event

    from kosmolua.serve.metrics import Metrics

    answers, lost = Event(), []
    health = Health(lambda: answers.wait(120) and None, lambda: lost.append(1))
    tenants: Any = type("NoTenants", (tuple,), {"health": health})()
    metrics = Metrics(lambda: tenants, Memory(1))
    health.start()
    wait_for(lambda: lost)
    assert isinstance(health.error, Unavailable)
    assert b"kosmolua_store_up 0.0" in metrics.page(names_tenants=True)
    answers.set()
    wait_for(lambda: not health.error)
    assert b"kosmolua_store_up 1.0" in metrics.page(names_tenants=True)
    assert lost == [1]
    health.stop()


@pytest.mark.slow
def test_an_approval_for_a_dead_server_is_carried_out_by_another(tmp_path: Path) -> None:
    """A person approves at one replica what waits at another that was just killed: it is done, and asked only once."""
    text = accounts(str(tmp_path / "store")).replace("[serve]", '[serve]\napproval_wait = "100s"')
    code = "app.integrations.render2.suspend_service('srv-cabc12345678') return 'suspended'"
    store = open_stores(str(tmp_path / "store")).of("acme")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()

    async def leave_waiting(server: Serving) -> None:
        with suppress(Exception):  # the connection ends with the server
            async with agent(server.url, ACME) as client:
                waits = asyncio.create_task(execute(client, code))
                ends = time.monotonic() + PATIENCE
                while not store.waiting() and time.monotonic() < ends:
                    await asyncio.sleep(0.1)
                server.process.kill()
                waits.cancel()

    with serving(tmp_path / "one", text, "--simulate") as dead, serving(tmp_path / "two", text, "--simulate") as other:
        asyncio.run(leave_waiting(dead))
        dead.process.wait()
        (call,) = store.waiting()
        person = Person(other.base)
        person.sign_in(ACME)
        assert person.send("/approvals", decision="approve", call=call.name).status_code == 200
        wait_for(lambda: store.runs()[0].status == "done", PATIENCE)
        assert not store.waiting()
        assert "a person on the page" in person.open(f"/runs/{call.run}/calls/1").text
