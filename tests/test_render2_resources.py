"""What surrounds services in a simulated Render: files, groups, projects, disks, scaling, rules of sites, metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.render2_account import Simulator, account, simulated

from kosmolua import Runtime
from kosmolua.calls.approvals import Approval
from kosmolua.plugin import ApiError, CallError

SERVICE, CRON = "srv-cabc12345678", "crn-cabc12345678"
GROUP, ENVIRONMENT, PROJECT = "evg-cabc12345678", "evm-cabc12345678", "prj-cabc12345678"
Call = Callable[..., Any]


@pytest.fixture
def call() -> Call:
    """A function that calls those of a fresh simulated account."""
    return simulated()


def status_of(call: Call, name: str, /, **arguments: Any) -> int | None:
    """Return the status that a call is refused with."""
    with pytest.raises(ApiError) as refused:
        call(name, **arguments)
    return refused.value.status


def site_of(call: Call) -> str:
    """Return the id of a static site."""
    return str(call("list_services", type="static_site", limit=1)["services"][0]["id"])


# Secret files


def test_setting_one_file_keeps_the_others_and_replacing_does_not(call: Call) -> None:
    """The ways to change secret files do what their names say."""

    def names() -> list[str]:
        return [file["name"] for file in call("list_secret_files", service_id=SERVICE)["secret_files"]]

    call("set_secret_file", service_id=SERVICE, name="a.pem", content="A")
    assert names() == [".env.local", "a.pem"]
    assert call("get_secret_file", service_id=SERVICE, name="a.pem")["secret_file"]["content"] == "A"
    call("delete_secret_file", service_id=SERVICE, name=".env.local")
    assert names() == ["a.pem"]
    assert status_of(call, "delete_secret_file", service_id=SERVICE, name=".env.local") == 404
    replaced = call("replace_all_secret_files", service_id=SERVICE, secret_files={"b": "", "c": "C"})
    assert names() == [file["name"] for file in replaced["secret_files"]] == ["b", "c"]


def test_a_service_has_the_files_that_it_was_created_with(call: Call) -> None:
    """They are there to be read."""
    arguments = {
        "type": "web_service",
        "name": "new",
        "repo": "https://github.com/a/b",
        "secret_files": {".env": "A=1"},
    }
    service = call("create_service", **arguments)["service"]

    assert call("list_secret_files", service_id=service["id"])["secret_files"] == [{"name": ".env", "content": "A=1"}]


# Environment groups, projects and environments


def test_a_group_has_its_variables_files_and_services(call: Call) -> None:
    """What it is created with is read back, what is set is added, and what is deleted is gone."""
    made = call(
        "create_env_group",
        name="new",
        env_vars={"A": 1, "B": {"generate": True}},
        secret_files={".env": "A=1"},
        service_ids=[CRON],
        environment_id=ENVIRONMENT,
    )["env_group"]
    here = {"env_group_id": made["id"]}

    assert [variable["key"] for variable in made["envVars"]] == ["A", "B"]
    assert call("get_env_group_var", **here, key="A")["env_var"]["value"] == "1"
    assert len(call("get_env_group_var", **here, key="B")["env_var"]["value"]) > 20
    assert [link["type"] for link in made["serviceLinks"]] == ["cron"]
    assert made["id"] in call("get_environment", environment_id=ENVIRONMENT)["environment"]["envGroupIds"]
    assert call("list_env_groups", name="new")["env_groups"][0]["serviceLinks"] == made["serviceLinks"]

    call("set_env_group_var", **here, key="A", value="2")
    call("set_env_group_file", **here, name="b", content="B")
    call("delete_env_group_var", **here, key="B")
    call("delete_env_group_file", **here, name=".env")
    call("update_env_group", **here, name="renamed")
    group = call("get_env_group", **here)["env_group"]
    assert group["envVars"] == [{"key": "A", "value": "2"}]
    assert group["secretFiles"] == [{"name": "b", "content": "B"}]
    assert group["name"] == "renamed"
    call("delete_env_group", **here)
    assert status_of(call, "get_env_group", **here) == 404


def test_services_are_linked_and_unlinked(call: Call) -> None:
    """Linking twice makes one link; unlinking what is not linked is Render's 404."""
    for _ in range(2):
        group = call("link_env_group", env_group_id=GROUP, service_id=CRON)["env_group"]
    assert [link["id"] for link in group["serviceLinks"]] == [SERVICE, CRON]

    call("unlink_env_group", env_group_id=GROUP, service_id=SERVICE)
    links = call("get_env_group", env_group_id=GROUP)["env_group"]["serviceLinks"]
    assert [link["id"] for link in links] == [CRON]
    assert status_of(call, "unlink_env_group", env_group_id=GROUP, service_id=SERVICE) == 404


