"""Metrics for Prometheus: counts and durations of runs, calls and requests."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.samples import Sample

from kosmolua.calls.records import FinishedCall
from kosmolua.errors import KosmoError, ScriptError
from kosmolua.memory import Memory
from kosmolua.runs import Outcome
from kosmolua.serve.runs import Observer, Running
from kosmolua.serve.tenants import Tenants

CONTENT_TYPE = CONTENT_TYPE_LATEST
SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable that names the folder in which several processes keep their counts.

The variable must be set before ``prometheus_client`` is imported.
"""
PREFIX = "kosmolua"
_LOAD: tuple[tuple[str, str, Literal["livemax", "livesum"]], ...] = (
    ("workers", "Scripts that can run at once.", "livemax"),
    ("workers_busy", "Scripts that run now.", "livesum"),
    ("queue", "Scripts that wait for a worker.", "livesum"),
    ("approvals_waiting", "Calls of running scripts that wait for a person.", "livesum"),
)
"""The gauges, which are updated when the metrics are read.

For each gauge: its name, its description, and how the values of several processes are combined.
"""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics(Observer):
    """The metrics of a server, for all tenants. This is an observer of runs, and also counts requests.

    ``tenants`` returns the tenants when the metrics are read. ``memory`` is that for the large texts of all tenants.
    """

    def __init__(self, tenants: Callable[[], Tenants], memory: Memory) -> None:
        registry = self._registry = CollectorRegistry()
        each: dict[str, Any] = {"namespace": PREFIX, "registry": registry}
        self._runs = Counter("runs", "Runs that ended.", ["tenant", "status"], **each)
        self._errors = Counter("errors", "Runs that ended with an error, by its code.", ["tenant", "code"], **each)
        self._calls = Counter(
            "calls", "Calls that ended.", ["tenant", "integration", "effect", "status", "error"], **each
        )
        self._requests = Counter("http_requests", "Requests.", ["route", "method", "status"], **each)
        self._refusals = Counter("unauthorized", "Requests without a valid token.", **each)
        timed: dict[str, Any] = {**each, "buckets": _SECONDS}
        self._run_seconds = Histogram("run_seconds", "Durations of runs.", ["tenant"], **timed)
        self._call_seconds = Histogram("call_seconds", "Durations of calls.", ["tenant", "integration"], **timed)
        self._request_seconds = Histogram("http_request_seconds", "Durations of requests.", ["route"], **timed)
        self._notices = Counter("notices", "Notices to people.", ["tenant", "channel", "outcome"], **each)
        self._store_errors = Counter("store_errors", "Tries of the store that failed.", **each)
        self._store_seconds = Histogram("store_seconds", "Durations of tries of the store.", **timed)
        self._store_up = Gauge("store_up", "1 if the store can be used.", multiprocess_mode="livemin", **each)
        self._tasks = Counter(
            "tasks",
            "Ticks of schedules, deliveries of hooks, and ends of long sleeps.",
            ["tenant", "source", "status"],
            **each,
        )
        self._task_seconds = Histogram("task_late_seconds", "How late tasks began.", ["tenant", "source"], **timed)
        self._memory = memory
        self._held = Gauge("memory_held_bytes", "Bytes reserved for large texts.", multiprocess_mode="livesum", **each)
        self._most = Gauge(
            "memory_limit_bytes", "Bytes that large texts can take.", multiprocess_mode="livesum", **each
        )
        self._tenants = tenants
        self._load = [Gauge(name, about, ["tenant"], multiprocess_mode=mode, **each) for name, about, mode in _LOAD]
        self._is_shared = SHARED in os.environ
        if not self._is_shared:
            ProcessCollector(registry=registry)

    def called(self, run: Running, call: FinishedCall) -> None:
        """Count a call that has ended, and its duration."""
        integration = call.path.rpartition(".")[0] if call.effect else ""  # an unknown path may be any text
        self._calls.labels(run.tenant, integration, call.effect or "", call.status, call.error or "").inc()
        self._call_seconds.labels(run.tenant, integration).observe(call.duration_ms / 1000)

    def ended(self, run: Running, outcome: Outcome) -> None:
        """Count a run that has ended, its duration, and the error that ended it, if there was one."""
        self._runs.labels(run.tenant, outcome.status).inc()
        self._run_seconds.labels(run.tenant).observe(run.seconds)
        if outcome.error:
            self._errors.labels(run.tenant, _code_of(outcome)).inc()

    def requested(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an HTTP request and its duration. ``status`` is 0 if the client disconnected before the answer."""
        self._requests.labels(route, method if method in METHODS else "other", str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def noticed(self, tenant: str, channel: str, outcome: str) -> None:
        """Count a try to send a notice, which was ``sent``, is ``retried``, or is ``lost``."""
        self._notices.labels(tenant, channel, outcome).inc()

    def worked(self, tenant: str, source: str, status: str, late: float) -> None:
        """Count a task that is over, with its source and status, and how many seconds late it began."""
        self._tasks.labels(tenant, source, status).inc()
        self._task_seconds.labels(tenant, source).observe(max(0.0, late))

    def refused(self) -> None:
        """Count a request that was refused because it had no valid token of a tenant."""
        self._refusals.inc()

    def store_tried(self, seconds: float, error: KosmoError | None) -> None:
        """Count a try of the store, with its duration in seconds and its error."""
        self._store_seconds.observe(seconds)
        if error:
            self._store_errors.inc()

    def refresh(self) -> None:
        """Set the gauges of memory, of the store and of each tenant, as :data:`_LOAD` describes them."""
        self._held.set(self._memory.taken)
        self._most.set(self._memory.total)
        tenants = self._tenants()
        self._store_up.set(tenants.health.error is None)  # it is lost already while a try of it does not end
        for tenant in tenants:
            load = tenant.runtime.load
            values = load.workers, load.busy, load.queued, len(tenant.approvals)
            for gauge, value in zip(self._load, values, strict=True):
                gauge.labels(tenant.name).set(value)

    def page(self, *, names_tenants: bool) -> bytes:
        """Return the metrics of all processes of the server in the text format of Prometheus, in total or by tenant."""
        self.refresh()
        registry = self._registry
        if self._is_shared:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry if names_tenants else _Total(registry))


class _Total(CollectorRegistry):
    """The metrics of a registry, added up over all tenants."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._each = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._each.collect():
            total: defaultdict[tuple[str, tuple[tuple[str, str], ...]], float] = defaultdict(float)
            for sample in metric.samples:
                if not sample.name.endswith("_created"):  # a time, of which there is no sum
                    labels = tuple(each for each in sample.labels.items() if each[0] != "tenant")
                    total[sample.name, labels] += sample.value
            metric.samples = [Sample(name, dict(labels), value) for (name, labels), value in total.items()]
            yield metric


def _code_of(outcome: Outcome) -> str:
    """Return the code of the error of a run; one for all that scripts invent, lest the metrics grow without bound."""
    error = outcome.error
    assert error
    return ScriptError.code if isinstance(error, ScriptError) else error.code
