"""How well an agent gets on: tasks written right and wrong, what everything costs to read, and what searches find.

``python tests/benchmarks/evaluation.py`` prints one table. It needs no network and no model: the scripts stand here as
models write them, and the services are simulated.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from unittest.mock import patch

from kosmolua import Runtime
from kosmolua.docs.pages import FOR_PEOPLE, NAMES
from kosmolua.mcp.answer import answer
from kosmolua.mcp.tools import DEFAULT_PAGE, ScriptRequest, tools_for
from kosmolua.mcp_client.cards import Cards
from kosmolua.mcp_client.settings import identity
from kosmolua.runs import Outcome

RENDER = "local render = app.integrations.render2\n"
EACH = RENDER + "local services = render.list_services({ all = true }).services\n"


@dataclass(frozen=True)
class Task:
    """What a user asks for, the script that does it, and scripts that try to.

    Args:
        name: In a few words.
        right: Does it.
        wrong: Each has one mistake that models make.
    """

    name: str
    right: str
    wrong: tuple[str, ...]


TASKS = [
    Task(
        "table of services",
        EACH + "for _, s in ipairs(services) do print(s.name, s.type, s.serviceDetails.region, s.suspended) end",
        (
            EACH + "for s in services do print(s.name) end",
            RENDER + "for _, s in ipairs(render.list_services({ all = true })) do print(s.name) end",
            EACH + "for _, s in ipairs(services) do print(s.name, s.region, s.plan) end",
            RENDER + "for _, s in ipairs(render.list_services().services) do print(s.name) end",
        ),
    ),
    Task(
        "newest deploy that is not live",
        EACH
        + """
        local firsts = parallel.map(services, function(s)
          return render.list_deploys({ service_id = s.id, limit = 1 }).deploys[1] or json.null
        end)
        for i, d in ipairs(firsts) do
          if d ~= json.null and d.status ~= "live" then print(services[i].name, d.status, d.finishedAt) end
        end""",
        (
            EACH + "for _, s in ipairs(services) do print(render.list_deploys({ serviceId = s.id }).deploys[1]) end",
            RENDER + "local d = render.list_deploys('srv-cabc12345678').deploys[0]\nprint(d.status)",
            RENDER + "print(render.list_deploys({ service_id = 'srv-cabc12345678' }).deploys[1].finished_at)",
        ),
    ),
    Task(
        "duration of the last deploy",
        RENDER
        + """
        local d = render.list_deploys({ service_id = "srv-cabc12345678", limit = 1 }).deploys[1]
        local function seconds(text)
          local y, m, day, h, min, s = text:match("(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)")
          return os.time({ year = y, month = m, day = day, hour = h, min = min, sec = s })
        end
        print(seconds(d.finishedAt) - seconds(d.startedAt))""",
        (
            RENDER
            + "local d = render.list_deploys({ service_id = 'srv-cabc12345678', limit = 1 }).deploys[1]\n"
            + "print(d.finishedAt - d.startedAt)",
            "print(os.time('2026-03-01T00:00:00Z') - 1, app)",
            "print(Date.now(), app)",
        ),
    ),
    Task(
        "resume what is suspended",
        RENDER
        + """
        for _, s in ipairs(render.list_services({ suspended = true, all = true }).services) do
          local ok, err = pcall(render.resume_service, { service_id = s.id })
          if not ok then print(s.name, err.message) end
        end""",
        (
            RENDER + "for _, s in ipairs(render.list_services({ suspended = True, all = true }).services) do "
            "render.resume_service({ service_id = s.id }) end",
            RENDER + "for _, s in ipairs(render.list_services({ suspended = true, all = true }).services) do "
            "await render.resume_service({ service_id = s.id }) end",
            EACH + "for _, s in ipairs(services) do render:resume_service(s.id) end",
            EACH + "for _, s in ipairs(services) do render.start_service({ service_id = s.id }) end",
        ),
    ),
    Task(
        "a cron job at three, listed and deleted",
        RENDER
        + """
        local made = render.create_service({
          type = "cron_job", name = "nightly", repo = "https://github.com/a/b", runtime = "node", plan = "starter",
          schedule = "0 3 * * *", build_command = "npm ci", start_command = "npm run night",
        }).service
        print(#render.list_services({ type = "cron_job", name = "nightly" }).services)
        render.delete_service({ service_id = made.id })""",
        (
            RENDER + 'local m = await render.create_service({ type = "cron_job", name = "n", repo = "https://x/y" })',
            RENDER + 'render.create_cron_job({ name = "nightly", schedule = "0 3 * * *" })',
            RENDER + 'render.create_service({ type: "cron_job", name: "nightly" })',
            RENDER + 'render.create_service({ type = "cron", name = "nightly", repo = "https://github.com/a/b" })',
        ),
    ),
    Task(
        "error lines of the last hour",
        RENDER
        + 'local logs = render.list_logs({ resource_id = "srv-cabc12345678", text = "error" }).logs\n'
        + "for _, line in ipairs(logs) do print(line.message) end",
        (
            RENDER + 'for _, line in ipairs(render.get_logs({ service_id = "srv-cabc12345678" })) do print(line) end',
            RENDER + 'print(render.list_logs({ resource_id = "srv-cabc12345678" }).logs.length)',
        ),
    ),
    Task(
        "domains that are not verified",
        RENDER
        + """
        local page = render.list_custom_domains({ service_id = "srv-cabc12345678" })
        for _, d in ipairs(page.custom_domains) do
          if d.verificationStatus ~= "verified" then print(d.name) end
        end""",
        (
            RENDER + 'for _, d in ipairs(render.list_custom_domains("srv-cabc12345678").domains) do print(d.name) end',
            RENDER + 'print("found " + #render.list_custom_domains("srv-cabc12345678").custom_domains)',
        ),
    ),
    Task(
        "commits of a repository",
        "local github = app.integrations.github\n"
        'for _, c in ipairs(github.list_commits({ repo = "acme/rocket", limit = 5 }).commits) do '
        "print(c.sha) end",
        (
            'for c of app.integrations.github.list_commits({ owner = "a", repo = "b" }).commits do print(c.sha) end',
            'print(app.integrations.github.list_commits({ repository = "a/b" }).commits)',
        ),
    ),
    Task(
        "delete the account, which nothing can",
        "print('render2 has nothing that deletes an account')",
        (RENDER + "render.delete_account()", RENDER + "render.delete_user({ id = 1 })"),
    ),
]

QUERIES = {
    "which apps do we run": "list_services",
    "bounce the web server": "restart_service",
    "put the site offline for tonight": "suspend_service",
    "wake it up again": "resume_service",
    "go back to the release before": "rollback_deploy",
    "ship the newest commit": "trigger_deploy",
    "abort a running deployment": "cancel_deploy",
    "read one setting": "get_env_var",
    "change a config value": "set_env_var",
    "remove a secret": "delete_env_var",
    "more replicas": "scale_service",
    "attach a hostname": "create_custom_domain",
    "is the dns record right": "verify_custom_domain",
    "stdout of the app": "list_logs",
    "redis instances": "list_key_values",
    "which database servers are there": "list_postgres",
    "whose key is this": "get_current_user",
    "which teams can I see": "list_owners",
    "what happened to the service": "list_events",
    "run a migration once": "create_job",
}
"""Questions of operators, each with the function that answers it."""


@dataclass(frozen=True)
class Judgement:
    """What became of a task.

    Args:
        task: The task.
        runs: Whether the right script ran without an error.
        answered: The wrong scripts that an error or a warning answered.
        sent: The wrong scripts that wrote something before the mistake was met.
        characters: The longest answer to a wrong script.
    """

    task: Task
    runs: bool
    answered: int
    sent: int
    characters: int


def judgements() -> Iterator[Judgement]:
    """Run every script in a simulation of its own and judge what came of it."""
    for task in TASKS:
        right = _run(task.right)
        wrong = [_run(script) for script in task.wrong]
        yield Judgement(
            task,
            right.ok,
            sum(bool(each.error or each.warnings) for each in wrong),
            sum(any(call["effect"] != "read" and call["status"] == "ok" for call in each.calls) for each in wrong),
            max(map(_characters, wrong)),
        )


def footprint(runtime: Runtime) -> dict[str, int]:
    """Return the characters of each tool and page as an agent gets it."""
    sizes = {}
    for tool in tools_for(runtime.limits, read_only=False):
        plain = tool.model_dump(mode="json", by_alias=True, exclude_none=True)
        sizes[f"tool {tool.name}"] = len(json.dumps(plain, separators=(",", ":")))
    for page in (
        *(name for name in NAMES if name not in FOR_PEOPLE),
        *(f"integrations.{name}" for name in runtime.catalog.names()),
    ):
        sizes[f"page {page}"] = len(runtime.docs.read(page, budget=DEFAULT_PAGE, for_scripts=True))
    return sizes


def many_tools() -> dict[str, int]:
    """Return the characters of the 500 tools of an MCP server: as the protocol lists them, and as an agent gets them.

    The server is not started: what it offers is known from a card.
    """
    schema = {
        "type": "object",
        "properties": {
            "owner": {"type": "string", "description": "The owner of the repository."},
            "repo": {"type": "string", "description": "The repository, without its owner."},
            "limit": {"type": "integer", "description": "How many to return.", "default": 30},
        },
        "required": ["owner", "repo"],
    }
    tools = [
        {"name": f"list-things-{number}", "description": f"List things of kind {number}.", "inputSchema": schema}
        for number in range(500)
    ]
    section = {"command": "tracker-mcp"}
    with tempfile.TemporaryDirectory() as cache, patch.dict(os.environ, {"XDG_CACHE_HOME": cache}):
        Cards().write("tracker", identity(section), {"server": {"name": "tracker"}, "tools": tools})
        with Runtime({}, environ={}) as without, Runtime({"mcp": {"tracker": section}}, environ={}) as runtime:
            docs = runtime.docs
            return {
                "as the protocol lists them": len(json.dumps(tools, separators=(",", ":"))),
                "the list of pages": len(docs.list()) - len(without.docs.list()),
                "a search": len(docs.search("list things of kind 77", for_scripts=True)),
                "the page of a tool": len(docs.read("mcp.tracker.list_things_77", for_scripts=True)),
                "the page of the server": len(docs.read("mcp.tracker", budget=DEFAULT_PAGE, for_scripts=True)),
            }


def places(runtime: Runtime) -> dict[str, int | None]:
    """Return for each query the place of the right function among the hits, counted from 1."""
    found = {}
    for query, name in QUERIES.items():
        hits = runtime.docs.search(query, for_scripts=True)
        names = [page.rpartition(".")[2] for page in re.findall(r"^\d+\. `([\w.]+)`", hits, re.MULTILINE)]
        found[query] = names.index(name) + 1 if name in names else None
    return found


def _run(script: str) -> Outcome:
    with Runtime(os.devnull, simulate=True, yes=True, allow=["render2.*"], environ={}) as runtime:
        return runtime.run(script, check=True)


def _characters(outcome: Outcome) -> int:
    with Runtime(os.devnull, simulate=True, environ={}) as runtime:
        keep = lambda text, result, run: ("run:last", "run:last")  # noqa: E731
        told = answer(outcome, ScriptRequest(""), runtime.limits, "", keep)
    return sum(len(getattr(block, "text", "")) for block in told.content)


def main() -> None:
    """Print the table."""
    print("| what | figure |\n|---|---|")
    for each in judgements():
        ran = "runs" if each.runs else "FAILS"
        answered = f"{each.answered} of {len(each.task.wrong)} mistakes answered, {each.sent} sent something"
        print(f"| task: {each.task.name} | {ran}; {answered}; longest answer {each.characters:,} characters |")
    with Runtime(os.devnull, simulate=True, environ={}) as runtime:
        for what, size in footprint(runtime).items():
            print(f"| {what} | {size:,} characters |")
        found = places(runtime)
    for what, size in many_tools().items():
        print(f"| 500 tools of an MCP server: {what} | {size:,} characters |")
    for query, place in found.items():
        print(f"| search: {query} | {place or 'not found'} |")
    first, third = (sum(place is not None and place <= most for place in found.values()) for most in (1, 3))
    print(f"| searches in all | {first} of {len(found)} first, {third} among three |")


if __name__ == "__main__":
    main()
