"""How a simulated Render answers each of its operations; the paths are those of https://api-docs.render.com/reference."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TypeAlias

from . import demands, seeds
from .demands import Demand
from .seeds import Thing
from .world import World

_UNDER_WAY = ("created", "queued", "build_in_progress", "pre_deploy_in_progress", "update_in_progress")


@dataclass(frozen=True)
class Call:
    """A request that fits a known path.

    Args:
        segments: What stood in the path's places.
        query: Each parameter with the values it was given.
        body: The decoded body, or None.
    """

    segments: Mapping[str, str]
    query: Mapping[str, list[str]] = field(default_factory=dict)
    body: object = None

    def values(self, name: str) -> list[str]:
        """Return all values of a parameter, whether its name was repeated or its values were joined by commas."""
        return [part for value in self.query.get(name, []) for part in value.split(",")]

    def one(self, name: str, default: str = "") -> str:
        """Return the last value of a parameter."""
        return self.query.get(name, [default])[-1]


@dataclass(frozen=True)
class Reply:
    """A status, and a body for JSON; None stands for no body."""

    status: int
    body: object = None


class Refusal(Exception):
    """An error that Render answers with.

    Args:
        status: The HTTP status.
        message: What the body says.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


Operation: TypeAlias = Callable[[World, Call], Reply]


def _demand(demand: Demand, body: object) -> Thing:
    complaint = demand(body, "body")
    if complaint:
        raise Refusal(400, f"invalid JSON: {complaint}")
    assert isinstance(body, dict)
    return body


def _page(items: Sequence[Thing], key: str, call: Call, name: str = "id") -> Reply:
    """Answer with a page of a list: bare rows, each with a cursor; nothing follows a cursor that is not known."""
    cursors = [_cursor(str(item[name])) for item in items]
    start, cursor = 0, call.one("cursor")
    if cursor:
        start = cursors.index(cursor) + 1 if cursor in cursors else len(items)
    end = start + int(call.one("limit", "20"))
    return Reply(200, [{key: item, "cursor": cursors[start + n]} for n, item in enumerate(items[start:end])])


def _cursor(name: str) -> str:
    return urlsafe_b64encode(sha256(name.encode()).digest()[:10]).decode()


def _among(items: Mapping[str, Thing], key: str) -> Thing:
    if key not in items:
        raise Refusal(404, f"not found: {key}")
    return items[key]


def _service(world: World, call: Call) -> Thing:
    return _among(world.services, call.segments["service_id"])


def _deploy(world: World, call: Call) -> tuple[Thing, Thing]:
    service = _service(world, call)
    deploys = {deploy["id"]: deploy for deploy in world.deploys_of(service)}
    return service, _among(deploys, call.segments["deploy_id"])


def _job(world: World, call: Call) -> Thing:
    jobs = {job["id"]: job for job in world.jobs_of(_service(world, call))}
    return _among(jobs, call.segments["job_id"])


def _domain(world: World, call: Call) -> tuple[list[Thing], Thing]:
    domains = world.domains_of(_service(world, call))
    wanted = call.segments["domain"]
    return domains, _among({name: each for each in domains for name in (each["id"], each["name"])}, wanted)


def get_user(world: World, call: Call) -> Reply:
    """GET /users."""
    return Reply(200, world.user)


def list_owners(world: World, call: Call) -> Reply:
    """GET /owners."""
    return _page([world.owner], "owner", call)


def list_services(world: World, call: Call) -> Reply:
    """GET /services."""
    found = [service for service in world.services.values() if _wanted(service, call)]
    return _page(found, "service", call)


def _wanted(service: Thing, call: Call) -> bool:
    told = service | {"region": service["serviceDetails"].get("region")}
    names = ("name", "type", "region", "suspended", "ownerId")
    return all(not call.values(name) or told[name] in call.values(name) for name in names)


def create_service(world: World, call: Call) -> Reply:
    """POST /services."""
    body = _demand(demands.new_service, call.body)
    if body["ownerId"] != world.owner["id"]:
        raise Refusal(404, f"not found: {body['ownerId']}")
    _demand_free_name(world, body["name"])
    service, deploy = world.add_service(body)
    return Reply(201, {"service": service, "deployId": deploy["id"]})


def _demand_free_name(world: World, name: str) -> None:
    if any(service["name"] == name for service in world.services.values()):
        raise Refusal(409, f"a service named {name} exists already")


def get_service(world: World, call: Call) -> Reply:
    """GET /services/{service_id}."""
    return Reply(200, _service(world, call))


