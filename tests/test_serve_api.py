"""The HTTP API of a server: runs, outcomes and approvals of a tenant, by the tenant's token."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.page import RESTART, Pages, served, token_of
from support.servers import wait_for

from kosmolua.serve.api import document
from kosmolua.serve.operations import ENDPOINTS


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with served(tmp_path_factory.mktemp("serve"), "acme", "globex", approval_wait=0.1) as pages:
        yield pages


def ask(pages: Pages, method: str, path: str, body: object = None, tenant: str = "acme", **query: str) -> Any:
    """Return the status and the JSON of an answer."""
    headers = {"Authorization": f"Bearer {token_of(tenant)}"}
    answer = requests.request(method, f"{pages.url}/api{path}", json=body, params=query, headers=headers, timeout=60)
    return answer.status_code, answer.json()


def test_a_script_is_run_listed_and_replayed(pages: Pages) -> None:
    """A program starts a script, and finds its run and its outcome later."""
    status, outcome = ask(
        pages, "POST", "/runs", {"source": "print(input.n) return arg[1]", "input": {"n": 7}, "args": ["a"]}
    )

    assert outcome["status"] == "done"
    assert outcome["output"] == "7\n"
    assert outcome["result"] == ["a"]
    assert status == 200
    run = outcome["run"]
    assert run in [each["run"] for each in ask(pages, "GET", "/runs", status="done")[1]["runs"]]
    assert ask(pages, "GET", f"/runs/{run}")[1]["client"] == "the API"
    assert ask(pages, "GET", f"/runs/{run}/outcome")[1]["output"] == "7\n"


@pytest.mark.slow
def test_a_plan_is_made_shown_applied_and_denied(pages: Pages) -> None:
    """Without some of its calls; once; and another tenant has none of it."""
    plans = [ask(pages, "POST", "/plans", {"source": RESTART})[1]["plan"] for _ in range(2)]
    first, second = (plan["id"] for plan in plans)
    assert "accounts.toml" not in str([*plans, ask(pages, "GET", f"/plans/{first}")[1]])
    listed = ask(pages, "GET", "/plans")[1]["plans"]

    assert {(each["plan"], each["status"], each["writes"]) for each in listed} >= {(first, "planned", 1)}
    assert ask(pages, "GET", f"/plans/{first}")[1]["outline"][-1] == "Plan: 0 to create, 1 to change, 0 to destroy."
    assert ask(pages, "POST", f"/plans/{first}/apply", tenant="globex")[0] == 409
    number = plans[0]["calls"][0]["number"]
    applied = ask(pages, "POST", f"/plans/{first}/apply", {"without": [number]})[1]
    assert [call["status"] for call in applied["calls"]] == ["ok", "planned"]
    assert ask(pages, "POST", f"/plans/{first}/apply")[1]["error"]["message"].startswith("The plan was already applied")
    assert ask(pages, "POST", f"/plans/{second}/apply")[1]["status"] == "done"
    assert ask(pages, "DELETE", f"/plans/{first}")[0] == 200
    assert ask(pages, "GET", f"/plans/{first}")[0] == 409


def test_a_paused_run_is_approved_and_resumed(pages: Pages) -> None:
    """The calls that wait are listed; a paused run goes on with the numbers of those that are approved."""
    _, outcome = ask(pages, "POST", "/runs", {"source": RESTART})
    run = outcome["run"]
    waiting = [each for each in ask(pages, "GET", "/approvals")[1]["approvals"] if each["run"] == run]

    assert outcome["status"] == "paused"
    assert outcome["error"]["hint"] == "to continue, somebody has to approve or deny that in the inbox of this server"
    assert [each["call"]["path"] for each in waiting] == ["render2.restart_service"]
    for name in ("id", "name"):
        assert ask(pages, "POST", f"/approvals/{waiting[0][name]}", {"approve": True})[0] == 409
    number = waiting[0]["call"]["number"]
    assert ask(pages, "POST", f"/runs/{run}/resume", {"approve": [number]})[1]["status"] == "done"
    assert ask(pages, "GET", "/status")[1]["tenant"] == "acme"


@pytest.mark.slow
def test_a_call_of_a_running_script_is_decided(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The script goes on with the answer, and a second answer is refused."""
    with served(tmp_path_factory.mktemp("serve"), "acme", approval_wait=300) as pages:
        outcome = pages.start("acme", RESTART)
        wait_for(lambda: ask(pages, "GET", "/approvals")[1]["approvals"], 60)
        call = ask(pages, "GET", "/approvals")[1]["approvals"][0]["name"]
        assert ask(pages, "POST", f"/approvals/{call}", {"approve": True}) == (200, {"approved": True})
        assert outcome.result(60).status == "done"
        assert ask(pages, "POST", f"/approvals/{call}", {"approve": True})[0] in (404, 409)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/runs?stat=x", None, 400),
        ("GET", "/runs?limit=0", None, 400),
        ("GET", f"/runs?limit={'1' * 5000}", None, 400),
        ("GET", "/runs?status=typo", None, 400),
        ("GET", "/runs/0123456789ab", None, 404),
        ("POST", "/runs", {}, 400),
        ("POST", "/runs", {"source": 7}, 400),
        ("POST", "/runs", {"source": "x", "read_only": False}, 400),
        ("POST", "/runs", [1], 400),
        ("POST", "/approvals/x", {"approve": True}, 404),
        ("POST", "/runs/0123456789ab/resume", {"approve": [True]}, 400),
        ("DELETE", "/plans/p-01234567", None, 409),
        ("GET", "/nothing", None, 404),
        ("PUT", "/runs", {}, 404),
    ],
)
def test_what_does_not_fit_is_refused(pages: Pages, method: str, path: str, body: object, status: int) -> None:
    """Each refusal is a status and a sentence."""
    found, told = ask(pages, method, path, body)

    assert found == status
    assert told["error"]["message"]


