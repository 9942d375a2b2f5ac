"""Several replicas of a server: they share a database, and what pauses at one goes on at another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path

import anyio
import pytest
import requests
from support.agents import execute, with_constants
from support.page import RESTART, Person, first_call, served
from support.postgres import Postgres
from support.rounds import rounds
from support.servers import wait_for
from support.serving import ACME, Serving, agent, bearing, is_ready, serving

from kosmolua.errors import Unavailable
from kosmolua.serve.grants import FRESHNESS
from kosmolua.stores.opening import open_stores

TENANT = "acme"
SLOT_LEASE = 6.0
SHORT_LEASE = with_constants("kosmolua.stores.database", SLOT_LEASE=SLOT_LEASE, RENEWAL=1)
PLUGIN = str(Path(__file__).parent / "plugins" / "notebook.py")
OVERLAP = """
local notebook = app.integrations.notebook
notebook.add({ line = "begin" })
notebook.wait({ seconds = 0.2 })
notebook.add({ line = "end" })
"""


def server_at(folder: Path, text: str, *options: str) -> AbstractContextManager[Serving]:
    """Start a server which soon takes another that says nothing for dead."""
    return serving(folder, text, *options, before=SHORT_LEASE)


def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Return a folder for each of two hosts."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    return tmp_path / "one", tmp_path / "two"


def status_of(postgres: Postgres, run: str) -> str:
    """Return the status of a run, as a third host sees it."""
    stores = open_stores(postgres.address)
    try:
        return next(each.status for each in stores.of(TENANT).runs() if each.run == run)
    finally:
        stores.close()


@pytest.mark.slow
def test_an_approval_at_one_replica_resumes_there(tmp_path: Path, postgres: Postgres) -> None:
    """A run pauses at one; the page of the other shows it, and what is approved there is done there."""
    here, there = folders(tmp_path)
    with (
        served(here, TENANT, "globex", store=postgres.address) as one,
        served(there, TENANT, "globex", store=postgres.address) as two,
    ):
        run = one.record(TENANT, RESTART, "restart.lua")
        assert status_of(postgres, run) == "paused"
        assert run not in Person(two.url, "globex").open("/runs").text
        person = Person(two.url, TENANT)
        assert "restart.lua" in person.open("/approvals").text
        person.send("/approvals", decision="approve", call=f"{run}-2")
        wait_for(lambda: status_of(postgres, run) == "done", 60)
        assert "restarted" in person.open(f"/runs/{run}").text
        assert 'class="status done"' in Person(one.url, TENANT).open(f"/runs/{run}").text
        assert person.send("/approvals", decision="approve", call=f"{run}-2").status_code == 409
    assert not list(tmp_path.rglob("*.jsonl")), "recordings are in the database alone"


@pytest.mark.slow
def test_a_running_script_is_approved_at_another_replica(tmp_path: Path, postgres: Postgres) -> None:
    """Its call waits at one, the page of the other shows it, and the answer given there lets it go on where it runs."""
    here, there = folders(tmp_path)
    with (
        served(here, TENANT, store=postgres.address, approval_wait=300) as one,
        served(there, TENANT, store=postgres.address) as two,
    ):
        person = Person(two.url, TENANT)
        for decision, status in (("approve", "done"), ("deny", "failed")):
            outcome = one.start(TENANT, RESTART)
            call = first_call(person)
            assert "waiting since" in person.open("/approvals").text
            person.send("/approvals", decision=decision, call=call)
            assert outcome.result(60).status == status


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["postgres", "folder"][: rounds(1, 2)])
def test_grants_and_sessions_hold_at_all_replicas(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    """Who is signed in at one is signed in at the other; what is always allowed there needs no approval here, until it
    is revoked at either."""
    store = request.getfixturevalue("postgres").address if kind == "postgres" else str(tmp_path / "shared")
    here, there = folders(tmp_path)
    tenant = f"{kind}-acme"
    with served(here, tenant, store=store) as one, served(there, tenant, store=store) as two:
        person = Person(one.url, tenant)
        run = one.record(tenant, RESTART, "restart.lua")
        person.base = two.url
        assert "restart.lua" in person.open("/approvals").text
        person.send("/approvals", decision="approve", call=f"{run}-2", always="yes")
        time.sleep(FRESHNESS)
        assert one.start(tenant, RESTART).result(60).status == "done"
        assert two.start(tenant, RESTART).result(60).status == "done"
        person.base = one.url
        revoking = {"path": "render2.restart_service", "account": "production"}
        assert "restart_service" in person.open("/accounts").text
        person.send("/accounts/revoke", on="/accounts", **revoking)
        time.sleep(FRESHNESS)  # until then it may go unnoticed at the other
        assert two.start(tenant, RESTART).result(60).status == "paused"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["postgres", "sqlite", "folder"][: rounds(1, 3)])
def test_a_sign_out_ends_the_session_at_all_replicas(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    """Within a second a copy of the cookie is worth nothing anywhere, even if it was in use all the time, and after a
    restart; signing out at two at once is no error."""
    store = {"sqlite": f"sqlite:///{tmp_path}/store.db", "folder": str(tmp_path / "shared")}.get(kind)
    store = store or request.getfixturevalue("postgres").address
    here, there = folders(tmp_path)
    with served(here, TENANT, store=store) as one:
        with served(there, TENANT, store=store) as two:
            person, other = Person(one.url, TENANT), Person(two.url, TENANT)
            thief = Person(two.url)
            thief.browser.cookies.update(person.browser.cookies)
            assert thief.open("/accounts").url.endswith("/accounts")
            twice = [threading.Thread(target=person.send, args=("/logout",)) for _ in range(2)]
            for each in twice:
                each.start()
            for each in twice:
                each.join()
            time.sleep(FRESHNESS)
            assert thief.open("/accounts").url.endswith("/login?next=%2Faccounts")
            thief.base = one.url
            assert thief.open("/accounts").url.endswith("/login?next=%2Faccounts")
            assert other.open("/accounts").url.endswith("/accounts"), "other sessions of the tenant stay"
        with served(there, TENANT, store=store) as two:
            thief.base = two.url
            assert thief.open("/accounts").url.endswith("/login?next=%2Faccounts")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "postgres"][: rounds(1, 2)])
def test_the_workers_of_a_tenant_are_those_of_all_replicas(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    """Two servers with one store run a tenant's scripts one after another if it has one worker, through a restart of
    the database; and if one of them is killed while its script runs, the other goes on soon."""
    store = str(tmp_path / "shared")
    if kind == "postgres":
        store = request.getfixturevalue("postgres").address
    notebook = tmp_path / "notebook"
    text = f"""\
