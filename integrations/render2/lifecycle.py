"""Functions that delete, suspend, resume, restart and scale services."""

from typing import Annotated, TypedDict, cast

from kosmolua.plugin import between

from . import inverses
from .account import integration
from .parameters import ServiceId
from .render import Render, deletion
from .wire import thing_of

_SERVICE = "/services/{service_id}"


class Accepted(TypedDict):
    """The request takes effect after a while, and Render does not report when."""

    service_id: str
    accepted: bool


class DeletedService(TypedDict):
    service_id: str
    deleted: bool


@integration.destroys(
    was_done=deletion(_SERVICE, "service_id"), undo="the service is gone, with its deploys, variables and disk"
)
def delete_service(render: Render, /, *, service_id: ServiceId) -> DeletedService:
    """Delete a service permanently, with its deploys, variables and disk."""
    render.api.delete(_SERVICE, service_id=service_id)
    return {"service_id": service_id, "deleted": True}


def _suspended(render: Render, /, *, service_id: ServiceId) -> Accepted | None:
    """Return the result of the order if the service is suspended."""
    is_done = thing_of(render.api.get(_SERVICE, service_id=service_id)).get("suspended") == "suspended"
    return {"service_id": service_id, "accepted": True} if is_done else None


@integration.writes(
    was_done=_suspended,
    before=inverses.SERVICE,
    undo=inverses.resumed("service"),
    assume={"service.status": "suspended", "service.suspended": "suspended"},
)
def suspend_service(render: Render, /, *, service_id: ServiceId) -> Accepted:
    """Stop a service without deleting it; it answers no requests until it is resumed."""
    return cast(Accepted, render.accepted(_SERVICE + "/suspend", service_id=service_id))


@integration.writes(
    before=inverses.SERVICE,
    undo=inverses.suspended("service"),
    assume={"service.status": "active", "service.suspended": "not_suspended"},
)
def resume_service(render: Render, /, *, service_id: ServiceId) -> Accepted:
    """Start a suspended service again."""
    return cast(Accepted, render.accepted(_SERVICE + "/resume", service_id=service_id))


@integration.writes(undo=inverses.NO_CHANGE)
def restart_service(render: Render, /, *, service_id: ServiceId) -> Accepted:
    """Restart the instances of a service with its current build; not for cron jobs."""
    return cast(Accepted, render.accepted(_SERVICE + "/restart", service_id=service_id))


@integration.writes(before=inverses.SERVICE, undo=inverses.scale_back)
def scale_service(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    num_instances: Annotated[int, "The number of instances to run.", between(1, 100)],
) -> Accepted:
    """Set how many instances of a service run. This has no effect while autoscaling is on."""
    return cast(Accepted, render.accepted(_SERVICE + "/scale", {"numInstances": num_instances}, service_id=service_id))
