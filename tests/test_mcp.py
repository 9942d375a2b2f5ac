"""The MCP server as the SDK's own client finds it, over both transports and in both eras of the protocol."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult
from support.agents import DISCOVERY, HANDSHAKE, Agent, Person, execute, http_server, open_client, text_of
from support.processes import descendants, in_time, is_running, linux_only
from support.rounds import rounds

from kosmolua.mcp.executions import MIN_SILENCE
from kosmolua.mcp.questions import EACH, THESE

SEED = Path(__file__).parent.parent.parent / "shared" / "seed" / "render2-lua-reference.txt"
SUSPEND = "return app.integrations.render2.suspend_service('srv-cabc12345678')"
SUSPEND_TWICE = """
local render, ended = app.integrations.render2, {}
for turn = 1, 2 do
  ended[turn] = pcall(render.suspend_service, 'srv-cabc12345678')
end
return ended
"""
EVERY = "every call of this function in this script"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with http_server() as (_, url):
        yield url


def agent_of(request: pytest.FixtureRequest) -> Agent:
    transport, era = request.param
    return Agent(request.getfixturevalue("url") if transport == "http" else None, era)


@pytest.fixture(params=[("http", DISCOVERY), ("stdio", HANDSHAKE)][: rounds(1, 2)], ids="-".join)
def agent(request: pytest.FixtureRequest) -> Agent:
    """What differs between neither transports nor eras is tested with one of each."""
    return agent_of(request)


EACH_WAY = [("stdio", HANDSHAKE), ("http", DISCOVERY), ("stdio", DISCOVERY), ("http", HANDSHAKE)]


@pytest.fixture(params=EACH_WAY[: rounds(2, 4)], ids="-".join)
def any_agent(request: pytest.FixtureRequest) -> Agent:
    return agent_of(request)


@pytest.fixture(params=[("http", HANDSHAKE), ("http", DISCOVERY)], ids="-".join)
def web_agent(request: pytest.FixtureRequest) -> Agent:
    """What differs between eras only is tested over the transport that starts no process."""
    return agent_of(request)


# Documentation


@pytest.mark.slow
def test_docs_are_listed_searched_and_read(agent: Agent) -> None:
    """The three tools of the documentation lead from nothing to the page of a function."""

    async def conversation(client: Client) -> None:
        listed = text_of(await client.call_tool("lua_list_docs"))
        assert "`overview`" in listed
        assert "`integrations.render2`" in listed
        found = text_of(await client.call_tool("lua_search_docs", {"query": "failed deploy", "limit": 3}))
        assert "integrations.render2.list_deploys" in found
        page = text_of(await client.call_tool("lua_read_doc", {"page": "render2.list_deploys"}))
        assert page.startswith("# app.integrations.render2.list_deploys")

    agent.talk(conversation)


@pytest.mark.slow
def test_a_wrong_page_is_a_result_with_suggestions(web_agent: Agent) -> None:
    """A page that is not there is an error that the model sees, with the pages that it may have meant."""

    async def conversation(client: Client) -> None:
        result = await client.call_tool("lua_read_doc", {"page": "render2.list_deploy"})
        assert result.is_error
        assert "integrations.render2.list_deploys" in text_of(result)

    web_agent.talk(conversation)


@pytest.mark.slow
def test_a_page_keeps_to_its_budget(web_agent: Agent) -> None:
    """A budget gives the richest detail that fits; without one a page is no longer than the usual budget."""

    async def conversation(client: Client) -> None:
        small = text_of(await client.call_tool("lua_read_doc", {"page": "render2", "budget": 2000}))
        usual = text_of(await client.call_tool("lua_read_doc", {"page": "render2"}))
        assert len(small) <= 2000 < len(usual) <= 20_000
        assert "left out" in small

    web_agent.talk(conversation)


@pytest.mark.slow
def test_pages_are_resources(agent: Agent) -> None:
    """Guides and integrations are listed as resources, and any page can be read by the template's URI."""

    async def conversation(client: Client) -> None:
        listed = {resource.uri for resource in (await client.list_resources()).resources}
        assert {"kosmolua://docs/overview", "kosmolua://docs/integrations.render2"} <= listed
        template = (await client.list_resource_templates()).resource_templates[0]
        uri = template.uri_template.replace("{page}", "integrations.render2.list_jobs")
        (page,) = (await client.read_resource(uri)).contents
        assert page.mime_type == "text/markdown"
        assert page.model_dump()["text"].startswith("# app.integrations.render2.list_jobs")
        for wrong in ("kosmolua://docs/overvieww", "file:///etc/passwd"):
            with pytest.raises(MCPError, match=r"There is no (page|resource)"):
                await client.read_resource(wrong)

    agent.talk(conversation)


