"""render2's seven first functions: what leaves, and what scripts get from what comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
import responses
from support.render2_account import KEY, Canned, account, answer, body_of, integration, page, simulated

from kosmolua.plugin import ApiError, BadArguments, CallError, NetworkError, Request, Response, Secret
from kosmolua.schema.luacats import description, label
from kosmolua.schema.types import Record

BASE = "https://api.render.com/v1"
SERVICE, DEPLOY = "srv-cabc12345678", "dep-cabc12345678"
SEED = Path(__file__).parent.parent.parent / "shared" / "seed" / "render2-lua-reference.txt"
NATIVE = {"type": "web_service", "name": "my-api", "repo": "https://github.com/myorg/my-api"}
OWNERS = page("owner", [{"id": "tea-1", "name": "Acme", "email": "ops@acme.example", "type": "team"}])

WORKER = {"id": "srv-2", "name": "mail", "type": "background_worker", "suspended": "suspended", "serviceDetails": {}}
WEB = {
    "id": "srv-1",
    "name": "web",
    "type": "web_service",
    "ownerId": "tea-1",
    "suspended": "not_suspended",
    "novelty": {"kept": True},
    "serviceDetails": {"url": "https://web.onrender.com", "runtime": "node"},
}


def over_requests(request: Request) -> Response:
    """Send a request with the library that the transport uses too."""
    reply = requests.request(
        request.method,
        request.url,
        params=[(name, value) for name, value in request.query if isinstance(value, str)],
        headers={
            name: value.reveal() if isinstance(value, Secret) else value for name, value in request.headers.items()
        },
        data=request.body,
        timeout=5,
    )
    return Response(reply.status_code, dict(reply.headers), reply.content)


def names_of(result: dict[str, Any]) -> list[str]:
    return [service["name"] for service in result["services"]]


# The requests


@responses.activate
def test_a_request_carries_the_key_and_asks_for_json() -> None:
    """Each request has the account's key as a bearer token, and accepts JSON."""
    got = responses.get(f"{BASE}/services/{SERVICE}", json=WEB)

    account(over_requests)("get_service", service_id=SERVICE)

    assert got.call_count == 1
    sent = got.calls[0].request
    assert sent.headers["Authorization"] == f"Bearer {KEY}"
    assert sent.headers["Accept"] == "application/json"
    assert "Content-Type" not in sent.headers


@responses.activate
def test_list_services_joins_its_filters_by_commas() -> None:
    """Filters go out under Render's names, lists joined, booleans as Render's words, and a cursor encoded."""
    got = responses.get(f"{BASE}/services", json=[])

    account(over_requests)(
        "list_services",
        limit=5,
        cursor="-a_b=c&d",
        name=["api", "web"],
        type="cron_job",
        region=["ohio"],
        suspended=False,
        owner_id="tea-1",
    )

    assert got.calls[0].request.params == {
        "name": "api,web",
        "type": "cron_job",
        "region": "ohio",
        "suspended": "not_suspended",
        "ownerId": "tea-1",
        "limit": "5",
        "cursor": "-a_b=c&d",
    }
    assert "cursor=-a_b%3Dc%26d" in str(got.calls[0].request.url)


@responses.activate
def test_the_seeds_example_creates_a_service_as_render_wants_it() -> None:
    """Flat, snake_case parameters become the nested body, with the workspace and the runtime that Render demands."""
    responses.get(f"{BASE}/owners", json=OWNERS)
    got = responses.post(f"{BASE}/services", json={"service": WEB, "deployId": "dep-1"}, status=201)

    result = account(over_requests)(
        "create_service",
        **NATIVE,
        branch="main",
        region="oregon",
        plan="starter",
        build_command="npm run build",
        start_command="npm start",
        env_vars={"NODE_ENV": "production"},
    )

    sent = got.calls[0].request
    assert sent.headers["Content-Type"] == "application/json"
    assert requests.models.complexjson.loads(sent.body) == {
        "type": "web_service",
        "name": "my-api",
        "ownerId": "tea-1",
        "repo": "https://github.com/myorg/my-api",
        "branch": "main",
        "envVars": [{"key": "NODE_ENV", "value": "production"}],
        "serviceDetails": {
            "runtime": "node",
            "plan": "starter",
            "region": "oregon",
            "envSpecificDetails": {"buildCommand": "npm run build", "startCommand": "npm start"},
        },
    }
    assert result["service"]["id"] == "srv-1"
    assert result["deploy_id"] == "dep-1"
    assert result["runtime"] == "node"


