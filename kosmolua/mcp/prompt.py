"""The prompt write_script: a task, and the pages that a model needs to write the script for it."""

from __future__ import annotations

from collections.abc import Mapping

from mcp_types import GetPromptResult, Prompt, PromptArgument, PromptMessage, TextContent

from kosmolua.errors import BadArguments
from kosmolua.paths import ROOT
from kosmolua.runtime import Runtime

LARGEST_REFERENCE = 12_000
WRITE_SCRIPT = Prompt(
    name="write_script",
    description="Write and run a Lua script for a task, with the pages that it needs.",
    arguments=[
        PromptArgument(name="task", description="What the script is to do.", required=True),
        PromptArgument(name="integration", description="The integration it is about, such as render2."),
    ],
)
_TASK = """\
Write a Lua script for KosmoLua and run it with the tool execute_lua.

The task: {task}

Before you call a function, read its page with lua_read_doc. Let the script do the filtering and counting, and print
only what answers the task. If it fails, mend it as the error says and run it again; if a call is denied, tell me what
was refused instead.
"""


def write_script(runtime: Runtime, arguments: Mapping[str, str]) -> GetPromptResult:
    """Return the messages of the prompt.

    Raises:
        BadArguments: There is no task, or an argument is unknown.
        DocNotFound: There is no such integration.
        PluginError: The integration cannot be loaded.
    """
    _check(arguments)
    integration = arguments.get("integration")
    pages = [runtime.docs.read("overview")]
    if integration:
        pages.append(runtime.docs.read(integration, detail="signatures", budget=LARGEST_REFERENCE))
    else:
        pages.append(runtime.docs.list(ROOT))
    text = "\n\n---\n\n".join([_TASK.format(task=arguments["task"].strip()), *pages])
    message = PromptMessage(role="user", content=TextContent(text=text))
    return GetPromptResult(description=WRITE_SCRIPT.description, messages=[message])


def _check(arguments: Mapping[str, str]) -> None:
    known = [argument.name for argument in WRITE_SCRIPT.arguments or ()]
    for name in arguments:
        if name not in known:
            raise BadArguments(f"write_script has no argument {name[:80]!r}", hint=f"it takes {', '.join(known)}")
    if not arguments.get("task", "").strip():
        raise BadArguments("write_script needs a task, in a sentence", param="task")
