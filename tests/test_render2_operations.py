"""render2's everyday operations: the exact request of each, and what each does to a simulated Render."""

from __future__ import annotations

from typing import Any

import pytest
from support.render2_account import Canned, account, answer, body_of, integration, page, simulated

from kosmolua.plugin import SIMULATION_START, ApiError, BadArguments, CallError, NetworkError

SERVICE, CRON, DEPLOY = "srv-cabc12345678", "crn-cabc12345678", "dep-cabc12345678"
S = "/services/srv-1"
NONE = answer(202)
DOMAIN = {"id": "cdm-1", "name": "a.example"}
BOTH = f"GET {S}/deploys?status=live&status=canceled&limit=20"
ALL = [{"key": "A", "value": "x"}, {"key": "B", "value": "2"}]
FILE = {"name": ".env", "content": "A=1"}
HEADER = {"path": "/*", "name": "X-Frame-Options", "value": "DENY"}
ROUTE = {"type": "redirect", "source": "/a", "destination": "/b"}
DISK = {"name": "data", "mount_path": "/data", "size_gb": 10}
SENT_DISK = {"name": "data", "mountPath": "/data", "sizeGB": 10}
SCALING = {"min": 1, "max": 3, "criteria": {"cpu": {"percentage": 60}}}
SENT_SCALING = {
    "enabled": True,
    "min": 1,
    "max": 3,
    "criteria": {"cpu": {"enabled": True, "percentage": 60}, "memory": {"enabled": False, "percentage": 70}},
}

# name, arguments, reply, request line, request body
REQUESTS: list[tuple[str, dict[str, Any], Any, str, Any]] = [
    ("delete_service", {}, answer(204), f"DELETE {S}", None),
    ("suspend_service", {}, NONE, f"POST {S}/suspend", None),
    ("resume_service", {}, NONE, f"POST {S}/resume", None),
    ("restart_service", {}, answer(200), f"POST {S}/restart", None),
    ("scale_service", {"num_instances": 3}, NONE, f"POST {S}/scale", {"numInstances": 3}),
    ("list_deploys", {"status": "live"}, [], f"GET {S}/deploys?status=live&limit=20", None),
    ("list_deploys", {"status": ["live", "canceled"]}, [], BOTH, None),
    ("trigger_deploy", {}, {"id": "dep-1"}, f"POST {S}/deploys", {}),
    ("trigger_deploy", {"clear_cache": True}, {"id": "dep-1"}, f"POST {S}/deploys", {"clearCache": "clear"}),
    ("trigger_deploy", {"commit_id": "abc"}, {"id": "dep-1"}, f"POST {S}/deploys", {"commitId": "abc"}),
    ("trigger_deploy", {"deploy_only": True}, {"id": "dep-1"}, f"POST {S}/deploys", {"deployMode": "deploy_only"}),
    ("cancel_deploy", {"deploy_id": "dep-1"}, {"id": "dep-1"}, f"POST {S}/deploys/dep-1/cancel", None),
    ("rollback_deploy", {"deploy_id": "dep-1"}, {"id": "dep-2"}, f"POST {S}/rollback", {"deployId": "dep-1"}),
    ("list_jobs", {"status": ["failed", "running"]}, [], f"GET {S}/jobs?status=failed,running&limit=20", None),
    ("get_job", {"job_id": "job-1"}, {"id": "job-1"}, f"GET {S}/jobs/job-1", None),
    ("create_job", {"start_command": "ls"}, {"id": "job-1"}, f"POST {S}/jobs", {"startCommand": "ls"}),
    ("cancel_job", {"job_id": "job-1"}, {"id": "job-1"}, f"POST {S}/jobs/job-1/cancel", None),
    ("run_cron_job", {}, {"id": "run-1"}, "POST /cron-jobs/srv-1/runs", None),
    ("list_env_vars", {"limit": 3}, [], f"GET {S}/env-vars?limit=3", None),
    ("get_env_var", {"key": "A_B"}, {"key": "A_B", "value": "1"}, f"GET {S}/env-vars/A_B", None),
    ("set_env_var", {"key": "A", "value": 1}, {"key": "A", "value": "1"}, f"PUT {S}/env-vars/A", {"value": "1"}),
    ("set_env_var", {"key": "A", "value": False}, {"key": "A", "value": ""}, f"PUT {S}/env-vars/A", {"value": "false"}),
    ("set_env_var", {"key": "A", "value": ""}, {"key": "A", "value": ""}, f"PUT {S}/env-vars/A", {"value": ""}),
    ("set_env_var", {"key": "A", "generate": True}, {"key": "A"}, f"PUT {S}/env-vars/A", {"generateValue": True}),
    ("delete_env_var", {"key": "A"}, answer(204), f"DELETE {S}/env-vars/A", None),
    ("replace_all_env_vars", {"env_vars": {"B": 2, "A": "x"}}, [], f"PUT {S}/env-vars", ALL),
    ("replace_all_env_vars", {"env_vars": {}}, [], f"PUT {S}/env-vars", []),
    ("list_events", {"type": "deploy_ended"}, [], f"GET {S}/events?type=deploy_ended&limit=20", None),
    ("list_custom_domains", {}, [], f"GET {S}/custom-domains?limit=20", None),
    ("get_custom_domain", {"domain": "a.example"}, DOMAIN, f"GET {S}/custom-domains/a.example", None),
    ("get_custom_domain", {"domain": "*.a.example"}, DOMAIN, f"GET {S}/custom-domains/%2A.a.example", None),
    ("create_custom_domain", {"name": "a.example"}, [DOMAIN], f"POST {S}/custom-domains", {"name": "a.example"}),
    ("verify_custom_domain", {"domain": "a.example"}, NONE, f"POST {S}/custom-domains/a.example/verify", None),
    ("delete_custom_domain", {"domain": "cdm-1"}, answer(204), f"DELETE {S}/custom-domains/cdm-1", None),
    ("list_instances", {}, [{"id": "srv-1-a"}], f"GET {S}/instances", None),
    ("set_autoscaling", SCALING, {}, f"PUT {S}/autoscaling", SENT_SCALING),
    ("set_autoscaling", SCALING | {"enabled": False}, {}, f"PUT {S}/autoscaling", SENT_SCALING | {"enabled": False}),
    ("delete_autoscaling", {}, answer(204), f"DELETE {S}/autoscaling", None),
    ("list_secret_files", {"limit": 3}, [], f"GET {S}/secret-files?limit=3", None),
    ("get_secret_file", {"name": ".env"}, FILE, f"GET {S}/secret-files/.env", None),
    ("set_secret_file", FILE, answer(201, FILE), f"PUT {S}/secret-files/.env", {"content": "A=1"}),
    ("delete_secret_file", {"name": ".env"}, answer(204), f"DELETE {S}/secret-files/.env", None),
    ("replace_all_secret_files", {"secret_files": {".env": "A=1"}}, [], f"PUT {S}/secret-files", [FILE]),
    ("replace_all_secret_files", {"secret_files": {}}, [], f"PUT {S}/secret-files", []),
    ("list_headers", {"path": ["/a", "/b"]}, [], f"GET {S}/headers?path=/a,/b&limit=20", None),
    ("add_header", HEADER, {"headers": {"id": "hdr-1"}}, f"POST {S}/headers", HEADER),
    ("replace_all_headers", {"headers": [HEADER]}, [], f"PUT {S}/headers", [HEADER]),
    ("delete_header", {"header_id": "hdr-1"}, answer(204), f"DELETE {S}/headers/hdr-1", None),
    ("list_routes", {"type": "rewrite"}, [], f"GET {S}/routes?type=rewrite&limit=20", None),
    ("add_route", ROUTE, {"id": "rdr-1"}, f"POST {S}/routes", ROUTE),
    ("add_route", ROUTE | {"priority": 0}, {"id": "rdr-1"}, f"POST {S}/routes", ROUTE | {"priority": 0}),
    ("replace_all_routes", {"routes": [ROUTE]}, [], f"PUT {S}/routes", [ROUTE]),
    ("delete_route", {"route_id": "rdr-1"}, answer(204), f"DELETE {S}/routes/rdr-1", None),
    ("add_disk", DISK, {"id": "dsk-1"}, "POST /disks", SENT_DISK | {"serviceId": "srv-1"}),
    ("link_env_group", {"env_group_id": "evg-1"}, {"id": "evg-1"}, "POST /env-groups/evg-1/services/srv-1", None),
    ("unlink_env_group", {"env_group_id": "evg-1"}, answer(204), "DELETE /env-groups/evg-1/services/srv-1", None),
]  # fmt: skip
NEW_POSTGRES = {"name": "db", "plan": "free", "version": "17", "owner_id": "tea-1"}
NEW_KEY_VALUE = {"name": "cache", "plan": "free", "owner_id": "tea-1"}
OFFICE = {"cidr_block": "203.0.113.0/24", "description": "office"}
SENT_OFFICE = {"cidrBlock": "203.0.113.0/24", "description": "office"}
GROUP = {"env_group_id": "evg-1"}
GROUP_VARIABLE, GROUP_FILE = "/env-groups/evg-1/env-vars/A", "/env-groups/evg-1/secret-files/.env"
DISKS = "diskId=dsk-1&diskId=dsk-2&name=a,b"

