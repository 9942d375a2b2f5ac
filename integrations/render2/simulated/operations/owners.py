"""Operations of the simulator that return the user and the workspaces."""

from __future__ import annotations

from ..call import Call, Reply, paged
from ..world import World


def get_current_user(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /users``."""
    return Reply(200, world.user)


def list_owners(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /owners``."""
    return paged([owner for owner in [world.owner] if call.fits(owner, ("name", "email"))], "owner", call)
