"""Operations of the simulator on projects and environments.

Services, data stores and environment groups have the id of their environment, if any, in the field ``environmentId``.
"""

from __future__ import annotations

from ...wire import Thing
from ..call import Call, Refusal, Reply, among, paged, routes
from ..world import World


@routes.on("GET", "/projects")
def list_projects(world: World, call: Call) -> Reply:
    return paged(world.projects.values(), "project", call, told=lambda each: each | {"ownerId": each["owner"]["id"]})


@routes.on("GET", "/projects/{project_id}")
def get_project(world: World, call: Call) -> Reply:
    return Reply(200, among(world.projects, call.segments["project_id"]))


@routes.on("GET", "/environments")
def list_environments(world: World, call: Call) -> Reply:
    """Return the environments of the projects in the query, by whose times the query filters too."""
    if not call.values("projectId"):
        raise Refusal(400, "invalid query: projectId is missing")

    def told(environment: Thing) -> Thing:
        project = world.projects[environment["projectId"]]
        return project | environment | {"ownerId": project["owner"]["id"], "environmentId": environment["id"]}

    return paged([_whole(world, each) for each in world.environments.values()], "environment", call, told=told)


@routes.on("GET", "/environments/{environment_id}")
def get_environment(world: World, call: Call) -> Reply:
    return Reply(200, _whole(world, among(world.environments, call.segments["environment_id"])))


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
