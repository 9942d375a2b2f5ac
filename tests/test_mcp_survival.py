"""The MCP server goes on: after nonsense, vanished clients, killed workers and a full disk; and it leaves nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import InputRequiredResult
from requests import Session
from support.agents import (
    BEARER,
    DISCOVERY,
    ENVIRON,
    HANDSHAKE,
    ROOT,
    SERVER,
    Agent,
    execute,
    http_server,
    text_of,
    with_constants,
)
from support.processes import (
    NOBODY,
    can_become_nobody,
    children,
    descendants,
    eventually,
    in_time,
    is_running,
    linux_only,
)
from support.rounds import rounds

ENDLESS = "while true do pcall(app.integrations.render2.get_current_user) end"
TIMEOUT = 120.0
"""Seconds after which a server that owes an answer is ended, so that a test fails instead of hanging."""
HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "a test", "version": "1"},
}


class Line:
    """A client without an SDK: lines to and from a server's standard streams."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin
        assert process.stdout
        self.process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._number = 0

    def write(self, line: bytes) -> None:
        self._stdin.write(line + b"\n")
        self._stdin.flush()

    def send(self, method: str, params: dict[str, Any]) -> None:
        self._number += 1
        frame = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        self.write(json.dumps(frame).encode())

    def ask(self, method: str, params: dict[str, Any]) -> Any:
        """Send a request and return the result of the next line, which has to be its answer."""
        self.send(method, params)
        answer = self.read()
        assert answer["id"] == self._number
        return answer["result"]

    def read(self) -> Any:
        return json.loads(self._stdout.readline())

    def execute(self, code: str) -> Any:
        return self.ask("tools/call", call(code))["structuredContent"]

    def rest(self) -> bytes:
        """Close the client's end and return what the server still writes."""
        self._stdin.close()
        return self._stdout.read()


def call(code: str) -> dict[str, Any]:
    return {"name": "execute_lua", "arguments": {"code": code}}


@contextmanager
def line(*options: str, stderr: int = subprocess.DEVNULL, before: Sequence[str] = ()) -> Iterator[Line]:
    """Start a server, by a command that comes before its own, and shake hands with it."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*before, *SERVER, *options], stdin=pipe, stdout=pipe, stderr=stderr, env=ENVIRON) as process:
        patience = Timer(TIMEOUT, process.kill)
        patience.start()
        try:
            client = Line(process)
            client.ask("initialize", HELLO)
            client.write(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}')
            yield client
        finally:
            patience.cancel()
            process.kill()


@pytest.mark.slow
def test_nothing_but_the_protocol_reaches_standard_output() -> None:
    """What scripts print is in the answer and on no line of its own."""
    with line() as client:
        noisy = call("print('{\"jsonrpc\": \"2.0\"}') for _ = 1, 1000 do print('noise') end")
        assert client.ask("tools/call", noisy)["content"][0]["text"].count("noise") > 100
        assert client.rest() == b""


SURROGATE = b'{"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"code": "\\ud83d!"}}'
PARSING, INVALID = -32700, -32600


@pytest.mark.slow
@pytest.mark.parametrize(
    ("frame", "code", "number"),
    [
        (b"nonsense", PARSING, None),
        (b"\xff\xfe\x00", PARSING, None),
        (b"[1, 2]", INVALID, None),
        (b'{"jsonrpc": "2.0"', PARSING, None),
        (b'{"jsonrpc": "1.0", "id": 7}', INVALID, 7),
        (b"[" * 50_000, PARSING, None),
        (SURROGATE, PARSING, 7),
        (SURROGATE.replace(b"7", b'"\\ud83d"'), PARSING, None),
        (b'{"jsonrpc": "1.0", "id": [true], "method": "ping"}', INVALID, None),
    ],
    ids=["words", "bytes", "list", "half", "version", "deep", "surrogate", "its id", "another id"],
)
def test_a_malformed_frame_costs_only_itself(frame: bytes, code: int, number: int | None) -> None:
    """It is answered by an error, with the request's id where it can be read, and the next request as ever."""
    with line() as client:
        client.write(frame)
        refused = client.read()
        assert refused["id"] == number
        assert refused["error"]["code"] == code
        assert client.execute("return 1")["result"] == [1]


@pytest.mark.slow
def test_a_blank_line_is_no_frame() -> None:
    """Nothing is answered to it."""
    with line() as client:
        client.write(b" ")
        assert client.execute("return 1")["result"] == [1]


