"""Functions for environment groups: variables and secret files that several services share."""

from typing import Annotated, TypedDict, cast

from kosmolua.plugin import BadArguments, non_empty

from . import inverses
from .account import integration
from .bodies import variables_of
from .misfits import variable_misfit
from .paging import All, Cursor, Limit, listed
from .parameters import (
    CreatedAfter,
    CreatedBefore,
    EnvGroupId,
    EnvironmentIdOfNew,
    Environments,
    FileName,
    Names,
    OwnerId,
    ServiceId,
    UpdatedAfter,
    UpdatedBefore,
    VariableKey,
    Workspaces,
)
from .render import Render, deletion
from .secret_files import DeletedSecretFile, OneSecretFile, SecretFile, shaped_file
from .settings import SecretFiles, VariableValue
from .variables import (
    AsSecret,
    DeletedVariable,
    Generate,
    OneVariable,
    Variable,
    VariableText,
    new_value,
    variable_of,
)
from .wire import Thing, filled, thing_of

_GROUP = "/env-groups/{env_group_id}"
_VARIABLE = _GROUP + "/env-vars/{key}"
_FILE = _GROUP + "/secret-files/{name}"
_LINK = _GROUP + "/services/{service_id}"


class ServiceLink(TypedDict):
    """A service that an environment group is linked to."""

    id: str
    name: str
    type: str


class EnvGroup(TypedDict):
    """An environment group, and the services that it is linked to."""

    id: str
    name: str
    ownerId: str
    environmentId: str | None
    serviceLinks: list[ServiceLink]
    createdAt: str
    updatedAt: str


class EnvGroupWithContents(EnvGroup):
    """An environment group with its variables and secret files."""

    envVars: list[Variable]
    secretFiles: list[SecretFile]


class EnvGroupPage(TypedDict):
    env_groups: list[EnvGroup]
    cursor: str | None


class OneEnvGroup(TypedDict):
    env_group: EnvGroupWithContents


class DeletedEnvGroup(TypedDict):
    env_group_id: str
    deleted: bool


class Unlinked(TypedDict):
    env_group_id: str
    service_id: str
    unlinked: bool


@integration.reads
def list_env_groups(
    render: Render,
    /,
    *,
    limit: Limit = 20,
    cursor: Cursor = None,
    name: Names = None,
    owner_id: Workspaces = None,
    environment_id: Environments = None,
    created_before: CreatedBefore = None,
    created_after: CreatedAfter = None,
    updated_before: UpdatedBefore = None,
    updated_after: UpdatedAfter = None,
    all: All = False,
) -> EnvGroupPage:
    """List the environment groups in the account, without their variables."""
    found, after = listed("/env-groups", "envGroup", **locals())
    return {"env_groups": [cast(EnvGroup, _shaped(each)) for each in found], "cursor": after}


@integration.reads
def get_env_group(
    render: Render,
    /,
    *,
    env_group_id: EnvGroupId,
    secret: AsSecret = False,
) -> OneEnvGroup:
    """Get an environment group with its variables and files, which may be secret: do not print them."""
    found = _one(render.api.get(_GROUP, env_group_id=env_group_id))
    if secret:
        group = found["env_group"]
        group["envVars"] = [variable_of(cast(Thing, each), secret=True) for each in group["envVars"]]
        group["secretFiles"] = [shaped_file(each, secret=True) for each in group["secretFiles"]]
    return found


@integration.writes(undo=inverses.dropped("delete_env_group", "env_group_id", "env_group", "id"))
def create_env_group(
    render: Render,
    /,
    *,
    name: Annotated[str, "The group's name.", non_empty()],
    env_vars: Annotated[
        dict[str, VariableValue] | None,
        "The variables by name; { generate = true } as a value lets Render generate one.",
    ] = None,
    secret_files: SecretFiles = None,
    service_ids: Annotated[list[ServiceId] | None, "The ids of the services to link the group to."] = None,
    environment_id: EnvironmentIdOfNew = None,
    owner_id: OwnerId = None,
) -> OneEnvGroup:
    """Create an environment group, and link the group to services."""
    if wrong := variable_misfit(env_vars or {}):
        raise BadArguments(wrong.message, param=wrong.param, hint=wrong.hint)
    body: Thing = {"name": name, "ownerId": render.workspace(owner_id), "envVars": variables_of(env_vars or {})}
    if secret_files is not None:
        body["secretFiles"] = [{"name": file, "content": text} for file, text in sorted(secret_files.items())]
    if service_ids is not None:
        body["serviceIds"] = service_ids
    if environment_id is not None:
        body["environmentId"] = environment_id
    return _one(render.api.post("/env-groups", json=body))


