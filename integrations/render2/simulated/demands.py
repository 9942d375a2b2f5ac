"""What Render demands of a request: which fields a body may and must have, and which parameters a query.

A demand is a function of a value and of the place it stands at, and returns a complaint or None. Bodies follow
https://api-docs.render.com/reference/create-service and its neighbours, read strictly: no unknown field anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from .seeds import TYPES, Thing

Demand: TypeAlias = Callable[[object, str], "str | None"]

RUNTIMES = ("docker", "elixir", "go", "node", "python", "ruby", "rust", "image")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")


def a(kind: type, *choices: str) -> Demand:
    """Demand a value of a JSON type, and one of the choices where there are any."""

    def demand(value: object, where: str) -> str | None:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            return f"{where} must be a {kind.__name__}"
        return f"{where} must be one of {', '.join(choices)}" if choices and value not in choices else None

    return demand


def listing(each: Demand) -> Demand:
    """Demand a list whose items all satisfy a demand."""

    def demand(value: object, where: str) -> str | None:
        if not isinstance(value, list):
            return f"{where} must be a list"
        complaints = (each(item, f"{where}[{place}]") for place, item in enumerate(value))
        return next(filter(None, complaints), None)

    return demand


def record(required: Mapping[str, Demand], optional: Mapping[str, Demand] | None = None) -> Demand:
    """Demand an object with these fields and no others."""
    fields = {**required, **(optional or {})}

    def demand(value: object, where: str) -> str | None:
        if not isinstance(value, dict):
            return f"{where} must be an object"
        for name in value.keys() - fields.keys():
            return f"{where} has an unknown field {name}"
        for name in required.keys() - value.keys():
            return f"{where} lacks {name}"
        return next(filter(None, (fields[name](item, f"{where}.{name}") for name, item in value.items())), None)

    return demand


def either(*demands: Demand) -> Demand:
    """Demand that one of several demands is satisfied."""

    def demand(value: object, where: str) -> str | None:
        complaints = [each(value, where) for each in demands]
        return None if None in complaints else complaints[0]

    return demand


def at_least_one(value: object, where: str) -> str | None:
    """Demand a whole number above zero."""
    wrong = not isinstance(value, int) or isinstance(value, bool) or value < 1
    return f"{where} must be a whole number above 0" if wrong else None


def at_most_100(value: object, where: str) -> str | None:
    """Demand the text of a whole number from 1 to 100."""
    fits = isinstance(value, str) and value.isdigit() and 1 <= int(value) <= 100
    return None if fits else f"{where} must be between 1 and 100"


def a_time(value: object, where: str) -> str | None:
    """Demand the text of a point in time (RFC 3339)."""
    return None if isinstance(value, str) and _TIME.fullmatch(value) else f"{where} must be a date and time"


def a_paid_plan(value: object, where: str) -> str | None:
    """Demand the name of a plan; which there are changes often, but the free one is for web services only."""
    return f"{where} must not be free" if value == "free" else TEXT(value, where)


TEXT, FLAG = a(str), a(bool)
YES_NO = a(str, "yes", "no")
IMAGE = record({"imagePath": TEXT, "ownerId": TEXT}, {"registryCredentialId": TEXT})
COMMANDS = {"buildCommand": TEXT, "startCommand": TEXT}
DOCKER = dict.fromkeys(("dockerCommand", "dockerContext", "dockerfilePath", "registryCredentialId"), TEXT)
VARIABLES = listing(either(record({"key": TEXT, "value": TEXT}), record({"key": TEXT, "generateValue": FLAG})))
VALUE = either(record({"value": TEXT}), record({"generateValue": FLAG}))

_RUNS: dict[str, Demand] = {
    "envSpecificDetails": either(record(COMMANDS), record({}, DOCKER)),
    "region": a(str, "frankfurt", "oregon", "ohio", "singapore", "virginia"),
}
_SCALES: dict[str, Demand] = _RUNS | {"numInstances": at_least_one, "preDeployCommand": TEXT}
_RUNTIME: dict[str, Demand] = {"runtime": a(str, *RUNTIMES)}
_NEW_DETAILS = {
    "static_site": record({}, {"buildCommand": TEXT, "publishPath": TEXT}),
    "web_service": record(_RUNTIME, _SCALES | {"plan": TEXT, "healthCheckPath": TEXT}),
    "private_service": record(_RUNTIME, _SCALES | {"plan": a_paid_plan}),
    "background_worker": record(_RUNTIME, _SCALES | {"plan": a_paid_plan}),
    "cron_job": record(_RUNTIME | {"schedule": TEXT}, _RUNS | {"plan": a_paid_plan}),
}
_TOP: dict[str, Demand] = {
    "repo": TEXT,
    "branch": TEXT,
    "image": IMAGE,
    "rootDir": TEXT,
    "autoDeploy": YES_NO,
}
_CHANGES: dict[str, Demand] = {
    "envSpecificDetails": either(record({}, COMMANDS), record({}, DOCKER)),
    "runtime": a(str, *RUNTIMES),
    "plan": a_paid_plan,
}
_CHANGED_DETAILS = {
    "static_site": record({}, {"buildCommand": TEXT, "publishPath": TEXT}),
    "web_service": record({}, _CHANGES | {"plan": TEXT, "healthCheckPath": TEXT, "preDeployCommand": TEXT}),
    "private_service": record({}, _CHANGES | {"preDeployCommand": TEXT}),
    "background_worker": record({}, _CHANGES | {"preDeployCommand": TEXT}),
    "cron_job": record({}, _CHANGES | {"schedule": TEXT}),
}

DEPLOY = record(
    {},
    {
        "clearCache": a(str, "clear", "do_not_clear"),
        "commitId": TEXT,
        "imageUrl": TEXT,
        "deployMode": a(str, "deploy_only", "build_and_deploy"),
    },
)
ROLLBACK = record({"deployId": TEXT})
SCALE = record({"numInstances": at_least_one})
JOB = record({"startCommand": TEXT}, {"planId": TEXT})
DOMAIN = record({"name": TEXT})

PAGED: dict[str, Demand] = {"limit": at_most_100, "cursor": TEXT}
_SPAN: dict[str, Demand] = {"startTime": a_time, "endTime": a_time}
_STORES: dict[str, Demand] = PAGED | dict.fromkeys(("name", "region", "ownerId"), TEXT)
QUERIES: dict[str, Mapping[str, Demand]] = {
    "/services": _STORES | {"type": TEXT, "suspended": TEXT},
    "/services/{service_id}/deploys": PAGED | {"status": TEXT},
    "/services/{service_id}/jobs": PAGED | {"status": TEXT},
    "/services/{service_id}/events": PAGED | _SPAN | {"type": TEXT},
    "/services/{service_id}/env-vars": PAGED,
    "/services/{service_id}/custom-domains": PAGED,
    "/owners": PAGED,
    "/postgres": _STORES,
    "/key-value": _STORES,
    "/logs": _SPAN
    | dict.fromkeys(("ownerId", "resource", "level", "type", "text"), TEXT)
    | {"limit": at_most_100, "direction": a(str, "backward", "forward")},
}
"""The parameters of each path that takes any."""


def new_service(body: object, where: str) -> str | None:
    """Demand a body that creates a service; what its details may hold depends on its type."""
    kind = body.get("type") if isinstance(body, dict) else None
    if not isinstance(body, dict) or kind not in TYPES:
        return f"{where}.type must be one of {', '.join(TYPES)}"
    if "repo" not in body and "image" not in body:
        return f"{where} lacks repo or image"
    details = {"serviceDetails": _NEW_DETAILS[str(kind)]}
    files = listing(record({"name": TEXT, "content": TEXT}))
    optional = _TOP | {"envVars": VARIABLES, "secretFiles": files, "environmentId": TEXT}
    required = {"type": TEXT, "name": TEXT, "ownerId": TEXT}
    if kind == "static_site":
        return record(required, optional | details)(body, where)
    return record(required | details, optional)(body, where) or _native(body["serviceDetails"], where)


def _native(details: Thing, where: str) -> str | None:
    if details["runtime"] in ("docker", "image") or "envSpecificDetails" not in details:
        return None
    return record(COMMANDS)(details["envSpecificDetails"], f"{where}.serviceDetails.envSpecificDetails")


def changed_service(kind: str) -> Demand:
    """Return the demand on a body that changes a service of this type."""
    return record({}, _TOP | {"name": TEXT, "serviceDetails": _CHANGED_DETAILS[kind]})


def complaint_about_query(path: str, query: Mapping[str, list[str]]) -> str | None:
    """Return what is wrong with a query, or None.

    Args:
        path: The template that the request's path fits.
        query: Each parameter with the values it was given.
    """
    demands = QUERIES.get(path, {})
    for name, values in query.items():
        if name not in demands:
            return f"unknown parameter {name}"
        for value in values:
            wrong = demands[name](value, name)
            if wrong:
                return wrong
    return None