# name, arguments, reply, request line, request body
ELSEWHERE: list[tuple[str, dict[str, Any], Any, str, Any]] = [
    ("list_postgres", {"name": ["a", "b"]}, [], "GET /postgres?name=a,b&limit=20", None),
    ("get_postgres", {"postgres_id": "dpg-1"}, {"id": "dpg-1"}, "GET /postgres/dpg-1", None),
    (
        "create_postgres",
        NEW_POSTGRES,
        {"id": "dpg-1"},
        "POST /postgres",
        {"ownerId": "tea-1", "name": "db", "plan": "free", "version": "17"},
    ),
    (
        "create_postgres",
        NEW_POSTGRES
        | {
            "region": "ohio",
            "database_name": "shop",
            "database_user": "app",
            "disk_size_gb": 15,
            "disk_autoscaling": True,
            "high_availability": False,
            "parameter_overrides": {"max_connections": "200"},
            "read_replicas": [{"name": "a"}, {"name": "b", "parameter_overrides": {"work_mem": "8MB"}}],
            "ip_allow_list": [OFFICE, {"cidr_block": "10.0.0.0/8"}],
            "environment_id": "evm-1",
            "datadog_api_key": "k",
            "datadog_site": "EU",
        },
        {"id": "dpg-1"},
        "POST /postgres",
        {
            "ownerId": "tea-1",
            "name": "db",
            "plan": "free",
            "version": "17",
            "region": "ohio",
            "databaseName": "shop",
            "databaseUser": "app",
            "diskSizeGB": 15,
            "enableDiskAutoscaling": True,
            "enableHighAvailability": False,
            "parameterOverrides": {"max_connections": "200"},
            "readReplicas": [{"name": "a"}, {"name": "b", "parameterOverrides": {"work_mem": "8MB"}}],
            "ipAllowList": [SENT_OFFICE, {"cidrBlock": "10.0.0.0/8", "description": ""}],
            "environmentId": "evm-1",
            "datadogAPIKey": "k",
            "datadogSite": "EU",
        },
    ),
    (
        "update_postgres",
        {
            "postgres_id": "dpg-1",
            "plan": "pro_4gb",
            "disk_autoscaling": False,
            "ip_allow_list": [],
            "read_replicas": [],
        },
        {"id": "dpg-1"},
        "PATCH /postgres/dpg-1",
        {"plan": "pro_4gb", "enableDiskAutoscaling": False, "ipAllowList": [], "readReplicas": []},
    ),
    ("delete_postgres", {"postgres_id": "dpg-1"}, answer(204), "DELETE /postgres/dpg-1", None),
    ("suspend_postgres", {"postgres_id": "dpg-1"}, NONE, "POST /postgres/dpg-1/suspend", None),
    ("resume_postgres", {"postgres_id": "dpg-1"}, NONE, "POST /postgres/dpg-1/resume", None),
    ("restart_postgres", {"postgres_id": "dpg-1"}, NONE, "POST /postgres/dpg-1/restart", None),
    (
        "create_key_value",
        NEW_KEY_VALUE,
        {"id": "red-1"},
        "POST /key-value",
        {"ownerId": "tea-1", "name": "cache", "plan": "free"},
    ),
    (
        "create_key_value",
        NEW_KEY_VALUE
        | {
            "region": "ohio",
            "maxmemory_policy": "allkeys_lru",
            "ip_allow_list": [OFFICE],
            "environment_id": "evm-1",
        },
        {"id": "red-1"},
        "POST /key-value",
        {
            "ownerId": "tea-1",
            "name": "cache",
            "plan": "free",
            "region": "ohio",
            "maxmemoryPolicy": "allkeys_lru",
            "ipAllowList": [SENT_OFFICE],
            "environmentId": "evm-1",
        },
    ),
    (
        "update_key_value",
        {"key_value_id": "red-1", "name": "new", "maxmemory_policy": "noeviction"},
        {"id": "red-1"},
        "PATCH /key-value/red-1",
        {"name": "new", "maxmemoryPolicy": "noeviction"},
    ),
    ("delete_key_value", {"key_value_id": "red-1"}, answer(204), "DELETE /key-value/red-1", None),
    ("suspend_key_value", {"key_value_id": "red-1"}, NONE, "POST /key-value/red-1/suspend", None),
    ("resume_key_value", {"key_value_id": "red-1"}, NONE, "POST /key-value/red-1/resume", None),
    ("list_key_values", {"region": "ohio"}, [], "GET /key-value?region=ohio&limit=20", None),
    ("get_key_value", {"key_value_id": "red-1"}, {"id": "red-1"}, "GET /key-value/red-1", None),
    ("list_disks", {"disk_id": ["dsk-1", "dsk-2"], "name": ["a", "b"]}, [], f"GET /disks?{DISKS}&limit=20", None),
    ("get_disk", {"disk_id": "dsk-1"}, {"id": "dsk-1"}, "GET /disks/dsk-1", None),
    ("update_disk", {"disk_id": "dsk-1", "size_gb": 20}, {"id": "dsk-1"}, "PATCH /disks/dsk-1", {"sizeGB": 20}),
    ("update_disk", {"disk_id": "dsk-1"} | DISK, {"id": "dsk-1"}, "PATCH /disks/dsk-1", SENT_DISK),
    ("delete_disk", {"disk_id": "dsk-1"}, answer(204), "DELETE /disks/dsk-1", None),
    ("list_disk_snapshots", {"disk_id": "dsk-1"}, answer(201, []), "GET /disks/dsk-1/snapshots", None),
    (
        "restore_disk_snapshot",
        {"disk_id": "dsk-1", "snapshot_key": "k", "instance_id": "srv-1-a"},
        {"id": "dsk-1"},
        "POST /disks/dsk-1/snapshots/restore",
        {"snapshotKey": "k", "instanceId": "srv-1-a"},
    ),
    ("list_env_groups", {"name": ["a", "b"]}, [], "GET /env-groups?name=a,b&limit=20", None),
    ("get_env_group", GROUP, {"id": "evg-1"}, "GET /env-groups/evg-1", None),
    (
        "create_env_group",
        {"name": "shared", "owner_id": "tea-1"},
        {"id": "evg-1"},
        "POST /env-groups",
        {"name": "shared", "ownerId": "tea-1", "envVars": []},
    ),
    (
        "create_env_group",
        {
            "name": "shared",
            "owner_id": "tea-1",
            "env_vars": {"B": {"generate": True}, "A": 1},
            "secret_files": {".env": "A=1"},
            "service_ids": ["srv-1"],
            "environment_id": "evm-1",
        },
        {"id": "evg-1"},
        "POST /env-groups",
        {
            "name": "shared",
            "ownerId": "tea-1",
            "envVars": [{"key": "A", "value": "1"}, {"key": "B", "generateValue": True}],
            "secretFiles": [FILE],
            "serviceIds": ["srv-1"],
            "environmentId": "evm-1",
        },
    ),
    ("update_env_group", GROUP | {"name": "x"}, {"id": "evg-1"}, "PATCH /env-groups/evg-1", {"name": "x"}),
    ("delete_env_group", GROUP, answer(204), "DELETE /env-groups/evg-1", None),
    (
        "get_env_group_var",
        GROUP | {"key": "A"},
        {"key": "A", "value": "1"},
        "GET /env-groups/evg-1/env-vars/A",
        None,
    ),
    ("set_env_group_var", GROUP | {"key": "A", "value": True}, {}, f"PUT {GROUP_VARIABLE}", {"value": "true"}),
    (
        "set_env_group_var",
        GROUP | {"key": "A", "generate": True},
        {},
        f"PUT {GROUP_VARIABLE}",
        {"generateValue": True},
    ),
    ("delete_env_group_var", GROUP | {"key": "A"}, answer(204), f"DELETE {GROUP_VARIABLE}", None),
    ("get_env_group_file", GROUP | {"name": ".env"}, FILE, f"GET {GROUP_FILE}", None),
    ("set_env_group_file", GROUP | FILE, {}, f"PUT {GROUP_FILE}", {"content": "A=1"}),
    ("delete_env_group_file", GROUP | {"name": ".env"}, answer(204), f"DELETE {GROUP_FILE}", None),
    ("list_projects", {"name": "shop"}, [], "GET /projects?name=shop&limit=20", None),
    ("get_project", {"project_id": "prj-1"}, {"id": "prj-1"}, "GET /projects/prj-1", None),
    (
        "list_environments",
        {"project_id": ["prj-1", "prj-2"]},
        [],
        "GET /environments?projectId=prj-1,prj-2&limit=20",
        None,
    ),
    ("get_environment", {"environment_id": "evm-1"}, {"id": "evm-1"}, "GET /environments/evm-1", None),
    (
        "get_metrics",
        {"metric": "cpu", "resource_id": ["srv-1", "srv-2"], "aggregate": "avg", "resolution": 300},
        [],
        "GET /metrics/cpu?resource=srv-1&resource=srv-2&resolutionSeconds=300&aggregationMethod=AVG",
        None,
    ),
    (
        "get_metrics",
        {"metric": "http_latency", "resource_id": "srv-1", "host": "a.example", "quantile": [0.5, 0.95]},
        [],
        "GET /metrics/http-latency?resource=srv-1&host=a.example&quantile=0.5&quantile=0.95",
        None,
    ),
    ("list_owners", {"limit": 7, "cursor": "c"}, [], "GET /owners?limit=7&cursor=c", None),
]


