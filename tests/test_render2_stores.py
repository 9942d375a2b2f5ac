"""Data stores of a simulated Render: created, changed, stopped and gone, and known to whoever asks for them."""

from __future__ import annotations

from typing import Any

import pytest
from support.render2_account import Simulator, account, ask, owner_of, simulated

from kosmolua.plugin import SIMULATION_START, ApiError

POSTGRES, KEY_VALUE = "dpg-cabc12345678", "red-cabc12345678"
KINDS = [
    ("postgres", {"name": "shop-db", "plan": "basic_1gb", "version": "17"}),
    ("key_value", {"name": "sessions", "plan": "starter"}),
]


@pytest.mark.parametrize(("kind", "settings"), KINDS)
def test_a_store_lives_from_its_creation_to_its_end(kind: str, settings: dict[str, Any]) -> None:
    """It is created and available a little later; it can be changed, stopped and started; and then it is gone."""
    now = [SIMULATION_START]
    call = simulated(clock=lambda: now[0])

    def do(verb: str, **more: Any) -> Any:
        return call(f"{verb}_{kind}", **{f"{kind}_id": store["id"], **more})

    def status() -> str:
        now[0] += 60
        return str(do("get")[kind]["status"])

    store = call(f"create_{kind}", **settings)[kind]
    assert store["status"] == "creating"
    assert store["name"] == settings["name"]
    assert store["plan"] == settings["plan"]
    assert status() == "available"
    assert do("update", plan="pro")[kind]["status"] == "updating_instance"
    assert status() == "available"
    assert do("get")[kind]["plan"] == "pro"
    assert do("get")[kind]["name"] == settings["name"]
    assert do("suspend") == {f"{kind}_id": store["id"], "accepted": True}
    assert status() == "suspended"
    do("update", name="renamed", plan="starter" if kind == "key_value" else "pro_4gb")
    assert status() == "suspended"
    do("resume")
    assert status() == "available"
    assert do("delete") == {f"{kind}_id": store["id"], "deleted": True}
    with pytest.raises(ApiError, match="404"):
        do("get")


def test_a_database_that_is_deleted_while_it_starts_is_gone() -> None:
    """What was planned for it is dropped with it."""
    now = [SIMULATION_START]
    call = simulated(clock=lambda: now[0])
    store = call("create_postgres", **KINDS[0][1])["postgres"]
    call("delete_postgres", postgres_id=store["id"])

    now[0] += 60
    assert store["id"] not in [each["id"] for each in call("list_postgres", all=True)["postgres"]]


def test_a_suspended_database_is_found_and_is_not_restarted() -> None:
    """The filter knows it, and an order that makes no sense is a conflict."""
    call = simulated()
    call("suspend_postgres", postgres_id=POSTGRES)

    assert POSTGRES in [each["id"] for each in call("list_postgres", suspended=True)["postgres"]]
    with pytest.raises(ApiError, match="409"):
        call("restart_postgres", postgres_id=POSTGRES)


def test_replicas_are_those_that_were_asked_for() -> None:
    """One that is kept stays the same database, one that is left out is deleted, and all go with the primary."""
    call = simulated()

    def replicas() -> dict[str, str]:
        found = call("get_postgres", postgres_id=POSTGRES)["postgres"]["readReplicas"]
        return {each["name"]: each["id"] for each in found}

    first = replicas()
    (name,) = first
    wanted = [{"name": name}, {"name": "reports", "parameter_overrides": {"work_mem": "8MB"}}]
    call("update_postgres", postgres_id=POSTGRES, read_replicas=wanted)
    both = replicas()
    assert both[name] == first[name]
    assert call("get_postgres", postgres_id=both["reports"])["postgres"]["primaryPostgresID"] == POSTGRES

    call("update_postgres", postgres_id=POSTGRES, read_replicas=[{"name": "reports"}])
    assert replicas() == {"reports": both["reports"]}
    with pytest.raises(ApiError, match="404"):
        call("get_postgres", postgres_id=both[name])

    call("delete_postgres", postgres_id=POSTGRES)
    with pytest.raises(ApiError, match="404"):
        call("get_postgres", postgres_id=both["reports"])


@pytest.mark.parametrize(
    ("path", "changes", "status"),
    [
        ("/postgres", {}, 201),
        ("/postgres", {"version": "9"}, 400),
        ("/postgres", {"plan": None}, 400),
        ("/postgres", {"database_name": "shop"}, 400),
        ("/postgres", {"diskSizeGB": 0}, 400),
        ("/postgres", {"parameterOverrides": {"max_connections": 200}}, 400),
        ("/postgres", {"ownerId": "tea-other"}, 404),
        ("/key-value", {}, 201),
        ("/key-value", {"version": "8"}, 400),
        ("/key-value", {"maxmemoryPolicy": "allkeys-lru"}, 400),
        ("/key-value", {"ipAllowList": [{"cidrBlock": "10.0.0.0/8"}]}, 400),
    ],
)
def test_creations_are_as_strict_as_render_s_document(path: str, changes: dict[str, Any], status: int) -> None:
    """What does not fit is refused, and says so."""
    send = Simulator("default")
    body: dict[str, Any] = {"name": "a", "plan": "free", "ownerId": owner_of(send)}
    body |= {"version": "17"} if path == "/postgres" and "version" not in changes else {}

    assert ask(send, "POST", path, body=body | changes).status == status


def test_a_disk_does_not_shrink() -> None:
    """Render says no, and the database stays as it was."""
    call = simulated()

    with pytest.raises(ApiError, match="400"):
        call("update_postgres", postgres_id=POSTGRES, disk_size_gb=5)
    assert call("get_postgres", postgres_id=POSTGRES)["postgres"]["diskSizeGB"] == 50


def test_a_new_store_is_in_what_is_kept() -> None:
    """A simulator that goes on from a dump has it, and lets it become available."""
    now = [SIMULATION_START]
    first = Simulator("default", clock=lambda: now[0])
    store = account(first)("create_key_value", name="sessions", plan="starter")["key_value"]

    call = account(Simulator("default", state=first.dump(), clock=lambda: now[0]))
    assert call("get_key_value", key_value_id=store["id"])["key_value"]["status"] == "creating"
    now[0] += 60
    assert call("get_key_value", key_value_id=store["id"])["key_value"]["status"] == "available"
