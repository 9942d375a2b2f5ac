"""What goes on in a simulated Render: deploys that wait for each other, a clock, failures, and a state to keep."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.render2_account import Simulator, account, ask, integration, simulated

from kosmolua.plugin import SIMULATION_START, ApiError

SERVICE, CRON, DEPLOY = "srv-cabc12345678", "crn-cabc12345678", "dep-cabc12345678"
TYPES = ("web_service", "static_site", "background_worker", "cron_job", "private_service")


# Deploys, one after the other


def test_private_services_are_answered_without_a_deploy() -> None:
    """Every trigger that was recorded of one is a 202 without a body; the others get their deploy."""
    send = Simulator("default")
    services = [row["service"] for row in ask(send, "GET", "/services", ("limit", "100")).json()]
    first = {
        kind: next(each["id"] for each in services if each["type"] == kind and each["suspended"] != "suspended")
        for kind in TYPES
    }

    replies = {kind: ask(send, "POST", f"/services/{service}/deploys", body={}) for kind, service in first.items()}

    assert {kind: reply.status for kind, reply in replies.items()} == dict.fromkeys(TYPES, 201) | {
        "private_service": 202
    }
    assert replies["private_service"].body == b""


def test_a_service_deploys_one_thing_after_the_other() -> None:
    """What is triggered meanwhile is queued, 202 without a body, and starts when its turn comes, the oldest first."""
    now = [0.0]
    call = simulated(clock=lambda: now[0])

    def statuses() -> list[str]:
        deploys = call("list_deploys", service_id=SERVICE, limit=3)["deploys"]
        return [deploy["status"] for deploy in reversed(deploys)]

    deploys = [call("trigger_deploy", service_id=SERVICE)["deploy"] for _ in range(3)]
    assert [bool(deploy["id"]) for deploy in deploys] == [True, True, True]

    seen = [statuses()]
    for _ in range(24):
        now[0] += 10
        seen.append(statuses())
    assert seen[-1] == ["deactivated", "deactivated", "live"]
    assert all(sum(status.endswith("in_progress") for status in each) <= 1 for each in seen)
    assert ["live", "build_in_progress", "queued"] in seen


def test_a_cancelled_deploy_makes_room_for_the_next() -> None:
    """The one that waited starts at once."""
    call = simulated()
    first = call("trigger_deploy", service_id=SERVICE)["deploy"]
    second = call("rollback_deploy", service_id=SERVICE, deploy_id=DEPLOY)["deploy"]
    assert second["status"] == "queued"

    call("cancel_deploy", deploy_id=first["id"], service_id=SERVICE)

    assert call("get_deploy", deploy_id=second["id"])["deploy"]["status"] == "build_in_progress"


def test_a_deploy_that_waits_can_be_cancelled() -> None:
    """It never starts."""
    now = [0.0]
    call = simulated(clock=lambda: now[0])
    call("trigger_deploy", service_id=SERVICE)
    second = call("rollback_deploy", service_id=SERVICE, deploy_id=DEPLOY)["deploy"]

    assert call("cancel_deploy", deploy_id=second["id"])["deploy"]["status"] == "canceled"
    now[0] += 3600
    assert call("get_deploy", deploy_id=second["id"])["deploy"]["status"] == "canceled"


def test_a_deploy_that_an_account_starts_with_ends_as_well() -> None:
    """It is under way for a while, and then live."""
    now = [0.0]
    call = simulated(clock=lambda: now[0])
    services = call("list_services", all=True)["services"]
    histories = ((each["id"], call("list_deploys", service_id=each["id"])["deploys"][0]) for each in services)
    service_id = next(key for key, deploy in histories if deploy["status"] == "build_in_progress")

    now[0] += 300

    assert call("list_deploys", service_id=service_id, limit=1)["deploys"][0]["status"] == "live"


# A clock, failures, and a state to keep


def test_time_goes_by_with_the_clock() -> None:
    """A deploy goes on while a script sleeps, and times say when."""
    now = [SIMULATION_START]
    call = simulated(clock=lambda: now[0])
    deploy = call("trigger_deploy", service_id=SERVICE)["deploy"]
    now[0] += 3600

    ended = call("get_deploy", deploy_id=deploy["id"])["deploy"]

    assert ended["status"] == "live"
    assert ended["createdAt"] < ended["finishedAt"] < "2026-03-02T09:02:00"
    assert call("create_job", service_id=SERVICE, start_command="ls")["job"]["createdAt"] > "2026-03-02T10:00:00"


@pytest.mark.parametrize("ending", ["build_failed", "pre_deploy_failed", "update_failed", "canceled", "live"])
@pytest.mark.parametrize("operation", ["trigger_deploy", "rollback_deploy", "create_service"])
def test_a_deploy_can_be_told_how_to_end(operation: str, ending: str) -> None:
    """It starts as always, and ends as it was told."""
    now = [SIMULATION_START]
    call = simulated(failures={operation: ending}, clock=lambda: now[0])
    arguments: dict[str, Any] = {"service_id": SERVICE}
    if operation == "rollback_deploy":
        arguments["deploy_id"] = call("list_deploys", service_id=SERVICE, status="deactivated")["deploys"][0]["id"]
    if operation == "create_service":
        arguments = {"type": "web_service", "name": "n", "repo": "https://github.com/a/b"}

    started = call(operation, **arguments)
    deploy_id = started["deploy_id"] if operation == "create_service" else started["deploy"]["id"]
    seen = []
    for _ in range(2):
        seen.append(call("get_deploy", deploy_id=deploy_id)["deploy"]["status"])
        now[0] += 120

    assert seen[0] == "build_in_progress"
    assert seen[-1] == ending


def test_a_job_can_be_told_to_fail_and_any_call_to_be_refused() -> None:
    """A status stands for an answer that says nothing was done."""
    now = [SIMULATION_START]
    failures = {"create_job": "failed", "suspend_service": "503", "list_owners": "403"}
    call = simulated(failures=failures, clock=lambda: now[0])
    job = call("create_job", service_id=SERVICE, start_command="rake db:migrate")["job"]
    now[0] += 60

    assert call("get_job", service_id=SERVICE, job_id=job["id"])["job"]["status"] == "failed"
    for name, arguments, status in (("suspend_service", {"service_id": SERVICE}, 503), ("list_owners", {}, 403)):
        with pytest.raises(ApiError) as caught:
            call(name, **arguments)
        assert caught.value.status == status
    assert call("get_service", service_id=SERVICE)["service"]["status"] == "active"


@pytest.mark.parametrize(
    ("failures", "said"),
    [
        ({"trigger_deploys": "build_failed"}, "trigger_deploys is not an operation of render2"),
        ({"trigger_deploy": "failed"}, "trigger_deploy cannot end as failed: give build_failed, pre_deploy_failed"),
        (
            {"list_services": "build_failed"},
            "list_services cannot end as build_failed: give an HTTP status from 400 to 599",
        ),
        ({"list_services": "200"}, "give an HTTP status from 400 to 599"),
    ],
)
def test_a_failure_that_cannot_be_is_refused_with_the_choices(failures: dict[str, str], said: str) -> None:
    """It is a mistake of whoever starts the simulator, told at once."""
    with pytest.raises(ValueError, match=said):
        Simulator("default", failures=failures)


@pytest.mark.slow
def test_every_function_can_be_told_to_fail() -> None:
    """A failure is named like the function of render2."""
    for name in integration.functions:
        assert Simulator("default", failures={name: "500"})


def test_the_whole_state_is_plain_and_goes_on_where_it_was() -> None:
    """A simulator that is made from another's dump answers as the other would have, the time included."""
    now = [0.0]
    first = Simulator("production", clock=lambda: now[0])
    call = account(first)
    call("update_service", service_id=SERVICE, plan="pro_plus")
    call("set_env_var", service_id=SERVICE, key="A", value="x")
    made = call("create_service", type="background_worker", name="w", repo="https://github.com/a/b")
    call("delete_service", service_id=CRON)
    call("create_custom_domain", service_id=SERVICE, name="example.org")
    for _ in range(2):
        call("trigger_deploy", service_id=SERVICE)
    call("create_job", service_id=SERVICE, start_command="ls")
    now[0] += 1.5

    kept = json.loads(json.dumps(first.dump()))
    again = Simulator("production", clock=lambda: now[0], state=kept)

    assert json.loads(json.dumps(again.dump())) == kept
    paths = ["/services", f"/services/{SERVICE}", f"/services/{SERVICE}/deploys", f"/services/{SERVICE}/jobs"]
    paths += [f"/services/{made['service']['id']}/deploys", f"/services/{SERVICE}/env-vars", f"/services/{CRON}"]
    paths += [f"/services/{SERVICE}/custom-domains", f"/services/{SERVICE}/deploys", f"/services/{SERVICE}/deploys"]
    for path in paths:
        assert ask(again, "GET", path) == ask(first, "GET", path)


@pytest.mark.parametrize("state", [{}, {"account": "staging"}, Simulator("staging").dump(), {"services": []}])
def test_a_state_of_something_else_is_refused(state: dict[str, Any]) -> None:
    """A file of another account, or none of ours, is not taken for this account's."""
    with pytest.raises(ValueError, match="not the state of a simulated Render account default"):
        Simulator("default", state=state)


def test_a_dump_is_not_changed_by_what_comes_after() -> None:
    """It is a copy, also of what is inside."""
    send = Simulator("default")
    kept = send.dump()

    account(send)("update_service", service_id=SERVICE, name="renamed")

    assert kept["services"][SERVICE]["name"] == "checkout-api"
