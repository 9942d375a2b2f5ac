"""MCP servers as integrations: what their tools take and return, and what becomes of servers that misbehave."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import mcp_types as types
import pytest
from mcp.client import session
from mcp.shared.exceptions import MCPError
from support import servers
from support.agents import ROOT
from support.processes import in_time
from support.rounds import rounds
from support.servers import section, stdio, wait_for
from test_flow import mailbox

from kosmolua import Limits, Runtime
from kosmolua.calls.approvals import Approval
from kosmolua.errors import ConfigError, NetworkError, PluginError
from kosmolua.flow.memory import SessionMemory
from kosmolua.mcp_client import tasks
from kosmolua.mcp_client.cards import Card, Cards
from kosmolua.mcp_client.settings import identity
from kosmolua.mcp_client.tasks import CreatedTask, TaskExtension, call_as_task
from kosmolua.mcp_client.tools import functions_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep what is known of servers in a folder of the tests."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


TRANSPORTS = ["stdio", "http", "http with json"]


@pytest.fixture(scope="module", params=TRANSPORTS)
def tools(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A runtime with the test server, over each transport."""
    notes = str(tmp_path_factory.mktemp("notes") / "notes.txt")
    if request.param == "stdio":
        with Runtime(section(stdio(NOTES=notes)), yes=True) as runtime:
            yield runtime
        return
    words = ["json"] if "json" in request.param else []
    with servers.over_http(*words, NOTES=notes) as url, Runtime(section({"url": url}), yes=True) as runtime:
        yield runtime


def returned(runtime: Runtime, source: str) -> Any:
    """Run a script with ``tools`` as the server, and return the values that it returned."""
    outcome = runtime.run(f"local tools = app.mcp.tools\n{source}")
    assert outcome.error is None, outcome.error
    return outcome.result


def failed(runtime: Runtime, source: str) -> dict[str, Any]:
    """Run a script that fails, and return the fields of its error."""
    outcome = runtime.run(f"local tools = app.mcp.tools\n{source}")
    assert outcome.error is not None
    return outcome.error.fields()


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("tools.greet('Ann')", "hello Ann"),
        ("tools.greet({ name = 'Ann', times = 2 })", "hello hello Ann"),
        ("tools.add_up({ terms = { 1, 2 } })", {"total": 3, "terms": [1, 2]}),
        ("tools['add-up']({ terms = { 1 } }).total", 1),
        ("tools.default.add_up({ terms = {} }).total", 0),
        ("tools.text_of('[1, 2]')", [1, 2]),
        ("tools.text_of('00420')", "00420"),
        ("tools.text_of('420')", "420"),
        ("tools.text_of('{broken')", "{broken"),
        ("tools.picture()", {"content_type": "image/png", "base64": "iVBORw0KGgo=", "bytes": 8}),
        (
            "tools.several()",
            [
                "plain",
                {"decoded": True},
                {"content_type": "image/png", "base64": "iVBORw0KGgo=", "bytes": 8},
                {"uri": "note://a", "text": "a note"},
            ],
        ),
        ("tools.read_resource({ uri = 'note://b' })", "the note b"),
        ("tools.read_resource('data://table')", {"rows": [1, 2]}),
        (
            "tools.read_resource('data://blob')",
            {"content_type": "application/octet-stream", "base64": "AAEC", "bytes": 3},
        ),
        ("#tools.list_resources()", 2),
        ("tools.list_resource_templates()[1].uriTemplate", "note://{name}"),
        ("tools.list_prompts()[1].name", "review"),
        (
            "tools.get_prompt({ name = 'review', arguments = { topic = 'Lua' } })",
            {
                "description": "Review something.",
                "messages": [{"role": "user", "content": "Please review Lua."}],
            },
        ),
    ],
)
def test_results_arrive_as_values(tools: Runtime, call: str, expected: object) -> None:
    """Structured content, decoded text, text, images, several contents, resources and prompts."""
    assert returned(tools, f"return {call}") == [expected]


def test_a_failed_tool_raises(tools: Runtime) -> None:
    """`isError` is an `api_error` with the server's words."""
    error = failed(tools, "tools.fail({ why = 'because' })")
    assert error["code"] == "api_error"
    assert error["path"] == "mcp.tools.fail"
    assert "Error executing tool fail" in error["message"]


@pytest.mark.parametrize("probed", ["dies", "is silent"])
def test_an_old_server_is_greeted_as_it_knows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probed: str) -> None:
    """One that dies of the question for its versions, or does not answer it, is not asked again at the next start."""
    notes = tmp_path / "notes.txt"
    raw = section(
        {"command": sys.executable, "args": [str(servers.RAW)], "env": {"NOTES": str(notes), "PROBED": probed}}
    )

    def is_greeted(seconds: float) -> bool:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / str(seconds)))
        monkeypatch.setattr(session, "DISCOVER_TIMEOUT_SECONDS", seconds)
        questions = []
        for _ in range(2):
            notes.write_text("")
            with Runtime(raw, yes=True, limits=Limits(call_timeout=60 + 2 * seconds)) as runtime:
                outcome = runtime.run("return app.mcp.tools['do']({ what = 'late' })", timeout=300)
            if outcome.result != ["in time"]:
                return False
            questions.append(notes.read_text().count('"server/discover"'))
        return questions == [1, 0]

    assert in_time(is_greeted, 1.0)


def raw(notes: Path, more: Any = (), *, step: float = 0.0, **keys: Any) -> dict[str, Any]:
    """Return the content of an accounts file with the server that is not made with the SDK."""
    environment = {"NOTES": str(notes), "MORE": json.dumps(more), "VERSION": "2025-11-25", "STEP": str(step)}
    return section({"command": sys.executable, "args": [str(servers.RAW)], "env": environment, **keys})


