"""OpenTelemetry spans: one for each run, and below it one for each call of the run.

This module is imported only if the program has imported OpenTelemetry. The attributes follow OpenTelemetry's semantic
conventions for the execution of tools (``gen_ai.*``) and for HTTP clients. Attributes that the conventions do not name
begin with ``kosmolua.``. No attribute contains arguments, results or output.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

import kosmolua
from kosmolua.calls.records import CallEnded, CallStarted, Event, FinishedCall, Watch
from kosmolua.runs import Outcome

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

MAX_DESCRIPTION = 300
"""The length to which the error's message in the status of a run's span is cut, in characters."""
DEFAULT_PORTS = {"http": 80, "https": 443}


def watching(watch: Watch | None) -> Watch | None:
    """Return a callback that records a span for each call, as a child of the current span, and then calls ``watch``.

    The callback has to be called when a call starts and when it ends. If the program has no tracer provider, return
    ``watch`` itself, which can be None.
    """
    found = tracer()
    return CallSpans(found, contexts.get_current()).watching(watch) if found else watch


def tracer() -> Tracer | None:
    """Return the OpenTelemetry tracer for KosmoLua, or None if the program has set no tracer provider."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, (trace.ProxyTracerProvider, trace.NoOpTracerProvider)):
        return None
    return provider.get_tracer("kosmolua", kosmolua.__version__)


class CallSpans:
    """Records a span for each call of a function, within the context ``parent``. Any thread may use this object."""

    def __init__(self, tracer: Tracer, parent: Context) -> None:
        self._tracer = tracer
        self._parent = parent
        self._open: dict[int, tuple[Span, object, int]] = {}

    def watching(self, watch: Watch | None) -> Watch:
        """Return a callback that records a span for each call, and then calls ``watch`` unless it is None.

        The callback has to be called when a call starts and when it ends. Until a call has ended, its span is the
        current span of the thread that makes the call. So spans that an HTTP library records become children of the
        call's span.
        """

        def note(event: Event) -> None:
            if isinstance(event, CallStarted):
                self._begin(event)
            elif isinstance(event, CallEnded):
                self._end(event.record)
            if watch:
                watch(event)

        return note

    def _begin(self, event: CallStarted) -> None:
        span = self._tracer.start_span(f"execute_tool {event.path}", self._parent, SpanKind.CLIENT)
        token = contexts.attach(trace.set_span_in_context(span, self._parent))
        self._open[event.number] = span, token, get_ident()

    def _end(self, record: FinishedCall) -> None:
        """End the span of a call that has ended. A call that was refused has no span yet, so start it first."""
        started = int(record.started.timestamp() * 1e9)
        span, token, thread = self._open.pop(record.number, (None, None, 0))
        if span is None:
            name = f"execute_tool {record.path}" if record.effect else "execute_tool"
            span = self._tracer.start_span(name, self._parent, SpanKind.CLIENT, start_time=started)
        span.set_attributes(_attributes_of(record))
        if record.error:
            span.set_attribute("error.type", record.error)
            span.set_status(StatusCode.ERROR)
        span.end()
        if thread == get_ident():  # else the call hangs in its own thread, and another thread ends its span
            contexts.detach(token)  # type: ignore[arg-type]


class RunSpan:
    """Records the span of one run, within the span that is current when this object is made."""

    def __init__(self, tracer: Tracer, script: str, mode: str, title: str = "") -> None:
        self._tracer = tracer
        self._script = script
        self._mode = mode
        self._title = title
        self._parent = contexts.get_current()

    def around(self, run: Callable[[], Outcome]) -> Outcome:
        """Call ``run``, which executes the run, within a new span. Return the outcome of the run."""
        given = {"kosmolua.script": self._script, "kosmolua.mode": self._mode}
        given |= {"kosmolua.title": self._title} if self._title not in ("", self._script) else {}
        span = self._tracer.start_span(f"run {self._script}", self._parent, SpanKind.INTERNAL, given)
        within = trace.set_span_in_context(span, self._parent)
        self.calls = CallSpans(self._tracer, within)
        token = contexts.attach(within)
        try:
            outcome = run()
            _describe(span, outcome)
            return outcome
        except BaseException as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            contexts.detach(token)
            span.end()


def _describe(span: Span, outcome: Outcome) -> None:
    found = {"kosmolua.run.id": outcome.run, "kosmolua.recording": outcome.recording}
    span.set_attributes({name: value for name, value in found.items() if value})
    span.set_attributes({"kosmolua.status": outcome.status, "kosmolua.calls": len(outcome.calls)})
    if outcome.error:
        span.set_attribute("error.type", outcome.error.code)
        span.set_status(StatusCode.ERROR, outcome.error.message[:MAX_DESCRIPTION])


def _attributes_of(record: FinishedCall) -> dict[str, Any]:
    found: dict[str, Any] = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": record.path,
        "gen_ai.tool.type": "extension",
        "gen_ai.tool.call.id": f"{record.run}.{record.number}",
        "kosmolua.account": record.account,
        "kosmolua.effect": record.effect,
        "kosmolua.status": record.status,
        "kosmolua.allowed_by": record.allowed_by,
    }
    if record.request and record.attempts:
        parts = urlsplit(record.request.url)
        found |= {
            "http.request.method": record.request.method,
            "http.request.resend_count": len(record.attempts) - 1 or None,
            "http.response.status_code": record.attempts[-1] or None,
            "server.address": parts.hostname,
            "server.port": parts.port or DEFAULT_PORTS.get(parts.scheme),
            "url.template": record.request.route or None,
        }
    return {name: value for name, value in found.items() if value is not None}
