"""The simulated Render beside the real one, as its own provider was recorded: what it answers, and what it takes."""

from __future__ import annotations

from typing import Any

import pytest
from support.render2_account import BASE, HEADERS, Simulator, ask, owner_of, simulated

from kosmolua.plugin import Request

SERVICE = "srv-cabc12345678"
DASHBOARD = {
    "web_service": "web",
    "static_site": "static",
    "background_worker": "worker",
    "cron_job": "cron",
    "private_service": "pserv",
}
"""Where a service of each type is in Render's dashboard."""


def test_services_have_what_real_replies_have() -> None:
    """Each type has the fields that were recorded of it, whether anybody asked for them or not."""
    services = simulated()("list_services", all=True)["services"]
    of_type = {kind: [each for each in services if each["type"] == kind] for kind in DASHBOARD}

    for kind, found in of_type.items():
        previewed = {"previews", "pullRequestPreviewsEnabled"} if kind != "cron_job" else set()
        reached = {"sshAddress", "maxShutdownDelaySeconds"} if kind not in ("static_site", "cron_job") else set()
        web = {"maintenanceMode", "cache", "ipAllowList", "healthCheckPath"} if kind == "web_service" else set()
        for each in found:
            assert previewed | reached | web <= set(each["serviceDetails"])
            assert {"slug", "notifyOnFail", "autoDeploy", "autoDeployTrigger", "suspenders"} <= set(each)
            assert each["dashboardUrl"] == f"https://dashboard.render.com/{DASHBOARD[kind]}/{each['id']}"
    for field in ("environmentId", "buildFilter", "registryCredential"):
        assert 0 < sum(field in each for each in services) < len(services)
    for field in ("disk", "autoscaling", "parentServer"):
        assert any(field in each["serviceDetails"] for each in services)
    assert {each["autoDeployTrigger"] for each in services} == {"commit", "checksPass", "off"}


def test_most_cron_jobs_run_an_image() -> None:
    """So do most of those that were recorded; the first one is built, as the documentation's is."""
    crons = simulated()("list_services", type="cron_job", all=True)["services"]
    images = [cron for cron in crons if cron.get("imagePath")]

    assert len(crons) / 2 < len(images) < len(crons)
    assert not any("repo" in cron for cron in images)
    assert images[0]["serviceDetails"]["envSpecificDetails"].keys() >= {"dockerCommand", "dockerfilePath"}


def test_most_stores_have_no_list_of_addresses() -> None:
    """Render tells it by null, so a script that counts the ranges has to look first."""
    call = simulated()

    for lister, key in (("list_postgres", "postgres"), ("list_key_values", "key_values")):
        stores = call(lister)[key]
        assert any(store["ipAllowList"] is None for store in stores)
        assert any(store["ipAllowList"] for store in stores)
        assert any("environmentId" in store for store in stores)
        assert not any("twoFactorAuthEnabled" in store["owner"] for store in stores)
    assert [store["name"] for store in call("list_postgres")["postgres"] if store["readReplicas"]] == ["main-db"]


def test_accounts_have_variables_of_their_own() -> None:
    """One script over several accounts finds names that only one has, and values that differ."""
    found = {
        name: {each["key"]: each["value"] for each in simulated(name)("list_env_vars", service_id=SERVICE)["env_vars"]}
        for name in ("default", "production", "staging")
    }

    assert len({variables["LOG_LEVEL"] for variables in found.values()}) == 3
    assert len({variables["DATABASE_URL"] for variables in found.values()}) == 3
    assert "FEATURE_FLAGS" in found["staging"].keys() - found["production"].keys() - found["default"].keys()


@pytest.mark.parametrize(
    "changes",
    [
        {"serviceDetails": {"env": "node", "envSpecificDetails": {"buildCommand": "make", "startCommand": "serve"}}},
        {"serviceDetails": {"runtime": "docker"}, "envVars": None, "secretFiles": None},
        {"serviceDetails": {"runtime": "docker"}, "buildFilter": {"paths": None, "ignoredPaths": None}},
        {"serviceDetails": {"runtime": "docker", "disk": None, "autoscaling": None}, "autoDeployTrigger": "checksPass"},
        {
            "type": "cron_job",
            "repo": None,
            "image": {"imagePath": "nginx", "ownerId": ""},
            "serviceDetails": {
                "runtime": "image",
                "schedule": "0 0 * * *",
                "envSpecificDetails": {"dockerCommand": "", "registryCredential": {"id": "", "name": ""}},
            },
        },
    ],
)
def test_what_render_was_seen_to_take_is_taken(changes: dict[str, Any]) -> None:
    """Render's own provider sends null for what is not given, and the older name of the runtime."""
    send = Simulator("default")
    body = {"type": "web_service", "name": "new", "repo": "https://github.com/a/b", "ownerId": owner_of(send)}

    assert ask(send, "POST", "/services", body=body | changes).status == 201


