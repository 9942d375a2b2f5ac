"""Calls of tools that do not pass through the SDK's session: what is written, and what becomes of strange answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from support.processes import eventually, in_time
from support.servers import RAW, section, wait_for

from kosmolua import Limits, Runtime

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.version_info < (3, 11), reason="before Python 3.11, the SDK's session makes all calls"),
]


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which the server notes what it gets."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "notes.txt"


@pytest.fixture
def raw(notes: Path) -> Iterator[Runtime]:
    """A runtime with the server that answers strangely."""
    server = {"command": sys.executable, "args": [str(RAW)], "env": {"NOTES": str(notes)}}
    with Runtime(section(server), yes=True) as runtime:
        yield runtime


def messages(notes: Path, method: str) -> list[dict[str, Any]]:
    """Return the messages of a method that the server got, and has noted whole."""
    whole = notes.read_text().rpartition("\n")[0]
    return [each for each in map(json.loads, whole.splitlines()) if each["method"] == method]


def failed(runtime: Runtime, what: str) -> Any:
    """Make a call that fails, and return its error."""
    outcome = runtime.run(f"app.mcp.tools['do']('{what}')")
    assert outcome.error is not None
    return outcome.error


def test_a_call_is_a_plain_request(raw: Runtime, notes: Path) -> None:
    """A server of the older protocol gets the token for its progress, and text outside ASCII as it is."""
    assert raw.run("return app.mcp.tools['do']('noise')").result == ["after noise"]
    (call,) = messages(notes, "tools/call")
    assert call["params"] == {"name": "do", "arguments": {"what": "noise"}, "_meta": {"progressToken": call["id"]}}
    assert call["id"] >= 1 << 40


@pytest.mark.parametrize(
    ("what", "code", "message"),
    [
        ("refuse", "api_error", "mcp.tools: not today"),
        ("refuse oddly", "api_error", "mcp.tools: not today"),
        ("refuse and exit", "api_error", "mcp.tools: not today"),
        ("nothing", "api_error", "mcp.tools: the server sent neither a result nor an error"),
        ("not an error", "api_error", "mcp.tools: the server sent neither a result nor an error"),
        ("misshapen", "network", "mcp.tools sent a response that cannot be read"),
        ("sampling", "api_error", "mcp.tools: The server asked for something other than an answer from the user"),
        ("exit", "network", "mcp.tools was lost: it ended with status 7"),
    ],
)
def test_a_strange_answer_is_an_error_of_the_call(raw: Runtime, what: str, code: str, message: str) -> None:
    """The script gets an error that says what the server did."""
    error = failed(raw, what)
    assert error.code == code
    assert message in error.message


def test_an_error_keeps_its_data(raw: Runtime) -> None:
    """What the server says beside its message is in the error's body."""
    outcome = raw.run("local ok, e = pcall(app.mcp.tools['do'], 'refuse') return e.body.data.day, e.body.code")
    assert outcome.result == ["Sunday", -32050]


def test_an_abandoned_call_is_cancelled(raw: Runtime, notes: Path) -> None:
    """The server is told, and its late answer reaches no other call."""
    raw.servers.refresh("tools")
    raw.limits = Limits(call_timeout=1)
    assert failed(raw, "hang").code == "timeout"
    raw.limits = Limits()
    wait_for(lambda: messages(notes, "notifications/cancelled"))
    (call,) = messages(notes, "tools/call")
    (cancelled,) = messages(notes, "notifications/cancelled")
    assert cancelled["params"]["requestId"] == call["id"]
    assert raw.run("return app.mcp.tools['do']('late')").result == ["in time"]


def test_answers_out_of_order_reach_their_calls(raw: Runtime) -> None:
    """Each branch gets the answer to its own call."""
    script = """
    local call = app.mcp.tools['do']
    return parallel.all({ function() return call('hang') end, function() sleep(0.5) return call('late') end })
    """
    outcome = raw.run(script)
    assert outcome.result == [["late", "in time"]], outcome.error


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        (
            "typed('wrong')",
            "network",
            "the structured content of the tool typed is invalid: '3' is not of type 'integer'",
        ),
        ("typed('none')", "network", "the tool typed returned no structured content, although it has an output schema"),
        ("typed('failed')", "api_error", "it failed"),
        ("broken('right')", "network", "the output schema of the tool broken is invalid: "),
    ],
)
def test_results_are_checked_against_the_output_schema(raw: Runtime, call: str, code: str, message: str) -> None:
    """A server's result that is not as its tool declares is no value for a script."""
    assert raw.run("return app.mcp.tools.typed('right').total").result == [3]
    outcome = raw.run(f"app.mcp.tools.{call}")
    assert outcome.error is not None
    assert outcome.error.code == code
    assert message in outcome.error.message


def test_long_and_short_requests_do_not_mix(raw: Runtime) -> None:
    """A request that is longer than a pipe takes at once waits for its turn; all are whole when they arrive."""
    script = """
    local call, list = app.mcp.tools['do'], {}
    for i = 1, 60 do list[i] = i end
    return parallel.map(list, function(i)
      local length = i % 3 == 0 and 200000 + i or 100 + i
      return call(string.rep('a', length - 1) .. i % 10) == length .. ' ' .. i % 10
    end, { limit = 32 })
    """
    outcome = raw.run(script)
    assert outcome.result == [[True] * 60], outcome.error


def test_the_end_of_a_run_ends_its_calls(raw: Runtime, notes: Path) -> None:
    """The server is told at once that nobody waits any longer, although the call could have taken longer."""

    def is_told(seconds: float) -> bool:
        raw.limits = Limits(timeout=seconds, call_timeout=10 * seconds)
        outcome = raw.run("app.mcp.tools['do']('hang')")
        assert outcome.error is not None
        assert outcome.error.code == "limit_exceeded"
        return eventually(lambda: messages(notes, "notifications/cancelled"), 5 * seconds)

    raw.servers.refresh("tools")
    assert in_time(is_told, 1.0)


@pytest.mark.parametrize("padding", [0, 100_000])
def test_closing_ends_calls_and_starts_nothing(raw: Runtime, notes: Path, padding: int) -> None:
    """A read is sent again if its server is lost, but not while everything is being closed."""
    errors: list[Any] = []
    script = f"app.mcp.tools.look('hang' .. string.rep('x', {padding}))"
    thread = Thread(target=lambda: errors.append(raw.run(script).error))
    thread.start()
    wait_for(lambda: notes.exists() and messages(notes, "tools/call"))
    raw.close()
    thread.join(60)
    assert not thread.is_alive()
    assert errors[0] is not None
    assert len(messages(notes, "initialize")) == 1


def test_a_server_that_refuses_the_start_is_quoted(notes: Path) -> None:
    """What the server says is the reason, not that the connection was closed then."""
    environment = {"NOTES": str(notes), "REFUSE": "the license has expired"}
    server = {"command": sys.executable, "args": [str(RAW)], "env": environment}
    with Runtime(section(server)) as runtime:
        error = failed(runtime, "x")
    assert "mcp.tools cannot be started: the license has expired" in error.message