@pytest.mark.slow
def test_the_prompt_has_what_a_model_needs(web_agent: Agent) -> None:
    """write_script carries the task, the overview and the signatures of the integration that it is about."""

    async def conversation(client: Client) -> None:
        (prompt,) = (await client.list_prompts()).prompts
        given = {"task": "List the failed deploys.", "integration": "render2"}
        filled = await client.get_prompt(prompt.name, given)
        text = filled.messages[0].content.model_dump()["text"]
        for part in ("List the failed deploys.", "execute_lua", "# Overview", "list_deploys("):
            assert part in text
        with pytest.raises(MCPError, match="needs the argument task"):
            await client.get_prompt(prompt.name, {"task": " "})

    web_agent.talk(conversation)


# Running


def seed_scripts() -> list[str]:
    if not SEED.exists():
        pytest.skip("the seed file is not in this checkout")
    raw = SEED.read_text(encoding="utf-8").partition("Raw agent markdown")[2]
    return [block.partition("```")[0] for block in raw.split("```lua\n")[1:]]


@pytest.mark.slow
@pytest.mark.parametrize("era", [HANDSHAKE, DISCOVERY])
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_the_scripts_of_the_seed_run(transport: str, era: str) -> None:
    """Every script of the seed's page runs against the simulator; the one that writes has --yes from a person."""

    async def conversation(client: Client) -> None:
        for script in scripts:
            result = await execute(client, script)
            assert not result.is_error, text_of(result)
            assert result.structured_content["calls"]["total"]

    scripts = seed_scripts()
    assert len(scripts) > 7
    with http_server() if transport == "http" else nullcontext((None, None)) as (_, url):
        Agent(url, era).talk(conversation, Person("accept"))


@pytest.mark.slow
def test_an_answer_has_text_and_structure(agent: Agent) -> None:
    """The text has result, output, facts and calls; the structured content has the result, the error, and counts."""

    async def conversation(client: Client) -> None:
        code = "print('hello', ...) return #app.integrations.render2.list_services({limit = 3}).services, {a = {}}"
        result = await execute(client, code, args=["you"])
        assert text_of(result).startswith("Result:\n3\n{")
        assert "Output:\nhello\tyou" in text_of(result)
        assert text_of(result).endswith(": 3 items, and there are more")
        outcome = result.structured_content
        assert outcome.keys() == {"result", "calls"}
        assert outcome["calls"] == {"total": 1}
        assert outcome["result"][0] == 3

    agent.talk(conversation)


@pytest.mark.slow
def test_a_fault_is_a_result_that_the_model_sees(agent: Agent) -> None:
    """A fault of Lua, of a call and of the syntax are error results with line and message, never protocol errors."""

    async def conversation(client: Client) -> None:
        fault = await execute(client, "print('before')\nlocal t = tonumber('x')\nreturn t.x")
        assert fault.is_error
        assert text_of(fault).startswith("Error in line 3: attempt to index a nil value")
        assert "Output:\nbefore" in text_of(fault)
        call = await execute(client, "app.integrations.render2.list_services({limt = 5})")
        assert call.structured_content["error"]["code"] == "check"
        assert "did you mean 'limit'?" in text_of(call)
        assert "nothing was sent" in text_of(call)
        assert (await execute(client, "return (")).structured_content["error"]["line"] == 1

    agent.talk(conversation)


@pytest.mark.slow
def test_a_limit_ends_the_script_and_says_how_to_go_on(agent: Agent) -> None:
    """A call can lower a limit; the answer says that the call itself set it, and how high it may be."""

    async def conversation(client: Client) -> None:
        result = await execute(client, "print('so far') while true do print('x') end", max_output=1000)
        assert result.is_error
        assert result.structured_content["error"]["limit"] == "output"
        assert "The tool call itself set max_output; it can be as high as" in text_of(result)
        assert "so far" in text_of(result)

    agent.talk(conversation)


