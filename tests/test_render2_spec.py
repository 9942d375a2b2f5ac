"""render2 against Render's own OpenAPI document, judged by a validator that is not ours: Prism, from npm.

Prism serves the strict copy of the document that ``make_strict_spec.py`` derives; what the script says about the body
of a creation holds for that of a change as well, so the test derives that too.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.render2_account import KEY, account, answer, body_of, integration, line_of
from support.render2_bodies import CHANGE_BODIES, CREATIONS, creation
from support.render2_settings import FULL, every_change, everything

from kosmolua.plugin import Request, Response, Secret

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "render"
SERVICE, CRON, DEPLOY, JOB = "srv-cabc12345678", "crn-cabc12345678", "dep-cabc12345678", "job-cph1rs3idesc73a2b2mg"
OWNER = "tea-cabc12345678"
BUILD = {"build_command": "npm ci", "start_command": "npm start"}
REPO = {"name": "my-api", "repo": "https://github.com/myorg/my-api", "owner_id": OWNER}
POSTGRES, KEY_VALUE = "dpg-cabc12345678", "red-cabc12345678"
NEW_POSTGRES = {"name": "shop-db", "plan": "basic_1gb", "version": "17", "owner_id": OWNER}
OFFICE = [{"cidr_block": "203.0.113.0/24", "description": "office"}, {"cidr_block": "10.0.0.0/8"}]
GROUP, DISK = {"env_group_id": "evg-cabc12345678"}, "dsk-cph1rs3idesc73a2b2mg"
HEADER = {"path": "/*", "name": "X-Frame-Options", "value": "DENY"}
ROUTE = {"type": "redirect", "source": "/a", "destination": "/b"}
(METRICS,) = (each.type.values for each in integration.functions["get_metrics"].parameters if each.name == "metric")
PAGED = {"limit": 100, "cursor": "-oJLKv3ln_sg0a=="}

NEW_SERVICES = [
    {"type": "web_service", **REPO, **BUILD, "region": "virginia", "env_vars": {"A": 1, "B": {"generate": True}}},
    {
        "type": "web_service",
        **REPO,
        "plan": "free",
        "health_check_path": "/up",
        "num_instances": 2,
        "auto_deploy": True,
    },
    {"type": "web_service", **REPO, "runtime": "docker", "start_command": "./serve", "root_dir": "web"},
    {
        "type": "private_service",
        **REPO,
        "start_command": "uvicorn app:app",
        "pre_deploy_command": "alembic upgrade head",
    },
    {"type": "background_worker", **REPO, **BUILD, "plan": "pro", "secret_files": {".env": "A=1"}},
    {"type": "cron_job", **REPO, **BUILD, "schedule": "0 3 * * *", "environment_id": "evm-cabc12345678"},
    {"type": "cron_job", **REPO, "schedule": "0 3 * * *"},
    {"type": "static_site", **REPO, "build_command": "npm run build", "publish_path": "dist", "auto_deploy": False},
    {
        "type": "web_service",
        "name": "web",
        "image": "docker.io/library/nginx:latest",
        "registry_credential_id": "rgc-cabc12345678",
        "owner_id": OWNER,
    },
    *(arguments for kind in FULL for arguments in everything(kind)),
]
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("get_current_user", {}),
    ("list_owners", PAGED),
    ("list_services", {}),
    ("list_services", {**PAGED, "name": ["a", "b"], "type": ["web_service", "cron_job"], "suspended": False}),
    ("list_services", {"region": ["oregon", "virginia"], "owner_id": [OWNER, "tea-2"], "type": "static_site"}),
    ("get_service", {"service_id": SERVICE}),
    *(("create_service", arguments) for arguments in NEW_SERVICES),
    ("delete_service", {"service_id": SERVICE}),
    ("suspend_service", {"service_id": SERVICE}),
    ("resume_service", {"service_id": SERVICE}),
    ("restart_service", {"service_id": SERVICE}),
    ("scale_service", {"service_id": SERVICE, "num_instances": 3}),
    ("list_deploys", {"service_id": SERVICE, **PAGED}),
    ("list_deploys", {"service_id": SERVICE, "status": ["live", "build_failed"]}),
    ("list_deploys", {"service_id": SERVICE, "finished_after": "2026-03-01T00:00:00Z"}),
    ("list_services", {"include_previews": False, "created_before": "2026-03-01T00:00:00Z", "environment_id": "evm-1"}),
    ("list_owners", {"name": ["a", "b"], "email": "ann@example.com"}),
    ("list_custom_domains", {"service_id": SERVICE, "name": ["a.example", "b.example"], "domain_type": "apex"}),
    ("get_deploy", {"service_id": SERVICE, "deploy_id": DEPLOY}),
    ("trigger_deploy", {"service_id": SERVICE}),
    ("trigger_deploy", {"service_id": SERVICE, "commit_id": "a0f64db8", "clear_cache": True}),
    ("trigger_deploy", {"service_id": SERVICE, "image_url": "docker.io/library/nginx:1.27"}),
    ("trigger_deploy", {"service_id": SERVICE, "deploy_only": True}),
    ("cancel_deploy", {"service_id": SERVICE, "deploy_id": DEPLOY}),
    ("rollback_deploy", {"service_id": SERVICE, "deploy_id": DEPLOY}),
    ("list_jobs", {"service_id": SERVICE, **PAGED, "status": ["failed", "running"]}),
    ("get_job", {"service_id": SERVICE, "job_id": JOB}),
    ("create_job", {"service_id": SERVICE, "start_command": "rake db:migrate", "plan_id": "plan-srv-004"}),
    ("cancel_job", {"service_id": SERVICE, "job_id": JOB}),
    ("run_cron_job", {"service_id": CRON}),
    ("list_env_vars", {"service_id": SERVICE, **PAGED}),
    ("get_env_var", {"service_id": SERVICE, "key": "NODE_ENV"}),
    ("set_env_var", {"service_id": SERVICE, "key": "WORKERS", "value": 4}),
    ("set_env_var", {"service_id": SERVICE, "key": "TOKEN", "generate": True}),
    ("delete_env_var", {"service_id": SERVICE, "key": "NODE_ENV"}),
    ("replace_all_env_vars", {"service_id": SERVICE, "env_vars": {"A": "x", "B": {"generate": True}}}),
    ("list_instances", {"service_id": SERVICE}),
    ("set_autoscaling", {"service_id": SERVICE, "min": 1, "max": 3, "criteria": {"cpu": {"percentage": 60}}}),
    ("delete_autoscaling", {"service_id": SERVICE}),
    ("list_secret_files", {"service_id": SERVICE, **PAGED}),
    ("get_secret_file", {"service_id": SERVICE, "name": ".env"}),
    ("set_secret_file", {"service_id": SERVICE, "name": ".env", "content": "A=1"}),
    ("delete_secret_file", {"service_id": SERVICE, "name": ".env"}),
    ("replace_all_secret_files", {"service_id": SERVICE, "secret_files": {".env": "A=1"}}),
    ("list_headers", {"service_id": SERVICE, **PAGED, "path": ["/a", "/b"], "name": "X", "value": "y"}),
    ("add_header", {"service_id": SERVICE, **HEADER}),
    ("replace_all_headers", {"service_id": SERVICE, "headers": [HEADER]}),
    ("delete_header", {"service_id": SERVICE, "header_id": "hdr-cabc12345678"}),
    ("list_routes", {"service_id": SERVICE, **PAGED, "type": "redirect", "source": ["/a", "/b"], "destination": "/c"}),
    ("add_route", {"service_id": SERVICE, **ROUTE, "priority": 0}),
    ("replace_all_routes", {"service_id": SERVICE, "routes": [ROUTE]}),
    ("delete_route", {"service_id": SERVICE, "route_id": "rdr-cabc12345678"}),
    ("list_disks", {**PAGED, "disk_id": [DISK, DISK], "service_id": SERVICE, "name": ["a", "b"], "owner_id": OWNER}),
    ("get_disk", {"disk_id": DISK}),
    ("add_disk", {"service_id": SERVICE, "name": "data", "mount_path": "/data", "size_gb": 10}),
    ("update_disk", {"disk_id": DISK, "size_gb": 20, "mount_path": "/other"}),
    ("delete_disk", {"disk_id": DISK}),
    ("list_disk_snapshots", {"disk_id": DISK}),
    ("restore_disk_snapshot", {"disk_id": DISK, "snapshot_key": "key", "instance_id": "srv-cabc12345678-abcde"}),
    ("list_env_groups", {**PAGED, "name": ["a", "b"], "owner_id": OWNER, "environment_id": "evm-cabc12345678"}),
    ("get_env_group", GROUP),
    ("create_env_group", {"name": "shared", "owner_id": OWNER}),
    (
        "create_env_group",
        {
            "name": "shared",
            "owner_id": OWNER,
            "env_vars": {"A": "x", "B": {"generate": True}},
            "secret_files": {".env": "A=1"},
            "service_ids": [SERVICE],
            "environment_id": "evm-cabc12345678",
        },
    ),
    ("update_env_group", GROUP | {"name": "common"}),
    ("delete_env_group", GROUP),
    ("link_env_group", GROUP | {"service_id": SERVICE}),
    ("unlink_env_group", GROUP | {"service_id": SERVICE}),
    ("get_env_group_var", GROUP | {"key": "A"}),
    ("set_env_group_var", GROUP | {"key": "A", "value": 1}),
    ("delete_env_group_var", GROUP | {"key": "A"}),
    ("get_env_group_file", GROUP | {"name": ".env"}),
    ("set_env_group_file", GROUP | {"name": ".env", "content": "A=1"}),
    ("delete_env_group_file", GROUP | {"name": ".env"}),
    ("list_projects", {**PAGED, "name": ["a", "b"], "owner_id": OWNER}),
    ("get_project", {"project_id": "prj-cabc12345678"}),
    ("list_environments", {**PAGED, "project_id": ["prj-1", "prj-2"], "environment_id": "evm-1", "name": "x"}),
    ("get_environment", {"environment_id": "evm-cabc12345678"}),
    *(("get_metrics", {"metric": metric, "resource_id": SERVICE}) for metric in METRICS),
    ("get_metrics", {"metric": "cpu", "resource_id": SERVICE, "instance": "a", "aggregate": "max"}),
    (
        "get_metrics",
        {"metric": "memory", "resource_id": SERVICE, "resolution": 300, "start_time": "2026-03-01T00:00:00Z"},
    ),
    ("get_metrics", {"metric": "http_requests", "resource_id": SERVICE, "aggregate_by": "status_code", "path": "/a"}),
    ("get_metrics", {"metric": "http_latency", "resource_id": SERVICE, "quantile": 0.99, "host": "a.example"}),
    ("list_logs", {"resource_id": [SERVICE, CRON], "owner_id": OWNER, "level": ["error", "warn"], "text": "refused"}),
    (
        "list_logs",
        {
            "resource_id": JOB,
            "owner_id": OWNER,
            "start_time": "2026-03-01T00:00:00Z",
            "end_time": "2026-03-02T00:00:00Z",
        },
    ),
    ("list_events", {"service_id": SERVICE, **PAGED, "type": "deploy_ended", "start_time": "2026-03-01T00:00:00Z"}),
    ("list_custom_domains", {"service_id": SERVICE, **PAGED}),
    ("get_custom_domain", {"service_id": SERVICE, "domain": "www.example.com"}),
    ("create_custom_domain", {"service_id": SERVICE, "name": "example.com"}),
    ("verify_custom_domain", {"service_id": SERVICE, "domain": "*.example.com"}),
    ("delete_custom_domain", {"service_id": SERVICE, "domain": "cdm-cabc12345678"}),
    ("list_postgres", {**PAGED, "name": "main", "region": ["ohio"], "owner_id": OWNER}),
    ("get_postgres", {"postgres_id": POSTGRES}),
    ("get_postgres_connection_info", {"postgres_id": POSTGRES}),
    ("get_key_value_connection_info", {"key_value_id": KEY_VALUE}),
    ("create_postgres", NEW_POSTGRES),
    (
        "create_postgres",
        NEW_POSTGRES
        | {
            "database_name": "shop",
            "database_user": "app",
            "region": "ohio",
            "disk_size_gb": 15,
            "disk_autoscaling": True,
            "high_availability": True,
            "parameter_overrides": {"max_connections": "200"},
            "read_replicas": [{"name": "reports", "parameter_overrides": {"work_mem": "8MB"}}],
            "ip_allow_list": OFFICE,
            "environment_id": "evm-cabc12345678",
            "datadog_api_key": "key",
            "datadog_site": "EU",
        },
    ),
    ("update_postgres", {"postgres_id": POSTGRES, "plan": "pro_8gb", "ip_allow_list": [], "disk_autoscaling": False}),
    ("delete_postgres", {"postgres_id": POSTGRES}),
    ("suspend_postgres", {"postgres_id": POSTGRES}),
    ("resume_postgres", {"postgres_id": POSTGRES}),
    ("restart_postgres", {"postgres_id": POSTGRES}),
    ("list_key_values", {**PAGED, "name": ["cache"], "owner_id": [OWNER]}),
    ("get_key_value", {"key_value_id": KEY_VALUE}),
    ("create_key_value", {"name": "cache", "plan": "starter", "owner_id": OWNER}),
    (
        "create_key_value",
        {
            "name": "cache",
            "plan": "starter",
            "owner_id": OWNER,
            "region": "ohio",
            "maxmemory_policy": "volatile_ttl",
            "ip_allow_list": OFFICE,
            "environment_id": "evm-cabc12345678",
        },
    ),
    ("update_key_value", {"key_value_id": KEY_VALUE, "plan": "pro", "maxmemory_policy": "noeviction"}),
    ("delete_key_value", {"key_value_id": KEY_VALUE}),
    ("suspend_key_value", {"key_value_id": KEY_VALUE}),
    ("resume_key_value", {"key_value_id": KEY_VALUE}),
]
CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("web_service", "node", {"name": "new", "plan": "pro", **BUILD, "health_check_path": "/up", "auto_deploy": False}),
    ("web_service", "docker", {"start_command": "./serve", "branch": "main", "root_dir": "web"}),
    ("web_service", "image", {"image": "docker.io/library/nginx:1.27", "registry_credential_id": "rgc-cabc12345678"}),
    ("private_service", "python", {"pre_deploy_command": "alembic upgrade head"}),
    ("background_worker", "ruby", {"start_command": "bundle exec sidekiq", "plan": "standard"}),
    ("cron_job", "node", {"schedule": "*/5 * * * *", "start_command": "npm run tidy"}),
    ("static_site", "", {"build_command": "npm run build", "publish_path": "dist"}),
    *((kind, "node", arguments) for kind in FULL if kind != "static_site" for arguments in every_change(kind)),
    *(("static_site", "", arguments) for arguments in every_change("static_site")),
]


@pytest.fixture(scope="session")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one Prism for the whole session, ended by its process id."""
    if not (SHARED / "openapi.json").exists():
        pytest.skip("Render's OpenAPI document is not at ../shared/render")
    spec = tmp_path_factory.mktemp("prism") / "strict.json"
    make = [sys.executable, SHARED / "make_strict_spec.py", SHARED / "openapi.json", spec]
    subprocess.run(make, check=True)
    _add_what_is_recorded(spec)
    _be_strict_about_changes(spec)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*_prism_command(), "mock", str(spec), "-h", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _prism_command() -> list[str]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    local = ROOT / "node_modules" / ".bin" / "prism"
    for found in (os.environ.get("KOSMOLUA_PRISM"), shutil.which("prism"), str(local) if local.exists() else None):
        if found:
            return [node, str(Path(found).resolve())]
    pytest.skip("Prism is not installed: npm install @stoplight/prism-cli, or point KOSMOLUA_PRISM at its command")