@pytest.mark.parametrize(("name", "arguments", "reply", "line", "body"), REQUESTS)
def test_what_leaves_for_a_service(name: str, arguments: dict[str, Any], reply: Any, line: str, body: Any) -> None:
    """Each function about a service makes exactly one request, with this line and this body."""
    send = Canned(reply)

    result = account(send)(name, service_id="srv-1", **arguments)

    assert send.lines == [line]
    assert body_of(send.requests[0]) == body
    assert isinstance(result, dict)


@pytest.mark.parametrize(("name", "arguments", "reply", "line", "body"), ELSEWHERE)
def test_what_leaves_for_anything_else(name: str, arguments: dict[str, Any], reply: Any, line: str, body: Any) -> None:
    """So does each function about a store, a workspace or what else is not part of a service."""
    send = Canned(reply)

    result = account(send)(name, **arguments)

    assert send.lines == [line]
    assert body_of(send.requests[0]) == body
    assert isinstance(result, dict)


def test_every_function_is_in_a_table_here_or_tested_by_itself() -> None:
    """No function is left out by accident."""
    by_itself = {"update_service", "list_logs", "get_postgres_connection_info", "get_key_value_connection_info"}
    seed = {"list_services", "get_service", "create_service", "get_deploy", "get_current_user"}
    rows = {row[0] for row in REQUESTS} | {row[0] for row in ELSEWHERE}

    assert rows | by_itself | seed == set(integration.functions)