def test_the_version_of_the_protocol_can_be_set(tmp_path: Path) -> None:
    """A server that asks the user in the middle of a call is then greeted as old servers are, and answered."""
    notes = tmp_path / "notes.txt"
    with Runtime(raw(notes, protocol="2025-11-25"), approve=lambda _: True) as runtime:
        assert runtime.run("return app.mcp.tools['do']({ what = 'ask' })").result == ["accept"]
    assert "server/discover" not in notes.read_text()


@pytest.mark.parametrize(("keys", "trace"), [({}, None), ({}, lambda _: None), ({"timeout": 1.2}, None)])
def test_progress_extends_the_limit_of_a_call(tmp_path: Path, keys: dict[str, Any], trace: Any) -> None:
    """A server that says how far it is has the whole time again, up to the ``timeout`` of its section."""

    def is_extended(seconds: float) -> bool:
        limits = {name: factor * seconds for name, factor in keys.items()}
        with Runtime(raw(tmp_path / "notes.txt", step=seconds / 4, **limits), yes=True, trace=trace) as runtime:
            runtime.servers.refresh("tools")
            outcome = runtime.run("return app.mcp.tools['do']({ what = 'steps' })", call_timeout=seconds, timeout=600)
        said = outcome.error.code if outcome.error else outcome.result
        return bool(said == ("timeout" if keys else ["all steps"]))

    assert in_time(is_extended, 1)


def test_a_tool_that_needs_a_task_is_called_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may work for longer than a call, and is cancelled when its time is over; its page says so."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    long = {"name": "long", "inputSchema": {"type": "object"}, "execution": {"taskSupport": "required"}}
    notes = tmp_path / "notes.txt"

    def is_done(seconds: float) -> bool:
        notes.write_text("")
        with Runtime(raw(notes, [long]), yes=True) as runtime:
            runtime.servers.refresh("tools")
            outcome = runtime.run("return app.mcp.tools.long()", call_timeout=seconds, timeout=600)
            assert "runs it as a task" in runtime.docs.read("mcp.tools.long")
        return outcome.result == ["after 7 looks"] and "tasks/cancel" not in notes.read_text()

    assert in_time(is_done, 1.0)
    with Runtime(raw(notes, [long], timeout=0.5), yes=True) as runtime:
        runtime.servers.refresh("tools")
        outcome = runtime.run("return app.mcp.tools.long()", call_timeout=1)
        assert outcome.error is not None
        assert outcome.error.code == "timeout"
        wait_for(lambda: "tasks/cancel" in notes.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("trace", [None, lambda server, line: None], ids=["direct", "session"])
def test_a_server_may_answer_with_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trace: Any) -> None:
    """It may work for longer than a call, its questions are answered, and it is cancelled when its time is over."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    state = {"XDG_STATE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    asks = "app.integrations.render2.restart_service({ service_id = 'srv-cabc12345678' })"
    server = {"command": sys.executable, "args": ["-m", "kosmolua", "mcp", "--simulate"], "env": state}
    with Runtime(section(server), approve=lambda _: True, trace=trace, yes=True) as runtime:
        runtime.servers.refresh("tools")
        asked = runtime.run("return app.mcp.tools.execute_lua({ code = input }).result[1]", input=f"return {asks}")
        assert asked.result == [{"accepted": True, "service_id": "srv-cabc12345678"}], asked.error


def followed(*states: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Follow a task through these states; return its result or its error, and the requests about it."""
    session, sent = AsyncMock(), []

    async def send(request: Any, kind: Any) -> Any:
        sent.append(request)
        return kind.model_validate(states[len(sent) - 1] if len(sent) <= len(states) else {}, by_name=False)

    async def answer(asked: Any) -> dict[str, types.ElicitResult]:
        return dict.fromkeys(asked, types.ElicitResult(action="decline"))

    async def follow() -> Any:
        try:
            return await TaskExtension(answer).follow(session, CreatedTask(task_id="t"), lambda: None)
        except (MCPError, asyncio.CancelledError) as error:
            await asyncio.sleep(0)
            return error

    session.send_request.side_effect = send
    return asyncio.run(follow()), sent


def test_a_question_of_a_task_is_answered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may show it again until it has the answer."""
    monkeypatch.setattr(tasks, "SHORTEST_INTERVAL", 0.0)
    monkeypatch.setattr(tasks, "POLL_INTERVAL", 0.0)
    form = {"mode": "form", "message": "Go?", "requestedSchema": {"type": "object", "properties": {}}}
    asking = {"status": "input_required", "inputRequests": {"k": {"method": "elicitation/create", "params": form}}}
    result, sent = followed(asking, {}, asking, {"status": "completed", "result": {"content": []}})
    assert result == types.CallToolResult(content=[])
    assert [each.method for each in sent] == ["tasks/get", "tasks/update", "tasks/get", "tasks/get"]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"status": "failed", "error": {"code": -32603, "message": "no room"}}, "no room"),
        ({"status": "cancelled"}, "The task was cancelled"),
    ],
)
def test_a_task_that_fails_is_an_error(state: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the server's words."""
    monkeypatch.setattr(tasks, "SHORTEST_INTERVAL", 0.0)
    monkeypatch.setattr(tasks, "POLL_INTERVAL", 0.0)
    error, _ = followed(state)
    assert error.error.message == words


def test_a_task_for_which_nobody_waits_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is told."""
    monkeypatch.setattr(tasks, "_pause", Mock(side_effect=asyncio.CancelledError))
    error, sent = followed()
    assert isinstance(error, asyncio.CancelledError)
    assert [each.method for each in sent] == ["tasks/cancel"]


@pytest.mark.parametrize(("interval", "seconds"), [(0, 0.1), (-5, 0.1), (250, 0.25), (None, 1.0)])
def test_a_server_cannot_have_its_tasks_looked_at_without_a_pause(
    interval: int | None, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that waits for a task is that of all servers."""
    moment = "2026-01-01T00:00:00Z"
    task = {"task_id": "t", "created_at": moment, "last_updated_at": moment, "ttl": None, "poll_interval": interval}
    ended = types.CallToolResult(content=[])
    replies = [
        types.CreateTaskResult(task=types.Task(status="working", **task)),
        types.GetTaskResult(status="completed", **task),
        ended,
    ]
    session, pauses = AsyncMock(), AsyncMock()
    session.send_request.side_effect = replies
    monkeypatch.setattr(asyncio, "sleep", pauses)
    result = asyncio.run(call_as_task(session, {"name": "long", "arguments": {}}, lambda: None))
    assert result is ended
    pauses.assert_awaited_once_with(seconds)


