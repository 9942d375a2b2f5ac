"""Functions that create, change, delete, suspend, resume and restart Postgres databases."""

from typing import Annotated, TypedDict, cast

from kosmolua.plugin import Secret, between, matching, non_empty

from . import inverses
from .account import integration
from .bodies import fields, ranges_of, renamed
from .parameters import EnvironmentIdOfNew, OwnerId, PostgresId
from .render import Render, deletion
from .settings import AllowList, StoreRegion
from .stores import OnePostgres, Postgres, shaped
from .wire import Thing, refuse_nothing, thing_of

_DATABASE = "/postgres/{postgres_id}"
_FIELDS = fields(
    "name plan version region database_name database_user disk_size_gb environment_id datadog_site",
    disk_autoscaling="enableDiskAutoscaling",
    high_availability="enableHighAvailability",
    datadog_api_key="datadogAPIKey",
)


class ReplicaSettings(TypedDict):
    """A read replica to create, or to keep if it exists. Replicas that are not listed are deleted."""

    name: str
    parameter_overrides: dict[str, str] | None


class AcceptedForPostgres(TypedDict):
    postgres_id: str
    accepted: bool


class PostgresConnectionInfo(TypedDict):
    """How to connect to a Postgres database. A script can pass these secrets to functions but cannot read them."""

    password: Secret
    internalConnectionString: Secret
    externalConnectionString: Secret
    psqlCommand: Secret


class OnePostgresConnectionInfo(TypedDict):
    postgres_id: str
    connection_info: PostgresConnectionInfo


class DeletedPostgres(TypedDict):
    postgres_id: str
    deleted: bool


DiskSize = Annotated[
    int | None, "The size of the disk in GB: 1 or a multiple of 5. It can grow but not shrink.", between(1, 16384)
]
DiskAutoscaling = Annotated[bool | None, "Whether the disk grows by itself when it is nearly full."]
HighAvailability = Annotated[bool | None, "Whether a standby takes over when the database fails; only on larger plans."]
Overrides = Annotated[dict[str, str] | None, 'Server parameters that replace Render\'s: { max_connections = "200" }.']
Replicas = Annotated[
    list[ReplicaSettings] | None,
    'All read replicas that the database will have: { { name = "reports" } }; others are deleted.',
]
DatadogKey = Annotated[str | None, "The API key with which Render sends the database's metrics to Datadog."]
DatadogSite = Annotated[str | None, "The Datadog site, such as US1 or EU; US1 if none is given."]


@integration.reads
def get_postgres_connection_info(render: Render, /, *, postgres_id: PostgresId) -> OnePostgresConnectionInfo:
    """Get what is needed to connect to a Postgres database: secrets to pass to functions such as set_env_var."""
    found = thing_of(render.api.get(f"{_DATABASE}/connection-info", postgres_id=postgres_id))
    info = {key: found.get(key) for key in PostgresConnectionInfo.__annotations__}  # others may be secret
    return {"postgres_id": postgres_id, "connection_info": cast(PostgresConnectionInfo, info)}


@integration.writes(
    undo=inverses.dropped("delete_postgres", "postgres_id", "postgres", "id"), assume={"postgres.status": "available"}
)
def create_postgres(
    render: Render,
    /,
    *,
    name: Annotated[str, "The database's name in the dashboard.", non_empty()],
    plan: Annotated[str, 'The plan: "free", "basic_256mb", "basic_1gb", "pro_4gb", "accelerated_16gb" and so on.'],
    version: Annotated[str, 'The major version of PostgreSQL, such as "17".', matching(r"\d+", "17")],
    region: StoreRegion = None,
    database_name: Annotated[str | None, "The database's name in SQL; Render chooses one if none is given."] = None,
    database_user: Annotated[str | None, "The user's name in SQL; Render chooses one if none is given."] = None,
    disk_size_gb: DiskSize = None,
    disk_autoscaling: DiskAutoscaling = None,
    high_availability: HighAvailability = None,
    parameter_overrides: Overrides = None,
    read_replicas: Replicas = None,
    ip_allow_list: AllowList = None,
    environment_id: EnvironmentIdOfNew = None,
    datadog_api_key: DatadogKey = None,
    datadog_site: DatadogSite = None,
    owner_id: OwnerId = None,
) -> OnePostgres:
    """Create a Postgres database. Its status becomes ``available`` after some minutes."""
    body = {"ownerId": render.workspace(owner_id)} | _body(locals())
    return _one(render.api.post("/postgres", json=body))