def test_a_void_answer_becomes_a_table() -> None:
    """Where Render says nothing, the result says at least what was asked of which service."""
    call = account(Canned(NONE, answer(204), NONE))

    assert call("suspend_service", service_id="srv-1") == {"service_id": "srv-1", "accepted": True}
    assert call("delete_service", service_id="srv-1") == {"service_id": "srv-1", "deleted": True}
    assert call("verify_custom_domain", service_id="srv-1", domain="a.example") == {
        "domain": "a.example",
        "accepted": True,
    }


# Deploys


def test_a_deploy_that_is_queued_has_no_id_yet() -> None:
    """Render answers 202 without a body when another deploy is under way, and may not list it at once."""
    earlier = page("deploy", [{"id": "dep-1", "trigger": "api", "finishedAt": "2026-03-01T00:00:00Z"}])
    deploy = account(Canned(NONE, earlier))("trigger_deploy", service_id="srv-1")["deploy"]

    assert deploy["id"] == ""
    assert deploy["status"] == "queued"
    assert deploy["commit"]["message"] == ""


def test_a_deploy_is_accepted_even_if_it_cannot_be_looked_up() -> None:
    """A request that only reads makes no error of a write that was made."""
    deploy = account(Canned(NONE, answer(500)))("trigger_deploy", service_id="srv-1")["deploy"]

    assert deploy["status"] == "queued"


