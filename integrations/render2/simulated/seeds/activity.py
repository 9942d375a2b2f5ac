"""The events and the logs of simulated services."""

from __future__ import annotations

from collections.abc import Sequence

from ...wire import Thing
from .accounts import ago, identifier

_BUILD_LOG = ("==> Cloning the repository", "==> Running the build command", "==> Build successful", "==> Deploying")
_SAID = {
    ("request", "info"): "GET /health 200 in 3ms",
    ("request", "error"): "POST /orders 502 in 30001ms",
    ("app", "info"): "worker 3 took a job",
    ("app", "error"): "connection refused by upstream",
}


def events(service: Thing, shipped: Sequence[Thing]) -> list[Thing]:
    """Return the start and the end of each deploy of a service, as far as they have happened."""
    found = []
    for deploy in shipped:
        if deploy["finishedAt"]:
            ended = {"deployId": deploy["id"], "deployStatus": _outcome(deploy["status"])}
            found.append(_event(service, "deploy_ended", deploy["finishedAt"], ended))
        if deploy["status"] != "queued":
            found.append(_event(service, "deploy_started", deploy["createdAt"], {"deployId": deploy["id"]}))
    return found


def _outcome(status: str) -> str:
    return "failed" if status.endswith("failed") else "canceled" if status == "canceled" else "succeeded"


def _event(service: Thing, kind: str, moment: str, told: Thing) -> Thing:
    return {
        "id": identifier("evt", told["deployId"], kind),
        "timestamp": moment,
        "serviceId": service["id"],
        "type": kind,
        "details": told,
    }


def logs(resource: str) -> list[Thing]:
    """Return the log entries of a resource, the oldest first: one a minute in the hour before the simulation starts."""
    return [_entry(resource, number) for number in range(60)]


def _entry(resource: str, number: int) -> Thing:
    level = "error" if number % 10 == 9 else "info"
    kind = "build" if number < len(_BUILD_LOG) else "request" if number % 3 == 0 else "app"
    said = _BUILD_LOG[number] if kind == "build" else _SAID[kind, level]
    labels = {"resource": resource, "instance": f"{resource}-x7k2p", "level": level, "type": kind}
    if kind == "request":
        method, path, status = said.split()[:3]
        labels |= {"host": "app.example.com", "method": method, "path": path, "statusCode": status}
    return {
        "id": identifier("log", resource, number),
        "timestamp": ago(minutes=60 - number),
        "message": said,
        "labels": [{"name": name, "value": value} for name, value in labels.items()],
    }