def update_service(world: World, call: Call) -> Reply:
    """PATCH /services/{service_id}."""
    service = _service(world, call)
    changes = _demand(demands.changed_service(service["type"]), call.body)
    if changes.get("name", service["name"]) != service["name"]:
        _demand_free_name(world, changes["name"])
    world.change_service(service, changes)
    return Reply(200, service)


def delete_service(world: World, call: Call) -> Reply:
    """DELETE /services/{service_id}."""
    world.remove_service(_service(world, call))
    return Reply(204)


def suspend_service(world: World, call: Call) -> Reply:
    """POST /services/{service_id}/suspend."""
    world.suspend(_service(world, call))
    return Reply(202)


def resume_service(world: World, call: Call) -> Reply:
    """POST /services/{service_id}/resume."""
    world.resume(_service(world, call))
    return Reply(202)


def restart_service(world: World, call: Call) -> Reply:
    """POST /services/{service_id}/restart."""
    if _service(world, call)["type"] == "cron_job":
        raise Refusal(400, "cron jobs cannot be restarted")
    return Reply(200)


def scale_service(world: World, call: Call) -> Reply:
    """POST /services/{service_id}/scale."""
    service = _service(world, call)
    body = _demand(demands.SCALE, call.body)
    if "numInstances" not in service["serviceDetails"]:
        raise Refusal(400, f"a {service['type']} cannot be scaled")
    world.scale(service, body["numInstances"])
    return Reply(202)


def list_deploys(world: World, call: Call) -> Reply:
    """GET /services/{service_id}/deploys."""
    service = _service(world, call)
    deploys, statuses = world.deploys_of(service), call.values("status")
    world.look_at_deploys(service, deploys)
    return _page([deploy for deploy in deploys if not statuses or deploy["status"] in statuses], "deploy", call)


def create_deploy(world: World, call: Call) -> Reply:
    """POST /services/{service_id}/deploys, which tells nothing of the deploy of a cron job."""
    service = _service(world, call)
    body = _demand(demands.DEPLOY, call.body)
    if service["suspended"] == "suspended":
        raise Refusal(409, "the service is suspended")
    if "imageUrl" in body and "imagePath" not in service:
        raise Refusal(400, "imageUrl is for services that run an image")
    if "commitId" in body and "repo" not in service:
        raise Refusal(400, "commitId is for services with a repository")
    deploy = world.add_deploy(service, "api", _source(body, world.now))
    return Reply(202) if service["type"] == "cron_job" else Reply(201, deploy)


def _source(body: Thing, now: str) -> Thing | None:
    if "commitId" in body:
        return {"commit": {"id": body["commitId"], "message": "A commit of your choice", "createdAt": now}}
    if "imageUrl" in body:
        digest = sha256(body["imageUrl"].encode()).hexdigest()
        return {"commit": None, "image": {"ref": body["imageUrl"], "sha": f"sha256:{digest}"}}
    return None


def get_deploy(world: World, call: Call) -> Reply:
    """GET /services/{service_id}/deploys/{deploy_id}."""
    service, deploy = _deploy(world, call)
    world.look_at_deploys(service, [deploy])
    return Reply(200, deploy)


def cancel_deploy(world: World, call: Call) -> Reply:
    """POST /services/{service_id}/deploys/{deploy_id}/cancel."""
    _, deploy = _deploy(world, call)
    if deploy["status"] not in _UNDER_WAY:
        raise Refusal(400, f"the deploy is {deploy['status']} and cannot be canceled")
    world.cancel_deploy(deploy)
    return Reply(200, deploy)


def rollback_deploy(world: World, call: Call) -> Reply:
    """POST /services/{service_id}/rollback."""
    body = _demand(demands.ROLLBACK, call.body)
    service, deploy = _deploy(world, Call({**call.segments, "deploy_id": body["deployId"]}))
    source: Thing = {name: deploy[name] for name in ("commit", "image") if name in deploy}
    return Reply(201, world.add_deploy(service, "rollback", source))


def list_jobs(world: World, call: Call) -> Reply:
    """GET /services/{service_id}/jobs."""
    jobs, statuses = world.jobs_of(_service(world, call)), call.values("status")
    world.look_at_jobs(jobs)
    return _page([job for job in jobs if not statuses or job["status"] in statuses], "job", call)


def create_job(world: World, call: Call) -> Reply:
    """POST /services/{service_id}/jobs."""
    service = _service(world, call)
    body = _demand(demands.JOB, call.body)
    if service["type"] == "static_site":
        raise Refusal(400, "a static_site runs no jobs")
    return Reply(201, world.add_job(service, body["startCommand"], body.get("planId", "plan-srv-004")))


def get_job(world: World, call: Call) -> Reply:
    """GET /services/{service_id}/jobs/{job_id}."""
    job = _job(world, call)
    world.look_at_jobs([job])
    return Reply(200, job)


