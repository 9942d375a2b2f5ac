"""Progress: the changes of status that are planned for active deploys, jobs and data stores.

A service carries out one deploy at a time. Deploys that are triggered in the meantime wait in a queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..wire import Thing

UNDER_WAY = ("created", "queued", "build_in_progress", "pre_deploy_in_progress", "update_in_progress")
BUILD_SECONDS = 45
"""Seconds from the start of a deploy to the end of its build."""
STAGE_SECONDS = 10
"""Seconds that each later stage takes: the pre-deploy command, the update."""
JOB_START_SECONDS = 3
JOB_SECONDS = 20
STORE_SECONDS = 60
"""Seconds from a request that starts or changes a data store until the store is available."""
SEEDED_DEPLOY_SECONDS = 120
"""Seconds from the first request for a service's deploys to the end of the deploy that is initially unfinished."""

_FAILING = ("false", "exit 1")
"""Commands that always fail. A build, a pre-deploy command or a job with one of them fails in the simulator."""
_STAGES = {
    "build_failed": ("build_failed",),
    "pre_deploy_failed": ("pre_deploy_in_progress", "pre_deploy_failed"),
    "update_failed": ("update_in_progress", "update_failed"),
    "canceled": ("canceled",),
    "live": ("update_in_progress", "live"),
}


class Progress:
    """The planned changes of status. Times are in seconds since the start of the simulation.

    They are kept in ``state`` as JSON values; ``written`` converts a time to Render's format.
    """

    def __init__(self, state: dict[str, Any], written: Callable[[float], str]) -> None:
        self._due: list[Thing] = state.setdefault("due", [])
        self._waiting: dict[str, list[Thing]] = state.setdefault("waiting", {})
        self._written = written

    def start_deploy(self, service: Thing, deploy: Thing, ending: str | None, now: float) -> bool:
        """Start a deploy and return True, or queue it and return False if another deploy of the service is active.

        The deploy of a cron job that runs an image has nothing to build, and is live at once.
        """
        entry = {"id": deploy["id"], "ending": ending or _ending(service)}
        if any(due["service"] == service["id"] and due["kind"] == "deploy" for due in self._due):
            self._waiting.setdefault(service["id"], []).append(entry)
            return False
        at_once = service["type"] == "cron_job" and "imagePath" in service and entry["ending"] == "live"
        self._begin(service["id"], deploy, [] if at_once else _STAGES[entry["ending"]], now)
        return True

    def resume_deploy(self, service: Thing, deploy: Thing, now: float) -> None:
        """Plan the end of a deploy that is unfinished in the initial data."""
        self._plan(service["id"], "deploy", deploy["id"], _STAGES["live"], now + SEEDED_DEPLOY_SECONDS)

    def start_job(self, service: Thing, job: Thing, ending: str | None, now: float) -> None:
        """Plan the start and the end of a job. ``ending`` is its final status, or None for the usual one."""
        usual = "failed" if job["startCommand"] in _FAILING else "succeeded"
        statuses = ("running", ending or usual)
        self._plan(service["id"], "job", job["id"], statuses, now + JOB_START_SECONDS, JOB_SECONDS)

    def start_store(self, store_id: str, status: str, now: float) -> None:
        """Plan the status that a data store will have once it has started."""
        self._plan(store_id, "store", store_id, (status,), now + STORE_SECONDS)

    def due(self, now: float) -> Iterator[Thing]:
        """Remove and yield the changes that are due, the earliest first. Each holds a time, an id and a new status."""
        while self._due and self._due[0]["at"] <= now:
            yield self._due.pop(0)

    def start_waiting(self, service_id: str, deploys: list[Thing], now: float) -> None:
        """Start the longest-waiting deploy of a service, unless another deploy of the service is active."""
        if any(due["service"] == service_id and due["kind"] == "deploy" for due in self._due):
            return
        if waiting := self._waiting.get(service_id):
            entry = waiting.pop(0)
            deploy = next(deploy for deploy in deploys if deploy["id"] == entry["id"])
            self._begin(service_id, deploy, _STAGES[entry["ending"]], now)

    def forget(self, key: str) -> None:
        """Drop all planned changes of a deploy, a job, a data store or a whole service."""
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
    """Return the usual final status of a deploy: a command that is ``false`` or ``exit 1`` fails."""
    specific = service["serviceDetails"].get("envSpecificDetails", {})
    if specific.get("buildCommand", service["serviceDetails"].get("buildCommand")) in _FAILING:
        return "build_failed"
    return "pre_deploy_failed" if specific.get("preDeployCommand") in _FAILING else "live"