def test_base_url_is_the_accounts_own() -> None:
    """An account may point to another server, with or without a slash at the end."""
    send = Canned(WEB)

    account(send, base_url="http://127.0.0.1:4010/v1/")("get_service", service_id="srv-1")

    assert send.requests[0].url == "http://127.0.0.1:4010/v1/services/srv-1"


# The replies


def test_services_have_status_and_url_whatever_their_type() -> None:
    """The wire has no status, and a worker no url: scripts get both, and every field that Render sent."""
    web, worker = account(Canned(page("service", [WEB, WORKER])))("list_services")["services"]

    assert web["status"] == "active"
    assert web["url"] == "https://web.onrender.com"
    assert web["novelty"] == {"kept": True}
    assert worker["status"] == "suspended"
    assert worker["url"] == ""


@pytest.mark.parametrize("thin", [{"id": "srv-1"}, {"id": "srv-1", "name": None, "type": None, "serviceDetails": None}])
def test_a_service_with_next_to_nothing_can_be_printed(thin: dict[str, Any]) -> None:
    """What scripts join to strings is never nil, whether a field is absent or null."""
    service = account(Canned(thin))("get_service", service_id="srv-1")["service"]

    joined = service["name"] + service["type"] + service["status"] + service["url"]
    assert joined == "unknownactive"
    assert service["serviceDetails"] == {}


@pytest.mark.parametrize("commit", [None, {}, {"id": None, "message": None}, {"id": "", "createdAt": "2026-01-01"}])
def test_a_deploy_always_has_a_commit(commit: dict[str, Any] | None) -> None:
    """An image's commit is null on the wire; scripts index and join it all the same."""
    wire = {"id": "dep-1", "commit": commit, "image": {"ref": "nginx"}, "finishedAt": None}

    deploy = account(Canned(wire))("get_deploy", service_id="srv-1", deploy_id="dep-1")["deploy"]

    assert deploy["commit"]["id"] == ""
    assert deploy["commit"]["message"] == ""
    assert deploy["status"] == "unknown"
    assert deploy["service_id"] == "srv-1"
    assert deploy["image"] == {"ref": "nginx"}


def test_jobs_have_a_status_and_keep_the_wires_spelling() -> None:
    """A job without a status is pending, and startCommand stays in camel case."""
    jobs = account(Canned(page("job", [{"id": "job-1", "startCommand": "ls"}])))("list_jobs", service_id="srv-1")[
        "jobs"
    ]

    assert jobs == [{"id": "job-1", "startCommand": "ls", "status": "pending"}]


@pytest.mark.parametrize(
    ("name", "key"), [("list_services", "services"), ("list_deploys", "deploys"), ("list_jobs", "jobs")]
)
def test_an_empty_list_is_a_list_without_a_cursor(name: str, key: str) -> None:
    """Render's ``[]`` is an empty list and the end."""
    arguments = {} if name == "list_services" else {"service_id": "srv-1"}
    assert account(Canned([]))(name, **arguments) == {key: [], "cursor": None}


@pytest.mark.parametrize(
    "reply",
    [
        {"services": []},
        "down",
        [1],
        [{"service": None, "cursor": "a"}],
        [{"service": {"id": "srv-1", "serviceDetails": "odd"}}],
        answer(200),
        answer(204),
    ],
)
def test_a_reply_of_another_shape_is_a_network_error(reply: Any) -> None:
    """What is no list of services, such as an answer that was cut before its body, is not handed to scripts as one."""
    with pytest.raises(NetworkError, match=r"Render answered with (a|nothing)"):
        account(Canned(reply))("list_services")


