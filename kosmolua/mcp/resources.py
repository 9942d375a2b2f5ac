"""The documentation as MCP resources, a URI for each page; and the prompt ``write_script``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote

from mcp_types import (
    GetPromptResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    Resource,
    ResourceTemplate,
    TextContent,
    TextResourceContents,
)

from kosmolua.docs import pages
from kosmolua.errors import BadArguments, DocNotFound, KosmoError
from kosmolua.mcp.answer import RUNS
from kosmolua.runtime import Runtime
from kosmolua.schema.names import ROOT, page_of

PREFIX = "kosmolua://docs/"
MARKDOWN = "text/markdown"
TEMPLATE = ResourceTemplate(
    uri_template=f"{PREFIX}{{page}}",
    name="docs",
    description="A page of the documentation: a guide, integrations.NAME or integrations.NAME.FUNCTION.",
    mime_type=MARKDOWN,
)

RESULTS = ResourceTemplate(
    uri_template=f"{RUNS}{{id}}",
    name="runs",
    description="A long result of one of your last scripts, as execute_lua links it.",
    mime_type="application/json",
)


def resources(runtime: Runtime) -> list[Resource]:
    """Return guides and pages of integrations; those of functions are found by the URI template."""
    integrations = map(page_of, runtime.catalog.names())
    return list(_listed([*pages.NAMES, *integrations]))


def read(runtime: Runtime, uri: str) -> TextResourceContents:
    """Return the page with this URI.

    Raises:
        DocNotFound: No page has this URI; the hint names the most similar.
        PluginError: The integration cannot be loaded.
    """
    if not uri.startswith(PREFIX):
        raise DocNotFound(
            f"There is no resource {uri[:80]!r}", hint=f"pages have URIs of the form {TEMPLATE.uri_template}"
        )
    text = runtime.docs.read(unquote(uri.removeprefix(PREFIX)))
    return TextResourceContents(uri=uri, mime_type=MARKDOWN, text=text)


MAX_OFFERED = 100
"""The most values that a completion returns."""


def offered(runtime: Runtime, typed: str, *, is_page: bool) -> list[str]:
    """Return the integrations and accounts that begin with a text, or the pages, with functions and scripts."""
    found: list[str] = [*pages.NAMES] if is_page else []
    for name in runtime.catalog.names():
        known = page_of(name) if is_page else name
        found.append(known)
        if not typed.startswith(known):
            continue
        try:
            inner = [*runtime.catalog.listed(name).functions] if is_page else runtime.catalog.accounts(name)
        except KosmoError:
            continue
        found += [f"{known}.{each}" for each in inner]
    return [each for each in found if each.startswith(typed)]


def _listed(names: Iterable[str]) -> Iterable[Resource]:
    for page in names:
        about = pages.GuidePage(page).summary if page in pages.NAMES else None
        yield Resource(uri=PREFIX + quote(page), name=page, description=about, mime_type=MARKDOWN)


MAX_REFERENCE = 12_000
WRITE_SCRIPT = Prompt(
    name="write_script",
    description="Write and run a Lua script for a task, with the documentation pages for it.",
    arguments=[
        PromptArgument(name="task", description="What the script should do.", required=True),
        PromptArgument(name="integration", description="The integration for the task, such as render2."),
    ],
)
_TASK = """\
Write a Lua script for KosmoLua and run it with the tool execute_lua.

The task: {task}

Before you call a function, read its page with lua_read_doc. Let the script do the filtering and counting, and print
only what answers the task. If it fails, repair it as the error says and run it again; if a call is denied, tell me what
was refused instead.
"""


def write_script(runtime: Runtime, arguments: Mapping[str, str]) -> GetPromptResult:
    """Return instructions and documentation for a ``task`` and, optionally, an ``integration``.

    Raises:
        BadArguments: The argument ``task`` is missing, or an argument is unknown.
        DocNotFound: There is no such integration.
        PluginError: The integration cannot be loaded.
    """
    _check(arguments)
    integration = arguments.get("integration")
    pages = [runtime.docs.read("overview")]
    if integration:
        pages.append(runtime.docs.read(integration, detail="signatures", budget=MAX_REFERENCE))
    else:
        pages.append(runtime.docs.list(ROOT))
    text = "\n\n---\n\n".join([_TASK.format(task=arguments["task"].strip()), *pages])
    message = PromptMessage(role="user", content=TextContent(text=text))
    return GetPromptResult(description=WRITE_SCRIPT.description, messages=[message])


def _check(arguments: Mapping[str, str]) -> None:
    known = [argument.name for argument in WRITE_SCRIPT.arguments or ()]
    for name in arguments:
        if name not in known:
            raise BadArguments(
                f"write_script has no argument {name[:80]!r}", hint=f"its arguments are {', '.join(known)}"
            )
    if not arguments.get("task", "").strip():
        raise BadArguments("write_script needs the argument task, a sentence that says what to do", param="task")
