"""The state of a simulated account: what its services, deploys and jobs are, and how they change as time goes by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TypeVar

from . import seeds
from .seeds import Thing, identifier, stamp

T = TypeVar("T")

_FAILING = ("false", "exit 1")
"""Commands that fail on any machine; a build or a job with one of them fails here too."""


class World:
    """Everything that one account holds. Its clock starts at the same moment each time and gains a second a request.

    Args:
        account: The account's name, which decides what is in it.
    """

    def __init__(self, account: str) -> None:
        self.profile = seeds.profile_of(account)
        self.owner = seeds.owner(self.profile)
        self.user = seeds.user(self.profile)
        self.services = {service["id"]: service for service in seeds.services(self.profile)}
        self.databases = {store["id"]: store for store in seeds.databases(self.profile)}
        self.caches = {store["id"]: store for store in seeds.caches(self.profile)}
        self._places = {service_id: place for place, service_id in enumerate(self.services)}
        self._seconds = 0
        self._deploys: dict[str, list[Thing]] = {}
        self._jobs: dict[str, list[Thing]] = {}
        self._variables: dict[str, dict[str, str]] = {}
        self._domains: dict[str, list[Thing]] = {}
        self._coming: dict[str, list[str]] = {}

    def tick(self) -> int:
        """Let a second go by, and return how many there were."""
        self._seconds += 1
        return self._seconds

    @property
    def now(self) -> str:
        """The time, as Render writes it."""
        return stamp(seeds.BEGINNING + timedelta(seconds=self._seconds))

    def deploys_of(self, service: Thing) -> list[Thing]:
        """Return the deploys of a service, the newest first."""
        return self._kept(self._deploys, service, seeds.deploys)

    def jobs_of(self, service: Thing) -> list[Thing]:
        """Return the jobs of a service, the newest first."""
        return self._kept(self._jobs, service, seeds.jobs)

    def variables_of(self, service: Thing) -> dict[str, str]:
        """Return the environment variables of a service."""
        return self._kept(self._variables, service, lambda service, _: seeds.variables(service))

    def domains_of(self, service: Thing) -> list[Thing]:
        """Return the custom domains of a service."""
        return self._kept(self._domains, service, seeds.domains)

    def _kept(self, kept: dict[str, T], service: Thing, seed: Callable[[Thing, int], T]) -> T:
        """Make what a service starts with when it is first asked for: an account has some 700 deploys."""
        key = service["id"]
        if key not in kept:
            kept[key] = seed(service, self._places[key])
        return kept[key]

    def add_service(self, wanted: Thing) -> tuple[Thing, Thing]:
        """Create the service that a request's body describes, and return it with its first deploy."""
        service = self._new_service(wanted)
        key = service["id"]
        self.services = {key: service} | self.services
        self._deploys[key], self._jobs[key], self._domains[key] = [], [], []
        self._variables[key] = {}
        self.set_variables(service, wanted.get("envVars", []))
        return service, self.add_deploy(service, "api")

    def _new_service(self, wanted: Thing) -> Thing:
        kind, name = wanted["type"], wanted["name"]
        settings = wanted.get("serviceDetails", {})
        image = wanted.get("image")
        source = {"imagePath": image["imagePath"]} if image else {"repo": wanted["repo"]}
        source |= {} if image else {"branch": wanted.get("branch", "main")}
        prefix = "crn" if kind == "cron_job" else "srv"
        return {
            "id": identifier(prefix, self.profile.account, "new", self._seconds),
            "name": name,
            "type": kind,
            "ownerId": wanted["ownerId"],
            "slug": name,
            "suspended": "not_suspended",
            "suspenders": [],
            "autoDeploy": wanted.get("autoDeploy", "yes"),
            "rootDir": wanted.get("rootDir", ""),
            "notifyOnFail": "default",
            "dashboardUrl": f"https://dashboard.render.com/{name}",
            "createdAt": self.now,
            "updatedAt": self.now,
            "serviceDetails": seeds.details(kind, name, settings.get("runtime", ""), settings),
            **source,
            **({"environmentId": wanted["environmentId"]} if "environmentId" in wanted else {}),
        }

    def change_service(self, service: Thing, changes: Thing) -> None:
        """Apply the body of a PATCH."""
        changes = dict(changes)
        inner = dict(changes.pop("serviceDetails", {}))
        how_to_run = inner.pop("envSpecificDetails", {})
        image = changes.pop("image", None)
        service |= changes | ({"imagePath": image["imagePath"]} if image else {}) | {"updatedAt": self.now}
        service["serviceDetails"] |= inner
        if how_to_run:
            service["serviceDetails"]["envSpecificDetails"] |= how_to_run

    def remove_service(self, service: Thing) -> None:
        """Delete a service."""
        del self.services[service["id"]]

    def suspend(self, service: Thing) -> None:
        """Suspend a service on behalf of the user."""
        service |= {"suspended": "suspended", "suspenders": ["user"], "updatedAt": self.now}

    def resume(self, service: Thing) -> None:
        """Resume a service."""
        service |= {"suspended": "not_suspended", "suspenders": [], "updatedAt": self.now}

    def scale(self, service: Thing, instances: int) -> None:
        """Set the number of a service's instances."""
        service["serviceDetails"]["numInstances"] = instances

    def add_deploy(self, service: Thing, trigger: str, source: Thing | None = None) -> Thing:
        """Start a deploy, which goes on by one step each time that it is looked at.

        Args:
            service: What to deploy.
            trigger: Why, as the wire spells it.
            source: The commit or image, if it is not the newest.
        """
        deploys = self.deploys_of(service)
        deploy = {
            "id": identifier("dep", self.profile.account, "new", self._seconds),
            "status": "build_in_progress",
            "trigger": trigger,
            "createdAt": self.now,
            "startedAt": self.now,
            "updatedAt": self.now,
            "finishedAt": None,
            **(source or seeds.source_of(service, len(deploys), self.now)),
        }
        deploys.insert(0, deploy)
        build = service["serviceDetails"].get("envSpecificDetails", {}).get("buildCommand")
        ending = ["build_failed"] if build in _FAILING else ["update_in_progress", "live"]
        self._coming[deploy["id"]] = ["build_in_progress", *ending]
        return deploy

    def look_at_deploys(self, service: Thing, deploys: Iterable[Thing]) -> None:
        """Let time go by for those deploys of a service that are under way."""
        for deploy in deploys:
            coming = self._coming.get(deploy["id"])
            if coming:
                self._advance(service, deploy, coming.pop(0))

    def _advance(self, service: Thing, deploy: Thing, status: str) -> None:
        if status == "live":
            for earlier in self.deploys_of(service):
                if earlier["status"] == "live":
                    earlier["status"] = "deactivated"
        deploy |= {"status": status, "updatedAt": self.now}
        if status in ("live", "build_failed"):
            deploy["finishedAt"] = self.now

    def cancel_deploy(self, deploy: Thing) -> None:
        """Cancel a deploy that is under way."""
        self._coming.pop(deploy["id"], None)
        deploy |= {"status": "canceled", "updatedAt": self.now, "finishedAt": self.now}

    def add_job(self, service: Thing, command: str, plan: str) -> Thing:
        """Start a job, which goes on by one step each time that it is looked at."""
        job = {
            "id": identifier("job", self.profile.account, "new", self._seconds),
            "serviceId": service["id"],
            "startCommand": command,
            "planId": plan,
            "status": "pending",
            "createdAt": self.now,
        }
        self.jobs_of(service).insert(0, job)
        self._coming[job["id"]] = ["pending", "running", "failed" if command in _FAILING else "succeeded"]
        return job

    def look_at_jobs(self, jobs: Iterable[Thing]) -> None:
        """Let time go by for those jobs that are under way."""
        for job in jobs:
            coming = self._coming.get(job["id"])
            if coming:
                job["status"] = coming.pop(0)
                if job["status"] == "running":
                    job["startedAt"] = self.now
                if job["status"] in ("succeeded", "failed"):
                    job["finishedAt"] = self.now

    def cancel_job(self, job: Thing) -> None:
        """Cancel a job that is pending or running."""
        self._coming.pop(job["id"], None)
        job |= {"status": "canceled", "finishedAt": self.now}

    def set_variables(self, service: Thing, wanted: Iterable[Thing]) -> None:
        """Set environment variables from the entries of a request's body."""
        variables = self.variables_of(service)
        for each in wanted:
            generated = identifier("gen", service["id"], each["key"], self._seconds)
            variables[each["key"]] = each.get("value", generated)

    def clear_variables(self, service: Thing) -> None:
        """Delete every environment variable of a service."""
        self.variables_of(service).clear()