@pytest.mark.parametrize(
    ("name", "arguments", "reply"),
    [
        ("list_deploys", {"service_id": "srv-1"}, [{"deploy": {"id": "dep-1", "commit": "abc"}}]),
        ("list_logs", {"resource_id": "dpg-1", "owner_id": "tea-1"}, {"logs": [{"labels": [None]}]}),
        ("list_logs", {"resource_id": "dpg-1", "owner_id": "tea-1"}, {"logs": {"message": "x"}}),
    ],
)
def test_so_is_a_reply_with_another_shape_inside(name: str, arguments: dict[str, Any], reply: Any) -> None:
    """It is the service that says something odd, and not the integration that fails."""
    with pytest.raises(NetworkError, match=r"Render answered with (a|nothing)"):
        account(Canned(reply))(name, **arguments)


# Pages


def test_a_full_page_has_a_cursor_and_a_short_one_has_none() -> None:
    """The end of a list is a page that is shorter than its limit."""
    services = [{"id": f"srv-{number}"} for number in range(2)]

    assert account(Canned(page("service", services)))("list_services", limit=2)["cursor"] == "after-2"
    assert account(Canned(page("service", services)))("list_services", limit=3)["cursor"] is None


def test_cursors_lead_through_every_service_once() -> None:
    """A loop over pages sees each service of the account exactly once."""
    call, seen, cursor, pages = simulated("production"), [], None, 0
    while pages == 0 or cursor:
        result = call("list_services", limit=50, **({"cursor": cursor} if cursor else {}))
        seen += names_of(result)
        cursor, pages = result["cursor"], pages + 1

    assert len(seen) == 134
    assert len(set(seen)) == 134
    assert pages == 3


@pytest.mark.parametrize(
    ("name", "key", "count"),
    [("list_services", "services", 112), ("list_deploys", "deploys", 45), ("list_jobs", "jobs", 23)],
)
def test_all_returns_every_page_at_once(name: str, key: str, count: int) -> None:
    """With all = true a list is whole, and there is no cursor to follow."""
    arguments = {} if name == "list_services" else {"service_id": SERVICE}
    result = simulated()(name, all=True, **arguments)

    assert len(result[key]) == count
    assert result["cursor"] is None


def test_all_asks_for_the_largest_pages_and_keeps_the_filters() -> None:
    """Every page is asked for with a limit of 100 and the same filters, whatever the limit given."""
    full = page("service", [{"id": f"srv-{number}"} for number in range(100)])
    send = Canned(full, page("service", [{"id": "srv-last"}]))

    result = account(send)("list_services", limit=5, region="ohio", all=True)

    assert len(result["services"]) == 101
    assert send.lines == [
        "GET /services?region=ohio&limit=100",
        "GET /services?region=ohio&limit=100&cursor=after-100",
    ]


def test_all_goes_on_from_a_cursor() -> None:
    """With a cursor, all returns what comes after it."""
    call = simulated()
    first = call("list_services", limit=100)

    rest = call("list_services", cursor=first["cursor"], all=True)

    assert len(rest["services"]) == 12


# One deploy


def test_get_deploy_takes_the_service_that_it_is_given() -> None:
    """With service_id one request is enough."""
    send = Canned({"id": DEPLOY})

    account(send)("get_deploy", deploy_id=DEPLOY, service_id="srv-9")

    assert send.lines == [f"GET /services/srv-9/deploys/{DEPLOY}"]


def test_get_deploy_remembers_what_a_list_told() -> None:
    """A deploy that was listed, or made by a creation, is found at once."""
    created = {"service": WEB, "deployId": "dep-2"}
    send = Canned(page("deploy", [{"id": "dep-1"}]), answer(201, created), {"id": "dep-1"}, {"id": "dep-2"})
    call = account(send, owner_id="tea-1")
    call("list_deploys", service_id="srv-7")
    call("create_service", **NATIVE)

    call("get_deploy", deploy_id="dep-1")
    call("get_deploy", deploy_id="dep-2")

    assert send.lines[2:] == ["GET /services/srv-7/deploys/dep-1", "GET /services/srv-1/deploys/dep-2"]