def test_environments_have_what_says_that_it_is_there(call: Call) -> None:
    """A new service and a new database are in the environment that they were created in, until they are deleted."""
    repo = {"type": "web_service", "name": "new", "repo": "https://github.com/a/b"}
    service = call("create_service", **repo, environment_id=ENVIRONMENT)["service"]["id"]
    database = call("create_postgres", name="db", plan="free", version="17", environment_id=ENVIRONMENT)["postgres"][
        "id"
    ]

    def members() -> list[str]:
        environment = call("get_environment", environment_id=ENVIRONMENT)["environment"]
        return [*environment["serviceIds"], *environment["databasesIds"]]

    assert {service, database} <= set(members())
    call("delete_service", service_id=service)
    call("delete_postgres", postgres_id=database)
    assert not {service, database} & set(members())


def test_projects_lead_to_their_environments(call: Call) -> None:
    """Each environment of a project is listed under it and names it."""
    for project in call("list_projects", all=True)["projects"]:
        listed = call("list_environments", project_id=project["id"], all=True)["environments"]
        assert [each["id"] for each in listed] == project["environmentIds"]
        assert {each["projectId"] for each in listed} == {project["id"]}
    assert call("get_project", project_id=PROJECT)["project"]["name"] == "shop"
    assert status_of(call, "get_project", project_id="prj-other") == 404


# Disks and scaling


def test_a_disk_is_a_part_of_its_service(call: Call) -> None:
    """What is added to a service is seen in both, grows, and goes."""
    disk = call("add_disk", service_id=SERVICE, name="data", mount_path="/data", size_gb=10)["disk"]
    here = {"disk_id": disk["id"]}

    assert call("get_service", service_id=SERVICE)["service"]["serviceDetails"]["disk"]["mountPath"] == "/data"
    assert call("list_disks", service_id=SERVICE)["disks"] == [call("get_disk", **here)["disk"]]
    assert call("update_disk", **here, size_gb=20, name="more")["disk"]["sizeGB"] == 20
    assert status_of(call, "update_disk", **here, size_gb=15) == 400
    assert status_of(call, "add_disk", service_id=SERVICE, name="x", mount_path="/x", size_gb=1) == 409
    assert status_of(call, "add_disk", service_id=CRON, name="x", mount_path="/x", size_gb=1) == 400
    call("delete_disk", **here)
    assert "disk" not in call("get_service", service_id=SERVICE)["service"]["serviceDetails"]
    assert status_of(call, "get_disk", **here) == 404


def test_a_disk_goes_back_to_one_of_its_snapshots(call: Call) -> None:
    """The key has to be one that is listed."""
    disk = call("list_disks", limit=1)["disks"][0]
    snapshots = call("list_disk_snapshots", disk_id=disk["id"])["snapshots"]

    restored = call("restore_disk_snapshot", disk_id=disk["id"], snapshot_key=snapshots[-1]["snapshotKey"])["disk"]
    assert restored["id"] == disk["id"]
    assert restored["updatedAt"] > disk["updatedAt"]
    assert status_of(call, "restore_disk_snapshot", disk_id=disk["id"], snapshot_key="other") == 404


