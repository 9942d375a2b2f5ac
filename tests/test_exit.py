"""Scripts that end themselves: `exit` with a status, and errors with a code of the script's own."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from conftest import Program

from kosmolua import Limits, Runtime, ScriptError
from kosmolua.errors import Exited
from kosmolua.processes.child import SessionProcess
from kosmolua.runs.session import Session

AWAY = [
    "exit(7)",
    "pcall(exit, 7)",
    "pcall(pcall, exit, 7)",
    "xpcall(function() exit(7) end, function() return 'caught' end)",
    "xpcall(function() exit(7) end, function() while true do end end)",
    "coroutine.wrap(function() exit(7) end)()",
    "coroutine.resume(coroutine.create(function() pcall(exit, 7) end))",
    "local co = coroutine.create(function() exit(7) end) pcall(coroutine.resume, co) coroutine.close(co)",
    "parallel.all({ function() sleep(60) end, function() exit(7) end })",
    "pcall(parallel.map, { 1, 2, 3 }, function(n) if n == 2 then exit(7) end sleep(0) end)",
    "local guard <close> = setmetatable({}, { __close = function() error('no') end }) exit(7)",
    "local guard <close> = setmetatable({}, { __close = function() while true do end end }) exit(7)",
    "table.sort({ 3, 1, 2 }, function() exit(7) end)",
    "string.gsub('x', 'x', function() exit(7) end)",
    "print(setmetatable({}, { __tostring = function() exit(7) end }))",
    "regex.gsub('x', 'x', function() exit(7) end)",
    "load('exit(7)')()",
    "local t = setmetatable({}, { __index = function() exit(7) end }) pcall(function() return t.x end)",
    "error(setmetatable({}, { __tostring = function() exit(7) end }))",
]


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime({}, environ={}, limits=Limits(cpu=20, timeout=60)) as runtime:
        yield runtime


@pytest.fixture
def session(runtime: Runtime) -> Iterator[Session]:
    with Session(runtime.run, SessionProcess) as session:
        yield session


@pytest.mark.parametrize("source", AWAY)
def test_nothing_keeps_a_script_from_exiting(runtime: Runtime, source: str) -> None:
    """Wherever it is called, the script ends there with the status, and what was printed before stays."""
    outcome = runtime.run(f"print('before') {source} print('after')")
    assert isinstance(outcome.error, Exited)
    assert outcome.ok is False
    assert outcome.exit == 7
    assert outcome.error.exit == 7
    assert outcome.output == "before\n"
    assert outcome.result == []


@pytest.mark.parametrize("source", [source for source in AWAY if "while true" not in source])
def test_a_chunk_of_a_session_exits_as_well(session: Session, source: str) -> None:
    """Its state is kept, and the next chunk runs as ever."""
    outcome = session.evaluate(f"kept = 5 print('before') {source} print('after')").outcome
    assert outcome.exit == 7
    assert outcome.output == "before\n"
    after = session.evaluate("local ok = pcall(error, 'x') print(kept, ok)").outcome
    assert after.ok is True
    assert after.exit is None
    assert after.output == "5\tfalse\n"


@pytest.mark.parametrize("call", ["exit()", "exit(0)", "exit(0.0)", "pcall(exit)"])
def test_a_status_of_0_is_success(runtime: Runtime, call: str) -> None:
    """It is 0 if none is given."""
    outcome = runtime.run(f"print(1) {call} error('not reached')")
    assert outcome.ok is True
    assert outcome.exit == 0
    assert outcome.error is None
    assert outcome.result == []
    assert outcome.output == "1\n"


@pytest.mark.parametrize("status", ["-1", "64", "1.5", "'1'", "true", "{}", "2^53", "math.huge", "0/0"])
def test_what_is_no_status_is_refused(runtime: Runtime, status: str) -> None:
    """The script goes on, since the error can be caught."""
    outcome = runtime.run(f"local ok, problem = pcall(exit, {status}) return ok, problem")
    assert outcome.result[0] is False
    assert "bad argument #1 to 'exit' (an integer from 0 to 63 expected, got " in outcome.result[1]


def test_a_script_that_never_exits_has_no_status(runtime: Runtime) -> None:
    """Nor has one that fails or returns."""
    assert runtime.run("return 1").exit is None
    assert runtime.run("error('x')").exit is None


@pytest.mark.slow
def test_the_command_line_exits_with_the_status(kosmolua: Program) -> None:
    """A script's own status is no failure of the program, so nothing is said on standard error."""
    for status in (0, 1, 3, 63):
        done = kosmolua("run", "-e", f"print('x') exit({status})")
        assert done.returncode == status
        assert done.stdout == "x\n"
        assert done.stderr == ""
    done = kosmolua("run", "--json", "-e", "print('x') exit(5)")
    told = json.loads(done.stdout)
    assert told["ok"] is False
    assert told["output"] == "x\n"
    assert done.returncode == 5
    assert told["error"] == {"code": "exit", "message": "The script ended with the exit status 5", "exit": 5}
    done = kosmolua("run", "--json", "-e", "exit()")
    assert json.loads(done.stdout)["ok"] is True
    assert json.loads(done.stdout)["error"] is None
    assert done.returncode == 0


@pytest.mark.slow
def test_exit_leaves_the_repl(kosmolua: Program) -> None:
    """With the status that it is given, whatever failed before."""
    done = kosmolua("repl", input="error('x')\nexit(4)\nprint('never')\n")
    assert done.returncode == 4
    assert "never" not in done.stdout


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        ("{ code = 'drift', message = 'the plan differs' }", "drift", "the plan differs"),
        ("{ code = 'E-12', message = 'x', more = 1 }", "E-12", "x"),
        ("{ code = 5, message = 'x' }", "script_error", '{code = 5, message = "x"}'),
        ("{ message = 'x' }", "script_error", '{message = "x"}'),
        ("{ code = 'two words', message = 'x' }", "script_error", "x"),
        ("{ code = ('x'):rep(101), message = 'x' }", "script_error", "x"),
        ("{ code = 'limit_exceeded', message = 'x' }", "script_error", "x"),
        ("{ code = 'exit', message = 'x' }", "script_error", "x"),
        ("{ code = 'interrupted', message = 'x' }", "script_error", "x"),
    ],
)
def test_an_error_of_the_scripts_own_keeps_its_code(runtime: Runtime, raised: str, code: str, message: str) -> None:
    """Its code and message are the outcome's, but for codes that only the program gives."""
    error = runtime.run(f"\nerror({raised})").error
    assert isinstance(error, ScriptError)
    assert error.code == code
    assert error.message == message
    assert error.line == 2


def test_an_error_of_the_scripts_own_keeps_its_code_through_parallel(kosmolua: Program) -> None:
    """And in --json, with exit status 1."""
    source = "parallel.all({ function() error({ code = 'drift', message = 'it differs' }) end })"
    done = kosmolua("run", "--json", "-e", source)
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "drift"
    assert error["message"] == "it differs"
    assert done.returncode == 1
