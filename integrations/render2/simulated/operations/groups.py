"""Operations of the simulator on environment groups: their variables, secret files and linked services."""

from __future__ import annotations

from ...wire import Thing
from ..bodies import FILES, VARIABLES
from ..call import Call, Refusal, Reply, among, demanded, paged, refuse_other_owner, routes, service_of
from ..demands import TEXT, listing, record
from ..seeds.services import SHORT_TYPES
from ..world import World
from .contents import FILE, VALUE, VARIABLE, content_of

_NEW = record(
    {"name": TEXT, "ownerId": TEXT, "envVars": VARIABLES},
    {"secretFiles": FILES, "serviceIds": listing(TEXT), "environmentId": TEXT},
)
_RENAMED = record({"name": TEXT})


@routes.on("GET", "/env-groups")
def list_env_groups(world: World, call: Call) -> Reply:
    return paged([_meta(world, group) for group in world.groups.values()], "envGroup", call)


@routes.on("POST", "/env-groups")
def create_env_group(world: World, call: Call) -> Reply:
    body = demanded(_NEW, call.body)
    refuse_other_owner(world, body["ownerId"])
    services = [among(world.services, each)["id"] for each in body.get("serviceIds") or []]
    group = {
        "id": world.new_id("evg"),
        "name": body["name"],
        "ownerId": body["ownerId"],
        "createdAt": world.now,
        "updatedAt": world.now,
        "envVars": {},
        "secretFiles": {each["name"]: each["content"] for each in body.get("secretFiles") or []},
        "serviceIds": services,
        **({"environmentId": body["environmentId"]} if body.get("environmentId") else {}),
    }
    for each in body["envVars"]:
        group["envVars"][each["key"]] = _value(world, each)
    world.groups[group["id"]] = group
    return Reply(201, _whole(world, group))


@routes.on("GET", "/env-groups/{env_group_id}")
def get_env_group(world: World, call: Call) -> Reply:
    return Reply(200, _whole(world, _group(world, call)))


@routes.on("PATCH", "/env-groups/{env_group_id}")
def update_env_group(world: World, call: Call) -> Reply:
    group, changes = _group(world, call), demanded(_RENAMED, call.body)
    return _changed(world, group | changes)


@routes.on("DELETE", "/env-groups/{env_group_id}")
def delete_env_group(world: World, call: Call) -> Reply:
    del world.groups[_group(world, call)["id"]]
    return Reply(204)


@routes.on("POST", "/env-groups/{env_group_id}/services/{service_id}")
def link_env_group(world: World, call: Call) -> Reply:
    group, service = _group(world, call), service_of(world, call)
    linked = [each for each in group["serviceIds"] if each != service["id"]]
    return _changed(world, group | {"serviceIds": [*linked, service["id"]]})


@routes.on("DELETE", "/env-groups/{env_group_id}/services/{service_id}")
def unlink_env_group(world: World, call: Call) -> Reply:
    group = _group(world, call)
    if call.segments["service_id"] not in group["serviceIds"]:
        raise Refusal(404, f"not found: {call.segments['service_id']}")
    group["serviceIds"].remove(call.segments["service_id"])
    return Reply(204)


@routes.on("GET", "/env-groups/{env_group_id}/env-vars/{key}")
def get_env_group_var(world: World, call: Call) -> Reply:
    return VARIABLE.one(_group(world, call)["envVars"], call)


@routes.on("PUT", "/env-groups/{env_group_id}/env-vars/{key}")
def set_env_group_var(world: World, call: Call) -> Reply:
    group, body = _group(world, call), demanded(VALUE, call.body)
    value = _value(world, body | {"key": call.segments["key"]})
    return _changed(world, group | {"envVars": group["envVars"] | {call.segments["key"]: value}})


@routes.on("DELETE", "/env-groups/{env_group_id}/env-vars/{key}")
def delete_env_group_var(world: World, call: Call) -> Reply:
    return VARIABLE.delete(_group(world, call)["envVars"], call)


@routes.on("GET", "/env-groups/{env_group_id}/secret-files/{name}")
def get_env_group_file(world: World, call: Call) -> Reply:
    return FILE.one(_group(world, call)["secretFiles"], call)


@routes.on("PUT", "/env-groups/{env_group_id}/secret-files/{name}")
def set_env_group_file(world: World, call: Call) -> Reply:
    group, content = _group(world, call), content_of(call)
    return _changed(world, group | {"secretFiles": group["secretFiles"] | {call.segments["name"]: content}})


@routes.on("DELETE", "/env-groups/{env_group_id}/secret-files/{name}")
def delete_env_group_file(world: World, call: Call) -> Reply:
    return FILE.delete(_group(world, call)["secretFiles"], call)


def _group(world: World, call: Call) -> Thing:
    return among(world.groups, call.segments["env_group_id"])


def _changed(world: World, group: Thing) -> Reply:
    world.groups[group["id"]] = group | {"updatedAt": world.now}
    return Reply(200, _whole(world, world.groups[group["id"]]))


def _value(world: World, wanted: Thing) -> str:
    return str(wanted.get("value", world.new_id("gen", wanted["key"])))


def _meta(world: World, group: Thing) -> Thing:
    linked = [world.services[each] for each in group["serviceIds"] if each in world.services]
    links = [{"id": each["id"], "name": each["name"], "type": SHORT_TYPES[each["type"]]} for each in linked]
    inside = ("envVars", "secretFiles", "serviceIds")
    return {name: value for name, value in group.items() if name not in inside} | {"serviceLinks": links}


def _whole(world: World, group: Thing) -> Thing:
    contents = {"envVars": VARIABLE.things(group["envVars"]), "secretFiles": FILE.things(group["secretFiles"])}
    return _meta(world, group) | {kind: [*things.values()] for kind, things in contents.items()}
