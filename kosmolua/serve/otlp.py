"""A collector of OpenTelemetry that gets the lines of the audit log too, as log records by OTLP over HTTP in JSON.

The environment variables are those of OpenTelemetry's specification. Its Python package for logs is not used, since
its names still change.
"""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from urllib.parse import unquote, urlsplit

from kosmolua import __version__
from kosmolua.errors import ConfigError
from kosmolua.http.redirects import NoRedirects
from kosmolua.runs.telemetry import SERVICE
from kosmolua.serve.forwarding import TIMEOUT, Forwarder

LOGS_ENDPOINT, ENDPOINT = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
EVENT = "kosmolua.run"
"""The name of the event that each record is about."""
MAX_RECORDS = 512
_INFO = 9
_PRINTABLE = re.compile("[ -~]*")


def logs_endpoint(environ: Mapping[str, str]) -> str | None:
    """Return the URL of the collector that is to get log records, from the environment variables, or None.

    A collector for spans alone is not meant: the records need a variable of their own, ``OTEL_LOGS_EXPORTER=otlp`` or
    ``OTEL_EXPORTER_OTLP_LOGS_ENDPOINT``.
    """
    exporter = environ.get("OTEL_LOGS_EXPORTER", "")
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none":
        return None
    if own := environ.get(LOGS_ENDPOINT):
        return own
    base = environ.get(ENDPOINT) if exporter == "otlp" else None
    return f"{base.rstrip('/')}/v1/logs" if base else None


class Collector(Forwarder):
    """A collector, to which a thread sends records; ``warn`` is told when it cannot be reached, and when it can again.

    Raises:
        ConfigError: The URL is not one of HTTP, or a header from the environment cannot be sent.
    """

    receiver, most = "collector of OpenTelemetry", MAX_RECORDS

    def __init__(self, url: str, environ: Mapping[str, str], warn: Callable[[str], None]) -> None:
        if not _is_of_http(url):
            hint = f"set {LOGS_ENDPOINT} to a URL such as http://127.0.0.1:4318/v1/logs"
            raise ConfigError(f"The collector of OpenTelemetry for logs cannot be {url[:100]!r}", hint=hint)
        given = environ.get("OTEL_EXPORTER_OTLP_LOGS_HEADERS") or environ.get("OTEL_EXPORTER_OTLP_HEADERS") or ""
        pairs = [pair.partition("=") for pair in given.split(",") if "=" in pair]
        self._headers = {name.strip(): unquote(value.strip()) for name, _, value in pairs}
        if wrong := [name for name, value in self._headers.items() if not _PRINTABLE.fullmatch(name + value)]:
            raise ConfigError(f"The header {wrong[0]!r} for the collector of OpenTelemetry must be one line of ASCII")
        self._url = url
        self._resource = {"attributes": _attributes({"service.name": environ.get("OTEL_SERVICE_NAME") or SERVICE})}
        super().__init__(warn)

    def send(self, line: bytes) -> None:
        """Send a line of the audit log soon. Its fields are the attributes of a record."""
        text = line.decode("utf-8", "replace").rstrip("\n")
        record = {
            "timeUnixNano": str(time.time_ns()),
            "severityNumber": _INFO,
            "severityText": "INFO",
            "eventName": EVENT,
            "body": {"stringValue": text},
            "attributes": _attributes(json.loads(text)),
        }
        super().send(json.dumps(record).encode())

    def deliver(self, records: Sequence[bytes]) -> None:
        scope = {"scope": {"name": "kosmolua.audit", "version": __version__}, "logRecords": [*map(json.loads, records)]}
        body = {"resourceLogs": [{"resource": self._resource, "scopeLogs": [scope]}]}
        headers = {**self._headers, "Content-Type": "application/json"}
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers)
        try:
            with urllib.request.build_opener(NoRedirects).open(request, timeout=TIMEOUT) as answer:
                answer.read()
        except HTTPException as error:  # such as an answer that is not one of HTTP
            raise OSError(f"{type(error).__name__}: {error}") from None


def _is_of_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _attributes(fields: Mapping[str, object]) -> list[dict[str, object]]:
    """Return fields as OTLP's attributes, without those that are empty."""
    known = {name: value for name, value in fields.items() if value not in (None, [])}
    return [{"key": name, "value": _value(value)} for name, value in known.items()]


def _value(value: object) -> dict[str, object]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(each) for each in value]}}
    return {"stringValue": str(value)}
