"""Checks of the request bodies that create or change a service: which fields are required, and which are allowed.

The checks follow https://api-docs.render.com/reference/create-service and
https://api-docs.render.com/reference/update-service, and refuse unknown fields. In recorded requests, Render also
accepts ``env`` instead of ``runtime``, ``autoDeployTrigger``, and null instead of a missing field. So do the checks.

Most checks here are demands: functions that return what is wrong with a value, or None (see :mod:`.demands`).
"""

from __future__ import annotations

from typing import Any

from .demands import (
    AT_LEAST_ONE,
    FLAG,
    MOUNT_PATH,
    NUMBER,
    REPO,
    SCHEDULE,
    TEXT,
    Demand,
    a,
    anything,
    between,
    either,
    listing,
    or_null,
    record,
)
from .seeds.services import TYPES

RUNTIMES = ("docker", "elixir", "go", "node", "python", "ruby", "rust", "image")


_PAID_PLANS = ("starter", "standard", "pro", "pro_plus", "pro_max", "pro_ultra")
PAID_PLAN = a(str, *_PAID_PLANS)
_PLAN = a(str, *_PAID_PLANS, "starter_plus", "standard_plus", "free", "custom")
_SWITCH = a(str, "yes", "no")
_IMAGE = record({"imagePath": TEXT, "ownerId": TEXT}, {"registryCredentialId": TEXT})
_COMMANDS: dict[str, Demand] = {"buildCommand": TEXT, "startCommand": TEXT}
_DOCKER: dict[str, Demand] = dict.fromkeys(
    ("dockerCommand", "dockerContext", "dockerfilePath", "registryCredentialId"), TEXT
) | {"registryCredential": anything}
VARIABLES = listing(either(record({"key": TEXT, "value": TEXT}), record({"key": TEXT, "generateValue": FLAG})))
FILES = listing(record({"name": TEXT, "content": TEXT}))
_PATHS = listing(TEXT)
_CRITERION = record({"enabled": FLAG, "percentage": NUMBER})
AUTOSCALING = record(
    {"enabled": FLAG, "min": NUMBER, "max": NUMBER, "criteria": record({"cpu": _CRITERION, "memory": _CRITERION})}
)
_DISK = record({"name": TEXT, "mountPath": MOUNT_PATH}, {"sizeGB": AT_LEAST_ONE})
HEADER = record({"path": TEXT, "name": TEXT, "value": TEXT})
ROUTE = record({"type": a(str, "redirect", "rewrite"), "source": TEXT, "destination": TEXT}, {"priority": NUMBER})

RANGES = listing(record({"cidrBlock": TEXT, "description": TEXT}))
REGION = a(str, "frankfurt", "oregon", "ohio", "singapore", "virginia")

