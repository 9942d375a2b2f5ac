"""The operation of the simulator for metrics. A hash determines the values, so equal requests get equal values."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zlib import crc32

from ...wire import Thing
from ..call import Call, Refusal, Reply, among, moment, routes
from ..seeds.accounts import stamp
from ..world import World

_UNITS = {
    "cpu": "cpu",
    "cpu-limit": "cpu",
    "cpu-target": "cpu",
    "memory": "bytes",
    "memory-limit": "bytes",
    "memory-target": "bytes",
    "http-requests": "requests",
    "http-latency": "ms",
    "bandwidth": "MB",
    "instance-count": "instances",
    "active-connections": "connections",
    "disk-usage": "bytes",
    "disk-capacity": "bytes",
    "replication-lag": "seconds",
}
_LARGEST = {"cpu": 1.0, "bytes": 512.0 * 2**20, "requests": 900.0, "ms": 400.0, "instances": 1.0, "seconds": 2.0}
_STEADY = ("cpu-limit", "cpu-target", "memory-limit", "memory-target", "disk-capacity", "instance-count")
"""The metrics that do not change with time."""
_MAX_POINTS = 1500


@routes.on("GET", "/metrics/{metric}")
def get_metrics(world: World, call: Call) -> Reply:
    metric = call.segments["metric"]
    if metric not in _UNITS:
        raise Refusal(404, "not found")
    resources = call.values("resource")
    if not resources:
        raise Refusal(400, "invalid query: resource is missing")
    series = [each for resource in resources for each in _series(world, call, metric, resource)]
    return Reply(200, series)


def _series(world: World, call: Call, metric: str, resource: str) -> Iterator[Thing]:
    thing = among(world.services | world.databases | world.caches, resource)
    labels = [{"field": "resource", "value": resource}]
    unit = _UNITS[metric]
    if unit not in ("cpu", "bytes") or "serviceDetails" not in thing or call.one("aggregationMethod"):
        count = len(world.instances_of(thing)) if metric == "instance-count" and "serviceDetails" in thing else None
        yield {"labels": labels, "unit": unit, "values": list(_points(world, call, metric, resource, count))}
        return
    for instance in world.instances_of(thing):
        if not call.values("instance") or instance in call.values("instance"):
            values = list(_points(world, call, metric, instance, None))
            yield {"labels": [*labels, {"field": "instance", "value": instance}], "unit": unit, "values": values}


def _points(world: World, call: Call, metric: str, source: str, fixed: float | None) -> Iterator[Thing]:
    largest = _LARGEST.get(_UNITS[metric], 50.0)
    for time in _times(world, call, 3600 if metric == "bandwidth" else 60):
        part = 1.0 if metric in _STEADY else 0.1 + crc32(f"{metric}/{source}/{time}".encode()) % 800 / 1000
        yield {"timestamp": stamp(time), "value": round(largest * part, 3) if fixed is None else fixed}


def _times(world: World, call: Call, usual: int) -> Iterator[datetime]:
    """Yield the times that a query asks for: multiples of the step, from the start to the end."""
    end = moment(call.one("endTime", world.now))
    start = moment(call.one("startTime", (end - timedelta(hours=1)).isoformat()))
    step = int(call.one("resolutionSeconds", str(usual)))
    if (end - start).total_seconds() > step * _MAX_POINTS:
        raise Refusal(400, f"invalid query: more than {_MAX_POINTS} values")
    seconds = -(-int(start.timestamp()) // step) * step
    while seconds <= end.timestamp():
        yield datetime.fromtimestamp(seconds, end.tzinfo)
        seconds += step