@pytest.mark.parametrize("tools", TRANSPORTS[: rounds(1, 3)], indirect=True)
@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("app.mcp.tools.greet()", "mcp.tools.greet needs name, a string"),
        ("app.mcp.tools.greeet({ name = 'Ann' })", "app.mcp.tools has no 'greeet' (did you mean 'greet'?)"),
    ],
)
def test_the_check_is_certain_of_tools_that_were_just_listed(tools: Runtime, call: str, message: str) -> None:
    """While the server is connected it says what changes; without a connection a mistake is only likely."""
    tools.servers.refresh("tools")
    outcome = tools.run(call, check=True)
    assert outcome.error is not None
    assert outcome.error.code == "check"
    assert message in outcome.error.message
    with Runtime(section(stdio())) as runtime:
        runtime.servers.refresh("tools")
    with Runtime(section(stdio()), yes=True) as runtime:  # which has the card, and no connection yet
        outcome = runtime.run(call, check=True)
    assert message in outcome.warnings[0]
    assert outcome.error is not None
    assert outcome.error.code != "check"


def test_one_malformed_tool_does_not_lose_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes anything, or is left out if it has no name."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    more = [{"name": "empty", "inputSchema": {}}, {"name": "none"}, {"name": 5}, {"name": "odd", "inputSchema": True}]
    with Runtime(raw(tmp_path / "notes.txt", more), yes=True) as runtime:
        assert runtime.run("return app.mcp.tools.empty({ extra = { what = 'late' } })").result == ["in time"]
        names = [tool["name"] for tool in runtime.servers.refresh("tools")["tools"]]
    assert names == ["do", "typed", "broken", "look", "empty", "none", "odd"]


def test_null_is_sent_where_the_schema_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so a server does not take its default instead; elsewhere it counts as left out."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    what = {"type": ["string", "null"], "default": "late"}
    schema = {"type": "object", "properties": {"what": what, "any": {}, "n": {"type": "integer"}}}
    notes = tmp_path / "notes.txt"
    with Runtime(raw(notes, [{"name": "nulls", "inputSchema": schema}]), yes=True) as runtime:
        outcome = runtime.run("return app.mcp.tools.nulls({ what = json.null, any = json.null, n = json.null })")
    assert outcome.result == ["null"], outcome.error
    assert '"arguments":{"what":null,"any":null}' in notes.read_text()


def test_a_server_of_the_first_version_is_reached_by_sse() -> None:
    """The section says so, and without that the message does."""
    with servers.over_http("sse") as url:
        with Runtime(section({"url": url, "transport": "sse"}), yes=True) as runtime:
            assert returned(runtime, "return tools.greet('Ann')") == ["hello Ann"]
        with Runtime(section({"url": url})) as runtime:
            error = runtime.run("return app.mcp.tools.greet('Ann')").error
    assert 'set transport = "sse" in [mcp.tools]' in str(error)


def test_a_short_password_of_a_program_of_this_machine_is_taken(tmp_path: Path) -> None:
    """The user is told that it is not masked; a service elsewhere gets none."""
    told: list[str] = []
    accounts = raw(tmp_path / "notes.txt")
    accounts["mcp"]["tools"]["env"]["NEO4J_PASSWORD"] = "neo4j"
    with Runtime(accounts, warn=told.append, yes=True) as runtime:
        assert runtime.run("return app.mcp.tools['do']({ what = 'late' })").result == ["in time"]
    assert told == ["The secret mcp.tools.env.NEO4J_PASSWORD has fewer than 8 characters, so it is not masked"]
    with Runtime(section({"url": "http://127.0.0.1:1/", "headers": {"X-Token": "neo4j"}})) as runtime:
        assert "has fewer than 8 characters" in str(runtime.run("return app.mcp.tools.x()").error)


def test_an_effect_can_be_corrected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is lower than the server's is said once, and a name that is no tool is a mistake with its place."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    told: list[str] = []
    notes = {"NOTES": str(tmp_path / "notes.txt")}
    raw = {"command": sys.executable, "args": [str(servers.RAW)], "env": notes, "tools": {"typed": "read"}}
    for _ in range(2):
        with Runtime(section(raw), warn=told.append) as runtime:
            assert runtime.run("return app.mcp.tools.typed({ what = 'right' })").result == [{"total": 3}]
    assert told == ["the accounts passed to the runtime: [mcp.tools.tools] takes typed for milder than the server does"]
    with Runtime(section(raw | {"tools": {"tiped": "read"}})) as runtime:
        error = runtime.run("return app.mcp.tools.typed({ what = 'right' })").error
    assert "[mcp.tools.tools] names tiped, which is no tool of the server (did you mean 'typed'?)" in str(error)
    with Runtime(section(raw | {"tools": {"typed": "reads"}})) as runtime:
        error = runtime.run("return app.mcp.tools.typed({ what = 'right' })").error
    assert "tools.typed must be one of" in str(error)


def test_variables_can_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read when the server starts; the section goes before it, and a secret in it is masked."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "raw.env"
    file.write_text(f"# of the project\nexport NOTES='{tmp_path / 'notes.txt'}'\nAPI_TOKEN=0123456789abcdef\nMORE=[]\n")
    server = {"command": sys.executable, "args": [str(servers.RAW)], "env_file": str(file), "env": {"MORE": "[]"}}
    with Runtime(section(server), yes=True) as runtime:
        outcome = runtime.run("local said = app.mcp.tools['do']({ what = 'late' }) return said, '0123456789abcdef'")
        assert outcome.result == ["in time", "***"], outcome.error
    with Runtime(section({**server, "env_file": str(tmp_path / "none.env")}), yes=True) as runtime:
        error = runtime.run("return app.mcp.tools['do']({ what = 'late' })").error
        assert f"the file of variables {tmp_path / 'none.env'} cannot be read" in str(error)


