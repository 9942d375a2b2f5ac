"""What an agent finds out by itself: integrations and what they are for, scripts for a task, completions, the skill."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import pytest
from conftest import Program
from mcp import Client
from mcp_types import PaginatedRequestParams, PromptReference, ResourceTemplateReference
from support.documents import shared

from kosmolua import Runtime, __version__
from kosmolua.errors import ConfigError, DocNotFound
from kosmolua.mcp.recipes import MAX_RECIPE, recipe
from kosmolua.mcp.server import Handlers
from kosmolua.mcp.skills import URI, GetSkillParams
from kosmolua.mcp.tools import MAX_LISTED, script_tools
from kosmolua.mcp_client.cards import Cards
from kosmolua.mcp_client.settings import identity
from kosmolua.plugin import Integration
from kosmolua.schema.settings import parse

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
TASKS = {
    "restart the service called checkout-api": "restart_service",
    "list the newest deploys of a service": "list_deploys",
    "create an issue about a failed deploy": "create_issue",
    "scale a service to three instances": "scale_service",
    "set an environment variable of a service": "set_env_var",
    "which disks does the account have": "list_disks",
    "who am I logged in as": "get_current_user",
    "my web app is down, what was deployed last": "list_deploys",
}


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime(os.devnull, simulate=True, environ={}) as runtime:
        yield runtime


def served(runtime: Runtime, conversation: Callable[[Client, Handlers], Awaitable[None]]) -> None:
    """Hold a conversation with a server in this process."""

    async def hold() -> None:
        handlers = Handlers(runtime, read_only=False, simulated=True, watch=lambda event: None)
        async with Client(handlers.server()) as client:
            await conversation(client, handlers)
        handlers.close()

    anyio.run(hold)


@pytest.mark.parametrize(("task", "function"), TASKS.items())
def test_a_task_is_answered_with_a_script_that_passes_the_check(runtime: Runtime, task: str, function: str) -> None:
    """The answer is short, has the function that is meant first, and its script can be begun from."""
    answer = recipe(runtime, task)
    assert len(answer) <= MAX_RECIPE
    script = answer.partition("```lua\n")[2].partition("\n```")[0]
    assert f".{function}`" in answer.split("\n- ")[1]
    assert f".{function}(" in script
    assert len(script.splitlines()) <= 10
    assert [each for each in runtime.checker().check(script).findings if each.severity == "error"] == []


def test_an_id_comes_from_the_function_that_lists_it(runtime: Runtime) -> None:
    """A script does not begin with an id that nobody has."""
    script = recipe(runtime, "restart the service called checkout-api")
    assert "api.list_services({ all = true })" in script
    assert "restart_service({ service_id = service.id })" in script


@pytest.mark.parametrize("query", ["services", "failed deploy", "how does parallel work in scripts"])
def test_what_is_no_task_for_a_function_is_a_search_for_pages(runtime: Runtime, query: str) -> None:
    """Guides and single words are found as before."""
    assert recipe(runtime, query) == ""


def test_search_answers_a_task_over_the_protocol(runtime: Runtime) -> None:
    """Without a limit a task has a script; with one there is the list of pages."""

    async def conversation(client: Client, _: Handlers) -> None:
        asked = {"query": "restart the service called checkout-api"}
        assert "```lua" in str((await client.call_tool("lua_search_docs", asked)).content)
        pages = await client.call_tool("lua_search_docs", {**asked, "limit": 2})
        assert "2 pages for" in str(pages.content)

    served(runtime, conversation)


def test_a_text_that_is_no_page_is_an_input_like_any_other(runtime: Runtime) -> None:
    """Only one word after run: names a result; what is kept no longer is an error."""

    async def conversation(client: Client, _: Handlers) -> None:
        text = await client.call_tool("execute_lua", {"code": "return input", "input": "run: as fast as you can"})
        assert (text.structured_content or {})["result"] == ["run: as fast as you can"]
        gone = await client.call_tool("execute_lua", {"code": "return input", "input": "run:0123"})
        assert gone.is_error

    served(runtime, conversation)


# Many services

WANTED = {
    "Tell the on-call channel that the checkout is down": "integrations.slack",
    "Give the customer with the email ann@example.com her money back": "integrations.stripe",
    "Text the customer's phone that the parcel is on its way": "integrations.twilio",
    "Roll the checkout app back to the version before": "integrations.render2",
    "Which pull requests wait for a review for more than a week": "integrations.github",
    "Add a page with the notes of today's meeting to the wiki": "integrations.notion",
    "Which subscriptions were cancelled this month": "integrations.stripe",
    "Put the new database password into the environment of the staging app": "integrations.render2",
    "Open a bug about the crash in the login form": "integrations.github",
    "Who is in the marketing channel": "integrations.slack",
    "Read the configuration file config/app.yaml": "mcp.files",
    "How many orders were made yesterday, from the sales tables": "mcp.warehouse",
    "Call the supplier's phone number and play the message": "integrations.twilio",
    "Create an invoice for the consulting hours of March": "integrations.stripe",
    "Why did last night's deployment of the website fail": "integrations.render2",
    "Rerun the failed checks of the last commit": "integrations.github",
    "Add a row to the table of job candidates in our workspace's database page": "integrations.notion",
    "Pin the announcement in the general channel": "integrations.slack",
    "Save the report as a text file in the folder reports": "mcp.files",
    "Scale the API to four instances before the sale begins": "integrations.render2",
}
"""Tasks that do not name the service, which an agent finds by itself."""
ACCOUNTS = """
[render2.production]
api_key = "rnd_0123456789abcdef"

