"""Operations of the simulator that return the user and the workspaces."""

from __future__ import annotations

from ..call import Call, Reply, paged, routes
from ..world import World


@routes.on("GET", "/users")
def get_current_user(world: World, call: Call) -> Reply:
    return Reply(200, world.user)


@routes.on("GET", "/owners")
def list_owners(world: World, call: Call) -> Reply:
    return paged([world.owner], "owner", call)