def cancel_job(world: World, call: Call) -> Reply:
    """POST /services/{service_id}/jobs/{job_id}/cancel."""
    job = _job(world, call)
    if job["status"] not in ("pending", "running"):
        raise Refusal(400, f"the job has {job['status']}")
    world.cancel_job(job)
    return Reply(200, job)


def run_cron_job(world: World, call: Call) -> Reply:
    """POST /cron-jobs/{service_id}/runs."""
    service = _service(world, call)
    if service["type"] != "cron_job":
        raise Refusal(404, f"not found: {service['id']}")
    run = {"id": seeds.identifier("run", service["id"], world.now), "status": "pending", "startedAt": world.now}
    return Reply(200, run | {"triggeredBy": world.user["id"]})


def list_variables(world: World, call: Call) -> Reply:
    """GET /services/{service_id}/env-vars."""
    return _page(_variables(world, call), "envVar", call, "key")


def _variables(world: World, call: Call) -> list[Thing]:
    variables = world.variables_of(_service(world, call))
    return [{"key": key, "value": value} for key, value in sorted(variables.items())]


def replace_variables(world: World, call: Call) -> Reply:
    """PUT /services/{service_id}/env-vars."""
    service = _service(world, call)
    _demand(demands.record({"envVars": demands.VARIABLES}), {"envVars": call.body})
    world.clear_variables(service)
    assert isinstance(call.body, list)
    world.set_variables(service, call.body)
    return Reply(200, [{"envVar": each, "cursor": _cursor(each["key"])} for each in _variables(world, call)])


def get_variable(world: World, call: Call) -> Reply:
    """GET /services/{service_id}/env-vars/{key}."""
    found = {each["key"]: each for each in _variables(world, call)}
    return Reply(200, _among(found, call.segments["key"]))


def set_variable(world: World, call: Call) -> Reply:
    """PUT /services/{service_id}/env-vars/{key}."""
    body = _demand(demands.VALUE, call.body)
    world.set_variables(_service(world, call), [body | {"key": call.segments["key"]}])
    return get_variable(world, call)


def delete_variable(world: World, call: Call) -> Reply:
    """DELETE /services/{service_id}/env-vars/{key}."""
    get_variable(world, call)
    del world.variables_of(_service(world, call))[call.segments["key"]]
    return Reply(204)


def list_events(world: World, call: Call) -> Reply:
    """GET /services/{service_id}/events, of the last hour where no time is given."""
    service = _service(world, call)
    start = call.one("startTime") or seeds.stamp(_moment(world.now) - timedelta(hours=1))
    end, kinds = call.one("endTime", world.now), call.values("type")
    events = seeds.events(service, world.deploys_of(service))
    found = [
        event for event in events if start <= event["timestamp"] <= end and event["type"] in (kinds or [event["type"]])
    ]
    return _page(found, "event", call)


def list_logs(world: World, call: Call) -> Reply:
    """GET /logs, which has pages of its own kind: by time."""
    for name in ("ownerId", "resource"):
        if not call.one(name):
            raise Refusal(400, f"{name} is required")
    if call.one("ownerId") != world.owner["id"]:
        raise Refusal(404, f"not found: {call.one('ownerId')}")
    for resource in call.values("resource"):
        if resource.startswith(("srv-", "crn-")):
            _among(world.services, resource)
    end = _moment(call.one("endTime", world.now))
    start = _moment(call.one("startTime")) if call.one("startTime") else end - timedelta(hours=1)
    entries = [entry for resource in call.values("resource") for entry in seeds.logs(resource)]
    found = [each for each in entries if start <= _moment(each["timestamp"]) <= end and _matches(each, call)]
    return _log_page(found, call, start, end)


def _log_page(found: list[Thing], call: Call, start: datetime, end: datetime) -> Reply:
    backward = call.one("direction", "backward") == "backward"
    found.sort(key=lambda entry: str(entry["timestamp"]), reverse=backward)
    limit = int(call.one("limit", "20"))
    page, more = found[:limit], len(found) > limit
    if more and backward:
        end = _moment(page[-1]["timestamp"]) - timedelta(microseconds=1)
    elif more:
        start = _moment(page[-1]["timestamp"]) + timedelta(microseconds=1)
    times = {"nextStartTime": seeds.stamp(start), "nextEndTime": seeds.stamp(end)}
    return Reply(200, {"logs": page, "hasMore": more} | times)


def _matches(entry: Thing, call: Call) -> bool:
    labels = {label["name"]: label["value"] for label in entry["labels"]}
    texts = call.values("text")
    return (
        labels["level"] in (call.values("level") or [labels["level"]])
        and labels["type"] in (call.values("type") or [labels["type"]])
        and (not texts or any(text.strip("*") in entry["message"] for text in texts))
    )


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Refusal(400, f"{text} is not a date and time") from None