@pytest.mark.slow
def test_no_argument_raises_a_limit(web_agent: Agent) -> None:
    """A limit above the host's, or one that is no number above 0, is refused before anything runs."""

    async def refusal(client: Client, **limits: float) -> str:
        try:
            result = await execute(client, "return 1", **limits)
        except MCPError as error:  # a client of 2026-07-28 is told that so long a script is a task
            return str(error)
        assert result.is_error
        return text_of(result)

    async def conversation(client: Client) -> None:
        for limits in ({"timeout": 121}, {"memory": 10**12}, {"max_calls": 1001}, {"cpu": 0}, {"max_output": -1}):
            assert next(iter(limits)) in await refusal(client, **limits)

    web_agent.talk(conversation)


@pytest.mark.slow
def test_wrong_arguments_are_results_with_suggestions(web_agent: Agent) -> None:
    """An argument that is unknown, missing or of another type is an error result; an unknown tool is none."""

    async def conversation(client: Client) -> None:
        wrong = [
            ({"code": "return 1", "timout": 5}, "did you mean 'timeout' or 'call_timeout'?"),
            ({}, "execute_lua needs code"),
            ({"code": 5}, "code must be a string, not 5"),
            (
                {"code": "return 1", "mode": "write"},
                "mode must be one of 'run', 'read_only', 'plan', not \"write\" (a string)",
            ),
        ]
        for arguments, said in wrong:
            result = await client.call_tool("execute_lua", arguments)
            assert result.is_error
            assert said in text_of(result)
        with pytest.raises(MCPError, match="did you mean 'execute_lua'"):
            await client.call_tool("execute_luaa", {})

    web_agent.talk(conversation)


@pytest.mark.slow
def test_twenty_scripts_run_at_once(any_agent: Agent) -> None:
    """Twenty scripts, each waiting for a call, run at once over one connection and stay apart."""

    async def conversation(client: Client) -> None:
        async def run(number: int) -> None:
            code = f"x = (x or 0) + {number} app.integrations.render2.get_current_user() return x"
            results[number] = (await execute(client, code)).structured_content["result"]

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(run, number)

    results: dict[int, list[int]] = {}
    any_agent.talk(conversation)
    assert results == {number: [number] for number in range(20)}


@pytest.mark.slow
def test_five_megabytes_are_cut_to_the_budget(agent: Agent) -> None:
    """A result of 5 MB is cut by structure: still JSON of the same shape, small values whole, what is gone is said."""
    code = """
    local rows = {}
    for index = 1, 50000 do rows[index] = { id = 'srv-' .. index, name = ('x'):rep(80) } end
    return { services = rows, cursor = 'next' }"""

    async def conversation(client: Client) -> None:
        for budget in (20_000, 6_000):
            result = await execute(client, code, budget=budget)
            outcome = result.structured_content
            assert len(text_of(result)) <= budget
            assert len(json.dumps(outcome, separators=(",", ":"))) <= budget
            (page,) = outcome["result"]
            assert page["cursor"] == "next"
            assert page["services"][0] == {"id": "srv-1", "name": "x" * 80}
            (note,) = outcome["left_out"]["parts"]
            assert note == f"result[1].services: {50_000 - len(page['services']):,} of 50,000 items"
            assert note in text_of(result)
            assert "select fields, filter, count or page inside the script" in outcome["left_out"]["hint"]

    agent.talk(conversation)


@pytest.mark.slow
def test_what_was_cut_can_be_read_on(any_agent: Agent) -> None:
    """The whole answer is kept under the page that the answer names, so that no script runs twice to be read whole."""
    code = """
    for line = 1, 3000 do print(line .. ' ' .. ('x'):rep(20)) end
    return app.integrations.render2.get_current_user().email"""

    async def conversation(client: Client) -> None:
        result = await execute(client, code, budget=4_000)
        assert 'read the whole answer with lua_read_doc, page "run:' in text_of(result)
        page = text_of(result).rpartition('page "')[2].partition('"')[0]
        read, offset, more = "", 0, True
        while more:
            part = text_of(await client.call_tool("lua_read_doc", {"page": page, "offset": offset, "budget": 30_000}))
            part, more, hint = part.partition("\n\n[Characters ")
            read += part
            offset = int(hint.rstrip("]").rpartition(" ")[2]) if more else offset
        for number in range(1, 3001):
            assert f"\n{number} " + "x" * 20 in read
        assert read.startswith("Result:\n")
        beyond = await client.call_tool("lua_read_doc", {"page": page, "offset": "1000000"})
        assert "so nothing is at offset 1,000,000" in text_of(beyond)
        wrong = await client.call_tool("lua_read_doc", {"page": "run:never"})
        assert "only the last few answers that were cut are kept" in text_of(wrong)
        other = await client.call_tool("lua_read_doc", {"page": "overview", "offset": 5})
        assert "offset is only for an answer that was cut, such as run:last" in text_of(other)

    any_agent.talk(conversation)