@pytest.mark.parametrize(
    "arguments",
    [
        {"commit_id": "abc", "image_url": "nginx"},
        {"commit_id": "abc", "deploy_only": True},
        {"image_url": "nginx", "deploy_only": True},
        {"clear_cache": True, "deploy_only": True},
    ],
)
def test_deploy_settings_that_exclude_each_other_are_refused(arguments: dict[str, Any]) -> None:
    """Render documents that these do not go together; nothing is sent."""
    send = Canned()

    with pytest.raises(BadArguments):
        account(send)("trigger_deploy", service_id="srv-1", **arguments)

    assert send.requests == []


@pytest.mark.parametrize("name", ["cancel_deploy", "rollback_deploy"])
def test_writes_find_the_service_of_a_deploy_too(name: str) -> None:
    """Without service_id the service is looked for, and only then is the one write sent."""
    send = Canned(page("service", [{"id": "srv-1"}]), {"id": "dep-1"}, {"id": "dep-2"})

    deploy = account(send)(name, deploy_id="dep-1")["deploy"]

    assert deploy["service_id"] == "srv-1"
    assert [line.partition(" ")[0] for line in send.lines] == ["GET", "GET", "POST"]


def test_a_deploy_goes_on_until_it_is_live() -> None:
    """A deploy that was triggered is built, shipped and live, and the one before it is live no more."""
    now = [SIMULATION_START]
    call = simulated(clock=lambda: now[0])
    deploy = call("trigger_deploy", service_id=SERVICE)["deploy"]
    seen = [deploy["status"]]
    for seconds in (40, 10, 10, 3600):
        now[0] += seconds
        seen.append(call("get_deploy", deploy_id=deploy["id"])["deploy"]["status"])

    assert seen == ["build_in_progress", "build_in_progress", "update_in_progress", "live", "live"]
    assert call("get_deploy", deploy_id=DEPLOY, service_id=SERVICE)["deploy"]["status"] == "deactivated"


def test_a_deploy_can_be_cancelled_once() -> None:
    """A cancelled deploy stays so, and cancelling it again is Render's error."""
    call = simulated()
    deploy = call("trigger_deploy", service_id=SERVICE)["deploy"]

    assert call("cancel_deploy", deploy_id=deploy["id"])["deploy"]["status"] == "canceled"
    with pytest.raises(ApiError, match="400"):
        call("cancel_deploy", deploy_id=deploy["id"])


def test_a_deploy_that_was_never_live_cannot_be_rolled_back_to() -> None:
    """Render has no build of it."""
    call = simulated()
    failed = call("list_deploys", service_id=SERVICE, status="build_failed", all=True)["deploys"][0]

    with pytest.raises(ApiError, match="build_failed"):
        call("rollback_deploy", deploy_id=failed["id"], service_id=SERVICE)


def test_a_rollback_ships_the_old_commit_again() -> None:
    """The new deploy has the commit of the one that was named."""
    call = simulated()
    old = call("list_deploys", service_id=SERVICE, status="deactivated", limit=1)["deploys"][0]

    new = call("rollback_deploy", deploy_id=old["id"])["deploy"]

    assert new["commit"] == old["commit"]
    assert new["trigger"] == "rollback"
    assert new["id"] != old["id"]


# Services


def test_suspending_and_resuming_show_in_the_status() -> None:
    """The derived status follows, and the filter finds the service."""
    call = simulated()
    call("suspend_service", service_id=SERVICE)
    assert call("get_service", service_id=SERVICE)["service"]["status"] == "suspended"
    assert SERVICE in [service["id"] for service in call("list_services", suspended=True, all=True)["services"]]

    call("resume_service", service_id=SERVICE)
    assert call("get_service", service_id=SERVICE)["service"]["status"] == "active"


def _details(**details: Any) -> dict[str, Any]:
    return {"serviceDetails": details}


def test_scaling_and_deleting() -> None:
    """A service has as many instances as it was scaled to, and is gone once deleted."""
    call = simulated()
    call("scale_service", service_id=SERVICE, num_instances=5)
    assert call("get_service", service_id=SERVICE)["service"]["serviceDetails"]["numInstances"] == 5

    call("delete_service", service_id=SERVICE)
    with pytest.raises(ApiError, match="not found: srv-cabc12345678") as caught:
        call("get_service", service_id=SERVICE)
    assert caught.value.status == 404
    assert caught.value.request_id


@pytest.mark.parametrize(
    ("kind", "runtime", "arguments", "body"),
    [
        ("web_service", "node", {"name": "new", "auto_deploy": False}, {"name": "new", "autoDeploy": "no"}),
        ("web_service", "node", {"start_command": "x"}, _details(envSpecificDetails={"startCommand": "x"})),
        ("web_service", "docker", {"start_command": "x"}, _details(envSpecificDetails={"dockerCommand": "x"})),
        ("static_site", None, {"build_command": "npm run build"}, _details(buildCommand="npm run build")),
        ("cron_job", "python", {"schedule": "1 * * * *", "plan": "pro"}, _details(schedule="1 * * * *", plan="pro")),
        ("private_service", "image", {"image": "nginx:2"}, {"image": {"imagePath": "nginx:2", "ownerId": "tea-1"}}),
        ("web_service", "image", {"start_command": "x"}, _details(envSpecificDetails={"dockerCommand": "x"})),
        ("cron_job", "image", {"start_command": ""}, _details(envSpecificDetails={"dockerCommand": ""})),
        ("web_service", "image", {"root_dir": ""}, {"rootDir": ""}),
        ("cron_job", "image", {"docker_context": ""}, _details(envSpecificDetails={"dockerContext": ""})),
    ],
)
def test_a_change_goes_where_the_service_keeps_it(
    kind: str, runtime: str | None, arguments: dict[str, Any], body: dict[str, Any]
) -> None:
    """The service is read first; only what was given is sent, nested as its type and runtime demand."""
    service = {"id": "srv-1", "type": kind, "ownerId": "tea-1", "serviceDetails": {"runtime": runtime}}
    send = Canned(service, service | {"name": "changed"})

    result = account(send)("update_service", service_id="srv-1", **arguments)

    assert send.lines == ["GET /services/srv-1", "PATCH /services/srv-1"]
    assert body_of(send.requests[1]) == body
    assert result["service"]["name"] == "changed"


