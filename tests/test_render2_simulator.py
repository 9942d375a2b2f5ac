"""The simulated Render: the same at every start, another for each account, and as strict as the real one."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from support.loopback import Loopback, by_bearer
from support.render2_account import BASE, HEADERS, KEY, Simulator, account, ask, integration, owner_of, simulated
from support.render2_bodies import CHANGE_BODIES, CREATIONS, creation
from support.render2_limits import LimitedRender

from kosmolua.plugin import ApiError, Request, Response, Secret

SERVICE, CRON, DEPLOY = "srv-cabc12345678", "crn-cabc12345678", "dep-cabc12345678"


# Queries


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/services", "limit", "²"),
        ("/services", "limit", "٣"),
        ("/services", "limit", "9" * 5000),
        ("/metrics/cpu", "resolutionSeconds", "0"),
        ("/metrics/cpu", "resolutionSeconds", "soon"),
        ("/services", "createdAfter", "2026-13-41T00:00:00Z"),
    ],
)
def test_what_is_no_number_or_time_is_refused(path: str, name: str, value: str) -> None:
    """As with Render, by the status 400: a digit of another script, a text, and a number of 5,000 digits are none."""
    assert ask(Simulator("production"), "GET", path, (name, value)).status == 400


# What is in an account


def test_it_starts_the_same_every_time() -> None:
    """Two simulators of one account answer the same requests with the same bytes, request ids included."""
    one, two = Simulator("production"), Simulator("production")
    for path in ("/users", "/services", f"/services/{SERVICE}/deploys", "/services/srv-none", "/postgres"):
        assert ask(one, "GET", path) == ask(two, "GET", path)


def test_accounts_differ() -> None:
    """default, production, staging and any other name each have a user, a size and names of their own."""
    names = ("default", "production", "staging", "playground", "sandbox")
    users = [simulated(name)("get_current_user") for name in names]
    first = [simulated(name)("get_service", service_id=SERVICE)["service"]["ownerId"] for name in names]
    sizes = [len(simulated(name)("list_services", all=True)["services"]) for name in names]

    assert len({user["email"] for user in users}) == len(set(first)) == len(set(sizes)) == len(names)
    assert sizes[:3] == [112, 134, 43]


@pytest.mark.slow
def test_an_account_has_everything_that_trips_scripts() -> None:
    """All five types, suspended ones, images, failed and unfinished deploys, services with and without jobs."""
    call = simulated()
    services = call("list_services", all=True)["services"]
    histories = [call("list_deploys", service_id=service["id"])["deploys"] for service in services]
    jobs = [call("list_jobs", service_id=service["id"])["jobs"] for service in services]

    types = {"static_site", "web_service", "private_service", "background_worker", "cron_job"}
    assert {service["type"] for service in services} == types
    assert {service["status"] for service in services} == {"active", "suspended"}
    assert {"build_failed", "update_failed", "pre_deploy_failed", "live", "deactivated", "build_in_progress"} <= {
        deploy["status"] for history in histories for deploy in history
    }
    assert any("image" in deploy for history in histories for deploy in history)
    assert [] in jobs
    assert {"pending", "running", "succeeded", "failed", "canceled"} <= {job["status"] for each in jobs for job in each}
    assert len({service["id"] for service in services}) == len({service["name"] for service in services}) == 112
    deploy_ids = [deploy["id"] for history in histories for deploy in history]
    assert len(deploy_ids) == len(set(deploy_ids))


def test_the_wire_has_renders_shapes() -> None:
    """Lists are bare rows of a thing and a cursor, an image's commit is null, and a service has no status."""
    send = Simulator("default")
    services = ask(send, "GET", "/services", ("limit", "100")).json()
    image = next(row["service"] for row in services if "imagePath" in row["service"])
    deploys = ask(send, "GET", f"/services/{image['id']}/deploys").json()

    assert all(row.keys() == {"service", "cursor"} and "status" not in row["service"] for row in services)
    assert deploys[0]["deploy"]["commit"] is None
    assert (
        "url" not in next(row for row in services if row["service"]["type"] == "cron_job")["service"]["serviceDetails"]
    )
    assert {row["service"]["id"][:4] for row in services if row["service"]["type"] == "cron_job"} == {"crn-"}


# Protocol