@pytest.mark.slow
def test_a_long_result_is_a_resource_and_the_next_scripts_input(agent: Agent) -> None:
    """A script gets the result of another by its page, and a client reads it by its link."""

    async def conversation(client: Client) -> None:
        rows = "local t = {} for i = 1, 999 do t[i] = { id = i, name = 'row' } end return t"
        first = await client.call_tool("execute_lua", {"code": rows})
        (link,) = [part for part in first.content if part.type == "resource_link"]
        (found,) = (await client.read_resource(link.uri)).contents
        assert json.loads(found.text)[0][998] == {"id": 999, "name": "row"}
        page = "run:" + link.uri.rpartition("/")[2]
        second = await client.call_tool("execute_lua", {"code": "return #input, input[7].id", "input": page})
        assert second.structured_content["result"] == [999, 7]
        gone = await client.call_tool("execute_lua", {"code": "return 1", "input": "run:0123456789abcdef"})
        assert gone.is_error
        assert "There is no kept answer" in gone.content[0].text

    agent.talk(conversation)


@pytest.mark.slow
def test_a_header_gets_its_params(web_agent: Agent) -> None:
    """Parameters of a header are checked, and have their defaults."""
    code = "--- Counts.\n---@param days integer How many days (default: 7)\nreturn params.days"

    async def conversation(client: Client) -> None:
        given = await client.call_tool("execute_lua", {"code": code, "params": {"days": 9}})
        assert given.structured_content["result"] == [9]
        usual = await client.call_tool("execute_lua", {"code": code})
        assert usual.structured_content["result"] == [7]
        wrong = await client.call_tool("execute_lua", {"code": code, "params": {"day": 9}})
        assert wrong.is_error

    web_agent.talk(conversation)


@pytest.mark.slow
def test_one_client_does_not_read_what_another_was_told(url: str) -> None:
    """run:last is a client's own, and the page of one is not there for another."""

    async def main() -> None:
        async with open_client(url, DISCOVERY) as first, open_client(url, DISCOVERY) as second:
            for client in (first, second):
                await execute(client, "return 1")
            await execute(first, "print(('secret '):rep(5000))", budget=4_000)
            assert "secret" in text_of(await first.call_tool("lua_read_doc", {"page": "run:last"}))
            assert "There is no kept answer" in text_of(await second.call_tool("lua_read_doc", {"page": "run:last"}))

    anyio.run(main)


@pytest.mark.slow
def test_a_result_of_another_session_is_nobodys_own_word() -> None:
    """A script whose destination stands in what another session was told is asked about, which a client may not do."""
    create = "return app.integrations.github.create_issue({ repo = input[1] .. '/rocket', title = 'Hello' })"

    async def main(url: str) -> None:
        async with open_client(url, HANDSHAKE) as first, open_client(url, HANDSHAKE) as second:
            told = await execute(first, "local t = {} for i = 1, 999 do t[i] = 'mallory-inc' end return t")
            (link,) = [part for part in told.content if part.type == "resource_link"]
            done = await execute(second, create, input=link.name)
            assert (
                "mallory-inc/rocket was put together by the script, after a text that others write: the page run:"
                in text_of(done)
            )

    with http_server("--yes") as (_, url):
        anyio.run(main, url)


@pytest.mark.slow
def test_many_calls_make_no_long_answer(web_agent: Agent) -> None:
    """A script with 300 calls that prints one word is answered in under 3,000 characters, all that is sent counted."""

    async def conversation(client: Client) -> None:
        code = "for _ = 1, 300 do app.integrations.render2.get_current_user() end print('done')"
        result = await execute(client, code)
        assert "Output:\ndone" in text_of(result)
        assert result.structured_content["calls"] == {"total": 300}
        assert len(result.model_dump_json()) < 3_000

    web_agent.talk(conversation)


@pytest.mark.slow
def test_the_server_says_what_it_reaches(agent: Agent) -> None:
    """Instructions and the tool that runs scripts name integrations, accounts, and that all of it is simulated."""

    async def conversation(client: Client) -> None:
        (tool,) = (tool for tool in (await client.list_tools()).tools if tool.name == "execute_lua")
        for text in filter(None, (tool.description, client.instructions)):
            for part in ("on Render", "on GitHub", "accounts default, production, staging", "simulated (--simulate)"):
                assert part in text

    agent.talk(conversation)