def test_get_deploy_searches_the_services_last_changed_first() -> None:
    """Without any hint the services are asked one by one, and the answer is remembered."""
    services = [{"id": "srv-old", "updatedAt": "2025-01-01"}, {"id": "srv-new", "updatedAt": "2026-01-01"}]
    missing = answer(404, {"message": "not found: dep-1"})
    send = Canned(page("service", services), missing, {"id": "dep-1"}, {"id": "dep-1"})
    call = account(send)

    assert call("get_deploy", deploy_id="dep-1")["deploy"]["service_id"] == "srv-old"
    call("get_deploy", deploy_id="dep-1")

    assert send.lines == [
        "GET /services?limit=100",
        "GET /services/srv-new/deploys/dep-1",
        "GET /services/srv-old/deploys/dep-1",
        "GET /services/srv-old/deploys/dep-1",
    ]


def test_a_deploy_of_no_service_is_not_found() -> None:
    """When no service has it the error says how many were asked, and what helps."""
    with pytest.raises(ApiError, match=r"None of the 112 services searched has a deploy dep-nowhere") as caught:
        simulated()("get_deploy", deploy_id="dep-nowhere")

    assert caught.value.status == 404
    assert "service_id" in str(caught.value.hint)


@pytest.mark.parametrize(
    "refusal",
    [
        Response(429, {"Retry-After": "30"}, b'{"error":"rate limit exceeded"}'),
        CallError("rate_limited", "GET /x was not sent", retry_after=30),
    ],
)
def test_a_search_ends_at_the_rate_limit(refusal: object) -> None:
    """A 429 in the middle of a search, or the pause before one, is told as what it is, and nothing more is sent."""
    send = Canned(page("service", [WEB, WORKER]), refusal)

    with pytest.raises(ApiError, match="reached Render's rate limit") as caught:
        account(send)("get_deploy", deploy_id="dep-1")

    assert caught.value.code == "rate_limited"
    assert caught.value.retry_after == 30
    assert len(send.requests) == 2


def test_a_search_asks_no_more_than_two_hundred_services() -> None:
    """A search is bounded: two pages of services and one request for each."""
    pages = [page("service", [{"id": f"srv-{lap}-{number}"} for number in range(100)]) for lap in range(3)]
    send = Canned(*pages[:2], *(answer(404, {"message": "no"}) for _ in range(250)))

    with pytest.raises(ApiError, match="None of the 200 services"):
        account(send)("get_deploy", deploy_id="dep-1")

    assert len(send.requests) == 202


# The user


def test_the_users_own_id_is_taken_when_there_is_one() -> None:
    """Newer answers have the id; no second request is made."""
    send = Canned({"id": "usr-1", "email": "ann@example.com", "name": "Ann"})

    user = account(send)("get_current_user")

    assert user == {"id": "usr-1", "email": "ann@example.com", "name": "Ann", "id_source": "user"}
    assert send.lines == ["GET /users"]


def test_a_user_is_known_also_where_no_workspace_is_to_be_seen() -> None:
    """What stands in for the id may fail; the name and the address are there all the same."""
    send = Canned({"email": "ann@example.com", "name": "Ann"}, answer(403, {"message": "forbidden"}))

    user = account(send)("get_current_user")

    assert user == {"email": "ann@example.com", "name": "Ann", "id": "", "id_source": ""}


@pytest.mark.parametrize(
    ("emails", "expected"),
    [
        (["ops@acme.example", "ann@example.com"], ("tea-2", "workspace")),
        (["ops@acme.example"], ("tea-1", "workspace")),
        (["ops@acme.example", "qa@acme.example"], ("", "")),
        (["ann@example.com", "ann@example.com"], ("", "")),
        ([], ("", "")),
    ],
)
def test_without_an_id_the_users_workspace_stands_in(emails: list[str], expected: tuple[str, str]) -> None:
    """Before autumn 2026 users had no id: the workspace with their address is taken, else the only one, else none."""
    owners = [{"id": f"tea-{number}", "email": email} for number, email in enumerate(emails, start=1)]
    send = Canned({"email": "ann@example.com", "name": "Ann"}, page("owner", owners))

    user = account(send)("get_current_user")

    assert (user["id"], user["id_source"]) == expected
    assert user["email"] == "ann@example.com"