def test_a_tool_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its section may name it: it was there when the server was learned, and the others go on."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    server = {
        "command": sys.executable,
        "args": [str(HOSTILE)],
        "env": {"TURNED": str(tmp_path / "turned"), "GONE": "extra"},
        "tools": {"extra": "read", "look": "read"},
    }
    told: list[str] = []
    with Runtime(section(server, "files"), warn=told.append) as runtime:
        assert runtime.run('return app.mcp.files.look({ path = "a" })').ok
        wait_for(lambda: "former" in (runtime.servers.card("files") or {}))
        assert not runtime.run("return app.mcp.files.extra()").ok
    where = "the accounts passed to the runtime: [mcp.files.tools]"
    assert [each for each in told if "names" in each] == [
        f"{where} names extra, which is no tool of the server any more"
    ]


def test_a_pattern_starts_no_server() -> None:
    """Whatever it names: a server that cannot be started, one whose section is wrong, and others that are not meant."""
    sections = {"mcp": {"broken": {"command": "/no/such/program"}, "wrong": {"comand": "ls"}, "other": stdio()}}
    with Runtime(sections, allow=["mcp.broken.*"], deny=["mcp.wrong.erase"]) as runtime:
        assert runtime.run("return 1").result == [1]
        assert runtime.servers.card("other") is None


def test_a_tool_in_a_pattern_is_judged_when_its_server_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A typo would deny nothing, so the first call of the server says so."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with Runtime(section(stdio()), deny=["mcp.tools.greeet"]) as runtime:
        outcome = runtime.run("return app.mcp.tools.greet('Ann')")
        assert outcome.error is not None
        assert outcome.error.code == "config_error"
        assert 'deny=["mcp.tools.greeet"] matches no tool of mcp.tools' in str(outcome.error)
        assert "did you mean 'mcp.tools.greet'" in str(outcome.error)
    with pytest.raises(ConfigError, match="matches no function"):  # by now the tools are known
        Runtime(section(stdio()), deny=["mcp.tools.greeet"])


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        ("tools.greet()", "bad_arguments", "mcp.tools.greet needs name, a string"),
        ("tools.greet({ nam = 'x' })", "bad_arguments", "has no parameter 'nam' (did you mean 'name'?)"),
        ("tools.greet({ name = 1 })", "bad_arguments", "name must be a string"),
        ("tools.great()", "unknown_path", "app.mcp.tools has no 'great' (did you mean 'greet'?)"),
        ("app.mcp.tool.greet()", "unknown_path", "app.mcp has no 'tool' (did you mean 'tools'?)"),
        ("tools.read_resource('nothing://x')", "api_error", "Unknown resource"),
    ],
)
def test_mistakes_are_refused_with_what_to_do(tools: Runtime, call: str, code: str, message: str) -> None:
    """Arguments are checked by the tool's schema, and wrong names get suggestions."""
    error = failed(tools, call)
    assert error["code"] == code
    assert message in error["message"]


def test_every_function_of_a_server_has_a_name_of_its_own() -> None:
    """Tools keep their names. The functions for resources give way, also to tools that have the other name."""
    named = ["list_resources", "read_resource", "mcp_read_resource", "read-resource"]
    card: Card = {"tools": [{"name": name} for name in named], "resources": True}

    assert [(function.name, function.full_name) for function in functions_of("mcp.tools", card)] == [
        ("list_resources", "list_resources"),
        ("read_resource", "read_resource"),
        ("mcp_read_resource", "mcp_read_resource"),
        ("read_resource_2", "read-resource"),
        ("mcp_read_resource_2", "mcp_read_resource_2"),
        ("mcp_list_resources", "mcp_list_resources"),
        ("list_resource_templates", "list_resource_templates"),
    ]


def test_a_tool_keeps_its_name_before_one_that_is_spelled_so() -> None:
    """Else its name would call it, and its page and its permissions would be those of the other tool."""
    card: Card = {"tools": [{"name": name} for name in ("send-mail", "send_mail", "send.mail")]}

    assert [(function.name, function.full_name) for function in functions_of("mcp.tools", card)] == [
        ("send_mail_2", "send-mail"),
        ("send_mail", "send_mail"),
        ("send_mail_3", "send.mail"),
    ]


def test_a_tool_called_default_leaves_the_account_its_name() -> None:
    """Otherwise the server's only account would be named like a function, and no tool could be called."""
    (function,) = functions_of("mcp.tools", {"tools": [{"name": "default"}]})

    assert (function.name, function.full_name) == ("default_", "default_")


def test_calls_run_in_parallel(tools: Runtime) -> None:
    """Branches of `parallel` do not wait for each other."""

    def is_shared(seconds: float) -> bool:
        hangs = f"for i = 1, 8 do t[i] = function() return app.mcp.tools.hang({seconds}) end end"
        outcome = tools.run(f"local t = {{}} {hangs} parallel.all(t) return 1")
        assert outcome.error is None
        return float(outcome.usage["wall_ms"]) < 8000 * seconds

    assert is_shared(0.5) or is_shared(4.0)  # on a machine that stood still


def test_a_tool_that_comes_later_is_there_at_once(tools: Runtime) -> None:
    """A change of the tools is noticed by the same script, and by later ones."""
    assert returned(tools, "tools.grow('shiny-new') sleep(0.3) return tools.shiny_new()") == ["I am shiny-new"]
    assert returned(tools, "return tools['shiny-new']()") == ["I am shiny-new"]
    assert "shiny_new" in tools.docs.read("mcp.tools", detail="brief")