@pytest.mark.slow
def test_progress_is_told_while_calls_run(any_agent: Agent) -> None:
    """A client that wants to know hears of the calls while they run, in numbers that only grow."""

    async def conversation(client: Client) -> None:
        async def hear(progress: float, total: float | None, message: str | None) -> None:
            heard.append((progress, message))

        code = """
        local until_then = os.clock() + 0.5
        while os.clock() < until_then do app.integrations.render2.get_current_user() end"""
        await client.call_tool("execute_lua", {"code": code, "max_calls": 1000}, progress_callback=hear)

    heard: list[tuple[float, str | None]] = []
    started = time.monotonic()
    any_agent.talk(conversation)
    assert "render2.get_current_user [default]" in str(heard[-1][1])
    assert 2 <= len(heard) <= 2 + (time.monotonic() - started) / MIN_SILENCE
    assert [progress for progress, _ in heard] == sorted({progress for progress, _ in heard})


# Approvals


@pytest.mark.slow
def test_a_write_that_a_person_allows_is_made(any_agent: Agent) -> None:
    """The person sees function, account and arguments; yes lets the call be made."""

    async def conversation(client: Client) -> None:
        result = await execute(client, SUSPEND)
        assert not result.is_error, text_of(result)
        assert result.structured_content["calls"] == {"total": 1}

    person = Person("accept", allow="this call")
    any_agent.talk(conversation, person)
    (message,) = person.asked
    assert message.splitlines() == [
        "A script wants to write with render2.suspend_service, account default.",
        "Stop a service without deleting it; it answers no requests until it is resumed.",
        'service_id = "srv-cabc12345678" (checkout-api)',
    ]


@pytest.mark.slow
def test_a_write_that_a_person_declines_is_refused(any_agent: Agent) -> None:
    """No is an error result that says so, and nothing is sent; the next such call is asked about again."""

    async def conversation(client: Client) -> None:
        result = await execute(client, SUSPEND)
        assert result.is_error
        assert result.structured_content["error"]["code"] == "denied"
        assert "it was not approved. Nothing was sent." in text_of(result)
        assert (await execute(client, SUSPEND_TWICE)).structured_content["result"] == [[False, False]]

    person = Person("decline")
    any_agent.talk(conversation, person)
    assert len(person.asked) == 3


@pytest.mark.slow
def test_a_long_call_is_shown_whole(any_agent: Agent) -> None:
    """A person who asks for the rest is shown it, however long the arguments, and the call is made after that."""
    code = """
    local value = ('a'):rep(5000) .. ' hidden ' .. ('b'):rep(5000)
    return app.integrations.render2.set_env_var({ service_id = 'srv-cabc12345678', key = 'K', value = value }) ~= nil"""

    async def conversation(client: Client) -> None:
        result = await execute(client, code)
        assert result.structured_content["calls"]["total"] == 1, text_of(result)

    person = Person("accept")
    any_agent.talk(conversation, person)
    assert len(person.asked) == 3
    assert " hidden " in "".join(message.partition("\n")[2] for message in person.asked)


@pytest.mark.slow
def test_without_elicitation_a_refusal_says_what_to_change(any_agent: Agent) -> None:
    """Where the client can ask nobody, the model is told the option and the line that would allow the call."""

    async def conversation(client: Client) -> None:
        result = await execute(client, SUSPEND)
        assert result.is_error
        for part in (
            "--yes",
            'permissions = { write = "allow" }',
            "[render2.default]",
            "Only the user can change that",
        ):
            assert part in text_of(result)

    any_agent.talk(conversation)


@pytest.mark.slow
def test_yes_to_every_call_is_asked_once(web_agent: Agent) -> None:
    """A person can allow a function for the rest of the script, but not beyond it."""

    async def conversation(client: Client) -> None:
        assert (await execute(client, SUSPEND_TWICE)).structured_content["result"] == [[True, True]]
        assert len(person.asked) == 1
        await execute(client, SUSPEND)
        assert len(person.asked) == 2

    person = Person("accept", allow=EVERY)
    web_agent.talk(conversation, person)


@pytest.mark.slow
def test_a_dismissed_question_ends_the_asking(web_agent: Agent) -> None:
    """Who closes the form without an answer is not asked again by this script."""

    async def conversation(client: Client) -> None:
        assert (await execute(client, SUSPEND_TWICE)).structured_content["result"] == [[False, False]]

    person = Person("cancel")
    web_agent.talk(conversation, person)
    assert len(person.asked) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("allow", "questions"), [(THESE, 1), (EACH, 4), ("", 1)])