def test_identify_says_whose_key_it_is_with_one_request() -> None:
    """``accounts check`` shows the address, with the id or at least the name."""
    for user, words in (
        ({"id": "usr-1", "email": "a@b.c"}, "a@b.c (usr-1)"),
        ({"email": "a@b.c", "name": "A"}, "a@b.c (A)"),
    ):
        send = Canned(user)
        opened = integration.account(Secret(KEY)).open(send)
        assert integration.identify is not None
        assert integration.identify(opened) == words
        assert len(send.requests) == 1


# The workspace of a new service


def test_the_workspace_of_the_call_comes_before_the_accounts() -> None:
    """owner_id of the call, then of the account; neither needs a request."""
    for given, settings, expected in (
        ({"owner_id": "tea-2"}, {"owner_id": "tea-1"}, "tea-2"),
        ({}, {"owner_id": "tea-1"}, "tea-1"),
    ):
        send = Canned({"service": WEB})
        account(send, **settings)("create_service", **NATIVE, **given)
        assert [body_of(request)["ownerId"] for request in send.requests] == [expected]


def test_logs_of_a_service_without_a_workspace_are_those_of_the_accounts() -> None:
    """Render may leave out a service's ownerId; then the account's is sent, and not a made-up one."""
    send = Canned({"id": "srv-1"}, {"logs": [], "hasMore": False})
    account(send, owner_id="tea-1")("list_logs", resource_id="srv-1")
    assert dict(send.requests[-1].query)["ownerId"] == "tea-1"


def test_a_database_may_lack_disk_autoscaling() -> None:
    """Older databases do not have the field, so its type says that it can be nil."""
    returned = integration.functions["get_postgres"].returns
    assert isinstance(returned, Record)
    database = returned.fields["postgres"]
    assert isinstance(database, Record)
    assert database.fields["diskAutoscalingEnabled"].nullable


def test_the_only_workspace_is_looked_up_once() -> None:
    """Where nothing names a workspace and there is just one, it is taken, and kept for the next creation."""
    send = Canned(OWNERS, {"service": WEB}, {"service": WEB})
    call = account(send)

    call("create_service", **NATIVE)
    call("create_service", **NATIVE)

    assert send.lines == ["GET /owners?limit=100", "POST /services", "POST /services"]


@pytest.mark.parametrize(
    ("owners", "code", "said"),
    [
        ([], "not_configured", "has access to no workspace"),
        ([{"id": "tea-1", "name": "A"}, {"id": "tea-2", "name": "B"}], "bad_arguments", r"tea-1 \(A\), tea-2 \(B\)"),
    ],
)
def test_an_unclear_workspace_is_never_guessed(owners: list[dict[str, Any]], code: str, said: str) -> None:
    """With several workspaces, or none, nothing is created, and the error lists what there is."""
    send = Canned(page("owner", owners))

    with pytest.raises(CallError, match=said) as caught:
        account(send)("create_service", **NATIVE)

    assert caught.value.code == code
    assert len(send.requests) == 1


# The runtime of a new service


@pytest.mark.parametrize(
    ("build", "start", "runtime"),
    [
        ("npm run build", "npm start", "node"),
        (None, "yarn start", "node"),
        ("pnpm i --frozen-lockfile", None, "node"),
        ("bun install", "bun run index.ts", "node"),
        ("pip install -r requirements.txt", "gunicorn app:app", "python"),
        ("poetry install", "poetry run serve", "python"),
        ("uv sync", "uv run app", "python"),
        (None, "uvicorn app:app --host 0.0.0.0", "python"),
        ("bundle install && bundle exec rails assets:precompile", None, "ruby"),
        (None, "./bin/rails server", "ruby"),
        ("go build -tags netgo -o app", "./app", "go"),
        ("cargo build --release", "./target/release/app", "rust"),
        ("mix deps.get --only prod; mix compile", "mix phx.server", "elixir"),
        ("cd web && NODE_OPTIONS=--max-old-space-size=4096 npm ci", "./serve", "node"),
        (None, "exec python -m app", "python"),
        (None, None, "docker"),
    ],
)
def test_the_runtime_is_read_off_the_commands(build: str | None, start: str | None, runtime: str) -> None:
    """The seed's own example names no runtime, so the first tool that belongs to one decides."""
    commands = {"build_command": build, "start_command": start}
    send = Canned({"service": WEB})

    result = account(send, owner_id="tea-1")("create_service", **NATIVE, **{k: v for k, v in commands.items() if v})

    assert result["runtime"] == runtime
    assert body_of(send.requests[0])["serviceDetails"]["runtime"] == runtime


