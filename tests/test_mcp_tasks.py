"""Tasks of the MCP server: scripts that go on without their client, and are found again, also by another server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from support.agents import DISCOVERY, ENVIRON, HANDSHAKE, open_client, with_constants
from support.library import KEY, library
from support.loopback import Loopback
from support.processes import in_time
from support.rounds import rounds
from support.serving import ACME, GLOBEX, TWO_TENANTS, agent, serving
from support.shelf import Shelf
from support.tasks import TAKES, answer, nobody, send, start, talk, until

from kosmolua import Outcome, Runtime
from kosmolua.catalog.plugins import Plugins
from kosmolua.limits import Limits
from kosmolua.mcp import tasks
from kosmolua.mcp.runner import PlainRunner
from kosmolua.runs import RunOptions

pytestmark = pytest.mark.slow

LEND = 'return app.integrations.library.lend({ book = "b-1" }).n'
TWO = """
local books = app.integrations.library
return parallel.all({
  function() return books.lend({ book = "b-1" }).n end,
  function() return app.integrations.library.home.lend({ book = "b-2" }).n end,
})
"""
YES = {"allow": "this call"}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each script is a task as soon as it is recorded."""
    monkeypatch.setattr(tasks, "GRACE", 0.0)


@pytest.fixture
def shelf() -> Shelf:
    """The service."""
    return Shelf()


@pytest.fixture
def server(shelf: Shelf) -> Iterator[Loopback]:
    """The service, behind a web server."""
    with Loopback(shelf) as server:
        yield server


@pytest.fixture
def open_runtime(server: Loopback) -> Iterator[Callable[..., Runtime]]:
    """Return a function that opens a runtime whose library is the service, and asks before it writes."""
    opened: list[Runtime] = []

    def open_runtime(**options: Any) -> Runtime:
        account = {"api_key": KEY, "base_url": server.url}
        given = {"library": {"default": "work", "work": account, "home": account}}
        plugins = Plugins([library()], places=(), entry_points=dict)
        opened.append(Runtime(given, plugins=plugins, environ={}, **options))
        return opened[-1]

    yield open_runtime
    for runtime in opened:
        runtime.close()


@pytest.fixture
def runtime(open_runtime: Callable[..., Runtime]) -> Runtime:
    """A runtime that asks before it writes."""
    return open_runtime()


def result_of(task: dict[str, Any]) -> list[Any]:
    """Return what the script of a completed task returned."""
    assert task["status"] == "completed", task
    result: list[Any] = task["result"]["structuredContent"]["result"]
    return result


def is_cut_off(task: dict[str, Any]) -> bool:
    """Say whether the limit of the run's time has ended a task, as on a machine that stands still."""
    error = task.get("result", {}).get("structuredContent", {}).get("error") or {}
    return error.get("code") == "limit_exceeded"


def test_a_script_goes_on_as_a_task(runtime: Runtime) -> None:
    """The task has the id of the run, says how long it is kept, and has the result when it is done."""

    async def conversation(client: Client) -> None:
        task = await start(client, "sleep(1) return 42", title="Waits a moment")
        assert task["resultType"] == "task"
        assert task["status"] == "working"
        assert task["ttlMs"] == 30 * 86_400_000
        done = await until(client, task["taskId"], "completed")
        assert result_of(done) == [42]
        assert done["createdAt"] == task["createdAt"]
        run = runtime.store.read(task["taskId"])
        assert run.header["title"] == "Waits a moment"

    talk(runtime, conversation)


