"""OpenTelemetry across processes: spans go to the collector that the environment names, and traces go on elsewhere.

Nothing of OpenTelemetry is imported unless somebody asks for spans.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""The variables that name a collector; the exporter reads them, and the others of its specification, by itself."""
SERVICE = "kosmolua"
FLUSH_TIMEOUT = 3.0
"""Seconds for the spans that wait when the process ends."""


def _ignore(_: str) -> None:
    return


def asks_for_spans(environ: Mapping[str, str]) -> bool:
    """Return True if the environment names a collector, and does not turn the export off."""
    is_off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not is_off and any(environ.get(name) for name in ENDPOINTS)


def send_spans(warn: Callable[[str], None] = _ignore, environ: Mapping[str, str] = os.environ) -> None:
    """Have spans sent to the collector by OTLP over HTTP, unless the program has a tracer provider already.

    Args:
        warn: Called with a sentence if nothing here can send them.
        environ: The environment.
    """
    if _has_provider():
        return  # by opentelemetry-instrument, or of the process that this one was forked from
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        warn(
            "the environment names a collector of OpenTelemetry, but nothing here can send spans to it "
            "(pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http)"
        )
        return
    resource = Resource.create() if environ.get("OTEL_SERVICE_NAME") else Resource.create({"service.name": SERVICE})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def flush_spans() -> None:
    """Send the spans that wait, before the process ends. A collector that does not answer is not waited for."""
    api = sys.modules.get("opentelemetry.trace")
    flush = getattr(api.get_tracer_provider(), "force_flush", None) if api else None
    if flush:
        from threading import Thread

        sending = Thread(target=flush, name="kosmolua-spans", daemon=True)  # the SDK's own timeout has no effect
        sending.start()
        sending.join(FLUSH_TIMEOUT)


def carried() -> dict[str, str] | None:
    """Return what tells another process the trace of this thread; None if the program makes no use of spans."""
    if not _has_provider():
        return None
    from opentelemetry import propagate

    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


@contextmanager
def going_on(carrier: Mapping[str, str] | None) -> Iterator[None]:
    """Be in the trace of another process in the ``with`` block, and send the spans of the block after it.

    If this process has no tracer provider, they go to the collector that its environment names.

    Args:
        carrier: What :func:`carried` returned there.
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
