"""Operations of the simulator on the instances of services, and on autoscaling."""

from __future__ import annotations

from ..bodies import AUTOSCALING
from ..call import Call, Refusal, Reply, demanded, routes, service_of
from ..world import World


@routes.on("GET", "/services/{service_id}/instances")
def list_instances(world: World, call: Call) -> Reply:
    service = service_of(world, call)
    return Reply(200, [{"id": key, "createdAt": service["updatedAt"]} for key in world.instances_of(service)])


@routes.on("PUT", "/services/{service_id}/autoscaling")
def set_autoscaling(world: World, call: Call) -> Reply:
    service = service_of(world, call)
    body = demanded(AUTOSCALING, call.body)
    if "numInstances" not in service["serviceDetails"]:
        raise Refusal(400, f"a {service['type']} cannot be scaled")
    service["serviceDetails"]["autoscaling"] = body
    return Reply(200, body)


@routes.on("DELETE", "/services/{service_id}/autoscaling")
def delete_autoscaling(world: World, call: Call) -> Reply:
    details = service_of(world, call)["serviceDetails"]
    if "autoscaling" not in details:
        raise Refusal(404, f"not found: autoscaling of {call.segments['service_id']}")
    del details["autoscaling"]
    return Reply(204)
