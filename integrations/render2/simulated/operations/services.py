"""Operations of the simulator on services: listing, reading, creating, changing, deleting, suspending and scaling."""

from __future__ import annotations

from ...wire import Thing
from ..bodies import changed_service, new_service
from ..call import Call, Refusal, Reply, demanded, paged, service_of
from ..demands import at_least_one, record
from ..world import World

_SCALE = record({"numInstances": at_least_one})


def list_services(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /services``."""
    return paged([service for service in world.services.values() if _wanted(service, call)], "service", call)


def _wanted(service: Thing, call: Call) -> bool:
    details = service["serviceDetails"]
    if call.one("includePreviews") == "false" and "parentServer" in details:
        return False
    told = service | {"region": details.get("region"), "env": details.get("runtime")}
    names = ("name", "type", "region", "env", "suspended", "ownerId", "environmentId")
    return call.fits(told, names) and call.within(service, "created", "updated")


def create_service(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``POST /services``."""
    body = demanded(new_service, call.body)
    if body["ownerId"] != world.owner["id"]:
        raise Refusal(404, f"not found: {body['ownerId']}")
    _demand_free_name(world, body["name"])
    service, deploy = world.add_service(body, call.ending)
    return Reply(201, {"service": service, "deployId": deploy["id"]})


def _demand_free_name(world: World, name: str) -> None:
    if any(service["name"] == name for service in world.services.values()):
        raise Refusal(409, f"a service named {name} already exists")


def get_service(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /services/{service_id}``."""
    return Reply(200, service_of(world, call))


def update_service(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``PATCH /services/{service_id}``."""
    service = service_of(world, call)
    changes = demanded(changed_service(service["type"], service["serviceDetails"].get("plan")), call.body)
    if changes.get("name", service["name"]) != service["name"]:
        _demand_free_name(world, changes["name"])
    world.change_service(service, changes)
    return Reply(200, service)


def delete_service(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``DELETE /services/{service_id}``."""
    world.remove_service(service_of(world, call))
    return Reply(204)


def suspend_service(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``POST /services/{service_id}/suspend``."""
    world.suspend(service_of(world, call))
    return Reply(202)


def resume_service(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``POST /services/{service_id}/resume``."""
    world.resume(service_of(world, call))
    return Reply(202)


def restart_service(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``POST /services/{service_id}/restart``."""
    if service_of(world, call)["type"] == "cron_job":
        raise Refusal(400, "cron jobs cannot be restarted")
    return Reply(200)


def scale_service(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``POST /services/{service_id}/scale``."""
    service = service_of(world, call)
    body = demanded(_SCALE, call.body)
    if "numInstances" not in service["serviceDetails"]:
        raise Refusal(400, f"a {service['type']} cannot be scaled")
    world.scale(service, body["numInstances"])
    return Reply(202)
