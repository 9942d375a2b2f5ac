"""The state of a simulated account: its services, deploys, jobs and so on, and their changes with time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from datetime import timedelta
from typing import Any, TypeVar

from kosmolua.plugin import SIMULATION_START

from ..wire import Thing
from . import definitions
from .progress import UNDER_WAY, Progress
from .seeds import accounts, deploys, projects, services, stores
from .seeds.accounts import BEGINNING, identifier, stamp

T = TypeVar("T")


class World:
    """All data of one simulated account, which requests read and change.

    Args:
        account: The name of the account, which determines the initial data.
        clock: A function that returns the time in seconds since 1970. If None, time advances by one second with each
            request.
        state: What :meth:`dump` of an earlier world of this account returned, or None to start anew.

    Raises:
        ValueError: ``state`` does not come from a world of this account.
    """

    def __init__(
        self, account: str, clock: Callable[[], float] | None = None, state: Mapping[str, Any] | None = None
    ) -> None:
        self.profile = accounts.profile_of(account)
        self.owner = accounts.owner(self.profile)
        self.user = accounts.user(self.profile)
        self._clock = clock or self._count_requests
        self._state = _fresh(self.profile) if state is None else _checked(state, account)
        self._progress = Progress(self._state["progress"], self._written)
        self._places = services.places(self.profile)

    def dump(self) -> dict[str, Any]:
        """Return all data of the account as JSON values."""
        return deepcopy(self._state)

    @property
    def services(self) -> dict[str, Thing]:
        """Return the services by id, the newest first."""
        return self._part("services")

    @property
    def databases(self) -> dict[str, Thing]:
        """Return the Postgres databases by id."""
        return self._part("databases")

    @property
    def caches(self) -> dict[str, Thing]:
        """Return the Key Value instances by id."""
        return self._part("caches")

    @property
    def projects(self) -> dict[str, Thing]:
        """Return the projects by id."""
        return self._part("projects")

    @property
    def environments(self) -> dict[str, Thing]:
        """Return the environments of all projects by id."""
        return self._part("environments")

    @property
    def groups(self) -> dict[str, Thing]:
        """Return the environment groups by id."""
        return self._part("groups")

    @property
    def seconds(self) -> float:
        """Return the seconds since the start of the simulation."""
        return self._clock() - SIMULATION_START

    @property
    def now(self) -> str:
        """Return the current time in Render's format."""
        return self._written(self.seconds)

    def tick(self) -> int:
        """Count a request, carry out the changes that are due, and return the number of requests so far."""
        self._state["requests"] += 1
        for due in self._progress.due(self.seconds):
            self._carry_out(due)
        return int(self._state["requests"])

    def deploys_of(self, service: Thing) -> list[Thing]:
        """Return the deploys of a service, the newest first."""
        known = service["id"] in self._part("deploys")
        found = self._kept("deploys", service, deploys.deploys)
        if not known:
            for deploy in found:
                if deploy["status"] in UNDER_WAY:
                    self._progress.resume_deploy(service, deploy, self.seconds)
        return found

    def jobs_of(self, service: Thing) -> list[Thing]:
        """Return the jobs of a service, the newest first."""
        return self._kept("jobs", service, deploys.jobs)

    def variables_of(self, service: Thing) -> dict[str, str]:
        """Return the environment variables of a service."""
        return self._kept("variables", service, lambda service, _: services.variables(self.profile, service))

    def files_of(self, service: Thing) -> dict[str, str]:
        """Return the secret files of a service by name."""
        return self._kept("files", service, lambda service, _: services.files(service))

    def instances_of(self, service: Thing) -> list[str]:
        """Return the ids of the running instances of a service."""
        count = 0 if service["suspended"] == "suspended" else service["serviceDetails"].get("numInstances", 0)
        return [f"{service['id']}-{identifier('', service['id'], number)[1:6]}" for number in range(count)]

    def rules_of(self, service: Thing) -> dict[str, list[Thing]]:
        """Return the response headers and the routes of a static site, under the keys ``headers`` and ``routes``."""
        return self._kept("rules", service, lambda service, _: services.rules(service))

    def domains_of(self, service: Thing) -> list[Thing]:
        """Return the custom domains of a service."""
        return self._kept("domains", service, services.domains)

    def new_id(self, prefix: str, *parts: object) -> str:
        """Return an id for a new object. ``parts`` distinguishes several objects that one request creates."""
        return identifier(prefix, self.profile.account, "new", self._state["requests"], *parts)

    def set_status(self, store: Thing, status: str, then: str | None = None) -> None:
        """Set the status of a data store. Unless ``then`` is None, it becomes the status a minute later."""
        self._progress.forget(store["id"])
        store |= {"status": status, "updatedAt": self.now}
        if then is not None:
            self._progress.start_store(store["id"], then, self.seconds)

    def add_service(self, wanted: Thing, ending: str | None = None) -> tuple[Thing, Thing]:
        """Create the service that the body of a request describes. Return the service and its first deploy.

        ``ending`` is the final status of that deploy, or None for the usual one.
        """
        prefix = "crn" if wanted["type"] == "cron_job" else "srv"
        key = self.new_id(prefix)
        service = definitions.new_service(wanted, key, self.now)
        self._state["services"] = {key: service} | self.services
        for part in ("deploys", "jobs", "domains"):
            self._part(part)[key] = []
        self._part("variables")[key] = {}
        self._part("files")[key] = {each["name"]: each["content"] for each in wanted.get("secretFiles") or []}
        self._part("rules")[key] = self._new_rules(wanted.get("serviceDetails") or {})
        self.set_variables(service, wanted.get("envVars") or [])
        deploy, _ = self.add_deploy(service, "api", ending=ending)
        return service, deploy

    def change_service(self, service: Thing, changes: Thing) -> None:
        """Change a service. ``changes`` is the body of a ``PATCH /services/{service_id}``."""
        definitions.change(service, changes)
        service["updatedAt"] = self.now

    def remove_service(self, service: Thing) -> None:
        """Delete a service and the changes of status that are planned for it."""
        del self.services[service["id"]]
        self._progress.forget(service["id"])

    def suspend(self, service: Thing) -> None:
        """Suspend a service on behalf of the user."""
        service |= {"suspended": "suspended", "suspenders": ["user"], "updatedAt": self.now}

    def resume(self, service: Thing) -> None:
        """Resume a service."""
        service |= {"suspended": "not_suspended", "suspenders": [], "updatedAt": self.now}

    def scale(self, service: Thing, instances: int) -> None:
        """Set the number of a service's instances."""
        service["serviceDetails"]["numInstances"] = instances

    def add_deploy(
        self, service: Thing, trigger: str, source: Thing | None = None, ending: str | None = None
    ) -> tuple[Thing, bool]:
        """Add a deploy. Return the deploy, and True if it has started or False if it waits for another deploy to end.

        Args:
            service: The service to deploy.
            trigger: The reason, as Render's API names it, such as ``rollback``.
            source: The commit or image to deploy, or None for the newest.
            ending: The final status to simulate, or None for the usual one.
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
            generated = identifier("gen", service["id"], each["key"], self._state["requests"])
            variables[each["key"]] = each.get("value", generated)

    def _new_rules(self, details: Thing) -> dict[str, list[Thing]]:
        kinds = {"headers": "hdr", "routes": "rdr"}
        return {
            kind: [{"id": self.new_id(prefix, place)} | rule for place, rule in enumerate(details.get(kind) or [])]
            for kind, prefix in kinds.items()
        }

    def _count_requests(self) -> float:
        return SIMULATION_START + int(self._state["requests"])

    def _part(self, name: str) -> dict[str, Any]:
        part: dict[str, Any] = self._state[name]
        return part

    def _kept(self, name: str, service: Thing, seed: Callable[[Thing, int], T]) -> T:
        """Return one kind of data of a service. There is a lot of it, so ``seed`` creates it only on first use."""
        part, key = self._part(name), service["id"]
        if key not in part:
            part[key] = seed(service, self._places[key])
        kept: T = part[key]
        return kept

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
    return {
        "account": profile.account,
        "requests": 0,
        "services": {service["id"]: service for service in services.services(profile)},
        "databases": {store["id"]: store for store in stores.databases(profile)},
        "caches": {store["id"]: store for store in stores.caches(profile)},
        "projects": {project["id"]: project for project in projects.projects(profile)},
        "environments": {each["id"]: each for each in projects.environments(profile)},
        "groups": {group["id"]: group for group in projects.groups(profile)},
        "deploys": {},
        "jobs": {},
        "variables": {},
        "files": {},
        "rules": {},
        "domains": {},
        "progress": {},
    }


def _checked(state: Mapping[str, Any], account: str) -> dict[str, Any]:
    fresh = _fresh(accounts.profile_of(account))
    kinds = {name: type(value) for name, value in fresh.items()}
    if state.get("account") != account or not all(isinstance(state.get(name), kind) for name, kind in kinds.items()):
        raise ValueError(f"this is not the state of a simulated Render account {account}")
    return deepcopy(dict(state))