def _add_what_is_recorded(spec: Path) -> None:
    """Add the trigger of automatic deploys, which Render takes and its document knows for workflows only."""
    document = json.loads(spec.read_text())
    schemas = document["components"]["schemas"]
    for schema in (*schemas["servicePOST"]["oneOf"], schemas["servicePATCH"]):
        schema["properties"]["autoDeployTrigger"] = {"$ref": "#/components/schemas/autoDeployTrigger"}
    spec.write_text(json.dumps(document))


def _be_strict_about_changes(spec: Path) -> None:
    """Choose the details of a PATCH by what they hold: the document's oneOf fails when several types would fit."""
    document = json.loads(spec.read_text())
    schemas = document["components"]["schemas"]
    details = schemas["servicePATCH"]["properties"]["serviceDetails"]
    details["anyOf"] = details.pop("oneOf")
    schemas["envSpecificDetailsPATCH"]["anyOf"] = schemas["envSpecificDetailsPATCH"].pop("oneOf")
    for one in (*details["anyOf"], *schemas["envSpecificDetailsPATCH"]["anyOf"], {"$ref": "#/servicePATCH"}):
        schemas[one["$ref"].rpartition("/")[2]]["additionalProperties"] = False
    spec.write_text(json.dumps(document))


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            pytest.fail(f"Prism ended with {process.returncode} before it served anything")
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("Prism did not start within a minute")


