"""Functions that list and read Postgres databases and Key Value instances, without passwords and connection strings."""

from typing import Annotated, Any, Literal, TypedDict, cast

from .account import integration
from .paging import All, Cursor, Limit, listed
from .parameters import (
    SUSPENSION,
    CreatedAfter,
    CreatedBefore,
    Environments,
    KeyValueId,
    Names,
    PostgresId,
    Region,
    Regions,
    Suspended,
    UpdatedAfter,
    UpdatedBefore,
    Workspaces,
)
from .render import Render
from .wire import Thing, filled, thing_of


class Allowed(TypedDict):
    """A range of IP addresses that are allowed to connect from outside Render."""

    cidrBlock: str
    description: str


StoreStatus = Literal[
    "creating",
    "available",
    "unavailable",
    "config_restart",
    "suspended",
    "maintenance_scheduled",
    "maintenance_in_progress",
    "recovery_failed",
    "recovery_in_progress",
    "updating_instance",
    "unknown",
]


class Replica(TypedDict):
    """A read replica of a database."""

    id: str
    name: str
    parameterOverrides: dict[str, str] | None


class Postgres(TypedDict):
    """A Postgres database. Its status is available once it can be used; its ipAllowList is often nil."""

    id: str
    name: str
    status: StoreStatus
    plan: str
    region: Region
    version: str
    role: str
    databaseName: str
    databaseUser: str
    diskSizeGB: int | None
    diskAutoscalingEnabled: bool | None
    highAvailabilityEnabled: bool
    suspended: str
    suspenders: list[str]
    ipAllowList: list[Allowed] | None
    readReplicas: list[Replica]
    primaryPostgresID: str | None
    parameterOverrides: dict[str, str] | None
    environmentId: str | None
    expiresAt: str | None
    owner: dict[str, Any]
    maintenance: dict[str, Any] | None
    dashboardUrl: str
    createdAt: str
    updatedAt: str


class PostgresPage(TypedDict):
    postgres: list[Postgres]
    cursor: str | None


class OnePostgres(TypedDict):
    postgres: Postgres


class KeyValue(TypedDict):
    """A Key Value instance (Redis protocol). Its status is available once it can be used; ipAllowList is often nil."""

    id: str
    name: str
    status: StoreStatus
    plan: str
    region: Region
    version: str
    options: dict[str, Any]
    ipAllowList: list[Allowed] | None
    environmentId: str | None
    owner: dict[str, Any]
    maintenance: dict[str, Any] | None
    dashboardUrl: str | None
    createdAt: str
    updatedAt: str


class KeyValuePage(TypedDict):
    key_values: list[KeyValue]
    cursor: str | None


class OneKeyValue(TypedDict):
    key_value: KeyValue


@integration.reads
def list_postgres(
    render: Render,
    /,
    *,
    limit: Limit = 20,
    cursor: Cursor = None,
    name: Names = None,
    region: Regions = None,
    suspended: Suspended = None,
    owner_id: Workspaces = None,
    environment_id: Environments = None,
    include_replicas: Annotated[bool | None, "Whether to list read replicas too; Render's default is true."] = None,
    created_before: CreatedBefore = None,
    created_after: CreatedAfter = None,
    updated_before: UpdatedBefore = None,
    updated_after: UpdatedAfter = None,
    all: All = False,
) -> PostgresPage:
    """List the Postgres databases in the account."""
    found, after = listed("/postgres", "postgres", **{**locals(), "suspended": SUSPENSION[suspended]})
    return {"postgres": [cast(Postgres, shaped(database)) for database in found], "cursor": after}


@integration.reads
def get_postgres(render: Render, /, *, postgres_id: PostgresId) -> OnePostgres:
    """Get details for a Postgres database; to connect, use get_postgres_connection_info."""
    found = thing_of(render.api.get("/postgres/{postgres_id}", postgres_id=postgres_id))
    return {"postgres": cast(Postgres, shaped(found))}


@integration.reads
def list_key_values(
    render: Render,
    /,
    *,
    limit: Limit = 20,
    cursor: Cursor = None,
    name: Names = None,
    region: Regions = None,
    owner_id: Workspaces = None,
    environment_id: Environments = None,
    created_before: CreatedBefore = None,
    created_after: CreatedAfter = None,
    updated_before: UpdatedBefore = None,
    updated_after: UpdatedAfter = None,
    all: All = False,
) -> KeyValuePage:
    """List the Key Value instances in the account."""
    found, after = listed("/key-value", "keyValue", **locals())
    return {"key_values": [cast(KeyValue, shaped(instance)) for instance in found], "cursor": after}


@integration.reads
def get_key_value(render: Render, /, *, key_value_id: KeyValueId) -> OneKeyValue:
    """Get details for a Key Value instance; to connect, use get_key_value_connection_info."""
    found = thing_of(render.api.get("/key-value/{key_value_id}", key_value_id=key_value_id))
    return {"key_value": cast(KeyValue, shaped(found))}


def shaped(store: Thing) -> Thing:
    """Return a data store with defaults for missing fields that scripts usually print."""
    return filled(store, id="", name="", status="unknown", plan="", region="", version="")
