"""Operations of the simulator on persistent disks, which are stored with their services, and on snapshots."""

from __future__ import annotations

from datetime import timedelta

from ...wire import Thing
from ..call import Call, Refusal, Reply, among, demanded, moment, paged, routes
from ..demands import AT_LEAST_ONE, MOUNT_PATH, TEXT, record
from ..seeds.accounts import identifier, stamp
from ..world import World

_NEW = record({"name": TEXT, "sizeGB": AT_LEAST_ONE, "mountPath": MOUNT_PATH, "serviceId": TEXT})
_CHANGED = record({}, {"name": TEXT, "sizeGB": AT_LEAST_ONE, "mountPath": MOUNT_PATH})
_RESTORED = record({"snapshotKey": TEXT}, {"instanceId": TEXT})
_SNAPSHOTS = 3


@routes.on("GET", "/disks")
def list_disks(world: World, call: Call) -> Reply:
    owner = world.owner["id"]
    return paged(
        _disks(world).values(), "disk", call, told=lambda disk: disk | {"diskId": disk["id"], "ownerId": owner}
    )


@routes.on("POST", "/disks")
def add_disk(world: World, call: Call) -> Reply:
    body = demanded(_NEW, call.body)
    service = among(world.services, body.pop("serviceId"))
    if "numInstances" not in service["serviceDetails"]:
        raise Refusal(400, f"a {service['type']} cannot have a disk")
    if "disk" in service["serviceDetails"]:
        raise Refusal(409, f"{service['id']} already has a disk")
    service["serviceDetails"]["disk"] = {"id": world.new_id("dsk")} | body
    service["updatedAt"] = world.now
    return Reply(201, _disk_of(service))


@routes.on("GET", "/disks/{disk_id}")
def get_disk(world: World, call: Call) -> Reply:
    return Reply(200, _disk(world, call))


@routes.on("PATCH", "/disks/{disk_id}")
def update_disk(world: World, call: Call) -> Reply:
    disk, changes = _disk(world, call), demanded(_CHANGED, call.body)
    if (changes.get("sizeGB") or disk["sizeGB"]) < disk["sizeGB"]:
        raise Refusal(400, "a disk cannot shrink")
    service = world.services[disk["serviceId"]]
    service["serviceDetails"]["disk"] |= {name: value for name, value in changes.items() if value is not None}
    service["updatedAt"] = world.now
    return Reply(200, _disk_of(service))


@routes.on("DELETE", "/disks/{disk_id}")
def delete_disk(world: World, call: Call) -> Reply:
    del world.services[_disk(world, call)["serviceId"]]["serviceDetails"]["disk"]
    return Reply(204)


@routes.on("GET", "/disks/{disk_id}/snapshots")
def list_disk_snapshots(world: World, call: Call) -> Reply:
    """Return the snapshots, with status 201 as Render does."""
    return Reply(201, _snapshots(world, _disk(world, call)))


@routes.on("POST", "/disks/{disk_id}/snapshots/restore")
def restore_disk_snapshot(world: World, call: Call) -> Reply:
    disk, body = _disk(world, call), demanded(_RESTORED, call.body)
    among({each["snapshotKey"]: each for each in _snapshots(world, disk)}, body["snapshotKey"])
    service = world.services[disk["serviceId"]]
    service["updatedAt"] = world.now
    return Reply(200, _disk_of(service))


def _disk(world: World, call: Call) -> Thing:
    return among(_disks(world), call.segments["disk_id"])


def _disks(world: World) -> dict[str, Thing]:
    attached = [service for service in world.services.values() if "disk" in service["serviceDetails"]]
    return {service["serviceDetails"]["disk"]["id"]: _disk_of(service) for service in attached}


def _disk_of(service: Thing) -> Thing:
    told = {"serviceId": service["id"], "createdAt": service["createdAt"], "updatedAt": service["updatedAt"]}
    disk: Thing = service["serviceDetails"]["disk"] | told
    return disk


def _snapshots(world: World, disk: Thing) -> list[Thing]:
    """Return the snapshots of a disk: one from each of the last few midnights."""
    day = moment(world.now).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [stamp(day - timedelta(days=number)) for number in range(_SNAPSHOTS)]
    return [{"createdAt": each, "snapshotKey": identifier("snap", disk["id"], each)} for each in days]
