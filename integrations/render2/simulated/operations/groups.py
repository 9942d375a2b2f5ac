"""Operations of the simulator on environment groups: their variables, secret files and linked services."""

from __future__ import annotations

from ...wire import Thing
from ..bodies import FILES, VARIABLES
from ..call import Call, Refusal, Reply, among, demanded, paged, service_of
from ..demands import FLAG, TEXT, either, listing, record
from ..world import World
from .files import CONTENT

_NEW = record(
    {"name": TEXT, "ownerId": TEXT, "envVars": VARIABLES},
    {"secretFiles": FILES, "serviceIds": listing(TEXT), "environmentId": TEXT},
)
_RENAMED = record({"name": TEXT})
_VALUE = either(record({"value": TEXT}), record({"generateValue": FLAG}))
_SHORT = {
    "web_service": "web",
    "static_site": "static",
    "background_worker": "worker",
    "cron_job": "cron",
    "private_service": "pserv",
}


def list_env_groups(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /env-groups``."""
    found = [
        group
        for group in world.groups.values()
        if call.fits(group, ("name", "ownerId", "environmentId")) and call.within(group, "created", "updated")
    ]
    return paged([_meta(world, group) for group in found], "envGroup", call)


def create_env_group(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``POST /env-groups``."""
    body = demanded(_NEW, call.body)
    if body["ownerId"] != world.owner["id"]:
        raise Refusal(404, f"not found: {body['ownerId']}")
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


def get_env_group(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /env-groups/{env_group_id}``."""
    return Reply(200, _whole(world, _group(world, call)))


def update_env_group(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``PATCH /env-groups/{env_group_id}``."""
    group, changes = _group(world, call), demanded(_RENAMED, call.body)
    return _changed(world, group | changes)


def delete_env_group(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``DELETE /env-groups/{env_group_id}``."""
    del world.groups[_group(world, call)["id"]]
    return Reply(204)


def link_env_group(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``POST /env-groups/{env_group_id}/services/{service_id}``."""
    group, service = _group(world, call), service_of(world, call)
    linked = [each for each in group["serviceIds"] if each != service["id"]]
    return _changed(world, group | {"serviceIds": [*linked, service["id"]]})


def unlink_env_group(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``DELETE /env-groups/{env_group_id}/services/{service_id}``."""
    group = _group(world, call)
    if call.segments["service_id"] not in group["serviceIds"]:
        raise Refusal(404, f"not found: {call.segments['service_id']}")
    group["serviceIds"].remove(call.segments["service_id"])
    return Reply(204)


def get_env_group_var(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /env-groups/{env_group_id}/env-vars/{key}``."""
    return Reply(200, among(_variables(_group(world, call)), call.segments["key"]))


def set_env_group_var(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``PUT /env-groups/{env_group_id}/env-vars/{key}``."""
    group, body = _group(world, call), demanded(_VALUE, call.body)
    value = _value(world, body | {"key": call.segments["key"]})
    return _changed(world, group | {"envVars": group["envVars"] | {call.segments["key"]: value}})


def delete_env_group_var(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``DELETE /env-groups/{env_group_id}/env-vars/{key}``."""
    get_env_group_var(world, call)
    del _group(world, call)["envVars"][call.segments["key"]]
    return Reply(204)


def get_env_group_file(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /env-groups/{env_group_id}/secret-files/{name}``."""
    return Reply(200, among(_files(_group(world, call)), call.segments["name"]))


def set_env_group_file(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``PUT /env-groups/{env_group_id}/secret-files/{name}``."""
    group, content = _group(world, call), demanded(CONTENT, call.body).get("content") or ""
    return _changed(world, group | {"secretFiles": group["secretFiles"] | {call.segments["name"]: content}})


def delete_env_group_file(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``DELETE /env-groups/{env_group_id}/secret-files/{name}``."""
    get_env_group_file(world, call)
    del _group(world, call)["secretFiles"][call.segments["name"]]
    return Reply(204)


def _group(world: World, call: Call) -> Thing:
    return among(world.groups, call.segments["env_group_id"])


def _changed(world: World, group: Thing) -> Reply:
    world.groups[group["id"]] = group | {"updatedAt": world.now}
    return Reply(200, _whole(world, world.groups[group["id"]]))


def _value(world: World, wanted: Thing) -> str:
    return str(wanted.get("value", world.new_id("gen", wanted["key"])))


def _variables(group: Thing) -> dict[str, Thing]:
    return {key: {"key": key, "value": value} for key, value in sorted(group["envVars"].items())}


def _files(group: Thing) -> dict[str, Thing]:
    return {name: {"name": name, "content": content} for name, content in sorted(group["secretFiles"].items())}


def _meta(world: World, group: Thing) -> Thing:
    linked = [world.services[each] for each in group["serviceIds"] if each in world.services]
    links = [{"id": each["id"], "name": each["name"], "type": _SHORT[each["type"]]} for each in linked]
    inside = ("envVars", "secretFiles", "serviceIds")
    return {name: value for name, value in group.items() if name not in inside} | {"serviceLinks": links}


def _whole(world: World, group: Thing) -> Thing:
    contents = {"envVars": list(_variables(group).values()), "secretFiles": list(_files(group).values())}
    return _meta(world, group) | contents
