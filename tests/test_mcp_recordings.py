"""Plans, pauses and recordings of scripts that an agent runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from conftest import Write
from mcp import Client
from support.agents import DISCOVERY, HANDSHAKE, Agent, Person, execute, http_server, text_of
from support.serving import ACME, GLOBEX, agent, serving

from kosmolua import ConfigError, Runtime
from kosmolua.mcp.runner import plan_of
from kosmolua.stores.folder_store import Folder

TENANTS = f"""\
[tenants.acme]
token = "{ACME}"

[tenants.globex]
token = "{GLOBEX}"
"""

SCALING = """
local render = app.integrations.render2
for _, service in ipairs(render.list_services({ limit = 2, type = "web_service" }).services) do
  local now = render.get_service({ service_id = service.id }).service.serviceDetails.numInstances
  if service.id == "srv-cabc12345678" then
    render.scale_service({ service_id = service.id, num_instances = now + 1 })
  else
    render.scale_service({ service_id = service.id, num_instances = now })
  end
end
"""
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
        how = f'apply it with execute_lua({{"apply": "{found["plan"]["id"]}"}})'
        assert f"Plan {found['plan']['id']} (nothing was sent; {how}):\nrender2.restart_service" in text_of(result)
        assert '    1  service_id = "srv-cabc12345678" (checkout-api)' in text_of(result)
        result = await execute(client, "return 1", mode="plan")
        assert "Plan: 0 to create, 0 to change, 0 to destroy." in text_of(result)

    Agent(None, HANDSHAKE).talk(conversation)


@pytest.mark.slow
@pytest.mark.parametrize("era", [HANDSHAKE, DISCOVERY])
def test_a_plan_is_applied_after_one_question(write: Write, tmp_path: Path, era: str) -> None:
    """The person sees the list, and agrees to all of it, to a part, or not at all; then it is applied once."""
    accounts = write("accounts.toml", "[render2.default]\n")
    person, plans = Person("decline"), []

    async def apply(client: Client, plan: str) -> tuple[str, Any]:
        result = await client.call_tool("execute_lua", {"apply": plan})
        return text_of(result), result.structured_content

    async def conversation(client: Client) -> None:
        await client.list_tools()  # with the first answer, the server gives the client a name
        for _ in range(2):
            plans.append((await execute(client, SCALING, mode="plan")).structured_content["plan"]["id"])  # type: ignore[index]
        assert f"The plan {plans[0]} was not approved" in (await apply(client, plans[0]))[0]
        person.reply("accept")
        assert (await apply(client, plans[0]))[1]["calls"] == {"total": 5}
        assert "The plan was already applied" in (await apply(client, plans[0]))[0]
        stale, _ = await apply(client, plans[1])
        assert "(stale)" in stale
        assert "num_instances was 2 and is 3" in stale
        fresh: Any = (await execute(client, SCALING, mode="plan")).structured_content
        person.reply("accept", without="3")
        assert (await apply(client, fresh["plan"]["id"]))[1]["calls"] == {"total": 5, "planned": 1}
        assert "There is no plan 'p-00000000'" in (await apply(client, "p-00000000"))[0]

    async def another(client: Client) -> None:
        await client.list_tools()
        assert f"There is no plan '{plans[1]}'" in (await apply(client, plans[1]))[0]

    with http_server("--accounts", str(accounts), XDG_STATE_HOME=str(tmp_path / "state")) as (_, url):
        Agent(url, era).talk(conversation, person)
        Agent(url, HANDSHAKE).talk(another, person)
    asked = person.asked[0]
    assert asked.startswith(f"Apply the plan {plans[0]}?\n2 x render2.scale_service [default], writes, can be undone\n")
    assert "num_instances = 1 -> 2" in asked
    assert asked.endswith("Plan: 0 to create, 1 to change, 0 to destroy.")


@pytest.mark.slow
def test_a_plan_of_another_client_is_not_to_be_had(tmp_path: Path) -> None:
    """It is as if there were none."""

    async def talk() -> None:
        async with agent(server.url, ACME) as client:
            result = await execute(client, RESTART, mode="plan")
            plan = result.structured_content["plan"]["id"]  # type: ignore[index]
        person = Person("accept")
        async with agent(server.url, GLOBEX, elicitation_callback=person) as client:
            refused = await client.call_tool("execute_lua", {"apply": plan})
            assert f"There is no plan '{plan}'" in text_of(refused)
        async with agent(server.url, ACME, elicitation_callback=person) as client:
            applied = await client.call_tool("execute_lua", {"apply": plan})
            assert not applied.is_error, text_of(applied)
        assert len(person.asked) == 1

    with serving(tmp_path, TENANTS, "--simulate") as server:
        anyio.run(talk)


def test_a_plan_of_the_command_line_is_not_to_be_had_over_http(tmp_path: Path) -> None:
    """A client with a name has its own plans alone; those without a client are for the person's own process."""
    with Runtime(simulate=True, store=Folder(tmp_path)) as runtime:
        plan = runtime.plan(RESTART)
        runtime.plans.keep(plan)
        assert plan_of(runtime, plan.id, None).id == plan.id
        with pytest.raises(ConfigError, match="There is no plan"):
            plan_of(runtime, plan.id, "address 127.0.0.1 0a1b2c3d agent")


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
        assert f"approve them with kosmolua resume {found['run']} --approve." in text_of(result)
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