[render2.staging]
api_key = "rnd_0123456789abcdeg"

[github.work]
token = "ghp_0123456789abcdef0123456789abcdef0123"

[mcp.files]
command = "npx"
args = ["-y", "@modelcontextprotocol/server-filesystem", "/srv/notes"]

[mcp.warehouse]
command = "uvx"
args = ["mcp-server-sqlite"]
"""
TOOLS = {
    "files": {
        "read_text_file": "Read the complete contents of a file from the file system as text.",
        "write_file": "Create a new file or completely overwrite an existing file with new content.",
        "list_directory": "Get a detailed listing of all files and directories in a specified path.",
        "search_files": "Recursively search for files and directories matching a pattern.",
        "move_file": "Move or rename files and directories.",
    },
    "warehouse": {
        "read_query": "Execute a SELECT query on the sales database and return the rows.",
        "list_tables": "List the tables of the sales database.",
        "describe_table": "Get the columns of a table.",
    },
}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A runtime with two services of the package, four of documents, and two MCP servers, none of which is started."""
    folder = tmp_path_factory.mktemp("many")
    accounts = folder / "accounts.toml"
    accounts.write_text(ACCOUNTS)
    accounts.chmod(0o600)
    plugins = []
    for name in ("notion", "slack", "stripe", "twilio"):
        plugins.append(folder / f"{name}.openapi.json")
        plugins[-1].symlink_to(shared(f"{name}.json"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        for server, tools in TOOLS.items():
            section = parse(accounts)["mcp"][server]
            schema = {"type": "object", "properties": {"path": {"type": "string"}}}
            listed = [{"name": name, "description": about, "inputSchema": schema} for name, about in tools.items()]
            Cards().write(server, identity(section), {"server": {"name": server}, "tools": listed})
        with Runtime(accounts, simulate=True, plugins=plugins, environ={}) as runtime:
            runtime.docs.find("a task")
            yield runtime


def owners_in(answer: str) -> list[str]:
    """Return the integrations whose functions an answer names, in their order."""
    return [*dict.fromkeys(re.findall(r"((?:integrations|mcp)\.\w+)\.\w+", answer))]


def test_a_task_leads_to_its_service_without_naming_it(many: Runtime) -> None:
    """The first answer has a function of it, and in most cases this is the first one."""
    asked: dict[str, list[str]] = {}

    async def conversation(client: Client, _: Handlers) -> None:
        for task in WANTED:
            answer = await client.call_tool("lua_search_docs", {"query": task})
            asked[task] = owners_in(str(answer.content))

    served(many, conversation)
    missed = {task: owners for task, owners in asked.items() if WANTED[task] not in owners}
    assert len(missed) <= 1, missed
    assert sum(owners[:1] == [WANTED[task]] for task, owners in asked.items()) >= 16, asked


def test_the_instructions_name_each_service(many: Runtime) -> None:
    """Of an MCP server they say what its tools are."""
    instructions = Handlers(many, read_only=False, simulated=False, watch=lambda event: None).server().instructions
    assert instructions
    wanted = {owner.removeprefix("integrations.") for owner in WANTED.values()}
    assert wanted <= {*re.findall(r"([\w.]+) \(", instructions)}
    assert "mcp.files (read_text_file, write_file, list_directory, search_files and 1 more" in instructions


@pytest.mark.slow
def test_an_account_is_named_where_there_is_no_default(many: Runtime) -> None:
    """The instructions ask for it, and the script to begin with has one."""
    instructions = Handlers(many, read_only=False, simulated=False, watch=lambda event: None).server().instructions
    assert "accounts production, staging, name one" in (instructions or "")
    answer = recipe(many, "restart the service called checkout-api")
    assert "local api = app.integrations.render2.production\n" in answer


def test_many_integrations_still_say_what_they_are_for() -> None:
    """Before only their names are left, each has a few whole words, and all fits."""
    many = [Integration(f"service_{number}", _Account, about=f"Purpose {number} of many.") for number in range(60)]
    many.append(Integration("hub", _Account, about="Repositories, issues, pull requests, workflow runs and files."))
    for each in many:
        each.reads(_list_all)
    with Runtime({}, plugins=many, environ={}) as runtime:
        handlers = Handlers(runtime, read_only=False, simulated=False, watch=lambda event: None)
        instructions = handlers.server().instructions or ""
        assert "service_29 (Purpose 29 of many" in instructions
        assert "hub (Repositories, issues, pull requests, ...)" in instructions
        assert len(instructions) <= MAX_LISTED


@dataclass(frozen=True)
class _Account:
    """No settings."""

    def open(self, send: Any) -> None: ...


def _list_all(_: Any, /) -> list[str]:
    """List all."""
    return []


@pytest.mark.parametrize(
    ("ref", "argument", "typed", "found"),
    [
        ("page", "page", "over", ["overview"]),
        ("page", "page", "integrations.render2.list_ser", ["integrations.render2.list_services"]),
        ("page", "page", "integrations.git", ["integrations.github"]),
        ("prompt", "integration", "rend", ["render2"]),
        ("prompt", "task", "rend", []),
        ("other", "id", "", []),
    ],
)
def test_arguments_are_completed(runtime: Runtime, ref: str, argument: str, typed: str, found: list[str]) -> None:
    """Pages with functions for the URI of a page, integrations for the prompt."""
    uri = "kosmolua://docs/{page}" if ref == "page" else "kosmolua://runs/{id}"
    reference: Any = ResourceTemplateReference(uri=uri) if ref != "prompt" else PromptReference(name="write_script")

    async def conversation(client: Client, _: Handlers) -> None:
        done = await client.complete(reference, {"name": argument, "value": typed})
        assert [each for each in done.completion.values if each.startswith(found[0] if found else "")][:1] == found

    served(runtime, conversation)


def test_accounts_are_completed_after_their_integration(runtime: Runtime) -> None:
    """A typed integration offers its accounts."""

    async def conversation(client: Client, _: Handlers) -> None:
        done = await client.complete(PromptReference(name="write_script"), {"name": "integration", "value": "render2"})
        assert {"render2", "render2.default", "render2.staging"} <= {*done.completion.values}

    served(runtime, conversation)


def test_the_skill_is_a_resource_with_a_list_of_its_own(runtime: Runtime) -> None:
    """It names the integrations, is short, and its digest is that of the text that is read."""

    async def conversation(client: Client, handlers: Handlers) -> None:
        (contents,) = (await client.read_resource(URI)).contents
        text = contents.model_dump()["text"]
        assert text.startswith("---\nname: kosmolua\ndescription: ")
        assert "render2 (" in text
        assert len(text) <= MAX_LISTED
        (skill,) = (await handlers.list_skills(None, PaginatedRequestParams()))["skills"]  # type: ignore[arg-type]
        assert skill["resources"] == [
            {"uri": URI, "digest": f"sha256:{sha256(text.encode()).hexdigest()}", "size": len(text.encode())}
        ]
        assert "render2 (" in skill["frontmatter"]["description"]
        one = await handlers.get_skill(None, GetSkillParams(uri=URI))  # type: ignore[arg-type]
        assert one == {"skill": skill, "ttlMs": 0, "cacheScope": "private"}
        listed = {each.uri: each for each in (await client.list_resources()).resources}
        assert listed[URI].description == skill["frontmatter"]["description"]

    served(runtime, conversation)


def test_the_server_introduces_itself(runtime: Runtime) -> None:
    """Title, icon and the extension are in what it says of itself."""

    async def conversation(client: Client, _: Handlers) -> None:
        about = client.server_info
        assert about.title == "KosmoLua"
        assert about.icons
        assert about.icons[0].mime_type == "image/svg+xml"
        assert (client.server_capabilities.extensions or {})["io.modelcontextprotocol/skills"] == {}

    served(runtime, conversation)


def test_the_entry_for_the_registry_is_that_of_the_package() -> None:
    """Version, package and command are those of the project, and the README has the mark that the registry wants."""
    entry = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))
    (package,) = entry["packages"]
    assert (entry["version"], package["version"]) == (__version__, __version__)
    assert package["identifier"] == "kosmolua"
    assert [each["value"] for each in package["packageArguments"]] == ["mcp"]
    assert f"mcp-name: {entry['name']}" in (ROOT / "README.md").read_text(encoding="utf-8")


