"""OpenTelemetry across processes: sends spans to a collector, and continues the trace of another process.

OpenTelemetry is imported only if spans are requested.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""The environment variables that name a collector. The exporter also reads further variables of its specification."""
SERVICE = "kosmolua"
FLUSH_TIMEOUT = 3.0
"""How many seconds the process waits at its end for the remaining spans to be sent."""


def asks_for_spans(environ: Mapping[str, str]) -> bool:
    """Return True if the environment variables name a collector for spans and do not turn off sending."""
    is_off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not is_off and any(environ.get(name) for name in ENDPOINTS)


def send_spans(warn: Callable[[str], None] = lambda sentence: None, environ: Mapping[str, str] | None = None) -> None:
    """Set up OpenTelemetry to send spans to a collector, with the protocol OTLP over HTTP.

    This does nothing if the program has already set a tracer provider. The environment variables of the process name
    the collector; ``warn`` is told if a Python package is missing.
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
    names_service = (os.environ if environ is None else environ).get("OTEL_SERVICE_NAME")
    resource = Resource.create() if names_service else Resource.create({"service.name": SERVICE})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def flush_spans() -> None:
    """Send the remaining spans before the process ends, in at most ``FLUSH_TIMEOUT`` seconds."""
    api = sys.modules.get("opentelemetry.trace")
    flush = getattr(api.get_tracer_provider(), "force_flush", None) if api else None
    if flush:
        from threading import Thread

        sending = Thread(target=flush, name="kosmolua-spans", daemon=True)  # the SDK's own timeout has no effect
        sending.start()
        sending.join(FLUSH_TIMEOUT)


def carried() -> dict[str, str] | None:
    """Return the trace context of this thread, to send it to another process; None if the program records no spans."""
    if not _has_provider():
        return None
    from opentelemetry import propagate

    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


@contextmanager
def going_on(carrier: Mapping[str, str] | None) -> Iterator[None]:
    """Continue the trace that :func:`carried` returned in another process, and send the block's spans when it ends.

    If this process has no tracer provider, the spans are sent to the collector in the process's environment variables.
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
    if "opentelemetry.trace" not in sys.modules:
        return False
    from kosmolua.runs import spans

    return spans.tracer() is not None
