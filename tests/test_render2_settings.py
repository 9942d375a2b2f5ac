"""What render2 can say of a service: every field of Render's requests, switches of source, and filters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.render2_account import Canned, account, answer, body_of, integration, simulated
from support.render2_settings import (
    ALWAYS,
    COMMANDS,
    DOCKER,
    FULL,
    IMAGE,
    NEW,
    OWNER,
    REPO,
    SCALED,
    WEB,
    every_change,
    everything,
)

from kosmolua.plugin import BadArguments, CallError
from kosmolua.schema.types import Record

DOCUMENT = Path(__file__).parent.parent.parent / "shared" / "render" / "openapi.json"
LEFT_OUT_OF_CREATION = {
    "serviceDetails.env",  # Render's older name of runtime
    # Render's document has the shape of a reply for a cron job's request; its credential is given by id.
    "serviceDetails.envSpecificDetails.preDeployCommand",
    "serviceDetails.envSpecificDetails.registryCredential.id",
    "serviceDetails.envSpecificDetails.registryCredential.name",
    "serviceDetails.envSpecificDetails.registryCredential.registry",
    "serviceDetails.envSpecificDetails.registryCredential.updatedAt",
    "serviceDetails.envSpecificDetails.registryCredential.username",
}
UNDOCUMENTED = {"autoDeployTrigger", "serviceDetails.envSpecificDetails.registryCredentialId"}
"""What the document lacks and Render is recorded to take; the credential only of a cron job."""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Render's own OpenAPI document."""
    if not DOCUMENT.exists():
        pytest.skip("Render's OpenAPI document is not at ../shared/render")
    loaded: dict[str, Any] = json.loads(DOCUMENT.read_text())
    return loaded


