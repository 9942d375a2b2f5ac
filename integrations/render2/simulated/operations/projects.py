"""Operations of the simulator on projects and environments.

Services, data stores and environment groups have the id of their environment, if any, in the field ``environmentId``.
"""

from __future__ import annotations

from ...wire import Thing
from ..call import Call, Refusal, Reply, among, paged
from ..world import World


def list_projects(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /projects``."""
    found = [
        project
        for project in world.projects.values()
        if call.fits(project | {"ownerId": project["owner"]["id"]}, ("name", "ownerId"))
        and call.within(project, "created", "updated")
    ]
    return paged(found, "project", call)


def get_project(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /projects/{project_id}``."""
    return Reply(200, among(world.projects, call.segments["project_id"]))


def list_environments(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /environments``, which returns the environments of the projects in the query."""
    if not call.values("projectId"):
        raise Refusal(400, "invalid query: projectId is missing")
    found = [
        environment
        for environment in world.environments.values()
        if call.fits(_told(world, environment), ("name", "projectId", "ownerId", "environmentId"))
        and call.within(world.projects[environment["projectId"]], "created", "updated")
    ]
    return paged([_whole(world, environment) for environment in found], "environment", call)


def get_environment(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /environments/{environment_id}``."""
    return Reply(200, _whole(world, among(world.environments, call.segments["environment_id"])))


def _told(world: World, environment: Thing) -> Thing:
    owner = world.projects[environment["projectId"]]["owner"]["id"]
    return environment | {"ownerId": owner, "environmentId": environment["id"]}


def _whole(world: World, environment: Thing) -> Thing:
    members = {
        "serviceIds": world.services,
        "databasesIds": world.databases,
        "redisIds": world.caches,
        "envGroupIds": world.groups,
    }
    here = environment["id"]
    return environment | {
        field: [each["id"] for each in things.values() if each.get("environmentId") == here]
        for field, things in members.items()
    }