def test_what_ends_at_once_is_no_task(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to the request is the script's, as for any other client."""
    monkeypatch.setattr(tasks, "GRACE", 20.0)

    async def conversation(client: Client) -> None:
        done = await start(client, "return 42")
        assert done["resultType"] == "complete"
        assert done["structuredContent"]["result"] == [42]

    talk(runtime, conversation)


def test_a_long_result_is_called_after_the_run(runtime: Runtime) -> None:
    """Its resource, and the input of the next script, have the id of the task."""

    async def conversation(client: Client) -> None:
        task = await start(client, 'sleep(1) local t = {} for n = 1, 900 do t[n] = "item " .. n end return t')
        done = await until(client, task["taskId"], "completed")
        (link,) = (each for each in done["result"]["content"] if each["type"] == "resource_link")
        assert link["uri"] == f"kosmolua://runs/{task['taskId']}"
        assert len((await client.read_resource(link["uri"])).contents) == 1
        second = await start(client, "return #input", input=f"run:{task['taskId']}")
        if second["resultType"] == "task":
            second = (await until(client, second["taskId"], "completed"))["result"]
        assert second["structuredContent"]["result"] == [900]

    talk(runtime, conversation)


def test_a_failed_script_is_a_completed_task(runtime: Runtime) -> None:
    """The error is in its result, as in the answer to a request."""

    async def conversation(client: Client) -> None:
        task = await start(client, 'sleep(1) error("no")')
        done = await until(client, task["taskId"], "completed", "failed")
        assert done["status"] == "completed"
        assert done["result"]["isError"]

    talk(runtime, conversation)


def test_a_fault_of_the_program_fails_the_task(runtime: Runtime) -> None:
    """The task has the error of the protocol, and no result."""

    class Faulty(PlainRunner):
        async def run(self, source: str, options: RunOptions) -> Outcome:
            await super().run(source, options)
            raise RuntimeError("a fault")

    async def conversation(client: Client) -> None:
        task = await start(client, "sleep(1)")
        failed = await until(client, task["taskId"], "completed", "failed")
        assert failed["error"] == {"code": -32603, "message": "The run failed: RuntimeError('a fault')"}
        assert "result" not in failed

    talk(runtime, conversation, Faulty(runtime))


def test_an_approval_is_asked_in_the_state_of_the_task(runtime: Runtime, shelf: Shelf) -> None:
    """What was not asked is ignored; the answer lets the script go on."""

    async def conversation(client: Client) -> None:
        task = await start(client, LEND)
        asking = await until(client, task["taskId"], "input_required")
        (key,) = asking["inputRequests"]
        assert "library.lend" in asking["inputRequests"][key]["params"]["message"]
        await answer(client, task["taskId"], {"nothing": YES})
        assert shelf.lent == {}
        await answer(client, task["taskId"], {key: YES})
        assert result_of(await until(client, task["taskId"], "completed")) == [1]

    talk(runtime, conversation)
    assert shelf.lent == {"b-1": 1}


def test_calls_of_several_accounts_are_asked_apart(runtime: Runtime, shelf: Shelf) -> None:
    """One answer leaves the other question, and the script goes on after both."""

    async def conversation(client: Client) -> None:
        task = await start(client, TWO)
        asking = await until(client, task["taskId"], "input_required")
        one, other = asking["inputRequests"]
        await answer(client, task["taskId"], {one: YES})
        left = await until(client, task["taskId"], "input_required", "completed")
        assert list(left["inputRequests"]) == [other]
        await answer(client, task["taskId"], {other: YES})
        await until(client, task["taskId"], "completed")

    talk(runtime, conversation)
    assert shelf.lent == {"b-1": 1, "b-2": 1}


def test_a_question_is_still_answered_after_its_run_has_paused(
    open_runtime: Callable[..., Runtime], shelf: Shelf
) -> None:
    """The run waits no longer than the server's limit; its question has the same key before and after."""
    has_paused: list[bool] = []

    def is_answered(seconds: float) -> bool:
        runtime = open_runtime()
        runtime.limits = Limits(timeout=seconds)

        async def conversation(client: Client) -> None:
            task = await start(client, LEND)
            asking = await until(client, task["taskId"], "input_required", "completed")
            if is_cut_off(asking):
                return
            keys = list(asking["inputRequests"])
            with anyio.fail_after(60 + seconds):
                while not runtime.store.waiting():
                    await anyio.sleep(0.05)
            asking = await until(client, task["taskId"], "input_required")
            assert list(asking["inputRequests"]) == keys
            await answer(client, task["taskId"], {keys[0]: YES})
            ended = await until(client, task["taskId"], "completed")
            if not is_cut_off(ended):
                assert result_of(ended) == [1]
                has_paused.append(True)

        talk(runtime, conversation)
        return bool(has_paused)

    assert in_time(is_answered, 0.6)
    assert shelf.lent == {"b-1": 1}


def test_a_declined_call_of_a_paused_run_is_denied(open_runtime: Callable[..., Runtime], shelf: Shelf) -> None:
    """The script gets the error, and nothing is sent."""
    results: list[list[Any]] = []

    def is_denied(seconds: float) -> bool:
        runtime = open_runtime()
        runtime.limits = Limits(timeout=seconds)

        async def conversation(client: Client) -> None:
            task = await start(client, f"return pcall(function() {LEND} end)")
            if is_cut_off(await until(client, task["taskId"], "input_required", "completed")):
                return
            with anyio.fail_after(60 + seconds):
                while not runtime.store.waiting():
                    await anyio.sleep(0.05)
            asking = await until(client, task["taskId"], "input_required")
            (key,) = asking["inputRequests"]
            await send(client, "tasks/update", taskId=task["taskId"], inputResponses={key: {"action": "decline"}})
            ended = await until(client, task["taskId"], "completed")
            if not is_cut_off(ended):
                results.append(result_of(ended))

        talk(runtime, conversation)
        return bool(results)

    assert in_time(is_denied, 0.3)
    assert results[0][0] is False
    assert shelf.lent == {}


def test_a_task_saves_its_script(open_runtime: Callable[..., Runtime], tmp_path: Path) -> None:
    """The question comes after the script has ended; then it is a tool, of which clients are told."""

    async def conversation(client: Client) -> None:
        async with client.listen(tools_list_changed=True) as changes:
            task = await start(client, "return 42", save="answer")
            asking = await until(client, task["taskId"], "input_required")
            await answer(client, task["taskId"], {key: {"save": True} for key in asking["inputRequests"]})
            done = await until(client, task["taskId"], "completed")
            assert done["result"]["content"][-1]["text"] == "The script was saved: app.scripts.answer."
            with anyio.fail_after(60):
                async for _ in changes:
                    break
        assert "answer" in {tool.name for tool in (await client.list_tools()).tools}

    talk(open_runtime(scripts=tmp_path), conversation)


def test_a_cancelled_task_ends(runtime: Runtime) -> None:
    """Its run is interrupted, and whoever asks later does not let it go on."""

    async def conversation(client: Client) -> None:
        task = await start(client, "sleep(60)")
        assert set(await send(client, "tasks/cancel", taskId=task["taskId"])) == {"resultType", "_meta"}
        await until(client, task["taskId"], "cancelled")
        with anyio.fail_after(60):
            while runtime.store.runs()[0].status == "running":
                await anyio.sleep(0.05)
        assert (await send(client, "tasks/get", taskId=task["taskId"]))["status"] == "cancelled"

    talk(runtime, conversation)
    assert runtime.store.runs()[0].status == "interrupted"


def test_the_result_outlives_the_server(open_runtime: Callable[..., Runtime]) -> None:
    """A client that comes back to another server finds it, also an error's."""
    found: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []

    async def first(client: Client) -> None:
        for code in ("sleep(1) print('seen') return 42", "sleep(1) error('no')"):
            task = await start(client, code)
            found.append(await until(client, task["taskId"], "completed"))

    async def second(client: Client) -> None:
        for each in found:
            kept.append(await send(client, "tasks/get", taskId=each["taskId"]))

    talk(open_runtime(), first)
    talk(open_runtime(), second)
    for before, after in zip(found, kept, strict=True):
        assert after["status"] == "completed"
        assert after["result"]["content"] == before["result"]["content"]
        assert after["result"]["structuredContent"] == before["result"]["structuredContent"]


def test_a_task_goes_on_after_its_server_stopped(open_runtime: Callable[..., Runtime], shelf: Shelf) -> None:
    """A server that stops leaves it; the next that is asked lets it go on, and no write is repeated."""
    known: list[str] = []

    async def first(client: Client) -> None:
        task = await start(client, f"local n = {LEND.removeprefix('return ')} sleep(5) return n")
        known.append(task["taskId"])
        with anyio.fail_after(60):
            while not shelf.lent:
                await anyio.sleep(0.02)

    async def second(client: Client) -> None:
        assert result_of(await until(client, known[0], "completed")) == [1]

    one = open_runtime(allow=["library.*"])
    talk(one, first)
    one.close()
    talk(open_runtime(allow=["library.*"]), second)
    assert shelf.lent == {"b-1": 1}


def test_a_fault_of_the_program_fails_a_task_that_goes_on(
    open_runtime: Callable[..., Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what the client is told, each time that it asks: the task does not stay at work for ever."""
    begun: list[str] = []

    async def first(client: Client) -> None:
        begun.append((await start(client, "sleep(5)"))["taskId"])

    async def fails(self: PlainRunner, run: str, options: RunOptions, **decided: Any) -> Outcome:
        raise ZeroDivisionError

    async def second(client: Client) -> None:
        for _ in range(2):
            task = await until(client, begun[0], "failed", "completed", "cancelled")
            assert task["status"] == "failed", task
            assert task["error"]["message"] == "The run failed: ZeroDivisionError()"

    one = open_runtime()
    talk(one, first)
    one.close()
    monkeypatch.setattr(PlainRunner, "resume", fails)
    talk(open_runtime(), second)


def test_a_run_that_a_person_stopped_does_not_go_on(runtime: Runtime) -> None:
    """To the client it is cancelled."""

    async def conversation(client: Client) -> None:
        task = await start(client, "sleep(60)")
        runtime.interrupt(task["taskId"])
        await until(client, task["taskId"], "cancelled")

    talk(runtime, conversation)


def test_what_is_no_task_is_not_found(runtime: Runtime) -> None:
    """A run of somebody else, or of the command line, is none, even if it could go on."""
    recorded = runtime.run("sleep(60)", record=True, timeout=0.3).recording
    assert recorded

    async def conversation(client: Client) -> None:
        for id in (Path(recorded).stem, "nothing", "../accounts"):
            for method, more in (("get", {}), ("update", {"inputResponses": {}}), ("cancel", {})):
                with pytest.raises(MCPError, match="There is no task") as caught:
                    await send(client, f"tasks/{method}", taskId=id, **more)
                assert caught.value.error.code == -32602

    talk(runtime, conversation)


def test_a_task_can_run_longer_than_a_request(open_runtime: Callable[..., Runtime]) -> None:
    """Up to the limit ``task_timeout``, which the tool says; a client without tasks is told what it lacks."""
    runtime = open_runtime()
    runtime.limits = Limits(timeout=0.3, task_timeout=30)

    async def conversation(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert tools["execute_lua"].input_schema["properties"]["timeout"]["maximum"] == 30
        task = await start(client, "sleep(0.6) return 1", timeout=20)
        assert result_of(await until(client, task["taskId"], "completed")) == [1]
        short = await start(client, "sleep(0.6)")
        ended = await until(client, short["taskId"], "completed")
        assert "0.3 s" in ended["result"]["content"][0]["text"]
        refused = await start(client, "return 1", timeout=31)
        assert refused["isError"]

    async def without(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert tools["execute_lua"].input_schema["properties"]["timeout"]["maximum"] == 0.3
        with pytest.raises(MCPError, match="Nothing was run") as caught:
            await start(client, "return 1", timeout=20)
        assert caught.value.error.code == -32021
        assert (await start(client, "return 1"))["resultType"] == "complete"

    talk(runtime, conversation)
    talk(runtime, without, extensions=[])


def test_a_client_of_the_older_protocol_has_no_tasks(runtime: Runtime) -> None:
    """It is answered as before, and a timeout above the limit is a mistake of the arguments."""

    async def hold() -> None:
        from kosmolua.mcp.server import Handlers

        handlers = Handlers(runtime, read_only=False, simulated=False, watch=lambda event: None)
        async with Client(handlers.server(), mode=HANDSHAKE, elicitation_callback=nobody) as client:
            done = await client.call_tool("execute_lua", {"code": "return 1", "timeout": 600})
            assert done.is_error
            done = await client.call_tool("execute_lua", {"code": "sleep(0.2) return 1"})
            assert done.structured_content
            assert done.structured_content["result"] == [1]
        handlers.close()

    anyio.run(hold)


# Servers that are killed

WRITES = 6
LENDING = """
local books = app.integrations.library
for n = 1, 6 do books.lend({ book = "b-" .. n }) end
return "done"
"""
PLUGIN = "from support.library import library\nintegration = library()\n"


@contextmanager
def killable(folder: Path, url: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start a server whose library is a service, and yield its process and its URL."""
    (folder / "library.py").write_text(PLUGIN)
    accounts = folder / "accounts.toml"
    accounts.write_text(f'[library.work]\napi_key = "{KEY}"\nbase_url = "{url}"\n')
    accounts.chmod(0o600)
    options = ["--accounts", str(accounts), "--plugin", str(folder / "library.py"), "--yes", "--http", "127.0.0.1:0"]
    command = [*with_constants("kosmolua.mcp.tasks", GRACE=0.0), sys.executable, "-m", "kosmolua", "mcp", *options]
    tests = Path(__file__).parent
    environ = {**ENVIRON, "XDG_STATE_HOME": str(folder), "PYTHONPATH": f"{ENVIRON['PYTHONPATH']}:{tests}"}
    with subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr
        found = re.search(r"http://\S+", said := process.stderr.readline().decode())
        assert found, said
        try:
            yield process, found[0]
        finally:
            process.kill()


MOMENTS = [(moment, number) for number in range(1, WRITES + 1) for moment in ("arrived", "done", "answered")]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("turn", range(rounds(3, 60)))
def test_kill_9_of_the_server_at_any_moment(server: Loopback, shelf: Shelf, tmp_path: Path, turn: int) -> None:
    """The client comes back to another server; each write is made exactly once, and one in doubt is asked about."""
    moment, number = MOMENTS[turn * 7 % len(MOMENTS)]
    has_task = threading.Event()
    victim: list[subprocess.Popen[bytes]] = []

    def kill(at: int) -> bool:
        has_task.wait(60)
        if at == number:
            os.kill(victim[0].pid, signal.SIGKILL)
        return at == number

    def kill_later(at: int) -> None:
        threading.Timer(turn % 5 / 1000, lambda: kill(at)).start()

    shelf.before = kill if moment == "arrived" else lambda at: has_task.wait(60) and None
    shelf.after = {"done": lambda at: kill(at) and None, "answered": kill_later}.get(moment, shelf.after)

    async def begin(url: str) -> str:
        async with open_client(url, DISCOVERY, extensions=TAKES, elicitation_callback=nobody) as client:
            task = await start(client, LENDING)
            return str(task["taskId"])

    async def come_back(url: str, task: str) -> dict[str, Any]:
        async with open_client(url, DISCOVERY, extensions=TAKES, elicitation_callback=nobody) as client:
            while True:
                found = await until(client, task, "completed", "input_required")
                if found["status"] == "completed":
                    return found
                for key, asked in found["inputRequests"].items():
                    book = re.search(r"b-\d+", asked["params"]["message"])
                    assert book
                    said = "it was done" if shelf.lent[book[0]] else "it was not done: send it again"
                    await answer(client, task, {key: {"done": said}})

    with killable(tmp_path, server.url) as (process, url):
        victim.append(process)
        task = anyio.run(begin, url)
        has_task.set()
        process.wait(60)
    server.settle()
    shelf.before, shelf.after = lambda at: None, lambda at: None
    with killable(tmp_path, server.url) as (_, url):
        assert result_of(anyio.run(come_back, url, task)) == ["done"]
    assert set(shelf.lent.values()) == {1}
    assert shelf.lent.total() == WRITES


def test_a_server_of_many_gives_a_task_only_to_its_tenant(tmp_path: Path) -> None:
    """A client that comes back finds it and answers its question; to another tenant's clients it does not exist."""
    asks = 'return app.integrations.render2.restart_service({ service_id = "srv-cabc12345678" }).accepted'

    async def conversation(url: str) -> None:
        options: dict[str, Any] = {"extensions": TAKES, "elicitation_callback": nobody}
        async with agent(url, ACME, **options) as client:
            task = await start(client, asks)
            asking = await until(client, task["taskId"], "input_required")
        async with agent(url, GLOBEX, **options) as other:
            with pytest.raises(MCPError, match="There is no task"):
                await send(other, "tasks/get", taskId=task["taskId"])
        async with agent(url, ACME, **options) as client:
            assert (await until(client, task["taskId"], "input_required"))["inputRequests"] == asking["inputRequests"]
            await answer(client, task["taskId"], dict.fromkeys(asking["inputRequests"], YES))
            assert result_of(await until(client, task["taskId"], "completed")) == [True]

    with serving(tmp_path, TWO_TENANTS, "--simulate") as server:
        anyio.run(conversation, server.url)