def test_the_call_timeout_can_be_caught(tmp_path: Path) -> None:
    """A tool that hangs is abandoned, and the server goes on."""
    with Runtime(section(stdio()), limits=Limits(call_timeout=15)) as runtime:
        assert returned(runtime, "return tools.greet('first')") == ["hello first"]
        runtime.limits = Limits(call_timeout=1)
        outcome = runtime.run("local ok, e = pcall(app.mcp.tools.hang) return ok, e.code")
        assert outcome.result == [False, "timeout"]
        assert [call["status"] for call in outcome.calls] == ["failed"]
        runtime.limits = Limits()
        assert returned(runtime, "return tools.greet('still')") == ["hello still"]


def test_permissions_follow_the_annotations() -> None:
    """`readOnlyHint` reads, `destructiveHint` destroys, and what says nothing writes."""
    accounts = section(stdio() | {"permissions": {"write": "deny"}})
    with Runtime(accounts) as runtime:
        error = failed(runtime, "tools.write_note('x')")
        assert error["code"] == "denied"
        assert 'write = "deny" is set in permissions under [mcp.tools]' in error["message"]
        erase = failed(runtime, "tools.erase()")
        assert erase["code"] == "denied"
    with Runtime(section(stdio()), read_only=True) as runtime:
        assert "read-only" in failed(runtime, "tools.erase()")["message"]
    with Runtime(section(stdio()), yes=True) as runtime:
        assert 'allow=["mcp.tools.erase"]' in failed(runtime, "tools.erase()")["message"]
    with Runtime(section(stdio()), allow=["mcp.tools.erase"]) as runtime:
        assert returned(runtime, "return tools.erase()") == ["erased"]
    with Runtime(section(stdio()), deny=["mcp.tools.*"]) as runtime:
        assert failed(runtime, "tools.greet('x')")["code"] == "denied"


def test_a_permission_for_what_is_no_tool_is_refused() -> None:
    """A typo must not widen what a script may do."""
    with Runtime(section(stdio() | {"permissions": {"erasse": "deny"}})) as runtime:
        outcome = runtime.run("app.mcp.tools.greet('x')")
    assert "unknown key 'erasse' in [mcp.tools] permissions (did you mean 'erase'?)" in str(outcome.error)


def test_an_approval_is_asked_with_the_arguments(tmp_path: Path) -> None:
    """A write is put to a person, with the server's own sentence, and is in the journal."""
    asked: list[Approval] = []

    def approve(approval: Approval) -> bool:
        asked.append(approval)
        return True

    journal = tmp_path / "journal.jsonl"
    accounts = section(stdio(NOTES=str(tmp_path / "notes.txt")))
    with Runtime(accounts, approve=approve, journal=journal) as runtime:
        assert returned(runtime, "return tools.write_note('a word')") == ["written"]
    assert [(each.path, each.effect, each.arguments, each.about) for each in asked] == [
        ("mcp.tools.write_note", "write", {"text": "a word"}, "Write a note.")
    ]
    (line,) = map(json.loads, journal.read_text().splitlines())
    assert line["path"] == "mcp.tools.write_note"
    assert line["status"] == "ok"
    assert line["allowed_by"] == "approved by a person"


@pytest.mark.parametrize(("yes", "expected"), [(True, "accept True"), (False, "decline None")])
def test_what_a_server_wants_to_know_is_put_to_the_person(*, yes: bool, expected: str) -> None:
    """A question that can be answered by yes goes to whoever approves calls, and no is a refusal."""
    asked: list[Approval] = []

    def approve(approval: Approval) -> bool:
        asked.append(approval)
        return yes or "May I" not in approval.about

    with Runtime(section(stdio()), approve=approve) as runtime:
        assert returned(runtime, "return tools.consent()") == [expected]
    assert [each.about for each in asked] == ["Ask the user for consent.", "May I go on?"]
    assert asked[1].arguments == {"asked by": "mcp.tools", "agreed": True}


def test_a_server_is_started_by_the_first_call_and_shared(tmp_path: Path) -> None:
    """One process serves all runs of a runtime, and a script that names no server starts none."""
    mark = f"mark-{os.getpid()}-{tmp_path.name}"
    with Runtime(section(stdio(mark)), yes=True) as runtime:
        assert runtime.run("return 1").ok
        assert runtime.docs.list()
        for look in (runtime.catalog.plugin, runtime.catalog.accounts):
            with pytest.raises(PluginError, match="never started"):
                look("mcp.tools")
        assert servers.processes_with(mark) == []
        first = returned(runtime, "return tools.process().pid")
        assert returned(runtime, "return tools.process().pid") == first
        assert len(servers.processes_with(mark)) == 2  # the server, and what keeps it
    assert servers.processes_with(mark) == []


def test_a_card_spares_the_start(tmp_path: Path) -> None:
    """What was learned once serves docs, search and the check of arguments, until the command changes."""
    mark = f"card-{os.getpid()}-{tmp_path.name}"
    accounts = section(stdio(mark))
    with Runtime(accounts) as runtime:
        assert "cannot be loaded: the server was never started" in runtime.docs.list("mcp")
        returned(runtime, "return tools.greet('x')")
    with Runtime(accounts) as runtime:
        assert "23 functions" in runtime.docs.list("mcp")
        assert "As often as you like." in runtime.docs.read("mcp.tools.greet")
        assert "Say hello with greet." in runtime.docs.read("mcp.tools")
        assert "mcp.tools.add_up" in [hit.page for hit in runtime.docs.find("add numbers up")]
        assert failed(runtime, "tools.greet()")["code"] == "bad_arguments"
        assert servers.processes_with(mark) == []
    with Runtime(section(stdio(mark, "another"))) as runtime, pytest.raises(PluginError, match="never started"):
        runtime.catalog.listed("mcp.tools")


