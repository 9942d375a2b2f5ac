"""Functions that list the logs and the events of services."""

from typing import Annotated, Any, Literal, TypedDict, cast

from kosmolua.plugin import matching, non_empty

from .account import integration
from .bodies import wire
from .paging import All, Cursor, Limit, listed
from .parameters import OwnerId, ResourceId, ServiceId, Time, Words
from .render import Render
from .wire import Thing, filled, thing_of, things_of, without

Level = Annotated[str, matching(r"[^A-Z]*|.*[*/].*", "error")]
Part = Annotated[str, matching(r"(?s)/.*/|(?!.*\w\|\w).*", "/refused|timeout/")]


class Label(TypedDict):
    """A label of a log entry, such as its level."""

    name: str
    value: str


class Entry(TypedDict):
    """A log entry. Its level, type and instance come from its labels, and are empty without such a label."""

    id: str
    timestamp: str
    message: str
    level: Annotated[str, "Its level in small letters, such as error, warning, info or debug."]
    type: Annotated[str, "Where it comes from, such as app, request or build."]
    instance: str
    labels: list[Label]


class LogPage(TypedDict):
    logs: list[Entry]
    has_more: bool
    next_start_time: str | None
    next_end_time: str | None


class Event(TypedDict):
    """Something that happened to a service, such as deploy_ended. The details depend on the type."""

    id: str
    type: str
    timestamp: str
    serviceId: str | None
    details: dict[str, Any]


class EventPage(TypedDict):
    events: list[Event]
    cursor: str | None


@integration.reads
def list_logs(
    render: Render,
    /,
    *,
    resource_id: Annotated[
        ResourceId | Annotated[list[ResourceId], non_empty()],
        "The id of the service, job or database whose logs to list, or a list of ids.",
    ],
    start_time: Annotated[Time | None, "Return entries from this time on (default: an hour before the end)."] = None,
    end_time: Annotated[Time | None, "Return entries up to this time (default: now)."] = None,
    direction: Annotated[
        Literal["backward", "forward"], "The order: backward (newest first) or forward (oldest first)."
    ] = "backward",
    level: Annotated[
        Level | list[Level] | None,
        "Return only entries of these levels, such as error: one level or a list.",
        non_empty(),
    ] = None,
    type: Annotated[Words, "Return only entries of these types (app, request, build): one type or a list."] = None,
    text: Annotated[
        Part | list[Part] | None,
        "Return only messages with this text, which can contain * or be a /regex/.",
        non_empty(),
    ] = None,
    instance: Annotated[Words, "Return only entries of these instances: one instance or a list."] = None,
    host: Annotated[Words, "Return only requests to these hosts: one host or a list."] = None,
    method: Annotated[Words, "Return only requests with these methods: one method or a list."] = None,
    path: Annotated[Words, "Return only requests for these paths: one path or a list."] = None,
    status_code: Annotated[
        Words, 'Return only requests with these statuses, such as "5*": one status or a list.'
    ] = None,
    task: Annotated[Words, "Return only entries of these workflow tasks: one task or a list."] = None,
    task_run: Annotated[Words, "Return only entries of these task runs: one run or a list."] = None,
    limit: Limit = 20,
    owner_id: OwnerId = None,
) -> LogPage:
    """List log entries of a service or another resource.

    Logs are paged by time: while ``has_more`` is true, call again with the ``next_start_time`` of the result as
    ``start_time`` and its ``next_end_time`` as ``end_time``. All resources must be in one region and one workspace.
    """
    filters = without(locals(), "resource_id", "owner_id")
    resources = [resource_id] if isinstance(resource_id, str) else resource_id
    query = {"ownerId": owner_id or _owner_of(render, resources), "resource": resources} | wire(filters)
    reply = thing_of(render.repeating.get("/logs", query=query))
    return {
        "logs": [_shaped(entry) for entry in things_of(reply.get("logs") or [])],
        "has_more": bool(reply.get("hasMore")),
        "next_start_time": reply.get("nextStartTime"),
        "next_end_time": reply.get("nextEndTime"),
    }


@integration.reads
def list_events(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    type: Annotated[str | None, "Return only events of this type, such as deploy_ended or server_failed."] = None,
    start_time: Annotated[Time | None, "Return events from this time on (default: an hour ago)."] = None,
    end_time: Annotated[Time | None, "Return events up to this time (default: now)."] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    all: All = False,
) -> EventPage:
    """List the events of a service: deploys, failures, restarts, scaling, changes of plan."""
    events, after = listed("/services/{service_id}/events", "event", **locals())
    shaped = [cast(Event, filled(event, id="", type="unknown", timestamp="", details={})) for event in events]
    return {"events": shaped, "cursor": after}


def _owner_of(render: Render, resources: list[str]) -> str:
    """Return the id of the first service's workspace, or the account's workspace if no service is among them."""
    services = [resource for resource in resources if resource.startswith(("srv-", "crn-"))]
    return render.workspace_of(services[0]) if services else render.workspace()


def _shaped(entry: Thing) -> Entry:
    labels = {label.get("name"): label.get("value") for label in things_of(entry.get("labels") or [])}
    flat = {name: labels.get(name) or "" for name in ("level", "type", "instance")}
    return cast(Entry, filled(entry, id="", timestamp="", message="", labels=[]) | flat)
