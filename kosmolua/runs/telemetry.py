"""OpenTelemetry across processes: sending spans to a collector, and continuing a trace in another process.

OpenTelemetry is not imported unless spans are requested.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""The environment variables that name a collector. The exporter reads these and the others of its specification."""
SERVICE = "kosmolua"
FLUSH_TIMEOUT = 3.0
"""Seconds that sending the remaining spans may take when the process ends."""


def _ignore(_: str) -> None:
    return


def asks_for_spans(environ: Mapping[str, str]) -> bool:
    """Return True if the environment names a collector and does not turn the export off."""
    is_off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not is_off and any(environ.get(name) for name in ENDPOINTS)


def send_spans(warn: Callable[[str], None] = _ignore, environ: Mapping[str, str] = os.environ) -> None:
    """Set up sending of spans to the collector by OTLP over HTTP, unless the program has a tracer provider already.

    Args:
        warn: Called with a sentence if a package that sends them is missing.
        environ: The environment.
    """
    if _has_provider():
        return  # set up by opentelemetry-instrument, or by the process that this one was forked from
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        warn(
            "the environment names an OpenTelemetry collector, but a package that sends spans is missing "
            "(pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http)"
        )
        return
    resource = Resource.create() if environ.get("OTEL_SERVICE_NAME") else Resource.create({"service.name": SERVICE})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def flush_spans() -> None:
    """Send the remaining spans before the process ends. An unanswering collector delays the end by a few seconds."""
    api = sys.modules.get("opentelemetry.trace")
    flush = getattr(api.get_tracer_provider(), "force_flush", None) if api else None
    if flush:
        from threading import Thread

        sending = Thread(target=flush, name="kosmolua-spans", daemon=True)  # the SDK's own timeout has no effect
        sending.start()
        sending.join(FLUSH_TIMEOUT)


def carried() -> dict[str, str] | None:
    """Return this thread's trace context for another process; None if the program does not use spans."""
    if not _has_provider():
        return None
    from opentelemetry import propagate

    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


@contextmanager
def going_on(carrier: Mapping[str, str] | None) -> Iterator[None]:
    """Continue the trace of another process in the ``with`` block, and send the spans of the block afterwards.

    If this process has no tracer provider, the spans go to the collector that its environment names.

    Args:
        carrier: The trace context that :func:`carried` returned in the other process.
    """
    if carrier is not None and asks_for_spans(os.environ):
        send_spans()
    if carrier is None or not _has_provider():
        yield
        return
    from opentelemetry import context, propagate

    token = context.attach(propagate.extract(carrier))
    try:
        yield
    finally:
        context.detach(token)
        flush_spans()


def _has_provider() -> bool:
    """Return True if the program has set a tracer provider."""
    if "opentelemetry.trace" not in sys.modules:
        return False
    from kosmolua.runs import spans

    return spans.tracer() is not None
