"""The function that gets metrics of services and data stores, such as CPU, memory and requests."""

from typing import Annotated, Literal, TypedDict

from kosmolua.plugin import BadArguments, between, non_empty

from .account import integration
from .parameters import ResourceId, Time, Words
from .render import Render
from .wire import Thing, things_of

Metric = Literal[
    "cpu",
    "cpu_limit",
    "cpu_target",
    "memory",
    "memory_limit",
    "memory_target",
    "http_requests",
    "http_latency",
    "bandwidth",
    "instance_count",
    "active_connections",
    "disk_usage",
    "disk_capacity",
    "replication_lag",
]
_OF_INSTANCES = ("cpu", "cpu_limit", "cpu_target", "memory", "memory_limit", "memory_target")
_OF_REQUESTS = ("http_requests", "http_latency")
_TAKEN_BY = {
    "instance": _OF_INSTANCES,
    "aggregate": ("cpu",),
    "host": _OF_REQUESTS,
    "path": _OF_REQUESTS,
    "aggregate_by": ("http_requests",),
    "quantile": ("http_latency",),
}
"""The metrics that each of these parameters applies to. All other parameters apply to every metric."""
_BY = {"status_code": "statusCode", "host": "host"}


class MetricLabel(TypedDict):
    """A label of a series, such as the instance that the values are from."""

    field: str
    value: str


class Point(TypedDict):
    """The value of a metric at one time."""

    timestamp: str
    value: float


class Series(TypedDict):
    """Values over time. The resource and the instance come from the labels, and are empty without such a label."""

    resource: str
    instance: str
    unit: str
    labels: list[MetricLabel]
    values: list[Point]


class Metrics(TypedDict):
    metric: str
    series: list[Series]


@integration.reads
def get_metrics(
    render: Render,
    /,
    *,
    metric: Annotated[Metric, "The metric to get."],
    resource_id: Annotated[
        ResourceId | Annotated[list[ResourceId], non_empty()],
        "The id of a service, database or Key Value instance, or a list of ids.",
    ],
    start_time: Annotated[Time | None, "Return values from this time on (default: an hour before the end)."] = None,
    end_time: Annotated[Time | None, "Return values up to this time (default: now)."] = None,
    resolution: Annotated[
        int | None, "The seconds from one value to the next; Render's default is 60.", between(30, 86400)
    ] = None,
    instance: Annotated[Words, "Return only the values of these instances; only for CPU and memory metrics."] = None,
    aggregate: Annotated[
        Literal["avg", "max", "min"] | None, "How to combine all instances into one series; only for cpu."
    ] = None,
    host: Annotated[Words, "Count only requests to these hosts; only for http_requests and http_latency."] = None,
    path: Annotated[Words, "Count only requests for these paths; only for http_requests and http_latency."] = None,
    aggregate_by: Annotated[
        Literal["status_code", "host"] | None, "The label by which to split the series; only for http_requests."
    ] = None,
    quantile: Annotated[
        float | list[float] | None, "The quantile, such as 0.95, or a list of quantiles; only for http_latency."
    ] = None,
) -> Metrics:
    """Get a metric of services or data stores over time: CPU, memory, requests, latency, connections and so on.

    Targets and limits of CPU and memory are metrics too: ``cpu_target`` is the target of autoscaling. Bandwidth has one
    value for each hour.
    """
    _refuse_misfit(locals())
    query = {
        "resource": resource_id,
        "startTime": start_time,
        "endTime": end_time,
        "resolutionSeconds": resolution,
        "instance": instance,
        "aggregationMethod": aggregate and aggregate.upper(),
        "host": host,
        "path": path,
        "aggregateBy": aggregate_by and _BY[aggregate_by],
        "quantile": quantile,
    }
    reply = render.repeating.get("/metrics/" + metric.replace("_", "-"), query=query)
    return {"metric": metric, "series": [_series(each) for each in things_of(reply)]}


def _refuse_misfit(given: Thing) -> None:
    metric = given["metric"]
    for name, metrics in _TAKEN_BY.items():
        if given[name] is not None and metric not in metrics:
            raise BadArguments(
                f"{name} does not apply to {metric}", param=name, hint=f"{name} applies to {', '.join(metrics)}"
            )
    if given["resolution"] is not None and metric == "bandwidth":
        raise BadArguments(
            "resolution does not apply to bandwidth, which has one value for each hour", param="resolution"
        )


def _series(series: Thing) -> Series:
    labels: list[MetricLabel] = series.get("labels") or []
    named = {label["field"]: label["value"] for label in labels}
    return {
        "resource": named.get("resource") or named.get("service") or "",
        "instance": named.get("instance", ""),
        "unit": series.get("unit") or "",
        "labels": labels,
        "values": series.get("values") or [],
    }