TOOLKIT = {"toolkits": {"deploys": {"functions": ["render2.list_*", "render2.restart_service"]}}}


@pytest.fixture(scope="module")
def narrow() -> Iterator[Runtime]:
    """A runtime for an agent that only looks at services and restarts them."""
    own = {"render2": {"default": {"api_key": "rnd_x"}, "permissions": {"delete_service": "deny"}}}
    with Runtime({**TOOLKIT, **own}, toolkit="deploys", simulate=True, yes=True, environ={}) as runtime:
        yield runtime


def test_a_toolkit_has_only_its_functions(narrow: Runtime) -> None:
    """What it lists works, also beside a rule about another function; the others do not exist."""
    assert narrow.catalog.names() == ["render2"]
    assert narrow.call("render2.list_services", {"limit": 1})["services"]
    outcome = narrow.run("return app.integrations.render2.delete_service({ service_id = 'srv-1' })")
    assert outcome.error
    assert "app.integrations.render2 has no 'delete_service'" in outcome.error.message
    assert narrow.run("return app.integrations.github.get_user({ username = 'x' })").error


def test_the_documentation_of_a_toolkit_has_nothing_else(narrow: Runtime) -> None:
    """Searches, pages, completions and instructions are those of its functions."""
    assert "delete_service" not in narrow.docs.read("integrations.render2")
    assert "restart_service" in narrow.docs.search("restart a service")
    assert "`integrations.render2.delete" not in narrow.docs.search("delete a service")
    assert "github" not in narrow.docs.list()
    instructions = Handlers(narrow, read_only=False, simulated=True, watch=lambda event: None).server().instructions
    assert "github" not in (instructions or "github")


