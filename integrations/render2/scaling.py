"""Functions for the instances of a service, and for autoscaling by load."""

from typing import Annotated, TypedDict, cast

from kosmolua.plugin import BadArguments, between

from . import inverses
from .account import integration
from .bodies import autoscaling_of
from .parameters import ServiceId
from .render import Render
from .settings import Criteria
from .wire import filled, thing_of, things_of

_AUTOSCALING = "/services/{service_id}/autoscaling"


class Instance(TypedDict):
    """A running instance of a service."""

    id: str
    createdAt: str | None


class Instances(TypedDict):
    """The running instances of a service."""

    instances: list[Instance]


class ResourceTarget(TypedDict):
    """Whether autoscaling uses a resource, and the average use in percent that it aims at."""

    enabled: bool
    percentage: int


class Targets(TypedDict):
    """The resources that autoscaling uses."""

    cpu: ResourceTarget
    memory: ResourceTarget


class ServiceScaling(TypedDict):
    """The autoscaling of a service: how few and how many instances it can have, and by which resources it scales."""

    enabled: bool
    min: int
    max: int
    criteria: Targets


class OneScaling(TypedDict):
    autoscaling: ServiceScaling


class DeletedScaling(TypedDict):
    service_id: str
    deleted: bool


@integration.reads
def list_instances(render: Render, /, *, service_id: ServiceId) -> Instances:
    """List the running instances of a service."""
    found = things_of(render.api.get("/services/{service_id}/instances", service_id=service_id))
    return {"instances": [cast(Instance, filled(each, id="")) for each in found]}


@integration.writes(before=inverses.SERVICE, undo=inverses.autoscaling_back)
def set_autoscaling(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    min: Annotated[int, "The smallest number of instances.", between(1, 100)],
    max: Annotated[int, "The largest number of instances.", between(1, 100)],
    criteria: Annotated[Criteria, "What to scale by: { cpu = { percentage = 60 } }, the same for memory, or both."],
    enabled: Annotated[bool, "Whether autoscaling is on; false keeps the settings for later."] = True,
) -> OneScaling:
    """Set how a service scales by load. The new autoscaling settings replace all earlier ones."""
    if min > max:
        raise BadArguments(f"min is {min}, which is more than max", param="min", hint=f"give a min of at most {max}")
    if not any(criteria.get(name) for name in ("cpu", "memory")):
        raise BadArguments("criteria names neither cpu nor memory", param="criteria", hint="give cpu or memory")
    body = autoscaling_of({"enabled": enabled, "min": min, "max": max, "criteria": criteria})
    reply = thing_of(render.api.put(_AUTOSCALING, json=body, service_id=service_id))
    return {"autoscaling": cast(ServiceScaling, body | reply)}


@integration.destroys(before=inverses.SERVICE, undo=inverses.autoscaling_back)
def delete_autoscaling(render: Render, /, *, service_id: ServiceId) -> DeletedScaling:
    """Delete the autoscaling of a service; the number of instances stays as it is."""
    render.api.delete(_AUTOSCALING, service_id=service_id)
    return {"service_id": service_id, "deleted": True}