@pytest.mark.slow
def test_a_malformed_body_costs_only_itself() -> None:
    """The same over HTTP: a body that is no frame is refused with a status, and clients go on."""

    async def conversation(client: Client) -> None:
        assert (await execute(client, "return 1")).structured_content["result"] == [1]

    with http_server() as (_, url), Session() as web:
        for version in ("2025-06-18", "2026-07-28"):
            headers = BEARER | {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
            headers["MCP-Protocol-Version"] = version
            assert 400 <= web.post(url, b'{"jsonrpc": ', headers=headers).status_code < 500
        assert web.post(url, b"x" * 5_000_000, headers=headers).status_code == 413
        Agent(url, DISCOVERY).talk(conversation)


@pytest.mark.slow
@linux_only
def test_a_client_that_closes_its_end_leaves_nothing() -> None:
    """When standard input ends, the server ends, and with it the script that was running."""
    with line() as client:
        client.send("tools/call", call(ENDLESS))
        assert eventually(lambda: len(descendants(client.process.pid)) > 1)
        left = descendants(client.process.pid)
        client.rest()
        assert client.process.wait(60) == 0
        assert eventually(lambda: not any(map(is_running, left)))


@pytest.mark.slow
@linux_only
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT][: rounds(2, 3)])
def test_a_server_that_is_ended_leaves_nothing(how: signal.Signals) -> None:
    """Ctrl-C, a polite and an impolite end: the process is gone at once, and its scripts with it."""
    with line() as client:
        client.send("tools/call", call(ENDLESS))
        assert eventually(lambda: len(descendants(client.process.pid)) > 1)
        left = descendants(client.process.pid)
        client.process.send_signal(how)
        assert client.process.wait(60) == -how
        assert eventually(lambda: not any(map(is_running, left)))


@pytest.mark.slow
@linux_only
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT][: rounds(1, 2)])
def test_a_web_server_that_is_ended_leaves_nothing(how: signal.Signals) -> None:
    """The same over HTTP, while a client waits for a script; what the client still hears is left to chance."""
    with http_server() as (process, url), vanishing(url, DISCOVERY, ENDLESS) as waiting:
        assert eventually(lambda: len(descendants(process.pid)) > 1)
        left = descendants(process.pid)
        process.send_signal(how)
        assert process.wait(60) == {signal.SIGINT: 130, signal.SIGTERM: -signal.SIGTERM}[how]
        waiting.kill()
    assert eventually(lambda: not any(map(is_running, left)))


@pytest.mark.slow
@linux_only
@pytest.mark.parametrize("era", [HANDSHAKE, DISCOVERY])
def test_a_killed_worker_costs_only_its_script(era: str) -> None:
    """A worker that dies by SIGKILL is an error result; other scripts and the next ones do not notice."""

    async def conversation(client: Client) -> None:
        async def run(name: str, code: str) -> None:
            results[name] = await execute(client, code)

        results: dict[str, Any] = {}
        await execute(client, "return 1")
        before = descendants(process.pid)
        async with anyio.create_task_group() as group:
            group.start_soon(run, "killed", ENDLESS)
            while not (workers := descendants(process.pid) - before):
                await anyio.sleep(0.02)
            group.start_soon(run, "other", "local t = os.clock() while os.clock() < t + 0.2 do end return 'whole'")
            os.kill(min(workers), signal.SIGKILL)  # spare ones are forked after it
        assert results["killed"].is_error
        assert results["killed"].structured_content["error"]["code"] == "worker_lost"
        assert "run the script again" in text_of(results["killed"])
        assert results["other"].structured_content["result"] == ["whole"]
        for pid in filter(is_running, before):
            with contextlib.suppress(ProcessLookupError):  # the worker of the first script may be among them
                os.kill(pid, signal.SIGKILL)
        while any(map(is_running, before)):
            await anyio.sleep(0.02)
        assert (await execute(client, "return 2")).structured_content["result"] == [2]

    with http_server() as (process, url):
        Agent(url, era).talk(conversation)