@pytest.mark.parametrize(
    ("kind", "runtime", "arguments"),
    [
        ("web_service", "node", {"schedule": "1 * * * *"}),
        ("web_service", "docker", {"build_command": "make"}),
        ("web_service", "image", {"build_command": "make"}),
        ("web_service", "image", {"branch": "next"}),
        ("web_service", "node", {"dockerfile_path": "Dockerfile"}),
        ("web_service", "node", {"registry_credential_id": "rgc-1"}),
        ("static_site", None, {"image": "nginx"}),
        ("static_site", None, {"runtime": "image"}),
        ("cron_job", "node", {"previews": {"generation": "off"}}),
        ("background_worker", "node", {"cache": {"profile": "no-cache"}}),
        ("cron_job", "node", {"health_check_path": "/up"}),
        ("static_site", None, {"plan": "pro"}),
    ],
)
def test_a_change_that_does_not_fit_changes_nothing(kind: str, runtime: str | None, arguments: dict[str, Any]) -> None:
    """It is bad_arguments, says that nothing was changed, and no PATCH leaves."""
    send = Canned({"id": "srv-1", "type": kind, "serviceDetails": {"runtime": runtime}})

    with pytest.raises(CallError, match="nothing was changed") as caught:
        account(send)("update_service", service_id="srv-1", **arguments)

    assert caught.value.code == "bad_arguments"
    assert caught.value.param == next(iter(arguments))
    assert send.lines == ["GET /services/srv-1"]


def test_an_empty_change_is_refused() -> None:
    """A call that would change nothing is a mistake, told before anything is sent."""
    send = Canned()

    with pytest.raises(BadArguments, match="nothing to change"):
        account(send)("update_service", service_id="srv-1")

    assert send.requests == []


def test_changes_are_kept() -> None:
    """What was changed is read back, and the rest is as it was."""
    call = simulated()
    before = call("get_service", service_id=CRON)["service"]

    call("update_service", service_id=CRON, schedule="1 2 * * *", start_command="npm run tidy")
    after = call("get_service", service_id=CRON)["service"]

    assert after["serviceDetails"]["schedule"] == "1 2 * * *"
    assert after["serviceDetails"]["envSpecificDetails"]["startCommand"] == "npm run tidy"
    assert after["repo"] == before["repo"]


# Environment variables


@pytest.mark.parametrize("arguments", [{}, {"value": "x", "generate": True}])
def test_a_variable_needs_one_value(arguments: dict[str, Any]) -> None:
    """Neither a value nor the wish to have one made, or both, is refused."""
    send = Canned()

    with pytest.raises(BadArguments, match="value or generate"):
        account(send)("set_env_var", service_id="srv-1", key="A", **arguments)

    assert send.requests == []


@pytest.mark.parametrize("key", ["A B", "A/B", "../A", "", "A\n", ".."])
def test_what_cannot_be_a_variables_name_never_leaves(key: str) -> None:
    """A name is a part of the address, so it is checked like an id."""
    send = Canned()

    with pytest.raises(BadArguments):
        account(send)("get_env_var", service_id="srv-1", key=key)

    assert send.requests == []


def test_setting_one_variable_keeps_the_others_and_replacing_does_not() -> None:
    """The two ways to change an environment do what their names say."""
    call = simulated()

    def keys() -> set[str]:
        return {each["key"] for each in call("list_env_vars", service_id=SERVICE)["env_vars"]}

    before = keys()
    call("set_env_var", service_id=SERVICE, key="NEW", value=True)
    assert keys() == before | {"NEW"}
    assert call("get_env_var", service_id=SERVICE, key="NEW")["env_var"] == {"key": "NEW", "value": "true"}

    call("delete_env_var", service_id=SERVICE, key="NEW")
    assert keys() == before

    for odd in ({"A B": "x"}, {"A": {"generate": False}}):
        with pytest.raises(BadArguments, match="env_vars"):
            call("replace_all_env_vars", service_id=SERVICE, env_vars=odd)
    replaced = call("replace_all_env_vars", service_id=SERVICE, env_vars={"ONLY": {"generate": True}})
    assert keys() == {"ONLY"}
    assert replaced["env_vars"][0]["value"]


# Jobs


def test_a_job_runs_to_its_end() -> None:
    """A job is pending, running and done; one that cannot succeed fails."""
    now = [SIMULATION_START]
    call = simulated(clock=lambda: now[0])
    for command, ending in (("rake db:migrate", "succeeded"), ("exit 1", "failed")):
        job = call("create_job", service_id=SERVICE, start_command=command)["job"]
        seen = []
        for seconds in (1, 10, 20):
            now[0] += seconds
            seen.append(call("get_job", service_id=SERVICE, job_id=job["id"])["job"]["status"])
        assert seen == ["pending", "running", ending]


