"""Operations of the simulator on events and logs."""

from __future__ import annotations

from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from ...wire import Thing
from ..call import Call, Refusal, Reply, among, moment, paged, refuse_other_owner, routes, service_of
from ..seeds import activity
from ..seeds.accounts import stamp
from ..world import World

_LABELS = ("level", "type", "instance", "host", "method", "path", "statusCode", "task", "taskRun")


@routes.on("GET", "/services/{service_id}/events")
def list_events(world: World, call: Call) -> Reply:
    """Return the events between two times, by default of the last hour."""
    service = service_of(world, call)
    end = moment(call.one("endTime", world.now))
    start = moment(call.one("startTime")) if call.one("startTime") else moment(world.now) - timedelta(hours=1)
    events = activity.events(service, world.deploys_of(service))
    return paged([each for each in events if start <= moment(each["timestamp"]) <= end], "event", call)


@routes.on("GET", "/logs")
def list_logs(world: World, call: Call) -> Reply:
    """Return a page of logs by time, without a cursor."""
    for name in ("ownerId", "resource"):
        if not call.one(name):
            raise Refusal(400, f"{name} is required")
    refuse_other_owner(world, call.one("ownerId"))
    for resource in call.values("resource"):
        if resource.startswith(("srv-", "crn-")):
            among(world.services, resource)
    end = moment(call.one("endTime", world.now))
    start = moment(call.one("startTime")) if call.one("startTime") else end - timedelta(hours=1)
    entries = [entry for resource in call.values("resource") for entry in activity.logs(resource)]
    found = [each for each in entries if start <= moment(each["timestamp"]) <= end and _matches(each, call)]
    return _page(found, call, start, end)


def _page(found: list[Thing], call: Call, start: datetime, end: datetime) -> Reply:
    backward = call.one("direction", "backward") == "backward"
    found.sort(key=lambda entry: str(entry["timestamp"]), reverse=backward)
    limit = int(call.one("limit", "20"))
    page, more = found[:limit], len(found) > limit
    if more and backward:
        end = moment(page[-1]["timestamp"]) - timedelta(microseconds=1)
    elif more:
        start = moment(page[-1]["timestamp"]) + timedelta(microseconds=1)
    times = {"nextStartTime": stamp(start), "nextEndTime": stamp(end)}
    return Reply(200, {"logs": page, "hasMore": more} | times)


def _matches(entry: Thing, call: Call) -> bool:
    """Return True if a log entry has the labels and the text in the query. In labels, ``*`` matches anything."""
    labels = {label["name"]: label["value"] for label in entry["labels"]}
    texts = call.values("text")
    return all(
        not call.values(name) or any(fnmatchcase(labels.get(name, ""), wanted) for wanted in call.values(name))
        for name in _LABELS
    ) and (not texts or any(text.strip("*") in entry["message"] for text in texts))
