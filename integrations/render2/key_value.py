"""Functions that create, change, delete, suspend and resume Key Value instances, Render's stores for Redis clients."""

from typing import Annotated, Literal, TypedDict, cast

from kosmolua.plugin import Secret, non_empty

from . import inverses
from .account import integration
from .bodies import fields, ranges_of, renamed
from .parameters import EnvironmentIdOfNew, KeyValueId, OwnerId
from .render import Render, deletion
from .settings import AllowList, StoreRegion
from .stores import KeyValue, OneKeyValue, shaped
from .wire import Thing, refuse_nothing, thing_of

_INSTANCE = "/key-value/{key_value_id}"
_FIELDS = fields("name plan region maxmemory_policy environment_id")


class AcceptedForKeyValue(TypedDict):
    key_value_id: str
    accepted: bool


class KeyValueConnectionInfo(TypedDict):
    """How to connect to a Key Value instance. A script can pass these secrets to functions but cannot read them."""

    internalConnectionString: Secret
    externalConnectionString: Secret
    cliCommand: Secret


class OneKeyValueConnectionInfo(TypedDict):
    key_value_id: str
    connection_info: KeyValueConnectionInfo


class DeletedKeyValue(TypedDict):
    key_value_id: str
    deleted: bool


MaxmemoryPolicy = Annotated[
    Literal[
        "noeviction",
        "allkeys_lfu",
        "allkeys_lru",
        "allkeys_random",
        "volatile_lfu",
        "volatile_lru",
        "volatile_random",
        "volatile_ttl",
    ]
    | None,
    'Which keys are dropped when memory is full: "allkeys_lru" for a cache, "noeviction" for a queue.',
]


@integration.reads
def get_key_value_connection_info(render: Render, /, *, key_value_id: KeyValueId) -> OneKeyValueConnectionInfo:
    """Get what is needed to connect to a Key Value instance: secrets to pass to functions such as set_env_var."""
    found = thing_of(render.api.get(f"{_INSTANCE}/connection-info", key_value_id=key_value_id))
    info = {key: found.get(key) for key in KeyValueConnectionInfo.__annotations__}  # others may be secret
    return {"key_value_id": key_value_id, "connection_info": cast(KeyValueConnectionInfo, info)}


@integration.writes(undo=inverses.dropped("delete_key_value", "key_value_id", "key_value", "id"))
def create_key_value(
    render: Render,
    /,
    *,
    name: Annotated[str, "The instance's name.", non_empty()],
    plan: Annotated[str, 'The plan: "free", "starter", "standard", "pro" or "pro_plus".'],
    region: StoreRegion = None,
    maxmemory_policy: MaxmemoryPolicy = None,
    ip_allow_list: AllowList = None,
    environment_id: EnvironmentIdOfNew = None,
    owner_id: OwnerId = None,
) -> OneKeyValue:
    """Create a Key Value instance. Its status becomes ``available`` after a while."""
    body = {"ownerId": render.workspace(owner_id)} | _body(locals())
    return _one(render.api.post("/key-value", json=body))


@integration.writes(
    before=inverses.KEY_VALUE, undo=inverses.restored("update_key_value", "key_value_id", inverses.key_value_settings)
)
def update_key_value(
    render: Render,
    /,
    *,
    key_value_id: KeyValueId,
    name: Annotated[str | None, "The new name.", non_empty()] = None,
    plan: Annotated[str | None, "The new plan."] = None,
    maxmemory_policy: MaxmemoryPolicy = None,
    ip_allow_list: AllowList = None,
) -> OneKeyValue:
    """Change a Key Value instance; settings that are not given stay as they are."""
    body = _body(locals())
    refuse_nothing(body, "update_key_value", "give a setting, such as plan = 'standard'")
    return _one(render.api.patch(_INSTANCE, json=body, key_value_id=key_value_id))


@integration.destroys(was_done=deletion(_INSTANCE, "key_value_id"), undo=inverses.DATA_LOST)
def delete_key_value(render: Render, /, *, key_value_id: KeyValueId) -> DeletedKeyValue:
    """Delete a Key Value instance permanently, with its data."""
    render.api.delete(_INSTANCE, key_value_id=key_value_id)
    return {"key_value_id": key_value_id, "deleted": True}


@integration.writes(before=inverses.KEY_VALUE, undo=inverses.resumed("key_value"))
def suspend_key_value(render: Render, /, *, key_value_id: KeyValueId) -> AcceptedForKeyValue:
    """Stop a Key Value instance without deleting it; nobody can connect until it is resumed."""
    return cast(AcceptedForKeyValue, render.accepted(_INSTANCE + "/suspend", key_value_id=key_value_id))


@integration.writes(before=inverses.KEY_VALUE, undo=inverses.suspended("key_value"))
def resume_key_value(render: Render, /, *, key_value_id: KeyValueId) -> AcceptedForKeyValue:
    """Start a suspended Key Value instance again."""
    return cast(AcceptedForKeyValue, render.accepted(_INSTANCE + "/resume", key_value_id=key_value_id))


def _body(settings: Thing) -> Thing:
    body = renamed(settings, _FIELDS)
    if settings["ip_allow_list"] is not None:
        body["ipAllowList"] = ranges_of(settings["ip_allow_list"])
    return body


def _one(reply: object) -> OneKeyValue:
    return {"key_value": cast(KeyValue, shaped(thing_of(reply)))}