def test_cron_jobs_run_when_told() -> None:
    """A run starts as pending; a service that is no cron job has none."""
    call = simulated()

    assert call("run_cron_job", service_id=CRON)["run"]["status"] == "pending"
    with pytest.raises(ApiError, match="404"):
        call("run_cron_job", service_id=SERVICE)


# Logs and events


def test_logs_ask_the_service_for_its_workspace_once() -> None:
    """Render wants the workspace: the service tells it, and it is remembered."""
    empty = {"logs": [], "hasMore": False, "nextStartTime": "a", "nextEndTime": "b"}
    send = Canned({"id": "srv-1", "ownerId": "tea-7"}, empty, empty)
    call = account(send, owner_id="tea-1")

    result = call("list_logs", resource_id="srv-1", level=["error", "warn"], text="boom")
    call("list_logs", resource_id="srv-1", start_time="2026-01-01T00:00:00Z")

    assert result == {"logs": [], "has_more": False, "next_start_time": "a", "next_end_time": "b"}
    assert send.lines == [
        "GET /services/srv-1",
        "GET /logs?ownerId=tea-7&resource=srv-1&direction=backward&level=error&level=warn&text=boom&limit=20",
        "GET /logs?ownerId=tea-7&resource=srv-1&startTime=2026-01-01T00:00:00Z&direction=backward&limit=20",
    ]


@pytest.mark.parametrize(("given", "expected"), [({}, "tea-1"), ({"owner_id": "tea-2"}, "tea-2")])
def test_logs_of_a_database_are_in_the_accounts_workspace(given: dict[str, str], expected: str) -> None:
    """What is no service cannot be asked: the account's workspace is taken, or the one given."""
    send = Canned({"logs": []})

    account(send, owner_id="tea-1")("list_logs", resource_id=["dpg-1", "red-1"], **given)

    assert send.lines == [f"GET /logs?ownerId={expected}&resource=dpg-1&resource=red-1&direction=backward&limit=20"]


def test_log_entries_have_what_scripts_print() -> None:
    """Level, type and instance are read off the labels, and are empty where there are none."""
    labelled = {"id": "1", "message": "m", "timestamp": "t", "labels": [{"name": "level", "value": "error"}]}
    send = Canned({"logs": [labelled, {"labels": None, "message": None}], "hasMore": True})

    first, second = account(send, owner_id="tea-1")("list_logs", resource_id="dpg-1")["logs"]

    assert first["level"] == "error"
    assert first["type"] == ""
    assert first["labels"] == labelled["labels"]
    assert second["message"] == ""
    assert second["timestamp"] == ""
    assert second["level"] == ""


@pytest.mark.parametrize("direction", ["backward", "forward"])
def test_the_times_of_a_log_page_lead_to_the_next(direction: str) -> None:
    """Following them gives each entry once, in order."""
    call, seen, times, pages = simulated(), [], {}, 0
    while True:
        result = call("list_logs", resource_id=SERVICE, direction=direction, limit=25, **times)
        seen += [entry["timestamp"] for entry in result["logs"]]
        times, pages = {"start_time": result["next_start_time"], "end_time": result["next_end_time"]}, pages + 1
        if not result["has_more"]:
            break

    assert pages == 3
    assert seen == sorted(set(seen), reverse=direction == "backward")
    assert len(seen) == 60 - 1  # the hour before now has moved on by a second or two


def test_events_tell_of_deploys() -> None:
    """The newest events come first, and a filter keeps one type."""
    call = simulated()

    always = {"service_id": SERVICE, "start_time": "2026-01-01T00:00:00Z"}
    events = call("list_events", **always, type="deploy_ended", all=True)["events"]

    assert {event["type"] for event in events} == {"deploy_ended"}
    assert events[0]["details"] == {"deployId": DEPLOY, "deployStatus": "succeeded"}
    assert len(events) == 45


def test_events_without_times_are_those_of_the_last_hour() -> None:
    """As Render's document has it, for events as for logs."""
    call = simulated()
    call("trigger_deploy", service_id=SERVICE)

    (event,) = call("list_events", service_id=SERVICE, type="deploy_started", all=True)["events"]

    assert event["timestamp"].startswith("2026-03-02T09:00:0")


def test_a_deploy_of_a_private_service_is_looked_up() -> None:
    """Render answers without a body; the list of deploys knows what was started."""
    call = simulated()
    service_id = call("list_services", type="private_service", limit=1)["services"][0]["id"]

    deploy = call("trigger_deploy", service_id=service_id)["deploy"]

    assert deploy["id"] == call("list_deploys", service_id=service_id, limit=1)["deploys"][0]["id"]
    assert deploy["trigger"] == "api"


def test_a_deploy_of_a_cron_job_has_an_id() -> None:
    """One that runs an image has nothing to build and is live at once; one with a repository is built."""
    call = simulated()
    crons = call("list_services", type="cron_job", all=True)["services"]
    image = next(cron for cron in crons if cron.get("imagePath"))

    assert call("trigger_deploy", service_id=image["id"])["deploy"]["status"] == "live"
    deploy = call("trigger_deploy", service_id=CRON)["deploy"]
    assert deploy["id"][:4] == "dep-"
    assert deploy["status"] == "build_in_progress"


# Domains and stores