def test_a_runtime_that_is_given_is_taken() -> None:
    """The commands are not asked when the call says which runtime it wants."""
    send = Canned({"service": WEB})

    account(send, owner_id="tea-1")("create_service", **NATIVE, start_command="npm start", runtime="python")

    details = body_of(send.requests[0])["serviceDetails"]
    assert details["runtime"] == "python"
    assert details["envSpecificDetails"] == {"buildCommand": "", "startCommand": "npm start"}


def test_values_of_environment_variables_become_strings() -> None:
    """Numbers and booleans are spelled as Lua prints them, in the order of the names."""
    send = Canned({"service": WEB})
    variables = {"RATIO": 0.5, "DEBUG": True, "WORKERS": 4, "KEY": {"generate": True}, "NAME": "x"}

    account(send, owner_id="tea-1")("create_service", **NATIVE, env_vars=variables)

    assert body_of(send.requests[0])["envVars"] == [
        {"key": "DEBUG", "value": "true"},
        {"key": "KEY", "generateValue": True},
        {"key": "NAME", "value": "x"},
        {"key": "RATIO", "value": "0.5"},
        {"key": "WORKERS", "value": "4"},
    ]


def test_an_image_needs_no_repository() -> None:
    """An image brings its own runtime and no branch."""
    send = Canned({"service": WEB})

    account(send, owner_id="tea-1")("create_service", type="web_service", name="web", image="docker.io/library/nginx")

    assert body_of(send.requests[0]) == {
        "type": "web_service",
        "name": "web",
        "ownerId": "tea-1",
        "image": {"imagePath": "docker.io/library/nginx", "ownerId": "tea-1"},
        "serviceDetails": {"runtime": "image", "plan": "starter"},
    }


def test_a_static_site_has_its_build_in_its_details() -> None:
    """A static site has no runtime, plan or region; what it builds and publishes stands in its details."""
    send = Canned({"service": WEB})
    wanted = NATIVE | {"type": "static_site", "build_command": "npm run build", "publish_path": "dist"}

    result = account(send, owner_id="tea-1")("create_service", **wanted)

    assert body_of(send.requests[0])["serviceDetails"] == {"publishPath": "dist", "buildCommand": "npm run build"}
    assert result["runtime"] == "static"


# What is refused before anything leaves