def test_branches_ask_together(web_agent: Agent, allow: str, questions: int) -> None:
    """Writes in parallel branches are one question with a list; the person may have each asked about instead."""
    code = """
    local render = app.integrations.render2
    local ids = { 'srv-cabc12345678', 'srv-cabc12345678', 'srv-cabc12345678' }
    return parallel.map(ids, function(id) return render.suspend_service(id).accepted end)"""

    async def conversation(client: Client) -> None:
        assert (await execute(client, code)).structured_content["result"] == [[True, True, True]]

    person = Person("accept", **({"allow": allow} if allow else {}))
    web_agent.talk(conversation, person)
    assert len(person.asked) == questions
    sentence = "Stop a service without deleting it; it answers no requests until it is resumed."
    row = 'service_id = "srv-cabc12345678" (checkout-api)'
    assert person.asked[0].splitlines() == [
        "A script wants to make 3 calls.",
        f"write with render2.suspend_service, account default: {sentence}",
        *(f"{number}. {row}" for number in (1, 2, 3)),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_branches_that_are_declined_together(web_agent: Agent, action: str) -> None:
    """One no is a no to all that wait."""
    code = """
    local render = app.integrations.render2
    local codes = parallel.map({ 1, 2, 3 }, function()
      local _, err = pcall(render.delete_service, 'srv-cabc12345678')
      return err.code
    end)
    return codes"""

    async def conversation(client: Client) -> None:
        result = await execute(client, code)
        assert result.structured_content["result"] == [["denied"] * 3]

    person = Person(action)
    web_agent.talk(conversation, person)
    (message,) = person.asked
    assert "render2.delete_service, account default, which CANNOT BE UNDONE: the service is gone, " in message


@pytest.mark.slow
def test_read_only_denies_without_asking(web_agent: Agent) -> None:
    """Mode read_only denies a write whatever a person would say, and the answer names the mode."""

    async def conversation(client: Client) -> None:
        result = await execute(client, SUSPEND, mode="read_only")
        assert result.structured_content["error"]["code"] == "denied"
        assert 'The script ran with mode "read_only"' in text_of(result)

    person = Person("accept")
    web_agent.talk(conversation, person)
    assert not person.asked


@pytest.mark.slow
def test_a_person_may_think_for_longer_than_the_script_may_run(web_agent: Agent) -> None:
    """The clock of the script stands still meanwhile, and goes on afterwards."""

    def is_allowed_to(seconds: float) -> bool:
        async def think(*_: object) -> ElicitResult:
            await anyio.sleep(1.2 * seconds)
            return ElicitResult(action="accept")

        async def conversation(client: Client) -> None:
            result = await execute(client, SUSPEND.removeprefix("return ") + " while true do end", timeout=seconds)
            assert result.structured_content["error"]["limit"] == "wall"
            counts.append(result.structured_content["calls"])

        counts: list[dict[str, int]] = []
        web_agent.talk(conversation, think)  # type: ignore[arg-type]
        return counts == [{"total": 1}]

    assert in_time(is_allowed_to, 0.4)


# Cancellation


@pytest.mark.slow
@linux_only
@pytest.mark.parametrize("era", [HANDSHAKE, DISCOVERY])
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_cancelling_a_call_kills_its_script(era: str, transport: str, tmp_path: Path) -> None:
    """A client that cancels ends the script at once: its process is gone, and the server goes on."""
    journal = tmp_path / "journal"
    endless = "while true do pcall(app.integrations.render2.get_current_user) end"
    options = ("--journal", str(journal), "--max-calls", "1000000")

    async def conversation(client: Client) -> None:
        await execute(client, "return 1")
        before = descendants(os.getpid())
        async with anyio.create_task_group() as group:
            group.start_soon(execute, client, endless)
            while not (journal.exists() and journal.stat().st_size):
                await anyio.sleep(0.02)
            workers = descendants(os.getpid()) - before
            group.cancel_scope.cancel()
        assert workers
        while any(map(is_running, workers)):
            await anyio.sleep(0.02)
        assert (await execute(client, "return 1")).structured_content["result"] == [1]

    with http_server(*options) if transport == "http" else nullcontext((None, None)) as (_, url):
        Agent(url, era, *options).talk(conversation)
