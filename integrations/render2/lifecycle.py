"""Functions that delete, suspend, resume, restart and scale services."""

from typing import Annotated, TypedDict

from kosmolua.plugin import between

from .account import integration
from .parameters import ServiceId
from .render import Render
from .wire import Thing, thing_of


class Accepted(TypedDict):
    """The result of an accepted request. The request takes effect after a while, and Render does not report when."""

    service_id: str
    accepted: bool


class DeletedService(TypedDict):
    """The result of delete_service: the id of the deleted service."""

    service_id: str
    deleted: bool


def _deleted(render: Render, /, *, service_id: ServiceId) -> DeletedService | None:
    """Return the result of the deletion if it was done."""
    is_gone = render.is_gone("/services/{service_id}", service_id=service_id)
    return {"service_id": service_id, "deleted": True} if is_gone else None


@integration.destroys(was_done=_deleted)
def delete_service(render: Render, /, *, service_id: ServiceId) -> DeletedService:
    """Delete a service permanently, with its deploys, variables and disk."""
    render.api.delete("/services/{service_id}", service_id=service_id)
    return {"service_id": service_id, "deleted": True}


def _suspended(render: Render, /, *, service_id: ServiceId) -> Accepted | None:
    """Return the result of the order if the service is suspended."""
    is_done = thing_of(render.api.get("/services/{service_id}", service_id=service_id)).get("suspended") == "suspended"
    return {"service_id": service_id, "accepted": True} if is_done else None


@integration.writes(was_done=_suspended)
def suspend_service(render: Render, /, *, service_id: ServiceId) -> Accepted:
    """Stop a service without deleting it; it answers no requests until it is resumed."""
    return _ordered(render, service_id, "suspend")


@integration.writes
def resume_service(render: Render, /, *, service_id: ServiceId) -> Accepted:
    """Start a suspended service again."""
    return _ordered(render, service_id, "resume")


@integration.writes
def restart_service(render: Render, /, *, service_id: ServiceId) -> Accepted:
    """Restart the instances of a service with its current build; not for cron jobs."""
    return _ordered(render, service_id, "restart")


@integration.writes
def scale_service(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    num_instances: Annotated[int, "The number of instances to run.", between(1, 100)],
) -> Accepted:
    """Set how many instances of a service run. This has no effect while autoscaling is on."""
    return _ordered(render, service_id, "scale", {"numInstances": num_instances})


def _ordered(render: Render, service_id: str, order: str, body: Thing | None = None) -> Accepted:
    render.api.post(f"/services/{{service_id}}/{order}", json=body, service_id=service_id)
    return {"service_id": service_id, "accepted": True}