@pytest.mark.parametrize(
    ("param", "arguments"),
    [
        ("image", NATIVE | {"image": "nginx"}),
        ("repo", {"type": "web_service", "name": "x"}),
        ("schedule", NATIVE | {"type": "cron_job"}),
        ("schedule", NATIVE | {"schedule": "0 3 * * *"}),
        ("build_command", NATIVE | {"runtime": "docker", "build_command": "make"}),
        ("runtime", NATIVE | {"start_command": "./serve"}),
        ("runtime", NATIVE | {"runtime": "nodejs"}),
        ("runtime", NATIVE | {"type": "static_site", "runtime": "node"}),
        ("start_command", NATIVE | {"type": "static_site", "start_command": "npm start"}),
        ("region", NATIVE | {"type": "static_site", "region": "ohio"}),
        ("plan", NATIVE | {"type": "static_site", "plan": "pro"}),
        ("plan", NATIVE | {"type": "static_site", "plan": "starter"}),
        ("env_vars", NATIVE | {"env_vars": {"A B": "x"}}),
        ("env_vars", NATIVE | {"env_vars": {"A": {"generate": False}}}),
        ("num_instances", NATIVE | {"type": "cron_job", "schedule": "0 3 * * *", "num_instances": 2}),
        ("num_instances", NATIVE | {"num_instances": 0}),
        ("health_check_path", NATIVE | {"type": "background_worker", "health_check_path": "/up"}),
        ("pre_deploy_command", NATIVE | {"type": "static_site", "pre_deploy_command": "x"}),
        ("publish_path", NATIVE | {"publish_path": "dist"}),
        ("image", NATIVE | {"runtime": "image"}),
        ("image", {"type": "web_service", "name": "x", "image": "nginx", "runtime": "node"}),
        ("image", {"type": "static_site", "name": "x", "image": "nginx"}),
        ("dockerfile_path", {"type": "web_service", "name": "x", "image": "nginx", "dockerfile_path": "Dockerfile"}),
        ("build_command", {"type": "web_service", "name": "x", "image": "nginx", "build_command": "make"}),
        ("branch", {"type": "web_service", "name": "x", "image": "nginx", "branch": "next"}),
        ("registry_credential_id", NATIVE | {"start_command": "npm start", "registry_credential_id": "rgc-1"}),
        ("docker_context", NATIVE | {"runtime": "node", "docker_context": "api"}),
        ("dockerfile_path", NATIVE | {"type": "static_site", "dockerfile_path": "Dockerfile"}),
        ("disk", NATIVE | {"type": "cron_job", "schedule": "0 3 * * *", "disk": {"name": "d", "mount_path": "/d"}}),
        ("disk", NATIVE | {"disk": {"name": "d"}}),
        ("previews", NATIVE | {"type": "cron_job", "schedule": "0 3 * * *", "previews": {"generation": "off"}}),
        ("previews", NATIVE | {"previews": {"generation": "always"}}),
        ("maintenance_mode", NATIVE | {"plan": "free", "maintenance_mode": {"enabled": False}}),
        ("maintenance_mode", NATIVE | {"type": "private_service", "maintenance_mode": {"enabled": True}}),
        ("ip_allow_list", NATIVE | {"type": "background_worker", "ip_allow_list": []}),
        ("max_shutdown_delay", NATIVE | {"max_shutdown_delay": 301}),
        ("max_shutdown_delay", NATIVE | {"type": "static_site", "max_shutdown_delay": 30}),
        ("headers", NATIVE | {"headers": [{"path": "/*", "name": "X-A", "value": "b"}]}),
        (
            "routes",
            NATIVE | {"type": "static_site", "routes": [{"type": "alias", "source": "/a", "destination": "/b"}]},
        ),
        ("autoscaling", NATIVE | {"autoscaling": {"min": 3, "max": 1, "criteria": {"cpu": {"percentage": 60}}}}),
        ("auto_deploy_trigger", NATIVE | {"auto_deploy_trigger": "always"}),
        ("type", NATIVE | {"type": "webservice"}),
        ("env_vars", NATIVE | {"env_vars": {"A": ["list"]}}),
        ("owner_id", NATIVE | {"owner_id": "tea-1/../.."}),
    ],
)
def test_settings_that_do_not_go_together_are_refused(param: str, arguments: dict[str, Any]) -> None:
    """Each is bad_arguments, names the parameter at fault, and nothing is sent."""
    send = Canned()

    with pytest.raises(BadArguments) as caught:
        account(send)("create_service", **arguments)

    assert caught.value.param == param
    assert send.requests == []
    assert caught.value.message.endswith("Nothing was sent.")


@pytest.mark.parametrize(
    "bad", ["", ".", "..", "srv-1/../owners", "srv-1?limit=1", "srv 1", "srv-1\n", "srv-1%2f", "sŕv-1"]
)
def test_what_cannot_be_an_id_never_leaves(bad: str) -> None:
    """An id holds letters, digits and dashes; anything else is refused before it could change the address."""
    send = Canned()

    for name, function in integration.functions.items():
        for parameter in function.parameters:
            if parameter.name in ("service_id", "deploy_id", "job_id", "postgres_id", "key_value_id", "resource_id"):
                with pytest.raises(BadArguments, match=parameter.name):
                    function.bind(name, [_complete(function.parameters) | {parameter.name: bad}])
    assert send.requests == []


def _complete(parameters: Any) -> dict[str, Any]:
    """Return arguments for every required parameter, so that only the bad one is at fault."""
    values = {"service_id": "srv-1", "deploy_id": "dep-1", "num_instances": 1, "env_vars": {}, "domain": "a.example"}
    return {each.name: values.get(each.name, "x-1") for each in parameters if each.required}