def test_null_clears_the_environment() -> None:
    """A PUT of null was answered with an empty list."""
    send = Simulator("default")
    request = Request(
        "PUT", f"{BASE}/services/{SERVICE}/env-vars", (), HEADERS | {"Content-Type": "application/json"}, b"null"
    )

    assert send(request).status == 200
    assert send(request).json() == []


def test_a_short_image_gets_its_whole_name() -> None:
    """Render answers with the registry and the tag that it chose."""
    call = simulated()
    made = call("create_service", type="cron_job", name="n", schedule="0 0 * * *", image="nginx", start_command="true")

    assert made["service"]["imagePath"] == "docker.io/library/nginx:latest"
    assert made["service"]["serviceDetails"]["envSpecificDetails"] == {
        "dockerCommand": "true",
        "dockerContext": "",
        "dockerfilePath": "",
    }


def test_a_source_is_switched_both_ways() -> None:
    """Repository and image replace each other, and the commands are those of the new runtime."""
    call = simulated()
    image = call("update_service", service_id=SERVICE, image="docker.io/acme/api:2", start_command="serve")["service"]
    assert image["imagePath"] == "docker.io/acme/api:2"
    assert image.get("repo") is None
    assert image.get("branch") is None
    assert image["serviceDetails"]["runtime"] == image["serviceDetails"]["env"] == "image"
    assert image["serviceDetails"]["envSpecificDetails"]["dockerCommand"] == "serve"

    built = call("update_service", service_id=SERVICE, repo="https://github.com/a/b", branch="main", runtime="python")[
        "service"
    ]
    assert built["repo"] == "https://github.com/a/b"
    assert built.get("imagePath") is None
    assert built["serviceDetails"]["envSpecificDetails"].keys() == {"buildCommand", "startCommand"}


def test_maintenance_mode_on_the_free_plan_is_refused() -> None:
    """Render refuses it even when it is off."""
    send = Simulator("default")
    off = {"maintenanceMode": {"enabled": False, "uri": ""}}

    assert ask(send, "PATCH", f"/services/{SERVICE}", body={"serviceDetails": off}).status == 200
    assert ask(send, "PATCH", f"/services/{SERVICE}", body={"serviceDetails": off | {"plan": "free"}}).status == 400


@pytest.mark.parametrize(
    ("name", "arguments", "key"),
    [
        ("list_services", {"created_before": "2026-01-01T00:00:00Z"}, "services"),
        ("list_services", {"updated_after": "2026-03-01T00:00:00Z"}, "services"),
        ("list_services", {"include_previews": False}, "services"),
        ("list_services", {"env": ["node"]}, "services"),
        ("list_deploys", {"service_id": SERVICE, "finished_after": "2026-02-20T00:00:00Z"}, "deploys"),
        ("list_jobs", {"service_id": SERVICE, "started_before": "2026-03-01T00:00:00Z"}, "jobs"),
        ("list_custom_domains", {"service_id": SERVICE, "domain_type": "apex"}, "custom_domains"),
        ("list_postgres", {"suspended": True}, "postgres"),
        ("list_postgres", {"include_replicas": False}, "postgres"),
        ("list_key_values", {"created_after": "2025-08-14T00:00:00Z"}, "key_values"),
        ("list_logs", {"resource_id": SERVICE, "status_code": "5*", "limit": 100}, "logs"),
        ("list_logs", {"resource_id": SERVICE, "method": "GET", "limit": 100}, "logs"),
    ],
)
def test_filters_keep_some_and_drop_some(name: str, arguments: dict[str, Any], key: str) -> None:
    """A filter that is sent is heeded."""
    call = simulated()
    given = {each: value for each, value in arguments.items() if each in ("service_id", "resource_id", "limit")}
    everything = {} if name == "list_logs" else {"all": True}

    kept = call(name, **arguments, **everything)[key]

    assert 0 < len(kept) < len(call(name, **given, **everything)[key])


def test_services_are_found_by_their_environment() -> None:
    """The filter and the field agree."""
    call = simulated()
    wanted = next(each["environmentId"] for each in call("list_services")["services"] if "environmentId" in each)

    found = call("list_services", environment_id=wanted, all=True)["services"]

    assert found
    assert {each["environmentId"] for each in found} == {wanted}
