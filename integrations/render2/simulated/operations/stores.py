"""Operations of the simulator on Postgres databases and Key Value instances."""

from __future__ import annotations

from ...wire import Thing
from ..bodies import RANGES, REGION
from ..call import Call, Refusal, Reply, among, demanded, paged, refuse_other_owner, routes
from ..demands import AT_LEAST_ONE, FLAG, TEXT, Demand, a, listing, mapping, record
from ..seeds.accounts import identifier
from ..seeds.stores import replica_of
from ..world import World

_OVERRIDES = mapping(TEXT)
_POSTGRES: dict[str, Demand] = {
    "plan": TEXT,
    "diskSizeGB": AT_LEAST_ONE,
    "enableDiskAutoscaling": FLAG,
    "enableHighAvailability": FLAG,
    "parameterOverrides": _OVERRIDES,
    "readReplicas": listing(record({"name": TEXT}, {"parameterOverrides": _OVERRIDES})),
    "ipAllowList": RANGES,
    "datadogAPIKey": TEXT,
    "datadogSite": TEXT,
}
_NEW: dict[str, Demand] = {"region": REGION, "environmentId": TEXT}
_NEW_POSTGRES = record(
    {"name": TEXT, "ownerId": TEXT, "plan": TEXT, "version": a(str, *map(str, range(11, 19)))},
    _POSTGRES | _NEW | {"databaseName": TEXT, "databaseUser": TEXT},
)
_CHANGED_POSTGRES = record({}, _POSTGRES | {"name": TEXT})
_POLICY = a(
    str,
    "noeviction",
    *(f"{keys}_{rule}" for keys in ("allkeys", "volatile") for rule in ("lfu", "lru", "random")),
    "volatile_ttl",
)
_KEY_VALUE: dict[str, Demand] = {"plan": TEXT, "maxmemoryPolicy": _POLICY, "ipAllowList": RANGES}
_NEW_KEY_VALUE = record({"name": TEXT, "ownerId": TEXT, "plan": TEXT}, _KEY_VALUE | _NEW)
_CHANGED_KEY_VALUE = record({}, _KEY_VALUE | {"name": TEXT})
_KEPT = ("name", "plan", "diskSizeGB", "parameterOverrides", "ipAllowList")
_SWITCHES = {
    "enableDiskAutoscaling": "diskAutoscalingEnabled",
    "enableHighAvailability": "highAvailabilityEnabled",
}


@routes.on("GET", "/postgres")
def list_postgres(world: World, call: Call) -> Reply:
    replicas = call.one("includeReplicas") != "false"
    found = [each for each in world.databases.values() if replicas or each["role"] != "replica"]
    return paged(found, "postgres", call, told=_told)


@routes.on("POST", "/postgres")
def create_postgres(world: World, call: Call) -> Reply:
    body = demanded(_NEW_POSTGRES, call.body)
    key = world.new_id("dpg")
    name = body.get("databaseName") or f"{body['name']}_{key[4:8]}".replace("-", "_")
    database = _new_store(world, body, key, "d") | {
        "version": body["version"],
        "databaseName": name,
        "databaseUser": body.get("databaseUser") or f"{name}_user",
        "suspended": "not_suspended",
        "suspenders": [],
        "diskSizeGB": 1,
        "diskAutoscalingEnabled": False,
        "highAvailabilityEnabled": False,
        "readReplicas": [],
        "role": "primary",
    }
    world.databases[key] = database
    _change_postgres(world, database, body)
    world.set_status(database, "creating", then="available")
    return Reply(201, database)


@routes.on("GET", "/postgres/{postgres_id}")
def get_postgres(world: World, call: Call) -> Reply:
    return Reply(200, _database(world, call))


@routes.on("GET", "/postgres/{postgres_id}/connection-info")
def get_postgres_connection_info(world: World, call: Call) -> Reply:
    database = _database(world, call)
    key, user, name = database["id"], database["databaseUser"], database["databaseName"]
    password = identifier("pw", key)
    outside = f"{key}.{database['region']}-postgres.render.com"
    command = f"PGPASSWORD={password} psql -h {outside} -U {user} {name}"
    strings = {
        "internalConnectionString": f"postgresql://{user}:{password}@{key}/{name}",
        "externalConnectionString": f"postgresql://{user}:{password}@{outside}/{name}",
    }
    return Reply(200, {"password": password, **strings, "psqlCommand": command})


@routes.on("PATCH", "/postgres/{postgres_id}")
def update_postgres(world: World, call: Call) -> Reply:
    database, changes = _database(world, call), demanded(_CHANGED_POSTGRES, call.body)
    if changes.get("diskSizeGB", database["diskSizeGB"]) < database["diskSizeGB"]:
        raise Refusal(400, "the disk of a database cannot shrink")
    _change_postgres(world, database, changes)
    database["updatedAt"] = world.now
    if {"plan", "diskSizeGB"} & changes.keys() and database["suspended"] != "suspended":
        world.set_status(database, "updating_instance", then="available")
    return Reply(200, database)


@routes.on("DELETE", "/postgres/{postgres_id}")
def delete_postgres(world: World, call: Call) -> Reply:
    """Delete a database and its replicas."""
    database = _database(world, call)
    for key in (database["id"], *(replica["id"] for replica in database["readReplicas"])):
        _remove(world, world.databases, key)
    for other in world.databases.values():
        other["readReplicas"] = [each for each in other["readReplicas"] if each["id"] != database["id"]]
    return Reply(204)


@routes.on("POST", "/postgres/{postgres_id}/suspend")
def suspend_postgres(world: World, call: Call) -> Reply:
    database = _database(world, call)
    database |= {"suspended": "suspended", "suspenders": ["user"]}
    world.set_status(database, "suspended")
    return Reply(202)