@pytest.mark.parametrize("path", ["/services", "/services/srv-none", "/nowhere"])
def test_every_reply_has_a_request_id_and_the_rate_limit(path: str) -> None:
    """So has every reply that was recorded from the real service."""
    reply = ask(LimitedRender(lambda: 0.0), "GET", path)

    assert {"Render-Request-Id", "Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset"} <= reply.headers.keys()
    assert reply.headers["Ratelimit-Limit"] == "400"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Basic abc"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": Secret("")}, 401),
        ({"Authorization": Secret(f"Bearer {KEY}")}, 200),
        ({"authorization": f"Bearer {KEY}"}, 200),
        ({**HEADERS, "Accept": "text/html"}, 406),
        ({**HEADERS, "Accept": "*/*"}, 200),
    ],
)
def test_headers_are_checked(headers: dict[str, Any], status: int) -> None:
    """No key is 401, and an Accept that JSON does not fit is 406."""
    assert ask(Simulator("default"), "GET", "/users", headers=headers).status == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/deploys/" + DEPLOY, 404),
        ("GET", "/owners/me", 404),
        ("GET", "/services/srv-none", 404),
        ("GET", f"/services/{SERVICE}/deploys/dep-none", 404),
        ("GET", f"/services/crn-cabc12345678/deploys/{DEPLOY}", 404),
        ("PATCH", "/services", 405),
        ("DELETE", f"/services/{SERVICE}/deploys/{DEPLOY}", 405),
    ],
)
def test_paths_that_render_lacks_are_refused(method: str, path: str, status: int) -> None:
    """There is no deploy without its service, and an error's body has a message."""
    reply = ask(Simulator("default"), method, path)

    assert reply.status == status
    assert isinstance(reply.json()["message"], str)


def test_a_missing_thing_is_named_as_render_names_it() -> None:
    """The form is that of the recorded replies."""
    assert ask(Simulator("default"), "GET", "/services/srv-none").json() == {"message": "not found: srv-none"}


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/services", ("limit", "0")),
        ("/services", ("limit", "101")),
        ("/services", ("limit", "ten")),
        ("/services", ("page", "2")),
        ("/users", ("limit", "5")),
        (f"/services/{SERVICE}/events", ("startTime", "yesterday")),
        ("/logs", ("resource", SERVICE)),
    ],
)
def test_queries_are_checked(path: str, query: tuple[str, str]) -> None:
    """A value out of range, a parameter that the path lacks, and one that is missing are 400."""
    assert ask(Simulator("default"), "GET", path, query).status == 400


def test_a_cursor_of_another_list_leads_nowhere() -> None:
    """A cursor that the list did not give is the end of it."""
    assert ask(Simulator("default"), "GET", "/services", ("cursor", "example_cursor")).json() == []


# Bodies


@pytest.mark.parametrize(("changes", "status"), CREATIONS)
def test_creations_are_judged_as_the_strict_document_judges_them(changes: dict[str, Any], status: int) -> None:
    """Right bodies of each type are 201; what published clients got wrong is 400, and nothing is created."""
    send = Simulator("default")

    reply = ask(send, "POST", "/services", body=creation(changes, owner_of(send)))

    assert reply.status == status
    assert set(reply.json()) == ({"service", "deployId"} if status == 201 else {"message"})


@pytest.mark.parametrize(("kind", "body", "status"), CHANGE_BODIES)
def test_changes_are_judged_as_the_strict_document_judges_them(kind: str, body: dict[str, Any], status: int) -> None:
    """Right bodies for the service's type are 200, others 400."""
    send = Simulator("default")
    service = ask(send, "GET", "/services", ("type", kind), ("limit", "1")).json()[0]["service"]

    assert ask(send, "PATCH", f"/services/{service['id']}", body=body).status == status


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", f"/services/{SERVICE}", {"region": "ohio"}),
        ("PATCH", f"/services/{SERVICE}", {"serviceDetails": {"schedule": "* * * * *"}}),
        ("PATCH", f"/services/{CRON}", {"serviceDetails": {"plan": "free"}}),
        ("PATCH", f"/services/{SERVICE}", {"serviceDetails": {"plan": "huge"}}),
        ("PATCH", f"/services/{SERVICE}", {"repo": "acme/site"}),
        ("PATCH", f"/services/{CRON}", {"serviceDetails": {"schedule": "every night"}}),
        ("PATCH", f"/services/{CRON}", {"serviceDetails": {"schedule": "61 * * * *"}}),
        ("POST", "/disks", {"name": "data", "sizeGB": 1, "mountPath": "data", "serviceId": SERVICE}),
        ("POST", f"/services/{SERVICE}/scale", {}),
        ("POST", f"/services/{SERVICE}/scale", {"numInstances": 0}),
        ("POST", "/services/crn-cabc12345678/scale", {"numInstances": 2}),
        ("POST", "/services/crn-cabc12345678/restart", None),
        ("POST", f"/services/{SERVICE}/deploys", {"clearCache": True}),
        ("POST", f"/services/{SERVICE}/deploys", {"imageUrl": "nginx"}),
        ("POST", f"/services/{SERVICE}/rollback", {}),
        ("POST", f"/services/{SERVICE}/jobs", {"command": "ls"}),
        ("POST", f"/services/{SERVICE}/deploys/{DEPLOY}/cancel", None),
        ("PUT", f"/services/{SERVICE}/env-vars", {"A": "x"}),
        ("PUT", f"/services/{SERVICE}/env-vars/A", {"value": 1}),
        ("POST", f"/services/{SERVICE}/custom-domains", {"domain": "a.example"}),
    ],
)
def test_other_bodies_are_checked_too(method: str, path: str, body: Any) -> None:
    """What does not fit is 400, and says so."""
    reply = ask(Simulator("default"), method, path, body=body)

    assert reply.status == 400
    assert set(reply.json()) == {"message"}


