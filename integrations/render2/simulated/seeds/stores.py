"""The initial Postgres databases and Key Value instances of an account."""

from __future__ import annotations

from ...wire import Thing
from .accounts import KNOWN, Profile, ago, environment, identifier, owner
from .services import EVERYWHERE

_REGIONS = ("oregon", "oregon", "frankfurt")


def databases(profile: Profile) -> list[Thing]:
    """Return the Postgres databases of an account. The first one has a replica, and the third one is suspended."""
    first, *others = [_database(profile, number) for number in range(3)]
    replica = replica_of(first, identifier("dpg", profile.account, "replica"), f"main-db-replica{profile.suffix}")
    first["readReplicas"] = [{"id": replica["id"], "name": replica["name"], "parameterOverrides": {}}]
    return [first, *others, replica]


def replica_of(database: Thing, key: str, name: str) -> Thing:
    """Return a read replica of a database."""
    return database | {
        "id": key,
        "name": name,
        "role": "replica",
        "primaryPostgresID": database["id"],
        "highAvailabilityEnabled": False,
        "readReplicas": [],
        "dashboardUrl": f"https://dashboard.render.com/d/{key}",
    }


def _database(profile: Profile, number: int) -> Thing:
    name = f"{('main', 'warehouse', 'sandbox')[number]}-db{profile.suffix}"
    suspended = number == 2
    database = _store(profile, "dpg", number, name) | {
        "status": "suspended" if suspended else "available",
        "suspended": "suspended" if suspended else "not_suspended",
        "suspenders": ["user"] if suspended else [],
        "plan": ("pro_4gb", "basic_1gb", "free")[number],
        "version": ("17", "16", "16")[number],
        "databaseName": name.replace("-", "_"),
        "databaseUser": "app",
        "diskSizeGB": (50, 15, 1)[number],
        "diskAutoscalingEnabled": number == 0,
        "highAvailabilityEnabled": number == 0,
        "readReplicas": [],
        "role": "primary",
    }
    if number == 1:
        database["parameterOverrides"] = {"max_connections": "200"}
    return database


def caches(profile: Profile) -> list[Thing]:
    """Return the Key Value instances of an account."""
    names = [f"{name}{profile.suffix}" for name in ("cache", "queue")]
    options = (
        {"maxmemoryPolicy": "allkeys-lru", "persistenceMode": "off"},
        {"maxmemoryPolicy": "noeviction", "persistenceMode": "journal_snapshot"},
    )
    common = {"status": "available", "plan": "starter", "version": "8.1.0"}
    return [
        _store(profile, "red", number, name) | common | {"options": options[number]}
        for number, name in enumerate(names)
    ]


def _store(profile: Profile, prefix: str, number: int, name: str) -> Thing:
    """Return the fields that databases and Key Value instances share. As in Render, ``ipAllowList`` is mostly null."""
    store_id = f"{prefix}-{KNOWN}" if number == 0 else identifier(prefix, profile.account, number)
    workspace = owner(profile)
    store = {
        "id": store_id,
        "name": name,
        "owner": {field: workspace[field] for field in ("id", "name", "email", "type")},
        "region": _REGIONS[number],
        "ipAllowList": [EVERYWHERE] if number == 1 else None,
        "dashboardUrl": f"https://dashboard.render.com/{'d' if prefix == 'dpg' else 'r'}/{store_id}",
        "createdAt": ago(days=200 + number),
        "updatedAt": ago(days=3 + number),
    }
    return store | ({"environmentId": environment(profile, 0)} if number == 0 else {})