@routes.on("POST", "/postgres/{postgres_id}/resume")
def resume_postgres(world: World, call: Call) -> Reply:
    database = _database(world, call)
    database |= {"suspended": "not_suspended", "suspenders": []}
    world.set_status(database, "unavailable", then="available")
    return Reply(202)


@routes.on("POST", "/postgres/{postgres_id}/restart")
def restart_postgres(world: World, call: Call) -> Reply:
    database = _database(world, call)
    if database["suspended"] == "suspended":
        raise Refusal(409, "the database is suspended")
    world.set_status(database, "config_restart", then="available")
    return Reply(202)


@routes.on("GET", "/key-value")
def list_key_values(world: World, call: Call) -> Reply:
    return paged(world.caches.values(), "keyValue", call, told=_told)


@routes.on("POST", "/key-value")
def create_key_value(world: World, call: Call) -> Reply:
    body = demanded(_NEW_KEY_VALUE, call.body)
    key = world.new_id("red")
    options = {"maxmemoryPolicy": "allkeys_lru", "persistenceMode": "off"}
    cache = _new_store(world, body, key, "r") | {"version": "8.1.0", "options": options}
    world.caches[key] = cache
    _change_key_value(cache, body)
    world.set_status(cache, "creating", then="available")
    return Reply(201, cache)


@routes.on("GET", "/key-value/{key_value_id}")
def get_key_value(world: World, call: Call) -> Reply:
    return Reply(200, _cache(world, call))


@routes.on("GET", "/key-value/{key_value_id}/connection-info")
def get_key_value_connection_info(world: World, call: Call) -> Reply:
    cache = _cache(world, call)
    key, password = cache["id"], identifier("pw", cache["id"])
    outside = f"rediss://{key}:{password}@{cache['region']}-keyvalue.render.com:6379"
    strings = {"internalConnectionString": f"redis://{key}:6379", "externalConnectionString": outside}
    return Reply(200, {**strings, "cliCommand": f"REDISCLI_AUTH={password} valkey-cli --user {key} -u {outside}"})


@routes.on("PATCH", "/key-value/{key_value_id}")
def update_key_value(world: World, call: Call) -> Reply:
    cache, changes = _cache(world, call), demanded(_CHANGED_KEY_VALUE, call.body)
    _change_key_value(cache, changes)
    cache["updatedAt"] = world.now
    if "plan" in changes and cache["status"] != "suspended":
        world.set_status(cache, "updating_instance", then="available")
    return Reply(200, cache)


@routes.on("DELETE", "/key-value/{key_value_id}")
def delete_key_value(world: World, call: Call) -> Reply:
    _remove(world, world.caches, _cache(world, call)["id"])
    return Reply(204)


@routes.on("POST", "/key-value/{key_value_id}/suspend")
def suspend_key_value(world: World, call: Call) -> Reply:
    world.set_status(_cache(world, call), "suspended")
    return Reply(202)


@routes.on("POST", "/key-value/{key_value_id}/resume")
def resume_key_value(world: World, call: Call) -> Reply:
    world.set_status(_cache(world, call), "unavailable", then="available")
    return Reply(202)


def _database(world: World, call: Call) -> Thing:
    return among(world.databases, call.segments["postgres_id"])


def _cache(world: World, call: Call) -> Thing:
    return among(world.caches, call.segments["key_value_id"])


def _told(store: Thing) -> Thing:
    return store | {"ownerId": store["owner"]["id"]}


def _new_store(world: World, body: Thing, key: str, place: str) -> Thing:
    """Return a new data store with the fields that databases and Key Value instances share."""
    refuse_other_owner(world, body["ownerId"])
    store = {
        "id": key,
        "name": body["name"],
        "owner": {field: world.owner[field] for field in ("id", "name", "email", "type")},
        "plan": body["plan"],
        "region": body.get("region") or "oregon",
        "ipAllowList": None,
        "dashboardUrl": f"https://dashboard.render.com/{place}/{key}",
        "createdAt": world.now,
    }
    return store | ({"environmentId": body["environmentId"]} if body.get("environmentId") else {})


def _change_postgres(world: World, database: Thing, changes: Thing) -> None:
    given = {name: value for name, value in changes.items() if value is not None}
    database |= {name: given[name] for name in _KEPT if name in given}
    database |= {field: given[name] for name, field in _SWITCHES.items() if name in given}
    if "readReplicas" in given:
        _set_replicas(world, database, given["readReplicas"])


def _set_replicas(world: World, database: Thing, wanted: list[Thing]) -> None:
    """Set the replicas of a database: keep replicas with a wanted name, delete all others, and create missing ones."""
    known = {replica["name"]: replica["id"] for replica in database["readReplicas"]}
    for name in known.keys() - {each["name"] for each in wanted}:
        _remove(world, world.databases, known[name])
    database["readReplicas"] = []
    for place, each in enumerate(wanted):
        key = known.get(each["name"]) or world.new_id("dpg", place)
        overrides = each.get("parameterOverrides") or {}
        database["readReplicas"].append({"id": key, "name": each["name"], "parameterOverrides": overrides})
        if key not in world.databases:
            world.databases[key] = replica_of(database, key, each["name"]) | {"createdAt": world.now}
            world.set_status(world.databases[key], "creating", then="available")


def _change_key_value(cache: Thing, changes: Thing) -> None:
    cache |= {name: changes[name] for name in ("name", "plan", "ipAllowList") if changes.get(name) is not None}
    if changes.get("maxmemoryPolicy"):
        cache["options"] = cache["options"] | {"maxmemoryPolicy": changes["maxmemoryPolicy"]}


def _remove(world: World, stores: dict[str, Thing], key: str) -> None:
    world.set_status(stores[key], "unavailable")
    del stores[key]
