"""Operating a server of many: it stops without losing a run, takes new settings on, and says what it does."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
import requests
from mcp import Client, MCPError
from prometheus_client.parser import text_string_to_metric_families
from support.agents import HANDSHAKE, execute, text_of
from support.loopback import Loopback
from support.servers import wait_for
from support.serving import ACME, TWO_TENANTS, Serving, agent, bearing, serving

from kosmolua import Runtime
from kosmolua.broker.journal import Journal
from kosmolua.errors import ConfigError
from kosmolua.plugin import Request, Response
from kosmolua.runs import Outcome
from kosmolua.secret import Redactor
from kosmolua.serve.log import Log, RunLog
from kosmolua.serve.otlp import Collector, logs_endpoint
from kosmolua.serve.runs import Running

pytestmark = pytest.mark.slow
PLUGIN = str(Path(__file__).parent / "plugins" / "notebook.py")
COUNT = 8


def tenant_with_notebook(folder: Path, permissions: str = '{ write = "allow" }') -> str:
    """Return the accounts file of a tenant that has a notebook."""
    return f"""\
[tenants.acme]
token = "{ACME}"
workers = 24

[notebook.default]
key = "a-key-of-the-notebook"
file = "{folder / "notebook"}"
permissions = {permissions}
"""


def gate(folder: Path) -> Path:
    """Return the file for which the scripts of a test wait."""
    return folder / "gate"


def have_begun(folder: Path, count: int) -> bool:
    """Say whether so many scripts, each with a number of its own, have written a line."""
    return len({line.partition("-")[0] for line in lines_of(folder)}) == count


def lines_of(folder: Path) -> Counter[str]:
    """Return how often each line was written into the notebook."""
    file = folder / "notebook"
    return Counter(file.read_text().split()) if file.exists() else Counter()


async def run_all(server: Serving, codes: list[str], after: Any) -> list[Any]:
    """Run scripts at once, each of a client of its own, and call a function once they run."""
    results: list[Any] = [None] * len(codes)

    async def run(place: int, code: str) -> None:
        async with agent(server.url, ACME) as client:
            await client.list_tools()  # which a client asks for to check a result, perhaps too late
            results[place] = await execute(client, code)

    async with anyio.create_task_group() as group:
        for place, code in enumerate(codes):
            group.start_soon(run, place, code)
        await after()
    return results


def status_of(server: Serving, path: str) -> int:
    """Return the status of the answer to a request over a new connection."""
    return requests.get(server.base + path, timeout=60).status_code


def test_sigterm_lets_runs_end(tmp_path: Path) -> None:
    """Runs under way end and are answered; meanwhile it is not ready, and begins no other run."""
    code = f"""
    local notebook = app.integrations.notebook
    for i = 1, 3 do
      notebook.add({{ line = "N-" .. i }})
      notebook.wait({{ seconds = 60, file = "{gate(tmp_path)}" }})
    end
    return "done"
    """
    codes = [code.replace("N-", f"{number}-") for number in range(COUNT)]

    async def stop() -> None:
        async with agent(server.url, ACME, HANDSHAKE) as late, agent(server.url, ACME) as stranger:
            await late.list_tools()
            await stranger.list_tools()
            await anyio.to_thread.run_sync(wait_for, lambda: have_begun(tmp_path, COUNT))
            server.process.send_signal(signal.SIGTERM)
            await anyio.to_thread.run_sync(wait_for, lambda: status_of(server, "/readyz") == 503)
            assert status_of(server, "/healthz") == 200
            refused = await execute(late, "return 1")
            assert refused.structured_content
            assert refused.structured_content["error"]["code"] == "unavailable"
            assert refused.structured_content["error"]["retryable"] is True
            assert "The server is about to stop" in text_of(refused)
            with pytest.raises(MCPError) as told:
                await execute(stranger, "return 1")
            assert told.value.data["code"] == "unavailable"
            assert told.value.data["retryable"] is True
            gate(tmp_path).touch()

    with serving(tmp_path, tenant_with_notebook(tmp_path), "--plugin", PLUGIN) as server:
        results = anyio.run(run_all, server, codes, stop)
        assert server.process.wait(60) == 0

    assert [text_of(result).count("Result:\ndone") for result in results] == [1] * COUNT
    assert lines_of(tmp_path) == Counter(f"{number}-{i}" for number in range(COUNT) for i in (1, 2, 3))


def test_a_drain_sends_clients_that_keep_their_connection_elsewhere(tmp_path: Path) -> None:
    """Its next answer ends a connection that a client keeps; pages are 503, and probes are answered to the end."""

    async def stop() -> None:
        await anyio.to_thread.run_sync(wait_for, lambda: have_begun(tmp_path, 1))
        assert "Connection" not in kept.get(server.base + "/healthz", timeout=60).headers
        server.process.send_signal(signal.SIGTERM)
        await anyio.to_thread.run_sync(wait_for, lambda: kept.get(server.base + "/readyz").status_code == 503)
        assert kept.get(server.base + "/healthz", timeout=60).headers["Connection"] == "close"
        page = kept.get(server.base + "/login", timeout=60)
        assert page.status_code == 503
        assert page.headers["Retry-After"] == "1"
        gate(tmp_path).touch()

    code = f"""
    app.integrations.notebook.add({{ line = "a" }})
    app.integrations.notebook.wait({{ seconds = 60, file = "{gate(tmp_path)}" }})
    return "done"
    """
    with serving(tmp_path, tenant_with_notebook(tmp_path), "--plugin", PLUGIN) as server, requests.Session() as kept:
        (result,) = anyio.run(run_all, server, [code], stop)
        assert server.process.wait(60) == 0
    assert "Result:\ndone" in text_of(result)


def test_what_outlasts_the_drain_goes_on_later(tmp_path: Path) -> None:
    """Runs that do not end in time are stopped between their calls, answered, and go on by their recordings: no write
    is lost, and none is done twice.
    """
    code = f"""
    local notebook = app.integrations.notebook
    for i = 1, 8 do
      notebook.add({{ line = "N-" .. i }})
      repeat until i == 1 or notebook.wait({{ seconds = 0.25, file = "{gate(tmp_path)}" }}).came
    end
    return "done"
    """
    codes = [code.replace("N-", f"{number}-") for number in range(4)]

    async def stop() -> None:
        await anyio.to_thread.run_sync(wait_for, lambda: have_begun(tmp_path, len(codes)))
        server.process.send_signal(signal.SIGTERM)

    with serving(tmp_path, tenant_with_notebook(tmp_path), "--plugin", PLUGIN, "--drain", "0.5s") as server:
        results = anyio.run(run_all, server, codes, stop)
        assert server.process.wait(60) == 0
        recordings = server.state / "tenants" / "acme" / "recordings"

    gate(tmp_path).touch()
    runs = [result.structured_content["run"] for result in results]
    assert {result.structured_content["error"]["code"] for result in results} == {"interrupted"}
    with Runtime(tmp_path / "accounts.toml", plugins=PLUGIN) as runtime, ThreadPoolExecutor() as threads:
        outcomes = [*threads.map(lambda run: runtime.resume(recordings / f"{run}.jsonl"), runs)]
    assert [outcome.result for outcome in outcomes] == [["done"]] * len(codes)
    assert lines_of(tmp_path) == Counter(f"{number}-{i}" for number in range(len(codes)) for i in range(1, 9))


def test_sighup_changes_permissions(tmp_path: Path) -> None:
    """The next script obeys the new file, also in a session that was open, and a run under way is not cut.

    A file that cannot be used changes nothing.
    """
    add = 'return app.integrations.notebook.add({ line = "x" }).line'
    slow = "return app.integrations.notebook.wait({ seconds = 2 }).waited"

    async def reload(client: Client, text: str, said: str) -> None:
        before = server.out.read_text().count(said)
        (tmp_path / "accounts.toml").write_text(text, encoding="utf-8")
        os.kill(server.process.pid, signal.SIGHUP)
        await anyio.to_thread.run_sync(wait_for, lambda: server.out.read_text().count(said) > before)

    async def talk() -> None:
        async with agent(server.url, ACME) as client, anyio.create_task_group() as group:
            results: list[str] = []

            async def run_slowly() -> None:
                results.append(text_of(await execute(client, slow)))

            group.start_soon(run_slowly)
            assert "Result:\nx" in text_of(await execute(client, add))
            await reload(client, tenant_with_notebook(tmp_path, '{ write = "deny" }'), '"reloaded"')
            assert "Error in line 1 (denied)" in text_of(await execute(client, add))
            await reload(client, "[tenants.acme]\n", '"reload failed"')
            assert "Error in line 1 (denied)" in text_of(await execute(client, add))
            await reload(client, tenant_with_notebook(tmp_path), '"reloaded"')
            assert "Result:\nx" in text_of(await execute(client, add))
        assert "Result:\n2" in results[0]

    with serving(tmp_path, tenant_with_notebook(tmp_path), "--plugin", PLUGIN) as server:
        anyio.run(talk)


def test_tenants_come_and_go(tmp_path: Path) -> None:
    """A tenant that is added is served, one that is taken out is not, and a token that is replaced is valid no more."""
    fresh, first = "a-fresh-token-of-acme", TWO_TENANTS

    def statuses(*tokens: str) -> list[int]:
        return [requests.post(server.url, json={}, headers=bearing(each), timeout=60).status_code for each in tokens]

    def reload(text: str) -> None:
        before = server.out.read_text().count('"reloaded"')
        (tmp_path / "accounts.toml").write_text(text, encoding="utf-8")
        os.kill(server.process.pid, signal.SIGHUP)
        wait_for(lambda: server.out.read_text().count('"reloaded"') > before)

    with serving(tmp_path, first, "--simulate") as server:
        assert statuses(ACME, fresh) == [400, 401]
        reload(f'[tenants.acme]\ntoken = ["{ACME}", "{fresh}"]\n[tenants.initech]\ntoken = "the-token-of-initech"')
        assert statuses(ACME, fresh, "the-token-of-initech", "the-token-of-globex") == [400, 400, 400, 401]
        reload(f'[tenants.acme]\ntoken = "{fresh}"')
        assert statuses(ACME, fresh, "the-token-of-initech") == [401, 400, 401]


def test_it_says_what_it_does(tmp_path: Path) -> None:
    """The log has requests and runs, the audit a line a run, the metrics parse, and none of them has a token."""

    async def talk() -> None:
        async with agent(server.url, ACME) as client:
            await execute(client, "return #app.integrations.render2.list_services({}).services")
            await execute(client, "error({ code = 'made-up-by-a-script', message = 'no' })")

    token = "the-metrics-token"
    with serving(tmp_path, f'{TWO_TENANTS}[serve]\nmetrics_token = "{token}"', "--simulate") as server:
        anyio.run(talk)
        requests.post(server.url, headers=bearing("a-wrong-token"), timeout=60)
        text = requests.get(server.base + "/metrics", headers=bearing(token), timeout=60).text
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        audit = [json.loads(line) for line in (server.state / "audit.jsonl").read_text().splitlines()]
        log = [json.loads(line) for line in server.out.read_text().splitlines()]

    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["kosmolua_runs_total", "acme", "done"] == 1
    assert samples["kosmolua_errors_total", "acme", "script_error"] == 1
    assert samples["kosmolua_calls_total", "", "acme", "ok", "read", "render2"] == 1
    assert samples["kosmolua_workers", "globex"] == 16
    assert samples["kosmolua_queue", "acme"] == samples["kosmolua_workers_busy", "acme"] == 0
    assert samples["kosmolua_unauthorized_total",] == 1
    assert [(each["tenant"], each["status"], each["error"]) for each in audit] == [
        ("acme", "done", None),
        ("acme", "failed", "made-up-by-a-script"),
    ]
    assert all(len(each["sha256"]) == 64 and each["client"] and each["run"] for each in audit)
    kinds = Counter(each["kind"] for each in log)
    assert kinds["run started"] == 2
    assert kinds["run ended"] == 2
    assert kinds["unauthorized"] == 1
    assert "wrong" not in server.out.read_text()
    assert ACME not in server.out.read_text() + json.dumps(audit) + text


def test_metrics_are_open_to_this_machine_alone(tmp_path: Path) -> None:
    """With a token for them they take that; a request by way of a proxy is not from this machine."""
    with serving(tmp_path, TWO_TENANTS, "--simulate") as server:
        url = server.base + "/metrics"
        open_to_all = requests.get(url, timeout=60)
        assert open_to_all.status_code == 200
        assert "kosmolua_workers 32.0" in open_to_all.text, "the tenants are added up"
        assert "acme" not in open_to_all.text
        assert requests.get(url, headers={"X-Forwarded-For": "203.0.113.9"}, timeout=60).status_code == 401
    with serving(tmp_path, f'{TWO_TENANTS}[serve]\nmetrics_token = "the-metrics-token"', "--simulate") as server:
        url = server.base + "/metrics"
        assert requests.get(url, timeout=60).status_code == 401
        assert requests.get(url, headers=bearing(ACME), timeout=60).status_code == 401
        assert requests.get(url, headers=bearing("the-metrics-token"), timeout=60).status_code == 200


def test_a_log_in_a_file_follows_a_rotation(tmp_path: Path) -> None:
    """After SIGHUP lines go to a new file of that name."""
    log = tmp_path / "serve.log"
    with serving(tmp_path, f'{TWO_TENANTS}[serve]\nlog = "{log}"', "--simulate") as server:
        requests.post(server.url, timeout=60)
        wait_for(lambda: log.exists() and "unauthorized" in log.read_text())
        log.rename(tmp_path / "serve.log.1")
        os.kill(server.process.pid, signal.SIGHUP)
        wait_for(log.exists)
        requests.post(server.url, timeout=60)
        wait_for(lambda: log.exists() and "unauthorized" in log.read_text())
        assert server.out.read_text() == ""


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_the_audit_goes_to_a_syslog_server(tmp_path: Path, kind: str) -> None:
    """As messages of RFC 5424 with the line of the audit, which says who allowed the writes."""
    datagrams = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, datagrams) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(60)
        if kind == "tcp":
            listener.listen()
        text = f'[serve]\nsyslog = "{kind}://127.0.0.1:{listener.getsockname()[1]}"\n\n'

        async def run() -> None:
            async with agent(server.url, ACME) as client:
                await execute(client, "app.integrations.notebook.add({ line = 'one' }) return 1")

        with serving(tmp_path, text + tenant_with_notebook(tmp_path), "--plugin", PLUGIN) as server:
            anyio.run(run)
            receiver = listener.accept()[0] if kind == "tcp" else listener
            with receiver:
                message = receiver.recv(65_536).decode()
    found = re.fullmatch(r"(?:(\d+) )?<110>1 \S+ \S+ kosmolua \d+ audit - (\{.*\})", message)
    assert found, message
    line = json.loads(found[2])
    assert line["tenant"] == "acme"
    assert line["writes"] == 1
    assert line["allowed_by"] == ["write of [notebook.default] permissions"]


def test_the_audit_goes_to_a_collector(tmp_path: Path) -> None:
    """As log records of OpenTelemetry; a collector that fails is told once, and once more when it works again."""
    statuses = [500, 500, 200]
    told: list[str] = []

    def take(request: Request) -> Response:
        return Response(statuses.pop(0) if statuses else 200, {}, b"{}")

    with Loopback(take) as service:
        environ = {
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": service.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-team=a%20b",
        }
        collector = Collector(logs_endpoint(environ) or "", environ, told.append)
        audit = Journal(None, Redactor(), told.append)
        log = RunLog(Log(None, lambda lines: None), audit, "live", [collector.send])
        running = Running("acme", "0123456789ab", "an agent", "a.lua", "ff")
        for count in (1, 2):
            log.ended(running, Outcome([], "", None, []))
            wait_for(lambda count=count: len(told) == count, 60)  # type: ignore[misc]
        collector.close()

    assert told == [
        "the audit does not reach the collector of OpenTelemetry: HTTP Error 500: Internal Server Error; "
        "the file has all lines",
        "the audit reaches the collector of OpenTelemetry again",
    ]
    request = service.requests[-1]
    assert request.url == f"{service.url}/v1/logs"
    assert request.headers["X-Team"] == "a b"
    (resource,) = json.loads(request.body)["resourceLogs"]  # type: ignore[arg-type]
    assert resource["resource"]["attributes"] == [{"key": "service.name", "value": {"stringValue": "kosmolua"}}]
    (record,) = resource["scopeLogs"][0]["logRecords"]
    attributes = {each["key"]: each["value"] for each in record["attributes"]}
    assert attributes["tenant"] == {"stringValue": "acme"}
    assert attributes["writes"] == {"intValue": "0"}
    assert json.loads(record["body"]["stringValue"])["run"] == "0123456789ab"
    assert int(record["timeUnixNano"]) == pytest.approx(time.time_ns(), abs=600e9)


def test_a_collector_that_answers_no_http_is_told_and_gets_later_lines() -> None:
    """Its answer ends neither the thread nor the sending."""
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        collector = Collector(f"http://127.0.0.1:{listener.getsockname()[1]}/v1/logs", {}, told.append)
        listener.settimeout(20)
        for answers in ([b"nonsense\r\n\r\n"] * 2, [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]):
            collector.send(b"{}\n")
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(answer)
        collector.close()

    assert "BadStatusLine" in told[0]
    assert told[1] == "the audit reaches the collector of OpenTelemetry again"


def test_a_collector_that_redirects_sends_the_headers_nowhere_else() -> None:
    """They can hold a key; the records count as not delivered."""
    told: list[str] = []

    def redirect(_: Request) -> Response:
        return Response(302, {"Location": f"{elsewhere.url}/v1/logs"})

    def take(_: Request) -> Response:
        return Response(200)

    with Loopback(take) as elsewhere, Loopback(redirect) as service:
        environ = {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=a-key-of-the-collector"}
        collector = Collector(f"{service.url}/v1/logs", environ, told.append)
        collector.send(b"{}\n")
        collector.close()
        assert len(service.requests) == 2
        assert not elsewhere.requests
    assert "the audit does not reach the collector of OpenTelemetry" in told[0]


@pytest.mark.parametrize(
    ("url", "headers", "said"),
    [
        ("http://[::1/v1/logs", "", "cannot be 'http://[::1/v1/logs'"),
        ("http://c:port/v1/logs", "", "cannot be 'http://c:port/v1/logs'"),
        ("http:///v1/logs", "", "cannot be 'http:///v1/logs'"),
        ("http://c/v1/logs", "api-key=x%0Ay", "The header 'api-key' for the collector"),
        ("http://c/v1/logs", "api-key=%E2%82%AC", "The header 'api-key' for the collector"),
    ],
)
def test_a_collector_that_cannot_be_reached_at_all_is_refused(url: str, headers: str, said: str) -> None:
    """When the server starts, and without the value of a header, which could be a secret."""
    with pytest.raises(ConfigError) as caught:
        Collector(url, {"OTEL_EXPORTER_OTLP_HEADERS": headers}, print)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/", "OTEL_LOGS_EXPORTER": "otlp"}, "http://c:4318/v1/logs"),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://c/x"}, "http://c/x"),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://c/x", "OTEL_LOGS_EXPORTER": "none"}, None),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://c/x", "OTEL_SDK_DISABLED": "true"}, None),
    ],
)
def test_a_collector_gets_the_audit_if_it_is_meant_for_logs(environ: dict[str, str], url: str | None) -> None:
    """A collector that is named for spans gets none of it unasked."""
    assert logs_endpoint(environ) == url
