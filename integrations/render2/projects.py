"""Functions for projects, and for the environments of a project, which contain services and data stores."""

from typing import Annotated, Any, TypedDict, cast

from kosmolua.plugin import non_empty

from .account import integration
from .paging import All, Cursor, Limit, listed
from .parameters import (
    CreatedAfter,
    CreatedBefore,
    EnvironmentId,
    Environments,
    Names,
    ProjectId,
    UpdatedAfter,
    UpdatedBefore,
    Workspaces,
)
from .render import Render
from .stores import Allowed
from .wire import Thing, filled, thing_of

_PROJECT = "/projects/{project_id}"
_ENVIRONMENT = "/environments/{environment_id}"


class Project(TypedDict):
    """A project, with the ids of its environments."""

    id: str
    name: str
    environmentIds: list[str]
    owner: dict[str, Any]
    createdAt: str
    updatedAt: str


class ProjectPage(TypedDict):
    projects: list[Project]
    cursor: str | None


class OneProject(TypedDict):
    project: Project


class Environment(TypedDict):
    """An environment of a project, with the ids of what it contains. protectedStatus is protected or unprotected."""

    id: str
    name: str
    projectId: str
    protectedStatus: str
    networkIsolationEnabled: bool
    serviceIds: list[str]
    databasesIds: list[str]
    redisIds: list[str]
    envGroupIds: list[str]
    ipAllowList: list[Allowed] | None


class EnvironmentPage(TypedDict):
    environments: list[Environment]
    cursor: str | None


class OneEnvironment(TypedDict):
    environment: Environment


@integration.reads
def list_projects(
    render: Render,
    /,
    *,
    limit: Limit = 20,
    cursor: Cursor = None,
    name: Names = None,
    owner_id: Workspaces = None,
    created_before: CreatedBefore = None,
    created_after: CreatedAfter = None,
    updated_before: UpdatedBefore = None,
    updated_after: UpdatedAfter = None,
    all: All = False,
) -> ProjectPage:
    """List the projects in the account."""
    found, after = listed("/projects", "project", **locals())
    return {"projects": [_project(each) for each in found], "cursor": after}


@integration.reads
def get_project(render: Render, /, *, project_id: ProjectId) -> OneProject:
    """Get a project, and the ids of its environments."""
    return {"project": _project(thing_of(render.api.get(_PROJECT, project_id=project_id)))}


@integration.reads
def list_environments(
    render: Render,
    /,
    *,
    project_id: Annotated[
        ProjectId | Annotated[list[ProjectId], non_empty()], "The id of a project, or a list of ids."
    ],
    limit: Limit = 20,
    cursor: Cursor = None,
    name: Names = None,
    environment_id: Environments = None,
    owner_id: Workspaces = None,
    created_before: CreatedBefore = None,
    created_after: CreatedAfter = None,
    updated_before: UpdatedBefore = None,
    updated_after: UpdatedAfter = None,
    all: All = False,
) -> EnvironmentPage:
    """List the environments of projects, with the ids of what each environment contains."""
    found, after = listed("/environments", "environment", **locals())
    return {"environments": [_environment(each) for each in found], "cursor": after}


@integration.reads
def get_environment(render: Render, /, *, environment_id: EnvironmentId) -> OneEnvironment:
    """Get an environment of a project, with the ids of what it contains."""
    return {"environment": _environment(thing_of(render.api.get(_ENVIRONMENT, environment_id=environment_id)))}


def _project(project: Thing) -> Project:
    return cast(Project, filled(project, id="", name="", environmentIds=[]))


def _environment(environment: Thing) -> Environment:
    members: dict[str, list[str]] = {"serviceIds": [], "databasesIds": [], "redisIds": [], "envGroupIds": []}
    plain = {"id": "", "name": "", "projectId": "", "protectedStatus": "unprotected", "networkIsolationEnabled": False}
    return cast(Environment, filled(environment, **plain, **members))