class Judged:
    """A ``send`` that passes requests on to Prism, and keeps what it has to say against them.

    What it says against its own answers is left out: Render's document has examples that do not fit it.
    """

    def __init__(self, prism: str) -> None:
        self.faults: list[str] = []
        self.lines: list[str] = []
        self._prism = prism

    def __call__(self, request: Request) -> Response:
        headers = {name: _plain(value) for name, value in request.headers.items()}
        reply = requests.request(
            request.method,
            request.url.replace("https://api.render.com/v1", self._prism),
            params=[(name, _plain(value)) for name, value in request.query],
            headers=headers,
            data=request.body,
            timeout=30,
        )
        self.lines.append(line_of(request))
        violations = json.loads(reply.headers.get("sl-violations", "[]"))
        about_request = [fault for fault in violations if fault["location"][0] == "request"]
        if reply.status_code >= 400 or about_request:
            said = about_request or reply.text
            self.faults.append(f"{line_of(request)} {body_of(request)}: {reply.status_code} {said}")
        return Response(reply.status_code, dict(reply.headers), reply.content)


def _plain(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value


@pytest.mark.parametrize(("name", "arguments"), CALLS, ids=[f"{number}-{row[0]}" for number, row in enumerate(CALLS)])
def test_prism_accepts_the_request_of_every_function(prism: str, name: str, arguments: dict[str, Any]) -> None:
    """What a function sends fits Render's own document, and what the document answers fits the function."""
    send = Judged(prism)

    result = account(send)(name, **arguments)

    assert send.faults == []
    assert send.lines
    assert isinstance(result, dict)


@pytest.mark.parametrize(
    ("kind", "runtime", "arguments"), CHANGES, ids=[f"{number}-{row[0]}-{row[1]}" for number, row in enumerate(CHANGES)]
)
def test_prism_accepts_a_change_of_each_type_of_service(
    prism: str, kind: str, runtime: str, arguments: dict[str, Any]
) -> None:
    """A PATCH is nested as the type and runtime of the service that was read first demand."""
    judged = Judged(prism)
    service = {"id": SERVICE, "type": kind, "ownerId": OWNER, "serviceDetails": {"runtime": runtime}}

    def send(request: Request) -> Response:
        return answer(200, service) if request.method == "GET" else judged(request)

    account(send)("update_service", service_id=SERVICE, **arguments)

    assert judged.faults == []
    assert judged.lines == [f"PATCH /services/{SERVICE}"]


def test_every_function_is_judged() -> None:
    """A function that is added to render2 must be added to this file's table too."""
    assert {name for name, _ in CALLS} | {"update_service"} == set(integration.functions)


@pytest.mark.parametrize(("changes", "status"), CREATIONS)
def test_prism_and_the_simulator_agree_on_creations(prism: str, changes: dict[str, Any], status: int) -> None:
    """What the simulator lets pass fits the document, and what it refuses the document refuses too.

    Only that a service needs a repository or an image is not in the document: its own words leave both optional.
    """
    body = creation(changes, OWNER)
    reply = requests.post(f"{prism}/services", json=body, headers={"Authorization": f"Bearer {KEY}"}, timeout=30)

    assert reply.status_code == (status if "repo" in body or "image" in body else 201)


@pytest.mark.parametrize(("kind", "body", "status"), CHANGE_BODIES)
def test_prism_and_the_simulator_agree_on_changes(prism: str, kind: str, body: dict[str, Any], status: int) -> None:
    """So they do on what changes a service; the document does not know of which type it is."""
    headers = {"Authorization": f"Bearer {KEY}"}
    reply = requests.patch(f"{prism}/services/{SERVICE}", json=body, headers=headers, timeout=30)

    assert reply.status_code == status


def test_prism_wants_the_statuses_of_deploys_repeated(prism: str) -> None:
    """The document joins most lists by commas, but not this one: joined, it is refused."""
    url, headers = f"{prism}/services/{SERVICE}/deploys", {"Authorization": f"Bearer {KEY}"}

    joined = requests.get(url, params={"status": "live,build_failed"}, headers=headers, timeout=30)
    repeated = requests.get(url, params={"status": ["live", "build_failed"]}, headers=headers, timeout=30)

    assert (joined.status_code, repeated.status_code) == (422, 200)