def schema_leaves(document: dict[str, Any], schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the path of each field of a schema that holds no others; a list counts as what it lists."""
    while "$ref" in schema:
        resolved: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            resolved = resolved[part.replace("~1", "/").replace("%7B", "{").replace("%7D", "}")]
        schema = resolved
    inside = [*schema.get("oneOf", []), *schema.get("anyOf", [])]
    if schema.get("type") == "array":
        inside.append(schema["items"])
    for each in inside:
        yield from schema_leaves(document, each, path)
    for name, field in schema.get("properties", {}).items():
        yield from schema_leaves(document, field, f"{path}.{name}" if path else name)
    if not inside and "properties" not in schema:
        yield path


def sent_leaves(value: Any, path: str = "") -> Iterator[str]:
    """Yield the path of each value of a body, as for a schema."""
    if isinstance(value, list):
        for item in value:
            yield from sent_leaves(item, path)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from sent_leaves(item, f"{path}.{name}" if path else name)
    else:
        yield path


def documented(document: dict[str, Any], schema: str, details: str) -> set[str]:
    """Return the leaves of a request's body for one type of service."""
    top = {**document["components"]["schemas"][schema]["properties"], "serviceDetails": {}}
    leaves = set(schema_leaves(document, {"properties": top})) - {"serviceDetails"}
    own = schema_leaves(document, {"$ref": f"#/components/schemas/{details}"}, "serviceDetails")
    return leaves | set(own)


def created(**arguments: Any) -> dict[str, Any]:
    """Return the body that a call of create_service sends."""
    send = Canned({"service": {"id": "srv-1"}})
    account(send)("create_service", **arguments)
    body: dict[str, Any] = body_of(send.requests[0])
    return body


def changed(service: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    """Return the body that a call of update_service sends for a service."""
    send = Canned({"id": "srv-1", "ownerId": OWNER} | service, {"id": "srv-1"})
    account(send)("update_service", service_id="srv-1", **arguments)
    body: dict[str, Any] = body_of(send.requests[1])
    return body


def service(kind: str = "web_service", runtime: str | None = "node", **more: Any) -> dict[str, Any]:
    return {"type": kind, "serviceDetails": {"runtime": runtime} if runtime else {}, **more}


# Every field


@pytest.mark.parametrize("kind", FULL)
def test_every_field_of_a_creation_can_be_said(document: dict[str, Any], kind: str) -> None:
    """What Render's document has for a type and render2 cannot send is in a short list, with the reason."""
    bodies = [created(**arguments) for arguments in everything(kind)]
    sent = {leaf for body in bodies for leaf in sent_leaves(body)}
    if kind == "static_site":
        sent |= {"image.imagePath", "image.ownerId", "image.registryCredentialId"}  # a static site runs none
    name = "".join(word.title() for word in kind.split("_"))
    fields = documented(document, "servicePOST", f"{name[0].lower()}{name[1:]}DetailsPOST")

    assert fields - sent == LEFT_OUT_OF_CREATION & fields
    assert sent - fields <= UNDOCUMENTED


@pytest.mark.parametrize("kind", FULL)
def test_every_field_of_a_change_can_be_said(document: dict[str, Any], kind: str) -> None:
    """Nothing that Render's document has for a type is left out."""
    before = service(kind, None if kind == "static_site" else "node")
    bodies = [changed(before, **arguments) for arguments in every_change(kind)]
    sent = {leaf for body in bodies for leaf in sent_leaves(body)}
    if kind == "static_site":
        sent |= {"image.imagePath", "image.ownerId", "image.registryCredentialId"}
    name = "".join(word.title() for word in kind.split("_"))
    fields = documented(document, "servicePATCH", f"{name[0].lower()}{name[1:]}DetailsPATCH")

    assert fields - sent == set()
    assert sent - fields <= UNDOCUMENTED


def test_what_a_table_leaves_out_is_what_render_demands() -> None:
    """Render demands some fields that say little: they are filled, and the others stay away."""
    body = created(
        **REPO,
        type="web_service",
        **COMMANDS,
        build_filter={"paths": ["api/**"]},
        maintenance_mode={"enabled": True},
        ip_allow_list=[{"cidr_block": "10.0.0.0/8"}],
        disk={"name": "data", "mount_path": "/data"},
        autoscaling={"min": 1, "max": 3, "criteria": {"memory": {"percentage": 80}}},
    )

    details = body["serviceDetails"]
    assert body["buildFilter"] == {"paths": ["api/**"], "ignoredPaths": []}
    assert details["maintenanceMode"] == {"enabled": True, "uri": ""}
    assert details["ipAllowList"] == [{"cidrBlock": "10.0.0.0/8", "description": ""}]
    assert details["disk"] == {"name": "data", "mountPath": "/data"}
    assert details["autoscaling"]["enabled"] is True
    assert details["autoscaling"]["criteria"] == {
        "cpu": {"enabled": False, "percentage": 70},
        "memory": {"enabled": True, "percentage": 80},
    }


def test_an_empty_list_of_addresses_is_sent() -> None:
    """It shuts everybody out, which is something else than not to say anything."""
    assert created(**REPO, type="web_service", ip_allow_list=[])["serviceDetails"]["ipAllowList"] == []
    assert changed(service(), ip_allow_list=[]) == {"serviceDetails": {"ipAllowList": []}}


def test_docker_and_images_take_a_command_and_a_credential() -> None:
    """The command is Render's dockerCommand for both; the credential belongs to the build, or to the image."""
    docker = created(**REPO, type="background_worker", **DOCKER)
    image = created(**NEW, type="cron_job", schedule="0 3 * * *", **IMAGE)

    assert docker["serviceDetails"]["envSpecificDetails"] == {
        "dockerCommand": "./serve",
        "dockerfilePath": "api/Dockerfile",
        "dockerContext": "api",
        "registryCredentialId": "rgc-1",
    }
    assert image["serviceDetails"]["envSpecificDetails"] == {"dockerCommand": "nginx"}
    assert image["image"] == {
        "imagePath": "docker.io/library/nginx:latest",
        "ownerId": OWNER,
        "registryCredentialId": "rgc-1",
    }


@pytest.mark.parametrize("hint", [{"dockerfile_path": "api/Dockerfile"}, {"docker_context": "api"}])
def test_what_only_docker_has_says_that_it_is_docker(hint: dict[str, str]) -> None:
    """A command such as ./serve belongs to no runtime; a Dockerfile belongs to one."""
    body = created(**REPO, type="web_service", start_command="./serve", **hint)

    assert body["serviceDetails"]["runtime"] == "docker"
    assert body["serviceDetails"]["envSpecificDetails"]["dockerCommand"] == "./serve"


def test_a_mistake_inside_a_table_is_said_with_its_place() -> None:
    """The message names the key at fault, and nothing is sent."""
    send = Canned()
    with pytest.raises(BadArguments, match=r"disk\.sizeGB|disk has no"):
        account(send)("create_service", **REPO, type="web_service", disk={"name": "d", "mount_path": "/d", "sizeGB": 1})
    assert send.requests == []


# Switches of source


@pytest.mark.parametrize(
    ("before", "arguments", "body"),
    [
        (
            service("web_service", "docker", repo="https://x.test/r"),
            {"image": "docker.io/library/nginx:stable-perl", "start_command": "echo hello"},
            {
                "image": {"imagePath": "docker.io/library/nginx:stable-perl", "ownerId": OWNER},
                "serviceDetails": {"runtime": "image", "envSpecificDetails": {"dockerCommand": "echo hello"}},
            },
        ),
        (
            service("web_service", "node", repo="https://x.test/r"),
            {"image": "nginx:1", "runtime": "image"},
            {"image": {"imagePath": "nginx:1", "ownerId": OWNER}, "serviceDetails": {"runtime": "image"}},
        ),
        (
            service("web_service", "image", imagePath="nginx"),
            {
                "repo": "https://x.test/r",
                "branch": "main",
                "runtime": "python",
                "build_command": "make",
                "start_command": "serve",
            },
            {
                "repo": "https://x.test/r",
                "branch": "main",
                "serviceDetails": {
                    "runtime": "python",
                    "envSpecificDetails": {"buildCommand": "make", "startCommand": "serve"},
                },
            },
        ),
        (
            service("cron_job", "image", imagePath="nginx"),
            {"repo": "https://x.test/r", "start_command": "npm start"},
            {
                "repo": "https://x.test/r",
                "serviceDetails": {"runtime": "node", "envSpecificDetails": {"startCommand": "npm start"}},
            },
        ),
        (
            service("web_service", "image", imagePath="nginx"),
            {"repo": "https://x.test/r", "runtime": "docker", "dockerfile_path": "./Dockerfile", "docker_context": "."},
            {
                "repo": "https://x.test/r",
                "serviceDetails": {
                    "runtime": "docker",
                    "envSpecificDetails": {"dockerfilePath": "./Dockerfile", "dockerContext": "."},
                },
            },
        ),
        (
            service("web_service", "node", repo="https://x.test/r"),
            {"runtime": "python"},
            {"serviceDetails": {"runtime": "python"}},
        ),
        (
            service("web_service", "image", imagePath="nginx:1"),
            {"registry_credential_id": "rgc-1"},
            {"image": {"imagePath": "nginx:1", "ownerId": OWNER, "registryCredentialId": "rgc-1"}},
        ),
        (
            service("private_service", "docker", repo="https://x.test/r"),
            {"registry_credential_id": "rgc-1"},
            {"serviceDetails": {"envSpecificDetails": {"registryCredentialId": "rgc-1"}}},
        ),
    ],
)
def test_a_source_is_switched_with_its_runtime(
    before: dict[str, Any], arguments: dict[str, Any], body: dict[str, Any]
) -> None:
    """What is built and what is run goes together, both ways, as Render's own provider sends it."""
    assert changed(before, **arguments) == body


@pytest.mark.parametrize(
    ("runtime", "arguments", "param"),
    [
        ("image", {"repo": "https://x.test/r"}, "runtime"),
        ("image", {"repo": "https://x.test/r", "branch": "main"}, "runtime"),
        ("image", {"repo": "https://x.test/r", "start_command": "./serve"}, "runtime"),
        ("image", {"runtime": "node"}, "repo"),
        ("node", {"runtime": "image"}, "image"),
        ("node", {"image": "nginx", "runtime": "docker"}, "image"),
        ("node", {"image": "nginx", "repo": "https://x.test/r"}, "image"),
        ("node", {"image": "nginx", "build_command": "make"}, "build_command"),
        ("node", {"runtime": "docker", "build_command": "make"}, "build_command"),
    ],
)
def test_half_a_switch_is_refused(runtime: str, arguments: dict[str, Any], param: str) -> None:
    """The message says what is missing, that nothing was changed, and no PATCH leaves."""
    send = Canned({"id": "srv-1"} | service(runtime=runtime))

    with pytest.raises(CallError, match="nothing was changed") as caught:
        account(send)("update_service", service_id="srv-1", **arguments)

    assert caught.value.code == "bad_arguments"
    assert caught.value.param == param
    assert caught.value.hint
    assert len(send.requests) == 1


@pytest.mark.parametrize(("plan", "arguments"), [("free", {}), ("starter", {"plan": "free"})])
def test_maintenance_mode_is_not_for_the_free_plan(plan: str, arguments: dict[str, Any]) -> None:
    """Render refuses it even when it is off, so it is refused before it is sent."""
    free = {"id": "srv-1", "type": "web_service", "serviceDetails": {"runtime": "node", "plan": plan}}

    with pytest.raises(CallError, match="not available on the plan free"):
        account(Canned(free))("update_service", service_id="srv-1", maintenance_mode={"enabled": False}, **arguments)


# Filters

T = "2026-01-01T00:00:00Z"
CREATED = {"created_before": T, "created_after": T}
UPDATED = {"updated_before": T, "updated_after": T}
FINISHED = {"finished_before": T, "finished_after": T}
PAGED = {"limit": 1, "cursor": "c"}
LISTS: list[tuple[str, str, dict[str, Any], set[str]]] = [
    (
        "list_services",
        "/services",
        {
            **PAGED,
            **CREATED,
            **UPDATED,
            "name": "a",
            "type": "web_service",
            "env": "node",
            "region": "ohio",
            "suspended": True,
            "owner_id": "tea-1",
            "environment_id": ["evm-1", "evm-2"],
            "include_previews": False,
        },
        set(),
    ),
    (
        "list_deploys",
        "/services/{serviceId}/deploys",
        {"service_id": "srv-1", **PAGED, **CREATED, **UPDATED, **FINISHED, "status": "live"},
        set(),
    ),
    (
        "list_jobs",
        "/services/{serviceId}/jobs",
        {
            "service_id": "srv-1",
            **PAGED,
            **CREATED,
            **FINISHED,
            "started_before": T,
            "started_after": T,
            "status": "failed",
        },
        set(),
    ),
    (
        "list_events",
        "/services/{serviceId}/events",
        {"service_id": "srv-1", **PAGED, "type": "deploy_ended", "start_time": T, "end_time": T},
        set(),
    ),
    ("list_env_vars", "/services/{serviceId}/env-vars", {"service_id": "srv-1", **PAGED}, set()),
    (
        "list_custom_domains",
        "/services/{serviceId}/custom-domains",
        {
            "service_id": "srv-1",
            **PAGED,
            **CREATED,
            "name": ["a.example", "b.example"],
            "domain_type": "apex",
            "verification_status": "verified",
        },
        set(),
    ),
    ("list_secret_files", "/services/{serviceId}/secret-files", {"service_id": "srv-1", **PAGED}, set()),
    ("list_instances", "/services/{serviceId}/instances", {"service_id": "srv-1"}, set()),
    (
        "list_headers",
        "/services/{serviceId}/headers",
        {"service_id": "srv-1", **PAGED, "path": ["/a", "/b"], "name": ["a", "b"], "value": ["c", "d"]},
        set(),
    ),
    (
        "list_routes",
        "/services/{serviceId}/routes",
        {"service_id": "srv-1", **PAGED, "type": "rewrite", "source": ["/a", "/b"], "destination": ["/c", "/d"]},
        set(),
    ),
    (
        "list_disks",
        "/disks",
        {
            **PAGED,
            **CREATED,
            **UPDATED,
            "disk_id": ["dsk-1", "dsk-2"],
            "service_id": ["srv-1", "srv-2"],
            "name": ["a", "b"],
            "owner_id": ["tea-1", "tea-2"],
        },
        set(),
    ),
    ("list_disk_snapshots", "/disks/{diskId}/snapshots", {"disk_id": "dsk-1"}, set()),
    (
        "list_env_groups",
        "/env-groups",
        {
            **PAGED,
            **CREATED,
            **UPDATED,
            "name": ["a", "b"],
            "owner_id": ["tea-1", "tea-2"],
            "environment_id": ["evm-1", "evm-2"],
        },
        set(),
    ),
    (
        "list_projects",
        "/projects",
        {**PAGED, **CREATED, **UPDATED, "name": ["a", "b"], "owner_id": ["tea-1", "tea-2"]},
        set(),
    ),
    (
        "list_environments",
        "/environments",
        {
            **PAGED,
            **CREATED,
            **UPDATED,
            "project_id": ["prj-1", "prj-2"],
            "name": ["a", "b"],
            "owner_id": ["tea-1", "tea-2"],
            "environment_id": ["evm-1", "evm-2"],
        },
        set(),
    ),
    ("list_owners", "/owners", {**PAGED, "name": ["a", "b"], "email": "c@d.example"}, set()),
    (
        "list_postgres",
        "/postgres",
        {
            **PAGED,
            **CREATED,
            **UPDATED,
            "name": "a",
            "region": "ohio",
            "suspended": False,
            "owner_id": "tea-1",
            "environment_id": "evm-1",
            "include_replicas": True,
        },
        set(),
    ),
    (
        "list_key_values",
        "/key-value",
        {
            **PAGED,
            **CREATED,
            **UPDATED,
            "name": "a",
            "region": "ohio",
            "owner_id": "tea-1",
            "environment_id": "evm-1",
        },
        set(),
    ),
    (
        "list_logs",
        "/logs",
        {
            "resource_id": "dpg-1",
            "owner_id": "tea-1",
            "start_time": T,
            "end_time": T,
            "direction": "forward",
            "level": "error",
            "type": "app",
            "text": "x",
            "instance": "srv-1-abcde",
            "host": "a.example",
            "method": ["GET", "PUT"],
            "path": "/a",
            "status_code": "5*",
            "task": "t",
            "task_run": "trn-1",
            "limit": 5,
        },
        set(),
    ),
]


@pytest.mark.parametrize(("name", "path", "arguments", "left_out"), LISTS, ids=[row[0] for row in LISTS])
def test_every_filter_of_a_list_can_be_said(
    document: dict[str, Any], name: str, path: str, arguments: dict[str, Any], left_out: set[str]
) -> None:
    """Each parameter of Render's document is sent under its name, lists joined or repeated as it says."""
    send = Canned({"logs": []} if name == "list_logs" else [])
    account(send)(name, **arguments)
    described = {}
    for parameter in document["paths"][path]["get"].get("parameters", []):
        if "$ref" in parameter:
            parameter = document["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
        if parameter["in"] == "query":
            described[parameter["name"]] = parameter

    sent = [key for key, _ in send.requests[0].query]
    assert set(described) - set(sent) == left_out
    assert set(sent) <= set(described)
    assert {key for key in sent if sent.count(key) > 1} <= {
        key for key, parameter in described.items() if parameter.get("explode", True)
    }
    assert {key for key, value in send.requests[0].query if "," in str(value)} <= {
        key for key, parameter in described.items() if parameter.get("explode") is False
    }


def test_every_list_is_held_against_the_document() -> None:
    """A list function that is added must be added to the table too."""
    assert {row[0] for row in LISTS} == {name for name in integration.functions if name.startswith("list_")}


def test_time_filters_want_a_time() -> None:
    """A day alone never leaves, in no list."""
    send = Canned()
    for name, function in integration.functions.items():
        for parameter in function.parameters:
            if parameter.name.endswith(("_before", "_after")):
                with pytest.raises(BadArguments, match=parameter.name):
                    function.bind(name, [{"service_id": "srv-1", parameter.name: "2026-01-01"}])
    assert send.requests == []


# Results


@pytest.mark.parametrize(
    ("name", "key", "fields"),
    [
        ("get_service", "service", {"slug", "notifyOnFail", "autoDeployTrigger", "buildFilter", "environmentId"}),
        (
            "get_postgres",
            "postgres",
            {
                "ipAllowList",
                "suspenders",
                "diskAutoscalingEnabled",
                "environmentId",
                "parameterOverrides",
                "readReplicas",
                "primaryPostgresID",
            },
        ),
        ("get_key_value", "key_value", {"ipAllowList", "environmentId", "options"}),
    ],
)
def test_results_declare_what_render_always_sends(name: str, key: str, fields: set[str]) -> None:
    """Stubs and docs have these fields, so that a script can rely on what they say."""
    returned = integration.functions[name].returns
    assert isinstance(returned, Record)
    thing = returned.fields[key]
    assert isinstance(thing, Record)
    assert fields <= set(thing.fields)


def test_what_is_null_on_the_wire_is_nil_and_what_is_always_there_is_text() -> None:
    """Most databases have no list of addresses, which Render tells by null; a slug is never nil."""
    call = account(Canned(answer(200, {"id": "dpg-1", "ipAllowList": None}), answer(200, {"id": "srv-1"})))

    assert call("get_postgres", postgres_id="dpg-1")["postgres"]["ipAllowList"] is None
    thin = call("get_service", service_id="srv-1")["service"]
    assert thin["slug"] == ""
    assert thin["notifyOnFail"] == "default"


def test_new_settings_are_read_back() -> None:
    """What a service was created with and changed to is in what Render says of it."""
    call = simulated()
    owner = call("list_owners")["owners"][0]["id"]
    made = call("create_service", **REPO | {"owner_id": owner}, type="web_service", **ALWAYS, **SCALED, **WEB, **DOCKER)
    call(
        "update_service", service_id=made["service"]["id"], cache={"profile": "origin-controlled"}, max_shutdown_delay=5
    )

    found = call("get_service", service_id=made["service"]["id"])["service"]
    details = found["serviceDetails"]
    assert found["autoDeployTrigger"] == "checksPass"
    assert found["autoDeploy"] == "yes"
    assert found["buildFilter"] == {"paths": ["src/**"], "ignoredPaths": ["docs/**"]}
    assert details["cache"] == {"profile": "origin-controlled"}
    assert details["maxShutdownDelaySeconds"] == 5
    assert details["envSpecificDetails"]["dockerfilePath"] == "api/Dockerfile"
    assert details["previews"] == {"generation": "automatic"}