@pytest.mark.slow
def test_a_closed_standard_output_is_a_sentence() -> None:
    """A server that could answer nobody ends with the status of a wrong command line."""
    command = ["sh", "-c", '"$@" >&-', "sh", *SERVER]
    done = subprocess.run(command, env=ENVIRON, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "kosmolua: Standard output is closed, so no client can be answered\n"


@pytest.mark.slow
def test_a_client_that_reads_no_more_ends_the_server_with_a_sentence() -> None:
    """When its answers have nobody to go to, the server says so and ends, without a traceback."""
    with line(stderr=subprocess.PIPE) as client:
        assert client.process.stdout
        assert client.process.stderr
        client.process.stdout.close()
        client.send("tools/call", call("return 1"))
        assert client.process.wait(60) == 1
        said = client.process.stderr.read().decode()
    assert said == "kosmolua: Writing to standard output failed, so the server has ended\n"


def can_isolate() -> bool:
    """Return True if this user may make a PID namespace."""
    command = ["unshare", "--pid", "--fork", "true"]
    return bool(shutil.which("unshare")) and subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.slow
@linux_only
@pytest.mark.skipif(not can_isolate(), reason="no PID namespace can be made here")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT][: rounds(1, 2)])
def test_the_first_process_of_a_container_heeds_signals(how: signal.Signals) -> None:
    """The system ignores signals to it for which it has no handler, so the server has one."""
    command = ["unshare", "--pid", "--fork", "--kill-child", *SERVER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=ENVIRON) as process:
        client = Line(process)
        client.ask("initialize", HELLO)
        (server,) = children(process.pid)
        os.kill(server, how)
        assert process.wait(60) == 128 + how


LIMITED = """
import os, resource, sys
limit, size = getattr(resource, sys.argv[1]), int(sys.argv[2])
resource.setrlimit(limit, (size, size))
if limit == resource.RLIMIT_NPROC and os.getuid() == 0:
    os.setgid(int(sys.argv[3]))
    os.setuid(int(sys.argv[3]))
    os.environ["HOME"] = "/"  # root's own may be closed to others
os.execv(sys.argv[4], sys.argv[4:])
"""


@linux_only
@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "size"),
    [
        *(("RLIMIT_NOFILE", size) for size in [34, 48][: rounds(1, 2)]),
        pytest.param(
            *("RLIMIT_NPROC", 40),
            marks=pytest.mark.skipif(
                sys.platform == "linux" and os.geteuid() == 0 and not can_become_nobody(),
                reason="root has no limit of processes, and another user cannot run this Python",
            ),
        ),
    ],
)
def test_a_system_that_is_out_of_something_costs_only_the_script(limit: str, size: int) -> None:
    """Without descriptors, processes or threads a script is lost, in one form; the server goes on, and in sentences."""
    code = "local t = os.clock() while os.clock() - t < 0.3 do end return 1"
    user = NOBODY + os.getpid()  # the system counts the processes of a user, and other tests have some of NOBODY
    before = [sys.executable, "-c", LIMITED, limit, str(size), str(user)]
    with line(stderr=subprocess.PIPE, before=before) as client:

        def run_some() -> list[dict[str, Any]]:
            for _ in range(30):
                client.send("tools/call", call(code))
            return [client.read()["result"]["structuredContent"] for _ in range(30)]

        found = run_some()
        assert {outcome["error"]["code"] for outcome in found if "error" in outcome} == {"worker_lost"}
        while not any(outcome.get("result") == [1] for outcome in found):  # the server is ended after its TIMEOUT
            found = run_some()
        assert eventually(lambda: client.execute("return 2")["result"] == [2])
        client.rest()
        assert client.process.stderr
        assert b"Traceback" not in client.process.stderr.read()


IMPORTING = """
import runpy, sys
from kosmolua.runs.run import Run

def execute(run, *others):
    before = set(sys.modules)
    outcome = executed(run, *others)
    late = sorted(name for name in set(sys.modules) - before if name.startswith("kosmolua"))
    print("imported:", *late, file=sys.stderr)
    return outcome

executed, Run.execute = Run.execute, execute
sys.argv = sys.argv[3:]
runpy.run_module("kosmolua", run_name="__main__")
"""


@pytest.mark.slow
def test_a_run_imports_nothing_once_it_has_begun() -> None:
    """When other scripts have used up the file descriptors, nothing could be imported."""
    assert SERVER[:3] == [sys.executable, "-m", "kosmolua"]
    with line(stderr=subprocess.PIPE, before=[sys.executable, "-c", IMPORTING]) as client:
        assert client.execute("return os.clock() >= 0")["result"] == [True]
        client.rest()
        assert client.process.stderr
        assert client.process.stderr.read() == b"imported:\n"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_costs_only_the_journal() -> None:
    """Calls go on when the journal cannot be written, and the user is told once."""
    with line("--journal", "/dev/full", stderr=subprocess.PIPE) as client:
        for _ in range(2):
            outcome = client.execute("return app.integrations.render2.get_current_user().email ~= nil")
            assert outcome["result"] == [True]
        client.rest()
        assert client.process.stderr
        said = client.process.stderr.read().decode()
    assert said.count("The journal /dev/full can no longer be written") == 1


