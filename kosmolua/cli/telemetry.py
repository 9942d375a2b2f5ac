"""OpenTelemetry at the command line: spans go to a collector if the environment names one."""

from __future__ import annotations

import os
import sys

from kosmolua.cli import console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""The variables that name a collector. The exporter itself reads them, and the others of its specification."""
SERVICE = "kosmolua"
FLUSH_TIMEOUT = 5_000
"""Milliseconds that sending the remaining spans may take when the process ends."""


def asks_for_spans(environ: Mapping[str, str]) -> bool:
    """Return True if the environment names a collector and does not turn the export off."""
    is_off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not is_off and any(environ.get(name) for name in ENDPOINTS)


def send_spans(environ: Mapping[str, str] = os.environ) -> None:
    """Set up sending of spans to the collector by OTLP over HTTP, unless the program has a tracer provider already."""
    if "opentelemetry.sdk.trace" in sys.modules:
        return  # set up by opentelemetry-instrument
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        console.warn(
            "the environment names an OpenTelemetry collector, but a package that sends spans is missing "
            "(pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http)"
        )
        return
    resource = Resource.create() if environ.get("OTEL_SERVICE_NAME") else Resource.create({"service.name": SERVICE})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def flush_spans() -> None:
    """Send the remaining spans before the process ends."""
    api = sys.modules.get("opentelemetry.trace")
    flush = getattr(api.get_tracer_provider(), "force_flush", None) if api else None
    if flush:
        flush(FLUSH_TIMEOUT)
