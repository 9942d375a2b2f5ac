"""Builds and changes simulated services from the bodies of requests."""

from __future__ import annotations

from ..wire import Thing
from .seeds import services


def new_service(wanted: Thing, key: str, now: str) -> Thing:
    """Return the service that the body of a ``POST /services`` describes; null counts as missing."""
    given, settings = _given(wanted), _given(wanted.get("serviceDetails") or {})
    runtime = settings.get("runtime") or settings.get("env", "")
    service = {
        "id": key,
        "name": given["name"],
        "type": given["type"],
        "ownerId": given["ownerId"],
        "slug": given["name"],
        "suspended": "not_suspended",
        "suspenders": [],
        "rootDir": given.get("rootDir", ""),
        "notifyOnFail": "default",
        "dashboardUrl": services.dashboard_url(given["type"], key),
        "createdAt": now,
        "updatedAt": now,
        "serviceDetails": services.details(given["type"], key, given["name"], runtime, settings),
        **_triggers({"autoDeploy": "yes"} | given),
        **_source({"branch": "main"} | given),
        **_filter(given),
    }
    return service | ({"environmentId": given["environmentId"]} if given.get("environmentId") else {})


def change(service: Thing, changes: Thing) -> None:
    """Change a service in place. ``changes`` is the body of a ``PATCH /services/{service_id}``."""
    given = _given(changes)
    if "image" in given:
        _drop(service, "repo", "branch", "registryCredential")
    if "repo" in given:
        _drop(service, "imagePath", "registryCredential")
    if "buildFilter" in given:
        _drop(service, "buildFilter")
    plain = {name: given[name] for name in ("name", "rootDir") if name in given}
    service |= plain | _source(given) | _triggers(given) | _filter(given)
    _change_details(service, _given(given.get("serviceDetails", {})))


def _change_details(service: Thing, given: Thing) -> None:
    details: Thing = service["serviceDetails"]
    before: str | None = details.get("runtime")
    if before is not None:
        runtime = str(given.get("runtime") or ("image" if "imagePath" in service else before))
        kept = details["envSpecificDetails"]
        if runtime != before:
            kept = {name: kept[name] for name in ("preDeployCommand",) if name in kept}
        details["envSpecificDetails"] = services.specifics(runtime, given, kept)
        given |= {"runtime": runtime, "env": runtime}
    if {"previews", "pullRequestPreviewsEnabled"} & given.keys():
        given |= services.previews(given)
    _drop(given, "envSpecificDetails", "preDeployCommand")
    details |= given


def _source(wanted: Thing) -> Thing:
    """Return the fields for the source of a service: the full name of its image, or its repository and branch."""
    if "image" not in wanted:
        return {name: wanted[name] for name in ("repo", "branch") if name in wanted}
    path: str = wanted["image"]["imagePath"]
    path = path if "/" in path else f"docker.io/library/{path}"
    tagged = ":" in path.rpartition("/")[2] or "@" in path
    found: Thing = {"imagePath": path if tagged else f"{path}:latest"}
    credential = wanted["image"].get("registryCredentialId")
    return found | ({"registryCredential": {"id": credential, "name": "registry"}} if credential else {})


def _triggers(wanted: Thing) -> Thing:
    """Return consistent values of both fields; ``autoDeployTrigger`` takes precedence."""
    if "autoDeployTrigger" in wanted:
        trigger = wanted["autoDeployTrigger"]
        return {"autoDeployTrigger": trigger, "autoDeploy": "no" if trigger == "off" else "yes"}
    if "autoDeploy" in wanted:
        switch = wanted["autoDeploy"]
        return {"autoDeploy": switch, "autoDeployTrigger": "commit" if switch == "yes" else "off"}
    return {}


def _filter(wanted: Thing) -> Thing:
    given = wanted.get("buildFilter", {})
    kept = {name: given.get(name) or [] for name in ("paths", "ignoredPaths")}
    return {"buildFilter": kept} if any(kept.values()) else {}


def _given(body: Thing) -> Thing:
    return {name: value for name, value in body.items() if value is not None}


def _drop(thing: Thing, *names: str) -> None:
    for name in names:
        thing.pop(name, None)
