"""Operations of the simulator on services: listing, reading, creating, changing, deleting, suspending and scaling."""

from __future__ import annotations

from ...wire import Thing
from .. import definitions
from ..bodies import changed_service, new_service
from ..call import Call, Refusal, Reply, demanded, paged, refuse_other_owner, routes, service_of
from ..demands import AT_LEAST_ONE, record
from ..world import World

_SCALE = record({"numInstances": AT_LEAST_ONE})


@routes.on("GET", "/services")
def list_services(world: World, call: Call) -> Reply:
    previews = call.one("includePreviews") != "false"
    found = [each for each in world.services.values() if previews or "parentServer" not in each["serviceDetails"]]
    return paged(found, "service", call, told=_told)


def _told(service: Thing) -> Thing:
    details = service["serviceDetails"]
    return service | {"region": details.get("region"), "env": details.get("runtime")}


@routes.on("POST", "/services")
def create_service(world: World, call: Call) -> Reply:
    body = demanded(new_service, call.body)
    refuse_other_owner(world, body["ownerId"])
    _demand_free_name(world, body["name"])
    service, deploy = world.add_service(body, call.ending)
    return Reply(201, {"service": service, "deployId": deploy["id"]})


def _demand_free_name(world: World, name: str) -> None:
    if any(service["name"] == name for service in world.services.values()):
        raise Refusal(409, f"a service named {name} already exists")


@routes.on("GET", "/services/{service_id}")
def get_service(world: World, call: Call) -> Reply:
    return Reply(200, service_of(world, call))


@routes.on("PATCH", "/services/{service_id}")
def update_service(world: World, call: Call) -> Reply:
    service = service_of(world, call)
    changes = demanded(changed_service(service["type"], service["serviceDetails"].get("plan")), call.body)
    if changes.get("name", service["name"]) != service["name"]:
        _demand_free_name(world, changes["name"])
    definitions.change(service, changes)
    service["updatedAt"] = world.now
    return Reply(200, service)


@routes.on("DELETE", "/services/{service_id}")
def delete_service(world: World, call: Call) -> Reply:
    world.remove_service(service_of(world, call))
    return Reply(204)


@routes.on("POST", "/services/{service_id}/suspend")
def suspend_service(world: World, call: Call) -> Reply:
    service = service_of(world, call)
    service |= {"suspended": "suspended", "suspenders": ["user"], "updatedAt": world.now}
    return Reply(202)


@routes.on("POST", "/services/{service_id}/resume")
def resume_service(world: World, call: Call) -> Reply:
    service = service_of(world, call)
    service |= {"suspended": "not_suspended", "suspenders": [], "updatedAt": world.now}
    return Reply(202)


@routes.on("POST", "/services/{service_id}/restart")
def restart_service(world: World, call: Call) -> Reply:
    if service_of(world, call)["type"] == "cron_job":
        raise Refusal(400, "cron jobs cannot be restarted")
    return Reply(200)


@routes.on("POST", "/services/{service_id}/scale")
def scale_service(world: World, call: Call) -> Reply:
    service = service_of(world, call)
    body = demanded(_SCALE, call.body)
    if "numInstances" not in service["serviceDetails"]:
        raise Refusal(400, f"a {service['type']} cannot be scaled")
    service["serviceDetails"]["numInstances"] = body["numInstances"]
    return Reply(202)