[serve]
store = "{store}"

[tenants.{kind}-workers]
token = "{ACME}"
workers = 1

[notebook.default]
key = "a-key-of-the-notebook"
file = "{notebook}"
permissions = {{ write = "allow" }}
"""

    async def work(server: Serving, code: str = OVERLAP) -> None:
        async with agent(server.url, ACME) as client:
            while (await execute(client, code)).is_error:  # the database is just back
                await anyio.sleep(0.1)

    async def work_at(*servers: Serving) -> None:
        async with anyio.create_task_group() as group:
            for server in servers:
                group.start_soon(work, server)

    here, there = folders(tmp_path)
    with server_at(here, text, "--plugin", PLUGIN) as one, server_at(there, text, "--plugin", PLUGIN) as two:
        anyio.run(work_at, one, two, one, two)
        assert notebook.read_text().split() == ["begin", "end"] * 4
        if kind == "postgres":
            request.getfixturevalue("postgres").stop()
            request.getfixturevalue("postgres").start()
            wait_for(lambda: all(is_ready(each) for each in (one, two)), 120)
        notebook.write_text("")
        slow = OVERLAP.replace("0.2", "60")
        lost = threading.Thread(target=lambda: suppressed(anyio.run, work, one, slow), daemon=True)
        lost.start()
        wait_for(lambda: "begin" in notebook.read_text(), 60)
        one.process.kill()
        lost.join(60)
        notebook.write_text("")
        anyio.run(work_at, two, two)
        assert notebook.read_text().split() == ["begin", "end"] * 2


def suppressed(work: Callable[..., object], *given: object) -> None:
    """Call a function whose server is about to die."""
    with suppress(Exception):
        work(*given)


@pytest.mark.slow
def test_a_database_that_is_gone_is_told_and_loses_nothing(tmp_path: Path, postgres: Postgres) -> None:
    """The pages and new runs say so in a sentence; as soon as it is back, what was paused is approved, and ends."""
    here, _ = folders(tmp_path)
    with served(here, TENANT, store=postgres.address) as pages:
        run = pages.record(TENANT, RESTART, "restart.lua")
        person = Person(pages.url, TENANT)
        postgres.stop()
        try:
            for section in ("/approvals", "/runs", f"/runs/{run}"):
                shown = person.open(section)
                assert shown.status_code == 409
                assert "cannot be reached" in shown.text
                assert "nothing is lost: try again when it can be reached" in shown.text
                assert "Traceback" not in shown.text
            started = pages.start(TENANT, RESTART)
            error = started.exception(60) or started.result().error
            assert isinstance(error, Unavailable)
        finally:
            postgres.start()
        assert status_of(postgres, run) == "paused"
        person.send("/approvals", decision="approve", call=f"{run}-2")
        wait_for(lambda: status_of(postgres, run) == "done", 60)


def holders(kind: str, store: str) -> list[str]:
    """Return who holds the slots of a tenant in a database; in a folder the system ends the locks of who has died."""
    if kind == "folder":
        return []
    import psycopg

    with psycopg.connect(store) as database:
        found = database.execute("SELECT holder FROM kosmolua_slots WHERE tenant = %s", [f"{kind}-queue"])
        return [holder for (holder,) in found]


def end_leases(of: list[str], store: str) -> None:
    """Let the time pass for which the slots of a server that was killed stay taken."""
    if of:
        import psycopg

        with psycopg.connect(store) as database:
            database.execute("UPDATE kosmolua_slots SET held_until = 0 WHERE holder = ANY(%s)", [of])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["postgres", "folder"][: rounds(1, 2)])
def test_the_queue_of_a_tenant_is_that_of_all_replicas(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    """Two servers with one store have one queue; and the places of one that is killed are free soon."""
    store = request.getfixturevalue("postgres").address if kind == "postgres" else str(tmp_path / "shared")
    text = f'[serve]\nstore = "{store}"\n[tenants.{kind}-queue]\ntoken = "{ACME}"\nworkers = 1\n'
    limits = ("--simulate", "--timeout", "600", "--cpu", "600")
    stores = open_stores(store)
    queue = stores.of(f"{kind}-queue")
    refused: list[str] = []

    def start(server: Serving) -> None:
        with suppress(requests.RequestException):
            answer = requests.post(
                f"{server.base}/api/runs", json={"source": "while true do end"}, headers=bearing(ACME), timeout=300
            ).json()
            refused.append(answer["error"]["code"] if answer["error"] else answer["status"])

    def start_at(server: Serving) -> None:
        for _ in range(20):
            threading.Thread(target=start, args=(server,), daemon=True).start()

    def has_queued(count: int) -> bool:
        slot = queue.slot("workers-queue", count)
        try:
            return not slot.is_held()
        finally:
            slot.release()

    here, there = folders(tmp_path)
    with (
        closing(stores),
        serving(here, text, *limits) as one,
        serving(there, text, *limits) as two,
    ):
        start_at(one)
        wait_for(lambda: len(refused) == 7 and has_queued(12), 120)  # one runs, and 12 of this client wait
        of_one = holders(kind, store)
        start_at(two)
        wait_for(lambda: len(refused) == 7 + 15, 120)  # one is in the line for the worker, and four places were left
        assert {*refused} == {"busy"}
        one.process.kill()
        one.process.wait()
        refused.clear()
        end_leases(of_one, store)
        wait_for(lambda: not has_queued(5), 120)
        start_at(two)
        wait_for(lambda: len(refused) == 20 - 8, 120)  # 12 of this client wait here now
        assert {*refused} == {"busy"}