def list_domains(world: World, call: Call) -> Reply:
    """GET /services/{service_id}/custom-domains."""
    return _page(world.domains_of(_service(world, call)), "customDomain", call)


def create_domain(world: World, call: Call) -> Reply:
    """POST /services/{service_id}/custom-domains, which answers with www beside an apex domain."""
    service = _service(world, call)
    name = _demand(demands.DOMAIN, call.body)["name"]
    domains = world.domains_of(service)
    if any(domain["name"] == name for domain in domains):
        raise Refusal(409, f"{name} is a custom domain already")
    if service["type"] not in ("web_service", "static_site"):
        raise Refusal(400, f"a {service['type']} has no domains")
    added = [
        seeds.domain(service, each, "unverified")
        for each in ([name, f"www.{name}"] if name.count(".") == 1 else [name])
    ]
    domains.extend(added)
    return Reply(201, added)


def get_domain(world: World, call: Call) -> Reply:
    """GET /services/{service_id}/custom-domains/{domain}."""
    return Reply(200, _domain(world, call)[1])


def verify_domain(world: World, call: Call) -> Reply:
    """POST /services/{service_id}/custom-domains/{domain}/verify."""
    _domain(world, call)[1]["verificationStatus"] = "verified"
    return Reply(202)


def delete_domain(world: World, call: Call) -> Reply:
    """DELETE /services/{service_id}/custom-domains/{domain}."""
    domains, domain = _domain(world, call)
    domains.remove(domain)
    return Reply(204)


def list_databases(world: World, call: Call) -> Reply:
    """GET /postgres."""
    return _page(_stores(world.databases, call), "postgres", call)


def get_database(world: World, call: Call) -> Reply:
    """GET /postgres/{postgres_id}."""
    return Reply(200, _among(world.databases, call.segments["postgres_id"]))


def list_caches(world: World, call: Call) -> Reply:
    """GET /key-value."""
    return _page(_stores(world.caches, call), "keyValue", call)


def get_cache(world: World, call: Call) -> Reply:
    """GET /key-value/{key_value_id}."""
    return Reply(200, _among(world.caches, call.segments["key_value_id"]))


def _stores(stores: Mapping[str, Thing], call: Call) -> list[Thing]:
    told = [store | {"ownerId": store["owner"]["id"]} for store in stores.values()]
    names = ("name", "region", "ownerId")
    kept = [store for store in told if all(store[name] in (call.values(name) or [store[name]]) for name in names)]
    return [stores[store["id"]] for store in kept]


_S = "/services/{service_id}"
OPERATIONS: dict[str, dict[str, Operation]] = {
    "/users": {"GET": get_user},
    "/owners": {"GET": list_owners},
    "/services": {"GET": list_services, "POST": create_service},
    _S: {"GET": get_service, "PATCH": update_service, "DELETE": delete_service},
    _S + "/suspend": {"POST": suspend_service},
    _S + "/resume": {"POST": resume_service},
    _S + "/restart": {"POST": restart_service},
    _S + "/scale": {"POST": scale_service},
    _S + "/deploys": {"GET": list_deploys, "POST": create_deploy},
    _S + "/deploys/{deploy_id}": {"GET": get_deploy},
    _S + "/deploys/{deploy_id}/cancel": {"POST": cancel_deploy},
    _S + "/rollback": {"POST": rollback_deploy},
    _S + "/jobs": {"GET": list_jobs, "POST": create_job},
    _S + "/jobs/{job_id}": {"GET": get_job},
    _S + "/jobs/{job_id}/cancel": {"POST": cancel_job},
    "/cron-jobs/{service_id}/runs": {"POST": run_cron_job},
    _S + "/env-vars": {"GET": list_variables, "PUT": replace_variables},
    _S + "/env-vars/{key}": {"GET": get_variable, "PUT": set_variable, "DELETE": delete_variable},
    _S + "/events": {"GET": list_events},
    _S + "/custom-domains": {"GET": list_domains, "POST": create_domain},
    _S + "/custom-domains/{domain}": {"GET": get_domain, "DELETE": delete_domain},
    _S + "/custom-domains/{domain}/verify": {"POST": verify_domain},
    "/logs": {"GET": list_logs},
    "/postgres": {"GET": list_databases},
    "/postgres/{postgres_id}": {"GET": get_database},
    "/key-value": {"GET": list_caches},
    "/key-value/{key_value_id}": {"GET": get_cache},
}
"""What answers, by path and method."""