def test_a_body_has_to_be_json_and_to_say_so() -> None:
    """Broken JSON, and a body without its content type, are 400."""
    send, url = Simulator("default"), f"{BASE}/services/{SERVICE}/scale"

    assert send(Request("POST", url, (), HEADERS, b'{"numInstances": 2}')).status == 400
    assert send(Request("POST", url, (), {**HEADERS, "Content-Type": "application/json"}, b'{"numInst')).status == 400
    right = {**HEADERS, "content-type": "application/json; charset=utf-8"}
    assert send(Request("POST", url, (), right, b'{"numInstances": 2}')).status == 202


def test_what_is_not_the_bodys_fault_has_a_status_of_its_own() -> None:
    """A workspace that the key does not reach is 404, a name that is taken 409."""
    send = Simulator("default")
    owner, details = owner_of(send), {"serviceDetails": {"runtime": "docker"}}

    assert ask(send, "POST", "/services", body=creation(details, "tea-other")).status == 404
    assert ask(send, "POST", "/services", body=creation(details | {"name": "checkout-api"}, owner)).status == 409
    assert ask(send, "PATCH", f"/services/{CRON}", body={"name": "checkout-api"}).status == 409
    assert ask(send, "PATCH", f"/services/{SERVICE}", body={"name": "checkout-api"}).status == 200


def test_a_service_that_is_not_there_has_no_logs() -> None:
    """None are invented for it."""
    send = Simulator("default")
    for service, status in ((SERVICE, 200), ("srv-bogus", 404)):
        assert ask(send, "GET", "/logs", ("ownerId", owner_of(send)), ("resource", service)).status == status


def test_a_suspended_service_takes_no_deploy() -> None:
    """It is a conflict with the state of the service."""
    call = simulated()
    call("suspend_service", service_id=SERVICE)

    with pytest.raises(ApiError) as caught:
        call("trigger_deploy", service_id=SERVICE)
    assert caught.value.status == 409


def test_a_name_can_be_used_again_after_its_service_is_gone() -> None:
    """Creating twice is a conflict; deleting makes room."""
    call, wanted = simulated(), {"type": "web_service", "name": "web", "repo": "https://github.com/a/b"}
    created = call("create_service", **wanted)["service"]
    with pytest.raises(ApiError) as caught:
        call("create_service", **wanted)
    assert caught.value.status == 409

    call("delete_service", service_id=created["id"])
    assert call("create_service", **wanted)["service"]["id"] != created["id"]


def test_a_service_is_what_it_was_created_as() -> None:
    """Variables, plan, region and domain name of a new service are there to be read."""
    call = simulated()
    made = call(
        "create_service",
        type="web_service",
        name="shop",
        repo="https://github.com/a/b",
        region="frankfurt",
        plan="pro",
        start_command="npm start",
        health_check_path="/up",
        env_vars={"A": 1, "B": {"generate": True}},
    )
    service = call("get_service", service_id=made["service"]["id"])["service"]
    variables = call("list_env_vars", service_id=service["id"])["env_vars"]

    details = service["serviceDetails"]
    assert details["region"] == "frankfurt"
    assert details["plan"] == "pro"
    assert details["healthCheckPath"] == "/up"
    assert service["url"] == "https://shop.onrender.com"
    assert variables[0] == {"key": "A", "value": "1"}
    assert len(variables[1]["value"]) > 10
    assert call("list_services", limit=1)["services"][0]["id"] == service["id"]


# Rate limits