@integration.writes(
    before=inverses.POSTGRES, undo=inverses.restored("update_postgres", "postgres_id", inverses.postgres_settings)
)
def update_postgres(
    render: Render,
    /,
    *,
    postgres_id: PostgresId,
    name: Annotated[str | None, "The new name.", non_empty()] = None,
    plan: Annotated[str | None, "The new plan."] = None,
    disk_size_gb: DiskSize = None,
    disk_autoscaling: DiskAutoscaling = None,
    high_availability: HighAvailability = None,
    parameter_overrides: Overrides = None,
    read_replicas: Replicas = None,
    ip_allow_list: AllowList = None,
    datadog_api_key: DatadogKey = None,
    datadog_site: DatadogSite = None,
) -> OnePostgres:
    """Change a Postgres database; settings that are not given stay as they are. A new plan restarts the database."""
    body = _body(locals())
    refuse_nothing(body, "update_postgres", "give a setting, such as plan = 'pro_4gb'")
    return _one(render.api.patch(_DATABASE, json=body, postgres_id=postgres_id))


@integration.destroys(was_done=deletion(_DATABASE, "postgres_id"), undo=inverses.DATA_LOST)
def delete_postgres(render: Render, /, *, postgres_id: PostgresId) -> DeletedPostgres:
    """Delete a Postgres database permanently, with its data, its replicas and its backups."""
    render.api.delete(_DATABASE, postgres_id=postgres_id)
    return {"postgres_id": postgres_id, "deleted": True}


@integration.writes(before=inverses.POSTGRES, undo=inverses.resumed("postgres"))
def suspend_postgres(render: Render, /, *, postgres_id: PostgresId) -> AcceptedForPostgres:
    """Stop a Postgres database without deleting it; nobody can connect until it is resumed."""
    return cast(AcceptedForPostgres, render.accepted(_DATABASE + "/suspend", postgres_id=postgres_id))


@integration.writes(before=inverses.POSTGRES, undo=inverses.suspended("postgres"))
def resume_postgres(render: Render, /, *, postgres_id: PostgresId) -> AcceptedForPostgres:
    """Start a suspended Postgres database again."""
    return cast(AcceptedForPostgres, render.accepted(_DATABASE + "/resume", postgres_id=postgres_id))


@integration.writes(undo=inverses.NO_CHANGE)
def restart_postgres(render: Render, /, *, postgres_id: PostgresId) -> AcceptedForPostgres:
    """Restart a Postgres database; open connections are lost."""
    return cast(AcceptedForPostgres, render.accepted(_DATABASE + "/restart", postgres_id=postgres_id))


def _body(settings: Thing) -> Thing:
    body = renamed(settings, _FIELDS)
    if settings["parameter_overrides"] is not None:
        body["parameterOverrides"] = settings["parameter_overrides"]
    if settings["ip_allow_list"] is not None:
        body["ipAllowList"] = ranges_of(settings["ip_allow_list"])
    if settings["read_replicas"] is not None:
        body["readReplicas"] = [_replica(each) for each in settings["read_replicas"]]
    return body


def _replica(wanted: ReplicaSettings) -> Thing:
    overrides = wanted.get("parameter_overrides")
    return {"name": wanted["name"]} | ({} if overrides is None else {"parameterOverrides": overrides})


def _one(reply: object) -> OnePostgres:
    return {"postgres": cast(Postgres, shaped(thing_of(reply)))}
