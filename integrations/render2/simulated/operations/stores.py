"""Postgres databases and Key Value instances."""

from __future__ import annotations

from ...wire import Thing
from ..call import Call, Reply, among, paged
from ..world import World


def list_postgres(world: World, call: Call) -> Reply:
    """GET /postgres."""
    replicas = call.one("includeReplicas") != "false"
    found = [each for each in world.databases.values() if replicas or each["role"] != "replica"]
    return paged([each for each in found if _wanted(each, call)], "postgres", call)


def get_postgres(world: World, call: Call) -> Reply:
    """GET /postgres/{postgres_id}."""
    return Reply(200, among(world.databases, call.segments["postgres_id"]))


def list_key_values(world: World, call: Call) -> Reply:
    """GET /key-value."""
    return paged([each for each in world.caches.values() if _wanted(each, call)], "keyValue", call)


def get_key_value(world: World, call: Call) -> Reply:
    """GET /key-value/{key_value_id}."""
    return Reply(200, among(world.caches, call.segments["key_value_id"]))


def _wanted(store: Thing, call: Call) -> bool:
    told = store | {"ownerId": store["owner"]["id"]}
    names = ("name", "region", "suspended", "ownerId", "environmentId")
    return call.fits(told, names) and call.within(store, "created", "updated")