@integration.writes(before=inverses.GROUP, undo=inverses.GROUP_BACK)
def update_env_group(
    render: Render, /, *, env_group_id: EnvGroupId, name: Annotated[str, "The new name.", non_empty()]
) -> OneEnvGroup:
    """Rename an environment group; other functions change its variables and files."""
    return _one(render.api.patch(_GROUP, json={"name": name}, env_group_id=env_group_id))


@integration.destroys(was_done=deletion(_GROUP, "env_group_id"), undo=inverses.GROUP_LOST)
def delete_env_group(render: Render, /, *, env_group_id: EnvGroupId) -> DeletedEnvGroup:
    """Delete an environment group permanently, with its variables and secret files."""
    render.api.delete(_GROUP, env_group_id=env_group_id)
    return {"env_group_id": env_group_id, "deleted": True}


@integration.writes(before=inverses.GROUP, undo=inverses.link_back)
def link_env_group(render: Render, /, *, env_group_id: EnvGroupId, service_id: ServiceId) -> OneEnvGroup:
    """Give a service the variables and secret files of an environment group."""
    return _one(render.api.post(_LINK, env_group_id=env_group_id, service_id=service_id))


@integration.destroys(before=inverses.GROUP, undo=inverses.link_back)
def unlink_env_group(render: Render, /, *, env_group_id: EnvGroupId, service_id: ServiceId) -> Unlinked:
    """Unlink an environment group from a service, which loses the group's variables and secret files."""
    render.api.delete(_LINK, env_group_id=env_group_id, service_id=service_id)
    return {"env_group_id": env_group_id, "service_id": service_id, "unlinked": True}


@integration.reads
def get_env_group_var(
    render: Render, /, *, env_group_id: EnvGroupId, key: VariableKey, secret: AsSecret = False
) -> OneVariable:
    """Get one variable of an environment group."""
    found = thing_of(render.api.get(_VARIABLE, env_group_id=env_group_id, key=key))
    return {"env_var": variable_of(found, secret=secret)}


@integration.writes(before=inverses.GROUP_VARIABLE, undo=inverses.GROUP_VARIABLE_BACK)
def set_env_group_var(
    render: Render,
    /,
    *,
    env_group_id: EnvGroupId,
    key: VariableKey,
    value: VariableText = None,
    generate: Generate = False,
) -> OneEnvGroup:
    """Set one variable of an environment group, new or existing; the others stay as they are."""
    body = new_value("set_env_group_var", value, generate=generate)
    return _one(render.api.put(_VARIABLE, json=body, env_group_id=env_group_id, key=key))


@integration.destroys(before=inverses.GROUP_VARIABLE, undo=inverses.GROUP_VARIABLE_BACK)
def delete_env_group_var(render: Render, /, *, env_group_id: EnvGroupId, key: VariableKey) -> DeletedVariable:
    """Delete one variable of an environment group."""
    render.api.delete(_VARIABLE, env_group_id=env_group_id, key=key)
    return {"key": key, "deleted": True}


@integration.reads
def get_env_group_file(
    render: Render, /, *, env_group_id: EnvGroupId, name: FileName, secret: AsSecret = False
) -> OneSecretFile:
    """Get one secret file of an environment group, with its content."""
    return {"secret_file": shaped_file(render.api.get(_FILE, env_group_id=env_group_id, name=name), secret=secret)}


@integration.writes(before=inverses.GROUP_FILE, undo=inverses.GROUP_FILE_BACK)
def set_env_group_file(
    render: Render,
    /,
    *,
    env_group_id: EnvGroupId,
    name: FileName,
    content: Annotated[str, "The content of the file."],
) -> OneEnvGroup:
    """Set one secret file of an environment group, new or existing; the others stay as they are."""
    return _one(render.api.put(_FILE, json={"content": content}, env_group_id=env_group_id, name=name))


@integration.destroys(before=inverses.GROUP_FILE, undo=inverses.GROUP_FILE_BACK)
def delete_env_group_file(render: Render, /, *, env_group_id: EnvGroupId, name: FileName) -> DeletedSecretFile:
    """Delete one secret file of an environment group."""
    render.api.delete(_FILE, env_group_id=env_group_id, name=name)
    return {"name": name, "deleted": True}


def _shaped(group: Thing) -> Thing:
    return filled(group, id="", name="", ownerId="", serviceLinks=[])


def _one(reply: object) -> OneEnvGroup:
    return {"env_group": cast(EnvGroupWithContents, filled(_shaped(thing_of(reply)), envVars=[], secretFiles=[]))}
