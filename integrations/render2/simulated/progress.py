"""Progress: deploys, jobs and data stores that are under way, and what becomes of them when.

A service deploys one thing after the other: what is triggered meanwhile waits in a queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..wire import Thing

UNDER_WAY = ("created", "queued", "build_in_progress", "pre_deploy_in_progress", "update_in_progress")
BUILD_SECONDS = 45
"""From the start of a deploy to the end of its build."""
STAGE_SECONDS = 10
"""How long each later stage takes: the pre-deploy command, the update."""
JOB_START_SECONDS = 3
JOB_SECONDS = 20
STORE_SECONDS = 60
"""From an order for a data store until it is available."""
SEEDED_DEPLOY_SECONDS = 120
"""How long a deploy that an account starts with goes on, since somebody first looked at it."""

_FAILING = ("false", "exit 1")
"""Commands that fail on any machine; a build, a pre-deploy command or a job with one of them fails here too."""
_STAGES = {
    "build_failed": ("build_failed",),
    "pre_deploy_failed": ("pre_deploy_in_progress", "pre_deploy_failed"),
    "update_failed": ("update_in_progress", "update_failed"),
    "canceled": ("canceled",),
    "live": ("update_in_progress", "live"),
}


class Progress:
    """Knows what is due when, in seconds since the beginning.

    Args:
        state: What is due and what waits, as plain values; this is all that it keeps, and changes with it.
        written: Return a time in seconds as Render writes it.
    """

    def __init__(self, state: dict[str, Any], written: Callable[[float], str]) -> None:
        self._due: list[Thing] = state.setdefault("due", [])
        self._waiting: dict[str, list[Thing]] = state.setdefault("waiting", {})
        self._written = written

    def start_deploy(self, service: Thing, deploy: Thing, ending: str | None, now: float) -> bool:
        """Start a deploy, or let it wait if another one of the service is under way; return whether it started.

        The deploy of a cron job that runs an image has nothing to build and is live at once.
        """
        entry = {"id": deploy["id"], "ending": ending or _ending(service)}
        if any(due["service"] == service["id"] and due["kind"] == "deploy" for due in self._due):
            self._waiting.setdefault(service["id"], []).append(entry)
            return False
        at_once = service["type"] == "cron_job" and "imagePath" in service and entry["ending"] == "live"
        self._begin(service["id"], deploy, [] if at_once else _STAGES[entry["ending"]], now)
        return True

    def resume_deploy(self, service: Thing, deploy: Thing, now: float) -> None:
        """Let a deploy that an account starts with go on."""
        self._plan(service["id"], "deploy", deploy["id"], _STAGES["live"], now + SEEDED_DEPLOY_SECONDS)

    def start_job(self, service: Thing, job: Thing, ending: str | None, now: float) -> None:
        """Start a job."""
        usual = "failed" if job["startCommand"] in _FAILING else "succeeded"
        statuses = ("running", ending or usual)
        self._plan(service["id"], "job", job["id"], statuses, now + JOB_START_SECONDS, JOB_SECONDS)

    def start_store(self, store_id: str, status: str, now: float) -> None:
        """Let a data store have a status once it has started."""
        self._plan(store_id, "store", store_id, (status,), now + STORE_SECONDS)

    def due(self, now: float) -> Iterator[Thing]:
        """Yield what has become due until now, the earliest first: the time, the thing and its new status."""
        while self._due and self._due[0]["at"] <= now:
            yield self._due.pop(0)

    def start_waiting(self, service_id: str, deploys: list[Thing], now: float) -> None:
        """Start the deploy of a service that has waited longest, if one has and no other is under way."""
        if any(due["service"] == service_id and due["kind"] == "deploy" for due in self._due):
            return
        if waiting := self._waiting.get(service_id):
            entry = waiting.pop(0)
            deploy = next(deploy for deploy in deploys if deploy["id"] == entry["id"])
            self._begin(service_id, deploy, _STAGES[entry["ending"]], now)

    def forget(self, key: str) -> None:
        """Drop everything that is planned for a deploy, a job, a data store or a whole service."""
        self._due[:] = [due for due in self._due if key not in (due["id"], due["service"])]
        self._waiting.pop(key, None)
        for waiting in self._waiting.values():
            waiting[:] = [entry for entry in waiting if entry["id"] != key]

    def _begin(self, service_id: str, deploy: Thing, stages: Sequence[str], now: float) -> None:
        started = self._written(now)
        deploy |= {"status": "build_in_progress", "startedAt": started, "updatedAt": started}
        self._plan(service_id, "deploy", deploy["id"], stages or ("live",), now + (BUILD_SECONDS if stages else 0))

    def _plan(
        self,
        service_id: str,
        kind: str,
        key: str,
        statuses: Sequence[str],
        first: float,
        interval: float = STAGE_SECONDS,
    ) -> None:
        for place, status in enumerate(statuses):
            at = first + place * interval
            self._due.append({"at": at, "service": service_id, "kind": kind, "id": key, "status": status})
        self._due.sort(key=lambda due: float(due["at"]))


def _ending(service: Thing) -> str:
    """Return how a deploy ends that nothing is said about: well, unless a command of the service cannot succeed."""
    specific = service["serviceDetails"].get("envSpecificDetails", {})
    if specific.get("buildCommand", service["serviceDetails"].get("buildCommand")) in _FAILING:
        return "build_failed"
    return "pre_deploy_failed" if specific.get("preDeployCommand") in _FAILING else "live"