_PREVIEWS: dict[str, Demand] = {
    "previews": record({}, {"generation": a(str, "off", "manual", "automatic")}),
    "pullRequestPreviewsEnabled": _SWITCH,
}
_ACCESS: dict[str, Demand] = {
    "ipAllowList": RANGES,
    "renderSubdomainPolicy": a(str, "enabled", "disabled"),
}
_SITE = _PREVIEWS | _ACCESS | {"buildCommand": TEXT, "publishPath": TEXT}
_SCALED = _PREVIEWS | {"preDeployCommand": TEXT, "maxShutdownDelaySeconds": between(1, 300)}
_WEB = _ACCESS | {
    "plan": _PLAN,
    "healthCheckPath": TEXT,
    "maintenanceMode": record({"enabled": FLAG, "uri": TEXT}),
}
_RUNTIME: dict[str, Demand] = {"runtime": a(str, *RUNTIMES), "env": a(str, *RUNTIMES)}
_NEW = _RUNTIME | {
    "envSpecificDetails": either(record(_COMMANDS), record({}, _DOCKER)),
    "region": REGION,
    "plan": PAID_PLAN,
}
_NEW_SCALED = _NEW | _SCALED | {"numInstances": AT_LEAST_ONE, "autoscaling": AUTOSCALING, "disk": _DISK}
_NEW_DETAILS = {
    "static_site": record({}, _SITE | {"headers": listing(HEADER), "routes": listing(ROUTE)}),
    "web_service": record({}, _NEW_SCALED | _WEB),
    "private_service": record({}, _NEW_SCALED),
    "background_worker": record({}, _NEW_SCALED),
    "cron_job": record({"schedule": SCHEDULE}, _NEW),
}
_CHANGED = _RUNTIME | {
    "envSpecificDetails": either(record({}, _COMMANDS), record({}, _DOCKER)),
    "plan": PAID_PLAN,
}
_CACHE = record({"profile": a(str, "no-cache", "origin-controlled", "origin-controlled-all")})
_CHANGED_DETAILS = {
    "static_site": record({}, _SITE),
    "web_service": record({}, _CHANGED | _SCALED | _WEB | {"cache": _CACHE}),
    "private_service": record({}, _CHANGED | _SCALED),
    "background_worker": record({}, _CHANGED | _SCALED),
    "cron_job": record({}, _CHANGED | {"schedule": SCHEDULE}),
}
_TOP: dict[str, Demand] = {
    "repo": REPO,
    "branch": TEXT,
    "image": _IMAGE,
    "rootDir": TEXT,
    "autoDeploy": _SWITCH,
    "autoDeployTrigger": a(str, "commit", "checksPass", "off"),
    "buildFilter": record({"paths": or_null(_PATHS), "ignoredPaths": or_null(_PATHS)}),
}


def new_service(body: object, where: str) -> str | None:
    """Return what is wrong with the body of a request that creates a service, or None. It depends on the type."""
    kind = body.get("type") if isinstance(body, dict) else None
    if not isinstance(body, dict) or kind not in TYPES:
        return f"{where}.type must be one of {', '.join(TYPES)}"
    if not body.get("repo") and not body.get("image"):
        return f"{where} lacks repo or image"
    details = {"serviceDetails": _NEW_DETAILS[str(kind)]}
    optional = _TOP | {"envVars": VARIABLES, "secretFiles": FILES, "environmentId": TEXT}
    required: dict[str, Demand] = {"type": TEXT, "name": TEXT, "ownerId": TEXT}
    if kind == "static_site":
        return record(required, optional | details)(body, where)
    wrong = record(required | details, optional)(body, where)
    return wrong or _of_runtime(body["serviceDetails"], f"{where}.serviceDetails")


def changed_service(kind: str, plan: str | None) -> Demand:
    """Return a check for the body of a request that changes a service of this type and plan."""
    whole = record({}, _TOP | {"name": TEXT, "serviceDetails": _CHANGED_DETAILS[kind]})

    def demand(body: object, where: str) -> str | None:
        wrong = whole(body, where)
        if wrong or not isinstance(body, dict):
            return wrong
        return _of_plan({"plan": plan} | (body.get("serviceDetails") or {}), f"{where}.serviceDetails")

    return demand


def _of_runtime(details: dict[str, Any], where: str) -> str | None:
    """Return what is wrong with the runtime, the commands that most runtimes need, or the plan, or None."""
    runtime = details.get("runtime") or details.get("env")
    if runtime is None:
        return f"{where} lacks runtime"
    if runtime not in ("docker", "image") and details.get("envSpecificDetails") is not None:
        wrong = record(_COMMANDS)(details["envSpecificDetails"], f"{where}.envSpecificDetails")
        if wrong:
            return wrong
    return _of_plan(details, where)


def _of_plan(details: dict[str, Any], where: str) -> str | None:
    """Return what is wrong, or None: the free plan has no maintenance mode, not even ``enabled: false``."""
    free = details.get("plan") == "free" and details.get("maintenanceMode") is not None
    return f"{where}.maintenanceMode must not be given on the free plan" if free else None