def test_autoscaling_is_set_and_deleted(call: Call) -> None:
    """The service says what is set; what is not there cannot be deleted."""
    scaling = call("set_autoscaling", service_id=SERVICE, min=1, max=3, criteria={"memory": {"percentage": 80}})

    details = call("get_service", service_id=SERVICE)["service"]["serviceDetails"]
    assert details["autoscaling"] == scaling["autoscaling"]
    assert scaling["autoscaling"]["criteria"]["cpu"]["enabled"] is False
    call("delete_autoscaling", service_id=SERVICE)
    assert status_of(call, "delete_autoscaling", service_id=SERVICE) == 404
    criteria = {"cpu": {"percentage": 60}}
    assert status_of(call, "set_autoscaling", service_id=CRON, min=1, max=2, criteria=criteria) == 400


def test_instances_are_as_many_as_run(call: Call) -> None:
    """So many as the service was scaled to, and none while it is suspended."""

    def count() -> int:
        return len(call("list_instances", service_id=SERVICE)["instances"])

    call("scale_service", service_id=SERVICE, num_instances=3)
    assert count() == 3
    call("suspend_service", service_id=SERVICE)
    assert count() == 0


# Rules of static sites


def test_headers_of_a_site(call: Call) -> None:
    """They are added, found by their fields, deleted by id, and replaced as a whole."""
    site = site_of(call)
    header = call("add_header", service_id=site, path="/a/*", name="X-A", value="1")["header"]

    assert call("list_headers", service_id=site, name="X-A")["headers"] == [header]
    call("delete_header", service_id=site, header_id=header["id"])
    assert call("list_headers", service_id=site, name="X-A")["headers"] == []
    call("replace_all_headers", service_id=site, headers=[{"path": "/*", "name": "X-B", "value": "2"}])
    assert [each["name"] for each in call("list_headers", service_id=site)["headers"]] == ["X-B"]


def test_routes_of_a_site_have_an_order(call: Call) -> None:
    """One that is put first moves the others on, and the list that replaces all has its own."""
    site = site_of(call)

    def sources() -> list[tuple[int, str]]:
        return [(route["priority"], route["source"]) for route in call("list_routes", service_id=site)["routes"]]

    call("add_route", service_id=site, type="rewrite", source="/last", destination="/x")
    first = call("add_route", service_id=site, type="redirect", source="/first", destination="/x", priority=0)["route"]
    assert sources() == [(0, "/first"), (1, "/home"), (2, "/last")]
    call("delete_route", service_id=site, route_id=first["id"])
    assert sources() == [(0, "/home"), (1, "/last")]
    both = [{"type": "rewrite", "source": source, "destination": "/"} for source in ("/b", "/a")]
    call("replace_all_routes", service_id=site, routes=both)
    assert sources() == [(0, "/b"), (1, "/a")]


def test_a_site_has_the_rules_that_it_was_created_with(call: Call) -> None:
    """They are there to be read, and other services have none."""
    arguments = {
        "type": "static_site",
        "name": "new",
        "repo": "https://github.com/a/b",
        "headers": [{"path": "/*", "name": "X-A", "value": "1"}],
        "routes": [{"type": "rewrite", "source": "/*", "destination": "/index.html"}],
    }
    site = call("create_service", **arguments)["service"]["id"]

    assert [each["name"] for each in call("list_headers", service_id=site)["headers"]] == ["X-A"]
    assert [each["source"] for each in call("list_routes", service_id=site)["routes"]] == ["/*"]
    assert status_of(call, "list_headers", service_id=SERVICE) == 400


# Metrics


