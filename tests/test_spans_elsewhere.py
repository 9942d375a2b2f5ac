"""Spans of other processes and threads: of a server of many, of a fleet, and of a server over standard streams."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
from conftest import Program, Write
from mcp import Client, StdioServerParameters
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.agents import DISCOVERY, ENVIRON, HANDSHAKE, SERVER
from support.otlp import Collector, Span
from support.processes import eventually
from support.rounds import rounds
from support.serving import ACME, GLOBEX, TWO_TENANTS, agent, serving

from kosmolua import Runtime

LIST = "app.integrations.render2.list_owners()"
CALL = "execute_tool render2.list_owners"
PARENT = "b7ad6b7169203331"
pytestmark = pytest.mark.slow


def trace_of(number: int) -> str:
    """Return the id of a trace."""
    return f"{number:032x}"


def meta(number: int) -> Any:
    """Return what a message says of the trace that it belongs to."""
    return {"traceparent": f"00-{trace_of(number)}-{PARENT}-01"}


def chain(collector: Collector, number: int) -> list[str]:
    """Return the names of the spans of a trace, each below the one before, the first below the client's."""
    left = [span for span in collector.spans if span.trace == trace_of(number)]
    names: list[str] = []
    parent = PARENT
    while below := [span for span in left if span.parent == parent]:
        [span] = below
        names.append(span.name)
        left.remove(span)
        parent = span.id
    assert left == []
    return names


def in_traces(spans: list[Span]) -> int:
    """Return in how many traces spans are."""
    return len({span.trace for span in spans})


@pytest.mark.parametrize("processes", [2, 1][: rounds(1, 2)])
def test_spans_of_a_server_of_many(processes: int, tmp_path: Path) -> None:
    """Each tenant's requests are in the traces of their clients, whichever process serves it; the last come with its
    end."""
    with (
        Collector() as collector,
        serving(
            tmp_path,
            TWO_TENANTS,
            "--simulate",
            *("--processes", str(processes)),
            **{**collector.environ, "OTEL_BSP_SCHEDULE_DELAY": "60000"},
        ) as server,
    ):

        async def talk() -> None:
            for number, token in enumerate((ACME, GLOBEX), 1):
                async with agent(server.url, token) as client:
                    await client.call_tool("execute_lua", {"code": f"return {LIST}"}, meta=meta(number))

        anyio.run(talk)
        assert collector.spans == [], "they wait for a minute, or for the end"
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        whole = ["tools/call execute_lua", "run script.lua", CALL]
        assert [chain(collector, number) for number in (1, 2)] == [whole, whole]
        assert collector.services == {"kosmolua"}


@pytest.mark.parametrize("era", [DISCOVERY, HANDSHAKE][: rounds(1, 2)])
def test_spans_of_a_server_over_standard_streams(era: str) -> None:
    """They are in the trace that a message names, and all there when the client has closed its end."""
    with Collector() as collector:
        command, *arguments = SERVER
        environ = {**ENVIRON, **collector.environ, "OTEL_BSP_SCHEDULE_DELAY": "60000"}

        async def talk() -> None:
            server = StdioServerParameters(command=command, args=arguments, env=environ)
            async with Client(server, mode=era) as client:
                await client.call_tool("execute_lua", {"code": f"return {LIST}"}, meta=meta(7))

        anyio.run(talk)
        assert chain(collector, 7) == ["tools/call execute_lua", "run script.lua", CALL]


def test_spans_of_a_server_over_standard_streams_that_is_told_to_end() -> None:
    """SIGTERM does not lose them."""
    with Collector() as collector:
        environ = {**ENVIRON, **collector.environ, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
        hello: dict[str, Any] = {"protocolVersion": "2025-11-25", "capabilities": {}}
        messages = [
            {"id": 1, "method": "initialize", "params": {**hello, "clientInfo": {"name": "x", "version": "1"}}},
            {"method": "notifications/initialized"},
            {
                "id": 2,
                "method": "tools/call",
                "params": {"name": "execute_lua", "arguments": {"code": LIST}, "_meta": meta(9)},
            },
        ]
        with subprocess.Popen(SERVER, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin and process.stdout
            for message in messages:
                process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
            process.stdin.flush()
            while json.loads(process.stdout.readline()).get("id") != 2:
                pass
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == -signal.SIGTERM
        assert chain(collector, 9) == ["tools/call execute_lua", "run script.lua", CALL]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Keeps the spans of this process."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    return exporter


@pytest.mark.parametrize("is_given", [False, True])
def test_a_fleet_of_threads_is_below_what_started_it(is_given: bool, spans: InMemorySpanExporter) -> None:
    """Each run is below the span of the program, and its calls below it, in its own threads or in those of a pool."""
    tracer = trace.get_tracer_provider().get_tracer("a program")
    with (
        Runtime(simulate=True, environ={}) as runtime,
        ThreadPoolExecutor(2) as pool,
        tracer.start_as_current_span("nightly") as nightly,
    ):
        given: Any = {"executor": pool} if is_given else {}
        assert all(outcome.ok for outcome in runtime.map(LIST, range(4), **given))
    found = spans.get_finished_spans()
    runs = [span for span in found if span.name.startswith("run ")]
    calls = [span for span in found if span.name == CALL]
    assert [run.parent for run in runs] == [nightly.get_span_context()] * 4
    assert {call.parent and call.parent.span_id for call in calls} == {run.context.span_id for run in runs}
    assert len(calls) == 4


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"][: rounds(2, 3)])
def test_a_fleet_of_processes_is_below_what_started_it(
    start: str, environment: dict[str, str], write: Write, home: Path
) -> None:
    """Processes send their spans to the collector that the environment names, in the trace of the program."""
    program = f"""\
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from kosmolua import Runtime

        if __name__ == "__main__":
            trace.set_tracer_provider(TracerProvider())
            trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
            tracer = trace.get_tracer("nightly")
            context = multiprocessing.get_context({start!r})
            with Runtime(simulate=True) as runtime, ProcessPoolExecutor(2, mp_context=context) as pool:
                with tracer.start_as_current_span("nightly"):
                    for outcome in runtime.map({LIST!r}, range(4), executor=pool):
                        assert outcome.ok, outcome.error
        """
    with Collector() as collector:
        environ = {**environment, **collector.environ, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
        path = write("nightly.py", textwrap.dedent(program))
        done = subprocess.run([sys.executable, path], env=environ, cwd=home, capture_output=True, text=True)
        assert done.returncode == 0
        assert done.stderr == ""
    [nightly] = collector.named("nightly")
    runs, calls = collector.named("run script.lua"), collector.named(CALL)
    assert [run.parent for run in runs] == [nightly.id] * 4
    assert {call.parent for call in calls} == {run.id for run in runs}
    assert in_traces(collector.spans) == 1


def test_the_fleet_of_the_command_line(kosmolua: Program, write: Write) -> None:
    """In threads and in processes, each run is a trace with its calls, and all of them arrive."""
    script, inputs = write("list.lua", LIST), write("inputs.jsonl", "1\n2\n3\n")
    for executor in ((), ("--executor", "concurrent.futures:ProcessPoolExecutor")):
        with Collector() as collector:
            environ = {**collector.environ, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
            command = ("fleet", script, "--inputs", inputs, "--simulate", *executor)
            done = kosmolua(*command, variables=environ)
            assert done.returncode == 0, done.stderr
            assert eventually(lambda: len(collector.spans) == 6)
        runs, calls = collector.named("run list.lua"), collector.named(CALL)
        assert {call.parent for call in calls} == {run.id for run in runs}
        assert len(runs) == 3
        assert in_traces(collector.spans) == 3
