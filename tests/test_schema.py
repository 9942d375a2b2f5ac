"""The object that ``--json`` prints, against the JSON Schema that ships with the documentation."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import Program, Write
from support.processes import eventually

from kosmolua import errors
from kosmolua.errors import KosmoError
from kosmolua.runs import Outcome

SCHEMA = json.loads(files("kosmolua.docs").joinpath("outcome.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def checked(text: str) -> dict[str, Any]:
    """Return the one object of a text, which fits the schema."""
    found: dict[str, Any] = json.loads(text)
    VALIDATOR.validate(found)
    return found


def test_the_schema_is_one() -> None:
    """It fits the schema of schemas."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "options", "status", "code"),
    [
        ("print('x') return app.integrations.render2.list_services({ limit = 1 }), nil, 1.5", [], 0, None),
        ("x = 1", [], 0, None),
        ("local x\nerror({ code = 1 })", [], 1, "script_error"),
        ("x =", [], 1, "script_error"),
        ("app.integrations.render2.get_service({ service_id = 'srv-nothing' })", [], 1, "api_error"),
        ("app.integrations.render2.get_service({ service = 1 })", [], 1, "check"),
        ("app.integrations.render2.get_service({ service = 1 })", ["--no-check"], 1, "bad_arguments"),
        ("app.integrations.render2.lst()", ["--no-check"], 1, "unknown_path"),
        ("print(#app.integrations.render2.list_services())", [], 0, None),
        ("pcall(app.integrations.render2.suspend_service, 'srv-cabc12345678') error('no')", [], 1, "script_error"),
        ("while true do end", ["--timeout", "0.3"], 124, "limit_exceeded"),
        ("while true do end", ["--cpu", "0.1"], 124, "limit_exceeded"),
        ("print(('x'):rep(1000))", ["--max-output", "10"], 124, "limit_exceeded"),
        ("return 1", ["--accounts", "nowhere.toml"], 3, "config_error"),
        ("return 1", ["--plugin", "nowhere.py"], 3, None),
        ("return 1", ["--timeout", "soon"], 2, "usage"),
    ],
)
def test_run(kosmolua: Program, script: str, options: list[str], status: int, code: str | None) -> None:
    """Success, script error, failed call, limit, configuration error and wrong command line are all of one shape."""
    done = kosmolua("run", "--simulate", "--json", *options, "-e", script)
    outcome = checked(done.stdout)
    assert done.returncode == status
    assert outcome["ok"] == (status == 0)
    if code:
        assert outcome["error"]["code"] == code


@pytest.mark.slow
def test_an_interrupt(environment: dict[str, str], tmp_path: Path) -> None:
    """SIGINT while a call is under way: the object has the calls and the output so far, and the status is 130."""
    plugin = Path(__file__).parent / "plugins" / "slow.py"
    sign = tmp_path / "under-way"
    script = "print('begun') local slow = app.integrations.slow slow.wait() slow.wait({ sign = ..., file = 'never' })"
    words = ["run", "--json", "--trace", "--plugin", str(plugin), "-e", script, str(sign)]
    command = [sys.executable, "-m", "kosmolua", *words]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        assert process.stderr
        traced = [process.stderr.readline()[:2] for _ in range(3)]
        assert traced == ["->", "<-", "->"]
        assert eventually(sign.exists)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=50)
    outcome = checked(output)
    assert process.returncode == 130
    assert outcome["error"]["code"] == "interrupted"
    assert outcome["output"] == "begun\n"
    assert [call["status"] for call in outcome["calls"]] == ["ok", "unknown"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["render2.get_current_user"], 0),
        (["render2.get_service", "service_id=srv-nothing"], 1),
        (["render2.get_service"], 1),
        (["render2.suspend_service", "service_id=srv-cabc12345678"], 1),
        (["render2.lst"], 1),
        (["render2.get_current_user", "--accounts", "nowhere.toml"], 3),
    ],
)
def test_call(kosmolua: Program, arguments: list[str], status: int) -> None:
    """One call has the same object."""
    done = kosmolua("call", "--simulate", "--json", *arguments)
    assert checked(done.stdout)["ok"] == (status == 0)
    assert done.returncode == status


@pytest.mark.slow
def test_repl(kosmolua: Program) -> None:
    """Each chunk has the same object, with the state of the session."""
    chunks = "1\nx =\nerror('no')\nwhile true do end\n"
    done = kosmolua("repl", "--simulate", "--json", "--cpu", "0.1", input=chunks + "\n")
    answers = [checked(line) for line in done.stdout.splitlines()]
    assert [answer["state"] for answer in answers] == ["kept", "kept", "restored"]


def test_a_plugin_that_cannot_be_loaded(kosmolua: Program, write: Write) -> None:
    """The error says where it is."""
    plugin = write("broken.py", "\nraise RuntimeError('no')\n")
    outcome = checked(kosmolua("run", "--json", "--plugin", plugin, "-e", "return app.integrations.broken.x()").stdout)
    assert not outcome["ok"]


ERRORS: list[KosmoError] = [
    errors.ConfigError("a", hint="b"),
    errors.PluginError("a", origin="x.py:1"),
    errors.CallError("own_code", "a", param="p", status=400, retryable=True, retry_after=1.5, request_id="r"),
    errors.ApiError("a", status=429, retry_after=3, request_id="r"),
    errors.NetworkError("a"),
    errors.ScriptError("a", line=1, traceback="t"),
    errors.LimitExceeded("a", limit="wall", value=120.0),
    errors.Interrupted("a"),
    errors.WorkerLost("a"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_fits(error: KosmoError) -> None:
    """Whatever its fields, an error is described."""
    VALIDATOR.validate(Outcome([], "", error, []).to_json())


@pytest.mark.parametrize(
    "change",
    [
        {"ok": False},
        {"error": {"code": "x", "message": "y"}},
        {"more": 1},
        {"calls": [{"path": "x"}]},
        {"usage": {"wall_ms": "1"}},
        {"state": "unknown"},
        {"output": None},
    ],
)
def test_what_is_not_an_outcome_does_not_fit(change: dict[str, Any]) -> None:
    """The schema refuses what the program never prints."""
    outcome = {**Outcome([1], "", None, []).to_json(), **change}
    assert not VALIDATOR.is_valid(outcome)