def test_a_tool_that_changed_since_is_not_called_by_the_old_rules(cache: Path) -> None:
    """If a tool that read destroys by now, the call by the old card sends nothing, and the next is asked about."""
    accounts = section(stdio("changing"))
    with Runtime(accounts) as runtime:
        returned(runtime, "return tools.greet('x')")
    (card,) = [file for file in cache.rglob("tools-*.json") if "changing" not in file.name and _is_newest(file, cache)]
    text = json.loads(card.read_text())
    erase = next(tool for tool in text["tools"] if tool["name"] == "erase")
    erase["annotations"] = {"readOnlyHint": True}
    card.write_text(json.dumps(text))
    with Runtime(accounts) as runtime:
        error = failed(runtime, "tools.erase()")
        assert error["code"] == "network"
        assert error["retryable"] is True
        assert "mcp.tools has changed its tool erase" in error["message"]
        assert failed(runtime, "tools.erase()")["code"] == "denied"


def _is_newest(file: Path, folder: Path) -> bool:
    return file.stat().st_mtime_ns == max(each.stat().st_mtime_ns for each in folder.rglob("tools-*.json"))


def test_a_server_inherits_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets what an interpreter needs and what its section says; no path of the current folder, and no secret."""
    monkeypatch.setenv("RENDER_API_KEY", "rnd_of_the_host_only")
    monkeypatch.setenv("PATH", f".:{os.environ['PATH']}:bin")
    monkeypatch.chdir(tmp_path)
    accounts = section(stdio() | {"env": {"API_TOKEN": "tok_9f8e7d6c5b4a"}})
    with Runtime(accounts) as runtime:
        found, place = returned(runtime, "return tools.environment(), tools.process().folder")
        inside = runtime.run("return #app.mcp.tools.environment().API_TOKEN").result
    assert found.keys() <= {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "API_TOKEN"}
    assert all(folder.startswith("/") for folder in found["PATH"].split(":"))
    assert found["API_TOKEN"] == "***"
    assert inside == [3]  # masked where the value enters the script
    assert place != str(tmp_path)


def test_no_secret_is_in_the_process_list_the_journal_or_the_trace(tmp_path: Path) -> None:
    """A credential of a section goes through the environment, and whatever shows it masks it."""
    secret = "tok_5a6b7c8d9e0f"
    traced: list[str] = []
    journal = tmp_path / "journal.jsonl"
    with Runtime(
        section(stdio() | {"env": {"API_TOKEN": secret}}), journal=journal, trace=traced.append, yes=True
    ) as runtime:
        outcome = runtime.run(f"app.mcp.tools.noise() print(app.mcp.tools.text_of('{secret}'))")
        assert servers.processes_with(secret) == []
    assert outcome.output == "***\n"
    assert secret not in journal.read_text()
    assert any("a word on standard error" in line for line in traced)
    assert not any(secret in line for line in traced)


@pytest.mark.slow
def test_a_call_without_a_script_waits_no_longer_for_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking up the function and calling it have one limit of time together."""
    monkeypatch.setattr("kosmolua.mcp_client.stdio.GRACE", 0.1)
    with Runtime(section({"command": "sleep", "args": ["600"]}), limits=Limits(call_timeout=1)) as runtime:
        for _ in range(2):
            with pytest.raises(
                NetworkError, match=r"mcp.tools cannot be started: it did not list its tools within 1 s"
            ):
                runtime.call("mcp.tools.greet")


def test_closing_does_not_wait_for_a_server_that_is_still_being_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is not made yet is given up, however long an open one may take to close."""
    monkeypatch.setattr("kosmolua.mcp_client.link.CLOSE_TIMEOUT", 300.0)
    monkeypatch.setattr("kosmolua.mcp_client.connections.CLOSE_TIMEOUT", 300.0)
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor() as threads:
        runtime = Runtime(section({"url": f"http://127.0.0.1:{silent.getsockname()[1]}/mcp"}))
        call = threads.submit(runtime.call, "mcp.tools.greet")
        with silent.accept()[0]:
            threads.submit(runtime.close).result(60)
            with pytest.raises(NetworkError, match="cannot be reached: it was closed"):
                call.result(60)


def test_a_server_that_dies_is_started_once_more(tmp_path: Path) -> None:
    """A read is sent again, a write is not; and one that keeps dying is left alone for a while."""
    with Runtime(section(stdio(DIED=str(tmp_path / "died"))), yes=True) as runtime:
        assert returned(runtime, "return tools.die()") == ["alive"]
        error = failed(runtime, "tools.die_writing()")
        assert error["code"] == "network"
        assert error["retryable"] is False
        assert "mcp.tools was lost: it ended with status 3" in error["message"]
        assert "ended twice and is not started again for" in failed(runtime, "tools.greet('x')")["message"]


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ({"command": "sh", "cwd": "/dev/null"}, "cannot be started: Not a directory: /dev/null"),
        ({"command": "no-such-program"}, "mcp.tools cannot be started: the program no-such-program was not found"),
        ({"command": "sh", "args": ["-c", "echo oops >&2; exit 4"]}, "cannot be started: it ended with status 4"),
        ({"command": "sh", "args": ["-c", "echo hello; exec sleep 600"]}, "did not list its tools within 2 s"),
        ({"command": "sh", "args": ["-c", "exec cat >/dev/null"]}, "cannot be started: it closed its output"),
        ({"command": "sh", "args": ["-c", "exec sleep 600 <&-"]}, "cannot be started: it closed its input"),
        ({"url": "http://127.0.0.1:1/mcp"}, "mcp.tools cannot be reached"),
    ],
)
def test_a_server_that_does_not_start_is_a_network_error(
    server: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script is told what happened, within the limit of a call; the user also what it printed."""
    monkeypatch.setattr("kosmolua.mcp_client.stdio.KILL_TIMEOUT", 0.2)
    monkeypatch.setattr("kosmolua.mcp_client.stdio.GRACE", 0.1)
    with Runtime(section(server)) as runtime:
        outcome = runtime.run("app.mcp.tools.greet('x')", call_timeout=2 if "2 s" in message else 60)
    assert outcome.error is not None
    assert outcome.error.code == "network"
    assert message in outcome.error.message
    assert "oops" in str(outcome.error.detail) or "oops" not in str(server)


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ({}, "[mcp.tools] needs a command or a url"),
        ({"command": "x", "url": "http://x"}, "[mcp.tools] has both a command and a url"),
        ({"comand": "x"}, "unknown key 'comand' in [mcp.tools] (did you mean 'command'?)"),
        ({"command": "x", "env": {"A": 1}}, "[mcp.tools] env.A must be a string or one secret source"),
        ({"command": "x", "args": "y"}, "[mcp.tools] args must be a list"),
    ],
)
def test_a_section_that_says_something_else_is_refused(server: dict[str, Any], message: str) -> None:
    """A mistake in a section is told with its key."""
    with Runtime(section(server)) as runtime, pytest.raises(ConfigError) as caught:
        runtime.catalog.integration("mcp.tools")
    assert message in str(caught.value)


