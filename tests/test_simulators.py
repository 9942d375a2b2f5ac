"""The simulators: their time, their failures, and the file that keeps their state."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from conftest import Program

from kosmolua import ConfigError, Runtime

SUSPEND = """
local render = app.integrations.render2
local service = render.list_services({ type = "web_service", limit = 1 }).services[1]
render.set_env_var({ service_id = service.id, key = "SEEN", value = "yes" })
sleep(100)
return service.id
"""
LOOK = """
local ok, found = pcall(app.integrations.render2.get_env_var, { service_id = ..., key = "SEEN" })
return ok and found.env_var.value or found.status
"""
DEPLOY = """
local render = app.integrations.render2
local service = render.list_services({ type = "web_service", limit = 1 }).services[1]
local deploy = render.trigger_deploy({ service_id = service.id }).deploy
sleep(600)
return render.get_deploy({ service_id = service.id, deploy_id = deploy.id }).deploy.status
"""


def runtime(simulate: Any = True, **options: Any) -> Runtime:
    return Runtime({}, simulate=simulate, yes=True, environ={}, **options)


@pytest.mark.slow
def test_a_file_keeps_the_state_over_runtimes(tmp_path: Path) -> None:
    """What a script changed is there the next time, time included; without a file everything is as it was."""
    file = tmp_path / "state.json"
    with runtime(file) as first:
        (service,) = first.run(SUSPEND).result
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["seconds"] == 102
    with runtime(file) as second:
        assert second.run(LOOK, args=[service]).result == ["yes"]
    with runtime() as third:
        assert third.run(LOOK, args=[service]).result == [404]


@pytest.mark.slow
def test_what_is_not_used_stays_in_the_file(tmp_path: Path) -> None:
    """The state of an account is kept while another one is used."""
    file = tmp_path / "state.json"
    with runtime(file) as first:
        first.run("app.integrations.render2.staging.list_owners()")
    with runtime(file) as second:
        second.run("app.integrations.render2.production.list_owners()")
    assert set(json.loads(file.read_text())["accounts"]) == {"render2.staging", "render2.production"}


@pytest.mark.parametrize("text", ["no JSON", "[]", "{}", '{"version": 7, "accounts": {}}'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    """It is not overwritten either."""
    file = tmp_path / "state.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"state\.json"):
        runtime(file)
    assert file.read_text() == text


@pytest.mark.slow
def test_a_function_fails_as_it_is_told_to() -> None:
    """A deploy that would have gone live ends otherwise."""
    with runtime() as usual, runtime(failures={"render2.trigger_deploy": "build_failed"}) as failing:
        assert usual.run(DEPLOY, timeout=3600).result == ["live"]
        assert failing.run(DEPLOY, timeout=3600).result == ["build_failed"]


@pytest.mark.parametrize("path", ["render2.trigger_deploy", "render2.nothing"])
def test_a_failure_that_cannot_be_is_told(path: str) -> None:
    """The error names the account and says what can be."""
    with runtime(failures={path: "purple"}) as told:
        error = told.run("app.integrations.render2.list_owners()").error
    assert isinstance(error, ConfigError)
    assert "render2.default" in error.message


@pytest.mark.slow
def test_the_command_line_takes_a_file_and_failures(kosmolua: Program, tmp_path: Path) -> None:
    """Both may stand anywhere, and the file also follows an equals sign."""
    file = tmp_path / "state.json"
    done = kosmolua("run", "-e", SUSPEND.replace("return", "print(service.id) return"), f"--simulate={file}", "--yes")
    service = done.stdout.split()[0]
    assert file.exists()
    look = LOOK.replace("return", "print(2) return").replace("...", f"'{service}'")
    assert kosmolua("run", f"--simulate={file}", "-e", look).stdout.startswith("2\n")
    failing = "--simulate-fail=render2.trigger_deploy=build_failed"
    script = (DEPLOY.replace("return render", "print(render") + ")").replace(".status\n)", ".status)")
    done = kosmolua("run", "--simulate", failing, "--yes", "--timeout", "1h", "-e", script)
    assert done.stdout == "build_failed\n"


@pytest.mark.parametrize(
    "words", [["--simulate-fail", "render2.trigger_deploy=build_failed"], ["--simulate-state", "x"]]
)
def test_they_are_for_simulators(kosmolua: Program, words: list[str]) -> None:
    """Without --simulate they would be ignored in silence."""
    done = kosmolua("run", "-e", "return 1", *words)
    assert done.returncode == 2
    assert "need --simulate" in done.stderr


def test_a_plain_simulator_needs_to_know_nothing_of_this(tmp_path: Path) -> None:
    """A plugin whose simulator takes the account alone works as before, but cannot keep its state."""
    plugin = tmp_path / "plain.py"
    plugin.write_text(PLAIN)
    with Runtime({}, simulate=True, plugins=[plugin], environ={}) as plain:
        outcome = plain.run("sleep(60) return app.integrations.plain.get()")
        assert outcome.ok, outcome.error
        assert outcome.result == [{"ok": True}]
    with Runtime({}, simulate=True, plugins=[plugin], failures={"plain.get": "x"}, environ={}) as plain:
        error = plain.run("return app.integrations.plain.get()").error
    assert isinstance(error, ConfigError)
    assert error.message == "The simulator of plain does not take the parameter failures"


PLAIN = '''
"""A plugin with a plain simulator."""
from dataclasses import dataclass
from kosmolua.plugin import Api, Integration, Request, Response, Send

@dataclass(frozen=True)
class Account:
    """Needs nothing."""
    def open(self, send: Send) -> Api:
        return Api(send, "https://plain.example")

integration = Integration("plain", Account, about="A plain service.")

@integration.reads
def get(api: Api, /) -> dict:
    """Get it."""
    return api.get("/it")

@integration.simulator
def simulate(account: str) -> Send:
    return lambda request: Response(200, {"Content-Type": "application/json"}, b\'{"ok": true}\')
'''
