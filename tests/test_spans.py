"""OpenTelemetry: a span for each run, one below it for each call, and the trace of whoever asked for the run."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from conftest import Program
from mcp import Client
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from support.agents import BEARER, DISCOVERY, ENVIRON, HANDSHAKE, Agent, execute, http_server
from support.library import ACCOUNTS, KEY, library, service
from support.otlp import Collector
from support.processes import eventually, in_time

from kosmolua import CallError, Runtime
from kosmolua.broker.backends import Canned
from kosmolua.catalog.plugins import Plugins
from kosmolua.plugin import Request, Response

LIST = "app.integrations.library.list_books()"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Keeps the spans of this process."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    return exporter


def opened(answer: Any = service) -> Runtime:
    plugins = Plugins([library()], places=(), entry_points=dict)
    return Runtime(ACCOUNTS, plugins=plugins, backend=Canned(lambda _: answer), environ={})


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    with opened() as runtime:
        yield runtime


def parts(exporter: InMemorySpanExporter) -> tuple[ReadableSpan, list[ReadableSpan]]:
    """Return the span of the only run, and those of its calls in the order of their start."""
    found = sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0)
    run = [span for span in found if span.name.startswith("run ")]
    assert len(run) == 1
    return run[0], [span for span in found if span is not run[0]]


def test_a_run_and_its_calls(runtime: Runtime, spans: InMemorySpanExporter) -> None:
    """The call has what the conventions for tools and for HTTP clients name; times are within the run's."""
    outcome = runtime.run(LIST, name="report.lua")
    run, [call] = parts(spans)
    assert run.name == "run report.lua"
    assert run.parent is None
    assert run.kind is SpanKind.INTERNAL
    assert dict(run.attributes or {}) == {
        "kosmolua.script": "report.lua",
        "kosmolua.mode": "live",
        "kosmolua.run.id": outcome.run,
        "kosmolua.status": "done",
        "kosmolua.calls": 1,
    }
    assert call.name == "execute_tool library.list_books"
    assert call.kind is SpanKind.CLIENT
    assert call.parent == run.context
    assert dict(call.attributes or {}) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "library.list_books",
        "gen_ai.tool.type": "extension",
        "gen_ai.tool.call.id": f"{outcome.run}.1",
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "library.example",
        "server.port": 443,
        "url.template": "/books",
        "kosmolua.account": "work",
        "kosmolua.effect": "read",
        "kosmolua.status": "ok",
        "kosmolua.allowed_by": "default permissions",
    }
    assert run.start_time and run.end_time and call.start_time and call.end_time
    assert run.start_time <= call.start_time <= call.end_time <= run.end_time


def test_calls_at_the_same_time_are_below_the_run(runtime: Runtime, spans: InMemorySpanExporter) -> None:
    """Each branch of ``parallel`` has spans of its own, all of them the run's children."""
    runtime.run(f"parallel.map({{ 1, 2, 3, 4, 5, 6 }}, function() {LIST} {LIST} end)")
    run, calls = parts(spans)
    assert len(calls) == 12
    assert all(call.parent == run.context for call in calls)
    assert len({call.context.span_id for call in calls}) == 12


def test_failures(runtime: Runtime, spans: InMemorySpanExporter) -> None:
    """A call that was answered by an error, one that was refused, and the run say so by their codes."""
    runtime.run(
        "pcall(app.integrations.library.lend, { book = 'b-404' })\n"
        "pcall(app.integrations.library.locked.list_books)\n"
        "pcall(function() app.integrations.library.list_bookz() end)\n"
        "error({ code = 'drift', message = 'they differ' })"
    )
    run, [failed, refused] = parts(spans)
    assert (failed.attributes or {})["error.type"] == "api_error"
    assert (failed.attributes or {})["http.response.status_code"] == 404
    assert (failed.attributes or {})["kosmolua.status"] == "failed"
    assert (refused.attributes or {})["error.type"] == "denied"
    assert "http.request.method" not in (refused.attributes or {})
    assert (run.attributes or {})["error.type"] == "drift"
    assert run.status.description is not None
    assert "they differ" in run.status.description
    assert {span.status.status_code for span in (run, failed, refused)} == {StatusCode.ERROR}
    assert refused.parent == run.context


def test_no_span_holds_a_secret_or_an_argument(runtime: Runtime, spans: InMemorySpanExporter) -> None:
    """Neither the key nor what the script passed or got is in any of them."""
    runtime.run("app.integrations.library.lend({ book = 'b-1', note = 'a private note' }) error(arg[1])", args=[KEY])
    assert spans.get_finished_spans()
    told = " ".join(span.to_json() for span in spans.get_finished_spans())
    assert KEY not in told
    assert "private note" not in told


def test_the_trace_of_a_program_goes_on(spans: InMemorySpanExporter) -> None:
    """A run is below the span that is current where it is started, a direct call too, and what is recorded of a request
    below its call."""
    tracer = trace.get_tracer_provider().get_tracer("a program")

    def answer(request: Request) -> Response:
        with tracer.start_as_current_span("request"):
            return service(request)

    with opened(answer) as runtime, tracer.start_as_current_span("program") as program:
        runtime.run(LIST)
        runtime.call("library.list_books")
    by_name: dict[str, list[ReadableSpan]] = {}
    for span in spans.get_finished_spans():
        by_name.setdefault(span.name, []).append(span)
    assert by_name["run script.lua"][0].parent == program.get_span_context()
    in_run, alone = by_name["execute_tool library.list_books"]
    assert in_run.parent == by_name["run script.lua"][0].context
    assert alone.parent == program.get_span_context()
    assert [span.parent for span in by_name["request"]] == [in_run.context, alone.context]


