"""Several replicas of a server: they share a database, and what pauses at one goes on at another."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.page import RESTART, Person, first_call, served
from support.postgres import Postgres, reason_to_skip
from support.servers import wait_for

from kosmolua.broker.stores import open_stores

TENANT = "acme"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    if reason := reason_to_skip():
        pytest.skip(reason)
    with Postgres() as server:
        yield server


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
        wait_for(lambda: status_of(postgres, run) == "done", 20)
        assert "restarted" in person.open(f"/runs/{run}").text
        assert 'class="status done"' in Person(one.url, TENANT).open(f"/runs/{run}").text
        assert person.send("/approvals", decision="approve", call=f"{run}-2").status_code == 409
    assert not list(tmp_path.rglob("*.jsonl")), "recordings are in the database alone"


@pytest.mark.slow
def test_a_running_script_is_approved_at_another_replica(tmp_path: Path, postgres: Postgres) -> None:
    """Its call waits at one, the page of the other shows it, and the answer given there lets it go on where it runs."""
    here, there = folders(tmp_path)
    with (
        served(here, TENANT, store=postgres.address, approval_wait=30) as one,
        served(there, TENANT, store=postgres.address) as two,
    ):
        person = Person(two.url, TENANT)
        for decision, status in (("approve", "done"), ("deny", "failed")):
            outcome = one.start(TENANT, RESTART)
            call = first_call(person)
            assert "runs and waits" in person.open("/approvals").text
            person.send("/approvals", decision=decision, call=call)
            assert outcome.result(20).status == status


@pytest.mark.slow
def test_a_database_that_is_gone_is_told_and_loses_nothing(tmp_path: Path, postgres: Postgres) -> None:
    """For five seconds the pages and new runs say so in a sentence; then what was paused is approved, and ends."""
    here, _ = folders(tmp_path)
    with served(here, TENANT, store=postgres.address) as pages:
        run = pages.record(TENANT, RESTART, "restart.lua")
        person = Person(pages.url, TENANT)
        began = time.monotonic()
        postgres.stop()
        back = threading.Timer(5, postgres.start)
        back.start()
        try:
            for section in ("/approvals", "/runs", f"/runs/{run}"):
                shown = person.open(section)
                assert shown.status_code == 409
                assert "cannot be used" in shown.text
                assert "nothing is lost: try again once it is there" in shown.text
                assert "Traceback" not in shown.text
            outcome = pages.start(TENANT, RESTART).exception(20)
            assert "cannot be used" in str(outcome)
            assert time.monotonic() - began < 5
        finally:
            back.join()
        assert status_of(postgres, run) == "paused"
        person.send("/approvals", decision="approve", call=f"{run}-2")
        wait_for(lambda: status_of(postgres, run) == "done", 20)