@pytest.mark.parametrize(
    ("name", "arguments", "param"),
    [
        ("trigger_deploy", {"service_id": "srv-1", "commit_id": ""}, "commit_id"),
        ("trigger_deploy", {"service_id": "srv-1", "image_url": ""}, "image_url"),
        ("create_job", {"service_id": "srv-1", "start_command": ""}, "start_command"),
        ("create_service", {"type": "web_service", "name": "", "repo": "https://x.test/r"}, "name"),
        ("create_service", {"type": "web_service", "name": "n", "repo": ""}, "repo"),
        ("create_service", {"type": "web_service", "name": "n", "image": ""}, "image"),
        ("update_service", {"service_id": "srv-1", "name": ""}, "name"),
        ("list_services", {"name": []}, "name"),
        ("list_services", {"type": []}, "type"),
        ("list_services", {"owner_id": []}, "owner_id"),
        ("list_deploys", {"service_id": "srv-1", "status": []}, "status"),
        ("list_jobs", {"service_id": "srv-1", "status": []}, "status"),
        ("list_postgres", {"region": []}, "region"),
        ("list_logs", {"resource_id": []}, "resource_id"),
        ("list_logs", {"resource_id": "srv-1", "level": []}, "level"),
    ],
)
def test_what_is_empty_stands_for_nothing_else(name: str, arguments: dict[str, Any], param: str) -> None:
    """An empty commit is not the newest one, and an empty list of names not all of them: neither leaves."""
    send = Canned()
    with pytest.raises(BadArguments, match=r"of length at least 1|like 'https") as refused:
        account(send)(name, **arguments)

    assert refused.value.param == param
    assert send.requests == []


@pytest.mark.parametrize(
    "moment", ["2026-03-02", "2026-03-02 08:00", "2026-99-99T00:00:00Z", "2026-03-02T24:00:00Z", "2026-03-02T08:00:00"]
)
def test_a_time_is_a_date_a_time_of_day_and_a_zone(moment: str) -> None:
    """What Render would refuse as no time does not leave."""
    send = Canned()
    with pytest.raises(BadArguments, match="start_time must be a string like '2026-01-31T12:00:00Z'"):
        account(send)("list_events", service_id="srv-1", start_time=moment)

    assert send.requests == []


@pytest.mark.parametrize("limit", [0, 101, -1])
def test_a_limit_outside_of_renders_is_refused(limit: int) -> None:
    """Pages hold 1 to 100 items."""
    with pytest.raises(BadArguments, match="limit"):
        account(Canned())("list_services", limit=limit)


# The reference that the functions were built after


@pytest.fixture
def seed() -> dict[str, list[list[str]]]:
    """The parameter tables of the seed file, by function."""
    if not SEED.exists():
        pytest.skip("the seed file is not at ../shared/seed")
    tables: dict[str, list[list[str]]] = {}
    for line in SEED.read_text().partition("Raw agent markdown")[2].splitlines():
        if line.startswith("## "):
            rows = tables.setdefault(line[3:], [])
        elif line.startswith("| `"):
            rows.append([cell.strip().strip("`") for cell in line.strip("| ").split(" | ")])
    return tables


def test_the_seeds_parameters_are_all_there(seed: dict[str, list[list[str]]]) -> None:
    """Every parameter has the name, the place, the type, the required flag, the default and the bound of the seed."""
    rows = [(name, row) for name, table in seed.items() for row in table]
    assert len(rows) == 20
    for name, (parameter_name, kind, required, about) in rows:
        function = integration.functions[name]
        parameter = next(each for each in function.parameters if each.name == parameter_name)
        assert label(parameter.type) == kind
        assert parameter.required == (required == "yes")
        for promised in ("default: 20", "max: 100", 'default: "main"'):
            if promised in about:
                assert promised.removeprefix("max: ") in description(parameter)
    for name, table in seed.items():
        if name in integration.functions:
            names = [parameter.name for parameter in integration.functions[name].parameters]
            assert names[: len(table)] == [row[0] for row in table]


def test_reading_and_writing_are_told_apart() -> None:
    """Every function that only looks is a read, so that a policy may allow it freely, and every other a write."""
    looks = {name for name in integration.functions if name.startswith(("list_", "get_"))}

    assert {name for name, function in integration.functions.items() if function.effect == "read"} == looks