@pytest.mark.slow
def test_a_call_that_is_cut_off_has_an_end(spans: InMemorySpanExporter) -> None:
    """When the run ends by its limit, so does the span of the call under way."""

    def has_begun(seconds: float) -> bool:
        spans.clear()
        ended = threading.Event()

        def answer(request: Request) -> Response:
            ended.wait(60 + seconds)
            return service(request)

        with opened(answer) as runtime:
            runtime.run(LIST, timeout=seconds)
            ended.set()
        return bool(parts(spans)[1])

    assert in_time(has_begun, 0.3)
    run, [call] = parts(spans)
    assert (run.attributes or {})["kosmolua.status"] == "limit"
    assert (call.attributes or {})["error.type"] == "limit_exceeded"
    assert call.end_time and run.end_time


@pytest.mark.slow
def test_nothing_is_imported_where_nobody_asked(environment: dict[str, str]) -> None:
    """A run without calls and one with a call leave OpenTelemetry alone, and so does a program that imports its API."""
    code = (
        "import sys; from kosmolua import Runtime\n"
        "code = 'app.integrations.render2.list_owners()'\n"
        "with Runtime(None, simulate=True, environ={}) as r: assert r.run(code).ok\n"
        "print([m for m in sys.modules if m.startswith('opentelemetry') or m == 'kosmolua.runs.spans'])\n"
        "import opentelemetry.trace\n"
        "with Runtime(None, simulate=True, environ={}) as r: assert r.run(code).ok\n"
        "with Runtime(None, simulate=True, environ={}) as r:\n"
        "    try: r.call('render2.get_service', {'service_id': 'srv-none12345678'})\n"
        "    except Exception as error: print(error.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", CallError("api_error", "").code]


@pytest.mark.slow
def test_the_command_line_sends_spans_to_a_collector(kosmolua: Program) -> None:
    """They arrive before it ends, with the service's name; without a collector nothing is sent."""
    script = "local f = app.integrations.render2.list_owners f() parallel.map({ 1, 2 }, function() f() end)"
    with Collector() as collector:
        done = kosmolua("run", "--simulate", "-e", script, env=collector.environ)
        assert done.returncode == 0
        assert done.stderr == ""
        assert collector.services == {"kosmolua"}
        [run] = collector.named("run (command line)")
        calls = collector.named("execute_tool render2.list_owners")
        assert [(call.trace, call.parent) for call in calls] == [(run.trace, run.id)] * 3
        assert run.attributes["kosmolua.mode"] == "simulated"
        collector.spans.clear()
        off = collector.environ | {"OTEL_SDK_DISABLED": "true"}
        assert kosmolua("run", "--simulate", "-e", script, env=off).returncode == 0
        assert collector.spans == []


@pytest.mark.slow
@pytest.mark.parametrize("era", [HANDSHAKE, DISCOVERY])
def test_the_trace_of_an_mcp_request_goes_on(era: str) -> None:
    """Whether its message names it or its HTTP headers: request, tool, run and calls are one trace."""
    code = "parallel.map({ 1, 2 }, function() return app.integrations.render2.list_owners() end) return 1"
    with Collector() as collector, http_server(environ=ENVIRON | collector.environ) as (_, url):

        async def conversation(client: Client) -> None:
            meta: Any = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            await client.call_tool("execute_lua", {"code": code}, meta=meta)
            await execute(client, "return 2")

        Agent(url, era).talk(conversation)
        assert eventually(lambda: len(collector.named("tools/call execute_lua")) == 2)  # they end after their runs
    in_trace = [span for span in collector.spans if span.trace == TRACE]
    [tool] = [span for span in in_trace if span.name == "tools/call execute_lua"]
    [run] = [span for span in in_trace if span.name.startswith("run ")]
    calls = [span for span in in_trace if span.name == "execute_tool render2.list_owners"]
    assert tool.parent == PARENT
    assert run.parent == tool.id
    assert [call.parent for call in calls] == [run.id] * 2
    assert len([span for span in collector.spans if span.name.startswith("run ")]) == 2


@pytest.mark.slow
def test_the_trace_of_an_http_request_goes_on() -> None:
    """Its header names the trace where the message does not."""
    frame = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": "execute_lua",
            "arguments": {"code": "return app.integrations.render2.list_owners()"},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": DISCOVERY,
                "io.modelcontextprotocol/clientInfo": {"name": "a test", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    }
    headers = {
        **BEARER,
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": DISCOVERY,
        "Mcp-Method": "tools/call",
        "Mcp-Name": "execute_lua",
        "traceparent": f"00-{TRACE}-{PARENT}-01",
    }
    with Collector() as collector, http_server(environ=ENVIRON | collector.environ) as (_, url):
        answer = requests.post(url, json=frame, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        assert eventually(lambda: collector.named("tools/call execute_lua"))  # it ends after its run
    by_name = {span.name.split()[0]: span for span in collector.spans}
    assert {span.trace for span in collector.spans} == {TRACE}
    assert by_name["tools/call"].parent == PARENT
    assert by_name["run"].parent == by_name["tools/call"].id
    assert by_name["execute_tool"].parent == by_name["run"].id


def test_no_title_shows_a_key(runtime: Runtime, spans: InMemorySpanExporter) -> None:
    """Neither one that the client gives nor one out of the script, once the runtime knows the key."""
    assert runtime.run(LIST).ok
    spans.clear()
    assert runtime.run(LIST, title=f"List with {KEY}").ok
    assert (parts(spans)[0].attributes or {})["kosmolua.title"] == "List with ***"