def test_a_page_outside_of_a_toolkit_does_not_exist(narrow: Runtime) -> None:
    """A page that the whole integration would have is refused like any other that is not there."""
    with pytest.raises(DocNotFound):
        narrow.docs.read("integrations.render2.delete_service")


def test_scripts_outside_of_a_toolkit_are_no_tools(tmp_path: Path) -> None:
    """An agent whose toolkit names no script has the usual tools, though its user has scripts."""
    (tmp_path / "wipe.lua").write_text("--- Wipes.\nreturn 1\n", encoding="utf-8")
    with Runtime(TOOLKIT, toolkit="deploys", scripts=tmp_path, simulate=True, environ={}) as runtime:
        assert script_tools(runtime, ()) == {}


def test_a_toolkit_has_the_scripts_that_it_names(tmp_path: Path) -> None:
    """A script of the user can be one of the functions, and calls no other."""
    (tmp_path / "tidy.lua").write_text("--- Tidies.\nreturn 'tidy'\n", encoding="utf-8")
    (tmp_path / "wipe.lua").write_text("--- Wipes.\nreturn app.scripts.tidy()\n", encoding="utf-8")
    functions = {"toolkits": {"deploys": {"functions": ["scripts.wipe"]}}}
    with Runtime(functions, toolkit="deploys", scripts=tmp_path, simulate=True, environ={}) as runtime:
        outcome = runtime.run("return app.scripts.wipe()")
        assert outcome.error
        assert "app.scripts has no 'tidy'" in outcome.error.message
        assert [*script_tools(runtime, ())] == ["wipe"]


def test_the_check_knows_the_toolkit(narrow: Runtime) -> None:
    """A script that calls anything else is refused before it runs."""
    (finding,) = narrow.checker().check("app.integrations.render2.delete_service({ service_id = 'x' })").findings
    assert finding.severity == "error"


@pytest.mark.parametrize(
    ("name", "functions", "said"),
    [
        ("deploy", ["render2.list_*"], "has no [toolkits.deploy] (did you mean 'deploys'?)"),
        ("deploys", ["render2.lst_services"], "[toolkits.deploys] functions:"),
        ("deploys", [], "functions must list functions"),
        ("deploys", ["list_services"], "functions must list functions"),
    ],
)
def test_a_toolkit_with_a_mistake_is_told(name: str, functions: Any, said: str) -> None:
    """A name that nobody has, and a pattern that nothing fits, would leave the agent with less than was meant."""
    with pytest.raises(ConfigError) as caught:
        Runtime({"toolkits": {"deploys": {"functions": functions}}}, toolkit=name, simulate=True, environ={})
    assert said in str(caught.value)


def test_the_command_serves_a_toolkit(kosmolua: Program) -> None:
    """An accounts file without the toolkit is refused with what to add."""
    done = kosmolua("mcp", "--simulate", "--toolkit", "deploys", input="")
    assert done.returncode == 3
    assert "has no [toolkits.deploys]" in done.stderr