def test_an_apex_domain_brings_www_with_it() -> None:
    """Two domains come of one, both unverified until Render has looked."""
    call = simulated()

    added = call("create_custom_domain", service_id=SERVICE, name="example.org")["custom_domains"]
    assert [domain["name"] for domain in added] == ["example.org", "www.example.org"]
    assert added[0]["verificationStatus"] == "unverified"

    call("verify_custom_domain", service_id=SERVICE, domain="example.org")
    found = call("get_custom_domain", service_id=SERVICE, domain="example.org")["custom_domain"]
    assert found["verificationStatus"] == "verified"

    call("delete_custom_domain", service_id=SERVICE, domain="example.org")
    left = call("list_custom_domains", service_id=SERVICE)["custom_domains"]
    assert "example.org" not in [domain["name"] for domain in left]


def test_a_creation_of_domains_that_answers_otherwise_is_an_error() -> None:
    """Render answers with a list; anything else is not taken for one."""
    with pytest.raises(NetworkError, match="a dict instead of a list"):
        account(Canned(DOMAIN))("create_custom_domain", service_id="srv-1", name="a.example")


@pytest.mark.parametrize("domain", ["a.example/..", "a b", "", "a.example\r\nX: y"])
def test_what_cannot_be_a_domain_never_leaves(domain: str) -> None:
    """Domains are checked like ids."""
    send = Canned()

    with pytest.raises(BadArguments):
        account(send)("get_custom_domain", service_id="srv-1", domain=domain)

    assert send.requests == []


@pytest.mark.parametrize(
    ("arguments", "param"),
    [
        ({"metric": "memory", "aggregate": "avg"}, "aggregate"),
        ({"metric": "http_requests", "instance": "srv-1-a"}, "instance"),
        ({"metric": "cpu", "host": "a.example"}, "host"),
        ({"metric": "http_requests", "quantile": 0.5}, "quantile"),
        ({"metric": "http_latency", "aggregate_by": "host"}, "aggregate_by"),
        ({"metric": "bandwidth", "resolution": 60}, "resolution"),
    ],
)
def test_what_a_metric_does_not_have_is_refused(arguments: dict[str, Any], param: str) -> None:
    """Render would ignore it, and the script would take the answer for another one."""
    send = Canned()

    with pytest.raises(BadArguments) as refused:
        account(send)("get_metrics", resource_id="srv-1", **arguments)

    assert refused.value.param == param
    assert send.requests == []


@pytest.mark.parametrize(
    "arguments", [{"min": 3, "max": 2, "criteria": {"cpu": {"percentage": 60}}}, {"min": 1, "max": 2, "criteria": {}}]
)
def test_scaling_that_cannot_be_is_refused(arguments: dict[str, Any]) -> None:
    """Fewer at most than at least, or nothing to scale by."""
    send = Canned()

    with pytest.raises(BadArguments):
        account(send)("set_autoscaling", service_id="srv-1", **arguments)

    assert send.requests == []


def test_environment_groups_are_read_in_either_form() -> None:
    """Render's document lists them without the object around each that other lists have."""
    wrapped = page("envGroup", [{"id": "evg-1"}])

    for reply in ([{"id": "evg-1"}], wrapped):
        found = account(Canned(reply))("list_env_groups")["env_groups"]
        assert [(group["id"], group["name"], group["serviceLinks"]) for group in found] == [("evg-1", "", [])]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("get_service", {"service_id": "checkout-api"}),
        ("restart_service", {"service_id": "dpg-cabc12345678"}),
        ("get_deploy", {"deploy_id": "latest"}),
        ("get_env_group", {"env_group_id": "evm-1"}),
        ("delete_header", {"service_id": "srv-1", "header_id": "rdr-1"}),
        ("list_logs", {"resource_id": ["srv-1", "api"]}),
    ],
)
def test_an_id_of_another_kind_is_refused(name: str, arguments: dict[str, object]) -> None:
    """A name, or the id of something else, would be answered by 404, so nothing is sent."""
    send = Canned()

    with pytest.raises(BadArguments, match=r"must be a string like '\w+-cabc12345678'|must be a list"):
        account(send)(name, **arguments)

    assert send.requests == []


@pytest.mark.parametrize(
    ("name", "id"), [("update_postgres", "dpg-1"), ("update_key_value", "red-1"), ("update_disk", "dsk-1")]
)
def test_a_change_of_nothing_is_refused(name: str, id: str) -> None:
    """It would be a request without a meaning, so nothing is sent."""
    send = Canned()

    with pytest.raises(BadArguments, match="nothing to change"):
        account(send)(name, **{name.removeprefix("update_") + "_id": id})

    assert send.requests == []


@pytest.mark.parametrize(
    ("lister", "getter", "key", "id_name"),
    [
        ("list_postgres", "get_postgres", "postgres", "postgres_id"),
        ("list_key_values", "get_key_value", "key_value", "key_value_id"),
    ],
)
def test_stores_are_listed_and_read_without_their_secrets(lister: str, getter: str, key: str, id_name: str) -> None:
    """A list and a single reply agree, and neither has a password or a connection string."""
    call = simulated("production")
    listed = next(iter(call(lister, all=True)[{"postgres": "postgres", "key_value": "key_values"}[key]]))

    found = call(getter, **{id_name: listed["id"]})[key]

    assert found == listed
    assert found["status"] == "available"
    assert not [field for field in found if "password" in field.lower() or "connection" in field.lower()]