VANISHING = """
import sys, anyio
from support.agents import execute, open_client

async def main():
    async with open_client(sys.argv[1], sys.argv[2]) as client, anyio.create_task_group() as group:
        for _ in range(int(sys.argv[4])):
            group.start_soon(execute, client, sys.argv[3])

anyio.run(main)
"""


def vanishing(url: str, era: str, code: str, times: int = 1) -> subprocess.Popen[bytes]:
    """Start a client that runs scripts at once, and that a test will kill."""
    command = [sys.executable, "-c", VANISHING, url, era, code, str(times)]
    here = ENVIRON | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    return subprocess.Popen(command, env=here, stderr=subprocess.DEVNULL)


@linux_only
@pytest.mark.slow
def test_a_client_of_a_session_that_vanishes_has_a_grace() -> None:
    """In the older protocol its scripts run on for as long as it may come back, and end then, waiting ones too."""

    def has_a_grace(grace: float) -> bool:
        shorter = with_constants("kosmolua.mcp.clients", RECONNECT_TIMEOUT=grace)
        with http_server("--max-calls", "1000000", before=shorter) as (process, url):
            with vanishing(url, HANDSHAKE, ENDLESS, times=40) as client:
                assert eventually(lambda: len(descendants(process.pid)) > 20)
                client.kill()
            time.sleep(grace / 2)
            goes_on = len(descendants(process.pid)) > 20
            assert eventually(lambda: len(descendants(process.pid)) <= 1, 60 + grace)
            return goes_on

    assert in_time(has_a_grace, 2.0)


@pytest.mark.slow
@linux_only
def test_an_http_client_that_vanishes_ends_its_script(tmp_path: Path) -> None:
    """The connection is the script's life in the newer protocol; the server goes on for the others."""

    async def conversation(client: Client) -> None:
        assert (await execute(client, "return 1")).structured_content["result"] == [1]

    journal = tmp_path / "journal"
    with http_server("--journal", str(journal), "--max-calls", "1000000") as (process, url):
        Agent(url, DISCOVERY).talk(conversation)
        before = descendants(process.pid)
        with vanishing(url, DISCOVERY, ENDLESS) as client:
            assert eventually(lambda: journal.stat().st_size > 0)
            assert eventually(lambda: descendants(process.pid) - before)
            workers = descendants(process.pid) - before
            client.kill()
        assert eventually(lambda: not any(map(is_running, workers)))
        Agent(url, DISCOVERY).talk(conversation)


@pytest.mark.slow
def test_an_approval_that_nobody_fetches_is_refused() -> None:
    """A client that was asked may take as long as its script may run; its state is good for one return only."""

    def is_refused(seconds: float) -> bool:
        async def conversation(client: Client) -> None:
            code = "return app.integrations.render2.suspend_service('srv-cabc12345678')"
            arguments = {"code": code}
            asked = await client.session.call_tool("execute_lua", arguments, allow_input_required=True)
            if not isinstance(asked, InputRequiredResult):
                return
            await anyio.sleep(1.5 * seconds)
            state = asked.request_state
            late = await client.session.call_tool("execute_lua", arguments, request_state=state)
            codes.append(late.structured_content["error"]["code"])
            again = await client.session.call_tool("execute_lua", arguments, request_state=state)
            assert again.is_error
            assert "no longer runs (run it again)" in text_of(again)

        codes: list[str] = []
        with http_server("--timeout", str(seconds)) as (_, url):
            Agent(url, DISCOVERY).talk(conversation, nobody)  # type: ignore[arg-type]
        return codes == ["denied"]

    async def nobody(*_: object) -> Any:
        raise AssertionError("this conversation answers by hand")

    assert in_time(is_refused, 0.3)


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "order"), [("1", ["slow", "quick"]), ("2", ["quick", "slow"])])
def test_scripts_beyond_the_workers_wait_their_turn(workers: str, order: list[str]) -> None:
    """``--workers`` says how many scripts run at once; a further one begins when one of them has ended."""

    def wait_their_turn(seconds: float) -> bool:
        ended: list[str] = []

        async def conversation(client: Client) -> None:
            async def run(name: str, code: str) -> None:
                await execute(client, code, timeout=seconds)
                ended.append(name)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run, "slow", "while true do end")
                await anyio.sleep(seconds / 4)
                tasks.start_soon(run, "quick", "return 1")

        Agent(None, HANDSHAKE, "--workers", workers, "--timeout", "200", "--cpu", "200").talk(conversation)
        return ended == order

    assert in_time(wait_their_turn, 2.0)