def test_a_metric_has_a_series_for_each_instance_or_one_for_all(call: Call) -> None:
    """Its labels say of what it is, and one instance can be asked for."""
    call("scale_service", service_id=SERVICE, num_instances=2)
    first, second = call("list_instances", service_id=SERVICE)["instances"]

    series = call("get_metrics", metric="cpu", resource_id=SERVICE)["series"]
    assert [each["instance"] for each in series] == [first["id"], second["id"]]
    assert {each["resource"] for each in series} == {SERVICE}
    (one,) = call("get_metrics", metric="cpu", resource_id=SERVICE, instance=second["id"])["series"]
    assert one["instance"] == second["id"]
    (joined,) = call("get_metrics", metric="cpu", resource_id=SERVICE, aggregate="max")["series"]
    assert joined["instance"] == ""
    (count,) = call("get_metrics", metric="instance_count", resource_id=SERVICE)["series"]
    assert {point["value"] for point in count["values"]} == {2}


def test_a_metric_is_of_the_times_that_are_asked_for(call: Call) -> None:
    """From start to end in steps of the resolution, and the same whenever it is asked for."""
    span = {"start_time": "2026-03-01T00:00:00Z", "end_time": "2026-03-01T01:00:00Z", "resolution": 600}
    arguments = {"metric": "memory", "resource_id": [SERVICE, "dpg-cabc12345678"], **span}

    service, database = call("get_metrics", **arguments)["series"]
    assert [point["timestamp"][11:16] for point in service["values"]] == [
        *("00:00", "00:10", "00:20", "00:30", "00:40", "00:50", "01:00")
    ]
    assert database["resource"] == "dpg-cabc12345678"
    assert call("get_metrics", **arguments)["series"] == [service, database]


def test_metrics_that_cannot_be_are_refused(call: Call) -> None:
    """Of a resource that does not exist, and of more values than anybody could look at."""
    assert status_of(call, "get_metrics", metric="cpu", resource_id="srv-other") == 404
    years = {"start_time": "2020-01-01T00:00:00Z", "resolution": 30}
    assert status_of(call, "get_metrics", metric="cpu", resource_id=SERVICE, **years) == 400


# Names behind ids


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "known"),
    [
        ("delete_env_group", {"env_group_id": GROUP}, {"env_group_id": "shared"}),
        ("delete_postgres", {"postgres_id": "dpg-cabc12345678"}, {"postgres_id": "main-db"}),
        ("delete_secret_file", {"service_id": SERVICE, "name": "a"}, {"service_id": "checkout-api"}),
        (
            "create_key_value",
            {"name": "a", "plan": "free", "environment_id": ENVIRONMENT},
            {"environment_id": "production"},
        ),
    ],
)
def test_a_person_is_told_what_an_id_stands_for(name: str, arguments: dict[str, Any], known: dict[str, str]) -> None:
    """Groups, environments, databases and services are named where a change of them is asked about."""
    asked = []

    def approve(approval: Approval) -> bool:
        asked.append(approval)
        return False

    with Runtime({}, simulate=True, environ={}, approve=approve) as runtime, pytest.raises(CallError):
        runtime.call(f"render2.{name}", arguments)
    assert dict(asked[0].names) == known


# What is kept


def test_all_of_it_is_in_what_is_kept() -> None:
    """A simulator that goes on from a dump has every change."""
    first = Simulator("default")
    call = account(first)
    site = site_of(call)
    call("set_secret_file", service_id=SERVICE, name="kept", content="1")
    call("set_env_group_var", env_group_id=GROUP, key="KEPT", value="1")
    call("add_disk", service_id=SERVICE, name="kept", mount_path="/kept", size_gb=1)
    call("add_header", service_id=site, path="/kept", name="X", value="1")
    call("add_route", service_id=site, type="rewrite", source="/kept", destination="/")

    again = account(Simulator("default", state=first.dump()))
    assert again("get_secret_file", service_id=SERVICE, name="kept")["secret_file"]["content"] == "1"
    assert again("get_env_group_var", env_group_id=GROUP, key="KEPT")["env_var"]["value"] == "1"
    assert again("list_disks", name="kept")["disks"][0]["serviceId"] == SERVICE
    assert again("list_headers", service_id=site, path="/kept")["headers"]
    assert again("list_routes", service_id=site, source="/kept")["routes"]