def test_the_documented_limits_hold() -> None:
    """400 GETs a minute, one more is 429 with the seconds to wait; a minute later all is well."""
    now = [0.0]
    send = LimitedRender(lambda: now[0])
    replies = [ask(send, "GET", "/users") for _ in range(401)]

    assert [reply.status for reply in replies] == [200] * 400 + [429]
    assert [reply.headers["Ratelimit-Remaining"] for reply in replies[398:]] == ["1", "0", "0"]
    assert replies[-1].headers["Retry-After"] == "60"
    assert replies[-1].json() == {"message": "rate limit exceeded"}

    now[0] = 60.0
    assert ask(send, "GET", "/users").status == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("POST", "/services", 20),
        ("POST", f"/services/{SERVICE}/deploys", 10),
        ("PATCH", f"/services/{SERVICE}", 10),
        ("POST", f"/services/{SERVICE}/jobs", 2000),
        ("POST", f"/services/{SERVICE}/custom-domains", 50),
        ("DELETE", f"/services/{SERVICE}/env-vars/A", 30),
    ],
)
def test_each_kind_of_write_has_its_own_limit(method: str, path: str, limit: int) -> None:
    """The numbers are Render's, and refused requests count as well."""
    send = LimitedRender(lambda: 0.0)

    statuses = [ask(send, method, path, body={}).status for _ in range(limit + 1)]

    assert 429 not in statuses[:limit]
    assert statuses[limit] == 429


def test_the_limit_of_a_service_is_its_own() -> None:
    """Ten deploys of one service leave the next service's ten untouched, and reads too."""
    send = LimitedRender(lambda: 0.0)
    for _ in range(11):
        last = ask(send, "POST", f"/services/{SERVICE}/deploys", body={})

    assert last.status == 429
    assert ask(send, "POST", "/services/crn-cabc12345678/deploys", body={}).status == 201
    assert ask(send, "GET", "/users").status == 200


# Over a socket


def test_it_serves_real_sockets_and_tells_accounts_apart_by_key() -> None:
    """Each key reaches its own account, an unknown one is 401, and the server remembers what was asked."""
    accounts = {"rnd_one": Simulator("production"), "rnd_two": Simulator("staging")}
    with Loopback(by_bearer(accounts)) as server, requests.Session() as session:
        replies = [
            session.get(
                f"{server.url}/v1/services?limit=2&name=a,b", headers={"Authorization": f"Bearer {key}"}, timeout=60
            )
            for key in ("rnd_one", "rnd_two", "rnd_three")
        ]
        users = [
            session.get(f"{server.url}/v1/users", headers={"Authorization": f"Bearer {key}"}, timeout=60).json()
            for key in accounts
        ]

    assert [reply.status_code for reply in replies] == [200, 200, 401]
    assert [user["email"] for user in users] == ["ops@acme.example", "qa@acme.example"]
    assert server.requests[0].query == (("limit", "2"), ("name", "a,b"))
    assert server.requests[0].headers["Authorization"] == "Bearer rnd_one"
    assert replies[0].headers["Render-Request-Id"]


def test_answers_without_a_body_leave_the_connection_usable() -> None:
    """202 and 204 say how long they are, or need not, so that the next request goes over the same socket."""
    with Loopback(Simulator("default")) as server, requests.Session() as session:
        session.headers.update(HEADERS)
        service = f"{server.url}/v1/services/{SERVICE}"
        assert session.post(f"{service}/suspend", timeout=60).status_code == 202
        assert session.delete(service, timeout=60).status_code == 204
        assert session.get(service, timeout=60).status_code == 404


def test_the_plugin_works_over_a_socket_as_it_does_without() -> None:
    """What a call returns does not depend on how the request got there."""

    def over_the_wire(request: Request) -> Response:
        headers = {
            name: value.reveal() if isinstance(value, Secret) else value for name, value in request.headers.items()
        }
        reply = requests.request(request.method, request.url, params=request.query, headers=headers, timeout=60)
        return Response(reply.status_code, dict(reply.headers), reply.content)

    with Loopback(Simulator("default")) as server:
        wired = account(over_the_wire, base_url=f"{server.url}/v1")("list_deploys", service_id=SERVICE)

    assert wired == simulated()("list_deploys", service_id=SERVICE)


def test_an_integration_without_network_says_whose_account_it_simulates() -> None:
    """``accounts check --simulate`` works as well."""
    opened = integration.account(Secret(KEY)).open(integration.simulate("staging"))

    assert integration.identify(opened).startswith("qa@acme.example (usr-")