def test_a_list_with_other_items_is_refused_for_its_items(pages: Pages) -> None:
    """The sentence says of what the list has to be, since a list was given."""
    _, told = ask(pages, "POST", "/runs", {"source": "return 1", "args": [1]})

    assert told["error"]["message"] == "The property args must be of the type array of strings"


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"source": "return input", "input": NaN}',
        '{"source": "return input", "input": 1e999}',
        '{"source": "return 1", "name": "\\ud800"}',
        b'{"source": "return \xff"}',
    ],
)
def test_a_body_that_is_no_json_is_refused(pages: Pages, body: str | bytes) -> None:
    """Nothing is run, and the runs can still be listed."""
    headers = {"Authorization": f"Bearer {token_of('acme')}"}
    answer = requests.post(f"{pages.url}/api/runs", data=body, headers=headers, timeout=60)

    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("The body is not valid JSON")
    assert ask(pages, "GET", "/runs")[0] == 200


def test_a_stored_name_that_is_no_text_does_not_hide_the_runs(pages: Pages) -> None:
    """A script's file can have a name that is not UTF-8; its run is listed with the others."""
    run = pages.record("acme", "return 1", name="caf\udce9.lua")
    status, listed = ask(pages, "GET", "/runs")

    assert status == 200
    assert run in [each["run"] for each in listed["runs"]]


@pytest.mark.slow
def test_what_can_be_tried_again_says_when(tmp_path: Path) -> None:
    """A run that is refused for now has the status 503 or 429 and a time; errors have no details for operators."""
    headers = {"Authorization": f"Bearer {token_of('acme')}"}
    with served(tmp_path, "acme", tenant="runs_per_minute = 1") as pages:
        acme = pages.tenants.get("acme")
        assert acme

        def start() -> requests.Response:
            return requests.post(f"{pages.url}/api/runs", json={"source": "return 1"}, headers=headers, timeout=60)

        assert "recording" not in start().json()
        limited = start()
        asyncio.run_coroutine_threadsafe(acme.drain(0), pages.loop).result(60)
        stopping = start()
    assert limited.status_code == 429
    assert int(limited.headers["Retry-After"]) == limited.json()["error"]["retry_after"]
    assert stopping.status_code == 503
    assert stopping.headers["Retry-After"] == "1"
    assert stopping.json()["error"]["code"] == "unavailable"
    assert stopping.json()["error"]["retryable"] is True


def test_a_tenant_has_its_own_runs_alone(pages: Pages) -> None:
    """The token decides: without one nothing is answered, and the runs of another tenant are not there."""
    run = ask(pages, "POST", "/runs", {"source": "return 1"})[1]["run"]

    refused = requests.get(f"{pages.url}/api/runs", timeout=60)
    assert refused.status_code == 401
    assert refused.json()["error"]["message"].startswith("The header Authorization: Bearer TOKEN is missing")
    assert ask(pages, "GET", f"/runs/{run}", tenant="globex")[0] == 404
    assert ask(pages, "GET", f"/runs/{run}/outcome", tenant="globex")[0] == 404
    assert ask(pages, "POST", f"/runs/{run}/resume", {}, tenant="globex")[0] == 404


def test_the_document_has_every_operation(pages: Pages) -> None:
    """It is served without a token, and has each operation with its parameters."""
    served_document = requests.get(f"{pages.url}/api/openapi.json", timeout=60).json()

    assert served_document == document()
    operations = [each["operationId"] for path in served_document["paths"].values() for each in path.values()]
    assert operations == [each.name for each in ENDPOINTS]
    run, tenant = served_document["paths"]["/api/runs/{run}"]["get"]["parameters"]
    assert run["name"] == "run"
    assert run["in"] == "path"
    assert run["required"] is True
    assert tenant["name"] == "tenant"
    assert tenant["in"] == "query"
