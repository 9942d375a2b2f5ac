"""Plans, pauses and recordings of scripts that an agent runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import Write
from mcp import Client
from support.agents import DISCOVERY, HANDSHAKE, Agent, Person, execute, http_server, text_of

RESTART = "return app.integrations.render2.restart_service({ service_id = 'srv-cabc12345678' })"


@pytest.mark.slow
def test_a_plan_notes_writes_and_sends_none() -> None:
    """The answer lists them, and the structured one has them with their arguments."""

    async def conversation(client: Client) -> None:
        result = await execute(client, RESTART, mode="plan")
        assert not result.is_error, text_of(result)
        found: Any = result.structured_content
        assert found["plan"]["calls"][0]["arguments"] == {"service_id": "srv-cabc12345678"}
        assert found["calls"] == {"total": 1, "planned": 1}
        line = '- 1. write render2.restart_service [default] {"service_id":"srv-cabc12345678"}'
        assert f"Plan (nothing was sent):\n{line}" in text_of(result)
        result = await execute(client, "return 1", mode="plan")
        assert "Plan: the script writes nothing." in text_of(result)

    Agent(None, HANDSHAKE).talk(conversation)


@pytest.mark.slow
def test_a_recorded_script_pauses_and_goes_on(write: Write, tmp_path: Path) -> None:
    """Where scripts are recorded the answer has the run, which goes on where a person can be asked."""
    accounts = write("accounts.toml", "[kosmolua.recordings]\nmcp = true\n[render2.default]\n")
    state = str(tmp_path / "state")
    runs: list[str] = []

    async def pausing(client: Client) -> None:
        result = await execute(client, RESTART)
        found: Any = result.structured_content
        assert found["error"]["code"] == "paused"
        assert found["error"]["calls"][0]["path"] == "render2.restart_service"
        assert "call execute_lua with the run's id as resume" in text_of(result)
        assert f"Recorded as run {found['run']}." in text_of(result)
        runs.append(found["run"])

    async def going_on(client: Client) -> None:
        result = await client.call_tool("execute_lua", {"resume": runs[0]})
        assert not result.is_error, text_of(result)
        for wrong in ("0123456789ab", "../../accounts", runs[0][:6]):
            refused = await client.call_tool("execute_lua", {"resume": wrong})
            assert f"There is no recorded run '{wrong}'" in text_of(refused)
        for arguments in ({}, {"resume": runs[0], "code": "return 1"}):
            refused = await client.call_tool("execute_lua", arguments)
            assert "execute_lua needs" in text_of(refused)

    with http_server("--accounts", str(accounts), XDG_STATE_HOME=state) as (_, url):
        Agent(url, DISCOVERY).talk(pausing)
        person = Person("accept", allow="this call")
        Agent(url, DISCOVERY).talk(going_on, person)
    assert len(person.asked) == 1
