"""The state of a simulated account: its services, deploys, jobs and so on, and their changes with time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from kosmolua.plugin import SIMULATION_START
from kosmolua.testing import BEGINNING, SimulatedAccount

from ..wire import Thing
from . import definitions
from .progress import UNDER_WAY, Progress
from .seeds import accounts, deploys, projects, services, stores
from .seeds.accounts import identifier, stamp

T = TypeVar("T")


class World(SimulatedAccount):
    """All data of one simulated account: services, data stores, projects and so on, by id.

    Without a clock, time advances by one second with each request.
    """

    def __init__(
        self, account: str, clock: Callable[[], float] | None = None, state: Mapping[str, Any] | None = None
    ) -> None:
        self.profile = accounts.profile_of(account)
        super().__init__("Render", account, _fresh(self.profile), state)
        self.owner = accounts.owner(self.profile)
        self.user = accounts.user(self.profile)
        self.services: dict[str, Thing] = self.parts["services"]
        self.databases: dict[str, Thing] = self.parts["databases"]
        self.caches: dict[str, Thing] = self.parts["caches"]
        self.projects: dict[str, Thing] = self.parts["projects"]
        self.environments: dict[str, Thing] = self.parts["environments"]
        self.groups: dict[str, Thing] = self.parts["groups"]
        self._clock = clock or self._count_requests
        self._progress = Progress(self.parts["progress"], self._written)
        self._places = services.places(self.profile)

    @property
    def seconds(self) -> float:
        """The seconds since the start of the simulation."""
        return self._clock() - SIMULATION_START

    @property
    def now(self) -> str:
        """The current time in Render's format."""
        return self._written(self.seconds)

    def tick(self) -> int:
        """Count a request, carry out the changes that are due, and return the number of requests so far."""
        self.parts["requests"] += 1
        for due in self._progress.due(self.seconds):
            self._carry_out(due)
        return int(self.parts["requests"])

    def deploys_of(self, service: Thing) -> list[Thing]:
        """Return the deploys of a service, the newest first."""
        known = service["id"] in self.parts["deploys"]
        found = self._seeded("deploys", service, deploys.deploys)
        if not known:
            for deploy in found:
                if deploy["status"] in UNDER_WAY:
                    self._progress.resume_deploy(service, deploy, self.seconds)
        return found

    def jobs_of(self, service: Thing) -> list[Thing]:
        """Return the jobs of a service, the newest first."""
        return self._seeded("jobs", service, deploys.jobs)

    def variables_of(self, service: Thing) -> dict[str, str]:
        """Return the environment variables of a service."""
        return self._seeded("variables", service, lambda service, _: services.variables(self.profile, service))

    def files_of(self, service: Thing) -> dict[str, str]:
        """Return the secret files of a service by name."""
        return self._seeded("files", service, lambda service, _: services.files(service))

    def rules_of(self, service: Thing) -> dict[str, list[Thing]]:
        """Return the response headers and the routes of a static site, under the keys ``headers`` and ``routes``."""
        return self._seeded("rules", service, lambda service, _: services.rules(service))

    def domains_of(self, service: Thing) -> list[Thing]:
        """Return the custom domains of a service."""
        return self._seeded("domains", service, services.domains)

    def instances_of(self, service: Thing) -> list[str]:
        """Return the ids of the running instances of a service."""
        count = 0 if service["suspended"] == "suspended" else service["serviceDetails"].get("numInstances", 0)
        return [f"{service['id']}-{identifier('', service['id'], number)[1:6]}" for number in range(count)]

    def new_id(self, prefix: str, *parts: object) -> str:
        """Return an id for a new object. ``parts`` distinguishes several objects that one request creates."""
        return identifier(prefix, self.profile.account, "new", self.parts["requests"], *parts)

    def set_status(self, store: Thing, status: str, then: str | None = None) -> None:
        """Set the status of a data store. Unless ``then`` is None, it becomes the status a minute later."""
        self._progress.forget(store["id"])
        store |= {"status": status, "updatedAt": self.now}
        if then is not None:
            self._progress.start_store(store["id"], then, self.seconds)

    def add_service(self, wanted: Thing, ending: str | None = None) -> tuple[Thing, Thing]:
        """Create the service that the body of a request describes. Return the service and its first deploy."""
        key = self.new_id("crn" if wanted["type"] == "cron_job" else "srv")
        service = definitions.new_service(wanted, key, self.now)
        older = dict(self.services)
        self.services.clear()
        self.services.update({key: service} | older)
        rules = {"headers": "hdr", "routes": "rdr"}
        details = wanted.get("serviceDetails") or {}
        own: dict[str, object] = {
            "deploys": [],
            "jobs": [],
            "domains": [],
            "variables": {},
            "files": {each["name"]: each["content"] for each in wanted.get("secretFiles") or []},
            "rules": {
                kind: [{"id": self.new_id(prefix, place)} | rule for place, rule in enumerate(details.get(kind) or [])]
                for kind, prefix in rules.items()
            },
        }
        for part, value in own.items():
            self.parts[part][key] = value
        self.set_variables(service, wanted.get("envVars") or [])
        deploy, _ = self.add_deploy(service, "api", ending=ending)
        return service, deploy

    def remove_service(self, service: Thing) -> None:
        """Delete a service and the changes of status that are planned for it."""
        del self.services[service["id"]]
        self._progress.forget(service["id"])

    def add_deploy(
        self, service: Thing, trigger: str, source: Thing | None = None, ending: str | None = None
    ) -> tuple[Thing, bool]:
        """Add a deploy, of the newest source if none is given.

        Return the deploy, and True if it has started or False if it waits for another deploy to end.
        """
        history = self.deploys_of(service)
        deploy = {
            "id": self.new_id("dep"),
            "status": "queued",
            "trigger": trigger,
            "createdAt": self.now,
            "startedAt": None,
            "updatedAt": self.now,
            "finishedAt": None,
            **(source or deploys.source_of(service, len(history), self.now)),
        }
        history.insert(0, deploy)
        started = self._progress.start_deploy(service, deploy, ending, self.seconds)
        for due in self._progress.due(self.seconds):
            self._carry_out(due)
        return deploy, started

    def cancel_deploy(self, service: Thing, deploy: Thing) -> None:
        """Cancel a deploy that is active or waiting, and start the next deploy of the service."""
        self._progress.forget(deploy["id"])
        deploy |= {"status": "canceled", "updatedAt": self.now, "finishedAt": self.now}
        self._progress.start_waiting(service["id"], self.deploys_of(service), self.seconds)

    def add_job(self, service: Thing, command: str, plan: str, ending: str | None = None) -> Thing:
        """Add a job to a service, plan its progress, and return the job."""
        job = {
            "id": self.new_id("job"),
            "serviceId": service["id"],
            "startCommand": command,
            "planId": plan,
            "status": "pending",
            "createdAt": self.now,
        }
        self.jobs_of(service).insert(0, job)
        self._progress.start_job(service, job, ending, self.seconds)
        return job

    def cancel_job(self, job: Thing) -> None:
        """Cancel a job that is pending or running."""
        self._progress.forget(job["id"])
        job |= {"status": "canceled", "finishedAt": self.now}

    def set_variables(self, service: Thing, wanted: Iterable[Thing]) -> None:
        """Set the environment variables in the body of a request. Other variables of the service stay as they are."""
        variables = self.variables_of(service)
        for each in wanted:
            generated = identifier("gen", service["id"], each["key"], self.parts["requests"])
            variables[each["key"]] = each.get("value", generated)

    def _count_requests(self) -> float:
        return SIMULATION_START + int(self.parts["requests"])

    def _seeded(self, part: str, service: Thing, seed: Callable[[Thing, int], T]) -> T:
        """Return one kind of data of a service. There is a lot of it, so ``seed`` creates it only on first use."""
        return self.kept(part, service["id"], lambda: seed(service, self._places[service["id"]]))

    def _written(self, seconds: float) -> str:
        return stamp(BEGINNING + timedelta(seconds=seconds))

    def _carry_out(self, due: Thing) -> None:
        """Carry out a planned change of the status of a deploy, a job or a data store."""
        moment = self._written(due["at"])
        if due["kind"] == "store":
            store = (self.databases | self.caches)[due["id"]]
            store |= {"status": due["status"], "updatedAt": moment}
            return
        service = self.services[due["service"]]
        things = self.deploys_of(service) if due["kind"] == "deploy" else self.jobs_of(service)
        thing = next(thing for thing in things if thing["id"] == due["id"])
        if due["status"] == "live":
            for earlier in things:
                if earlier["status"] == "live":
                    earlier["status"] = "deactivated"
        thing["status"] = due["status"]
        if due["kind"] == "deploy":
            thing["updatedAt"] = moment
        elif due["status"] == "running":
            thing["startedAt"] = moment
        if due["status"] not in (*UNDER_WAY, "running"):
            thing["finishedAt"] = moment
            if due["kind"] == "deploy":
                self._progress.start_waiting(service["id"], things, due["at"])


def _fresh(profile: accounts.Profile) -> dict[str, Any]:
    things = {
        "services": services.services(profile),
        "databases": stores.databases(profile),
        "caches": stores.caches(profile),
        "projects": projects.projects(profile),
        "environments": projects.environments(profile),
        "groups": projects.groups(profile),
    }
    on_first_use = ("deploys", "jobs", "variables", "files", "rules", "domains", "progress")
    return {
        "requests": 0,
        **{part: {each["id"]: each for each in found} for part, found in things.items()},
        **{part: {} for part in on_first_use},
    }