def test_noise_is_traced_and_does_no_harm() -> None:
    """Lines that are no messages, and what is printed on standard error, go to the trace."""
    traced: list[str] = []
    loud = f"echo this is no message; echo '{{broken'; exec {sys.executable} {servers.SCRIPT}"
    with Runtime(section({"command": "sh", "args": ["-c", loud]}), trace=traced.append) as runtime:
        assert returned(runtime, "return tools.noise()") == ["answered"]
        assert returned(runtime, "return tools.report({ times = 2 })") == ["done"]
        wait_for(lambda: any("a word on standard error" in line for line in traced))
    assert {"mcp.tools: this is no message", "mcp.tools: {broken", "mcp.tools: progress 2/2: working"} <= {*traced}
    assert any(line.endswith("info: step 2") for line in traced)
    assert max(map(len, traced)) < 2_100


def test_a_warning_of_the_sdk_reaches_the_log_of_its_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is one line without a traceback, also if another server connected later. The program's own records stay."""
    traced: list[str] = []
    raw = {"command": sys.executable, "args": [str(servers.RAW)], "env": {"NOTES": str(tmp_path / "notes.txt")}}
    with Runtime({"mcp": {"one": raw, "two": raw}}, trace=traced.append, yes=True) as runtime:
        both = runtime.run("return app.mcp.one['do']('late'), app.mcp.two['do']('late')")
        assert both.result == ["in time", "in time"]
        assert runtime.run("return app.mcp.one['do']('notices')").result == ["after notices"]
        wait_for(lambda: any("notification" in line for line in traced))
        for name in ("client", "mcp.client.client"):
            logging.getLogger(name).warning("of the program")
    assert traced == ["mcp.one: Failed to validate notification: notifications/message"]
    assert {(record.name, record.message) for record in caplog.records if record.levelno >= logging.WARNING} == {
        ("client", "of the program"),
        ("mcp.client.client", "of the program"),
    }


def test_a_flood_is_cut_off() -> None:
    """An endless line ends the server, and the memory stays small; a long result is taken up to the limit."""
    flood = f"import os; [os.write(1, b'x' * 2**20) for _ in range({servers.FLOOD})]"
    source = f"""
import json, re, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from kosmolua import ConfigError, Runtime
from support.servers import section, stdio
with Runtime(section(stdio())) as runtime:
    much = runtime.run("return #app.mcp.tools.much(8)")
with Runtime(section({{"command": sys.executable, "args": ["-c", {flood!r}]}})) as runtime:
    flood = runtime.run("app.mcp.tools.greet('x')")
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
print(json.dumps([much.result, flood.error.message, int(peak) // 1024]))
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    much, message, memory = json.loads(done.stdout)
    assert much == [8 * 1024 * 1024]
    assert "it sent a line of more than 32 MiB" in message
    assert memory < 400


def test_five_hundred_tools_cost_a_list_nothing(cache: Path) -> None:
    """They are one line in the list of pages, each has its page, and they are found by a search."""
    accounts = section(stdio(MORE_TOOLS="500"))
    with Runtime(accounts) as runtime:
        assert returned(runtime, "return tools.get_thing_499({ name = 'x' }).name") == ["x"]
    with Runtime(accounts) as runtime:
        assert "523 functions" in runtime.docs.list("mcp")
        assert len(runtime.docs.list("mcp")) < 600
        assert "get_thing_321" in runtime.docs.read("mcp.tools.get_thing_321")
        assert "mcp.tools.get_thing_77" in [hit.page for hit in runtime.docs.find("get thing number 77")]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT][: rounds(1, 3)])
@pytest.mark.parametrize("deaf", ["deaf", ""][: rounds(1, 2)])
def test_no_server_outlives_the_host(number: int, deaf: str, tmp_path: Path) -> None:
    """However the host ends, its servers end too, also one that ignores the end of its input and SIGTERM."""
    mark = f"orphan-{os.getpid()}-{tmp_path.name}"
    source = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from kosmolua import ConfigError, Runtime
from support.servers import section, stdio
with Runtime(section(stdio({mark!r}, {deaf!r}))) as runtime:
    print(runtime.run("return app.mcp.tools.greet('x')").result, flush=True)
    sys.stdin.read()
"""
    host = subprocess.Popen(
        [sys.executable, "-c", source],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert host.stdout
    assert "hello x" in host.stdout.readline()
    assert len(servers.processes_with(mark)) >= 3
    host.send_signal(number)
    host.wait()
    wait_for(lambda: servers.processes_with(mark) == [])


def test_simulated_runs_reach_no_server(tmp_path: Path) -> None:
    """`--simulate` starts nothing: a call is `not_configured`, whether the tools are known or not."""
    accounts = section(stdio(f"simulated-{tmp_path.name}"))
    with Runtime(accounts, simulate=True) as runtime:
        assert failed(runtime, "tools.greet('x')")["code"] == "not_configured"
    with Runtime(accounts) as runtime:
        returned(runtime, "return tools.greet('x')")
    with Runtime(accounts, simulate=True) as runtime:
        assert (
            failed(runtime, "tools.greet('x')")["message"]
            == "mcp.tools has no simulator (leave out simulate). Nothing was sent."
        )


def test_the_page_of_a_server_with_many_tools_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lists sections, one for each first word of the tools' names, and each section has a page and each tool too."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    words = [
        f"{verb}_{noun}_{number}" for verb in ("list", "get", "set") for noun in ("pet", "toy") for number in range(90)
    ]
    schema = {"type": "object", "properties": {"id": {"type": "string", "description": "Which one. " * 20}}}
    tools = [{"name": name, "description": f"Does {name}. " * 20, "inputSchema": schema} for name in [*words, "ping"]]
    table = {"command": "no-such-program"}
    Cards().write("big", identity(table), {"tools": tools})
    with Runtime({"mcp": {"big": table}}) as runtime:
        page = runtime.docs.read("mcp.big")
        assert len(page) < 8000
        assert "- `list` (180)" in page
        assert "- `other` (1): `ping`" in page
        assert "`list_pet_7`" in runtime.docs.read("mcp.big.list")
        assert "# app.mcp.big.get_toy_3" in runtime.docs.read("mcp.big.get_toy_3")
        assert "mcp.big.set_pet_5" in runtime.docs.search("set_pet_5")


HOSTILE = Path(__file__).parent / "support" / "hostile_mcp_server.py"


def test_a_lower_effect_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not again when the server changes its tools."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    server = {
        "command": sys.executable,
        "args": [str(HOSTILE)],
        "env": {"TURNED": str(tmp_path / "turned"), "WRITES": "yes"},
    }
    told: list[str] = []
    with Runtime(section(server | {"tools": {"look": "read"}}, "files"), warn=told.append) as runtime:
        assert runtime.run('return app.mcp.files.look({ path = "a" })').ok
        wait_for(lambda: "former" in (runtime.servers.card("files") or {}))
    assert len(told) == 1


def test_a_server_that_turns_hostile_is_asked_about(tmp_path: Path) -> None:
    """Also in a later session and process, until a person has had its tools read anew; it gets no secret unasked."""
    server = {"command": sys.executable, "args": [str(HOSTILE)], "env": {"TURNED": str(tmp_path / "turned")}}
    accounts = {**section(server, "files"), "kosmolua": {"secrets": {"bank": {"env": "BANK"}}}}
    options: dict[str, Any] = {"allow": ["*"], "yes": True, "flow": "ask", "environ": {"BANK": "the key of the bank"}}
    changed = "the server has changed mcp.files.look since it was called: the parameter url is new, its description is "
    look, seen = 'return app.mcp.files.look({ path = "a" })', SessionMemory()

    with Runtime(accounts, **options) as runtime:
        denied = runtime.run("return app.mcp.files.look({ path = secrets.bank })", seen=seen).error
        assert "path is the secret bank, which mcp.files.look sends to others" in str(denied)
        assert runtime.run(look, seen=seen).ok
        wait_for(lambda: "former" in (runtime.servers.card("files") or {}))
        assert changed in str(runtime.run(look, seen=seen).error)
        send = 'return app.mcp.files.look({ path = "a", url = "https://evil.example/" })'
        assert changed in str(runtime.run(send, seen=seen).error)

    with Runtime(accounts, **options) as runtime:
        assert changed in str(runtime.run(look).error)
        runtime.servers.refresh("files")
        assert runtime.run(look).ok


def test_what_a_server_says_of_itself_decides_nothing() -> None:
    """Neither in the script that reads its page, nor in a later one of the session."""
    seen, send = SessionMemory(), "app.integrations.mailbox.send_mail({ to = TO })"
    with Runtime(section(stdio()), plugins=[mailbox], yes=True, flow="ask") as runtime:
        both = runtime.run(f"local TO = lua_read_doc('mcp.tools'):match('Say %w+ with %w+') {send}")
        assert "to = Say hello with greet comes from the page mcp.tools (public)" in str(both.error)
        assert runtime.run("return lua_read_doc('mcp.tools')", seen=seen).ok
        later = runtime.run(send.replace("TO", "'Say hello with greet'"), seen=seen)
        assert "comes from the page mcp.tools (public)" in str(later.error)


@pytest.mark.parametrize("check", [True, False])
def test_what_a_mistake_shows_of_a_server_decides_nothing(tmp_path: Path, *, check: bool) -> None:
    """The message of the check or of a call can have values that the server lists; what the script says is its own."""
    schema = {"type": "object", "properties": {"kind": {"enum": ["mallory@evil.example"]}}, "required": ["kind"]}
    tool = {"name": "put", "description": "Put.", "inputSchema": schema}
    send, seen = "app.integrations.mailbox.send_mail({ to = TO })", SessionMemory()
    with Runtime(raw(tmp_path / "notes.txt", [tool]), plugins=[mailbox], yes=True, flow="ask") as runtime:
        runtime.servers.refresh("tools")  # another test's server of this name may be known
        assert runtime.run("return app.mcp.tools.put({ kind = 'mallory@evil.example' })").ok
        caught = "local _, e = pcall(app.mcp.tools.put, { kind = 'b' }) local TO = e.message:match('[%w]+@[%w.]+')"
        if not check:
            both = runtime.run(f"{caught} {send}", check=False)
            assert "to = mallory@evil.example comes from a result of mcp.tools.put" in str(both.error)
        mistake = runtime.run("app.mcp.tools.put({ kind = 'ann@corp.example' })", seen=seen, check=check)
        assert "must be one of 'mallory@evil.example'" in str(mistake.error)
        later = runtime.run(send.replace("TO", "'mallory@evil.example'"), seen=seen)
        assert "to = mallory@evil.example comes from" in str(later.error)
        own = runtime.run(send.replace("TO", "'ann@corp.example'"), seen=seen)
        assert own.ok, own.error
