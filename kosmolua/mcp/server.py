"""The MCP server: answers each kind of request, over HTTP and standard input."""

from __future__ import annotations

import asyncio
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, partial
from textwrap import shorten
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.lowlevel.server import NotificationOptions
from mcp.server.models import InitializationOptions
from mcp.server.request_state import AESGCMRequestStateCodec, RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    GetPromptRequestParams,
    GetPromptResult,
    Icon,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)

from kosmolua import __version__
from kosmolua.calls.records import Watch
from kosmolua.docs.pages import DEFAULT_DETAIL
from kosmolua.docs.search import DEFAULT_HITS
from kosmolua.errors import BadDocArguments, ConfigError, KosmoError
from kosmolua.flow.texts import leaves
from kosmolua.mcp import resources, skills, transcripts
from kosmolua.mcp.answer import RUNS, refusal
from kosmolua.mcp.executions import PARKING_TIMEOUT, TASKS, Client, Executions, in_thread
from kosmolua.mcp.recipes import recipe
from kosmolua.mcp.resources import WRITE_SCRIPT, write_script
from kosmolua.mcp.runner import PlainRunner, Runner
from kosmolua.mcp.tasks import TaskParams, Tasks, UpdateParams, check_request, needs_tasks
from kosmolua.mcp.tools import DEFAULT_PAGE, EXECUTE, MAX_LISTED, ScriptRequest, check, is_long, script_tools, tools_for
from kosmolua.mcp.transcripts import Transcripts
from kosmolua.runtime import Runtime
from kosmolua.schema.integration import Integration
from kosmolua.suggestions import did_you_mean
from kosmolua.truncation import decodable

NAME = "kosmolua"
INSTRUCTIONS = (
    "Lua scripts that call the user's web APIs. Find functions with lua_search_docs, read their pages with "
    "lua_read_doc, then do the whole task in one script with execute_lua. The page overview says how to write one."
)
MAX_ABOUT = 100
"""The maximum length of the sentence about one integration, in characters."""
MAX_SHORT = 45
"""Its maximum length if there are many integrations, in characters."""
MAX_ACCOUNTS = 8
MAX_READING = 1
"""How many pages are found or read at once, so that other tenants of the process have their turn meanwhile."""

_MOON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="14" fill="#2b3a67"/>'
    '<circle cx="21" cy="11" r="5" fill="#f4f1de"/></svg>'
)
ICON = Icon(src=f"data:image/svg+xml;base64,{b64encode(_MOON.encode()).decode()}", mime_type="image/svg+xml")

Context = ServerRequestContext[Any]
Paging = PaginatedRequestParams | None


class _Prefixed(AESGCMRequestStateCodec):
    """Seals the state of a waiting script with a key of this process, behind a prefix."""

    def __init__(self, prefix: str) -> None:
        super().__init__([secrets.token_bytes(32)])
        self._prefix = prefix

    def seal(self, payload: bytes) -> str:
        return self._prefix + super().seal(payload)

    def unseal(self, token: str) -> bytes:
        return super().unseal(token.removeprefix(self._prefix))


class _ChangingServer(Server[Any]):
    """A server that says to clients of older versions, too, that its tools can change."""

    @cached_property
    def server_info_stamp(self) -> dict[str, Any]:
        return self.server_info.model_dump(by_alias=True, mode="json", exclude_none=True)

    def create_initialization_options(
        self, notification_options: NotificationOptions | None = None, *more: Any, **named: Any
    ) -> InitializationOptions:
        options = notification_options or NotificationOptions(tools_changed=True)
        return super().create_initialization_options(options, *more, **named)


class Handlers:
    """Answers the requests of any number of clients.

    The tools say whether it denies every write, and whether its data is simulated. With ``check``, scripts that are
    certain to fail are refused. ``id_prefix`` is the beginning of ids that only this process knows.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        read_only: bool,
        simulated: bool,
        watch: Watch,
        check: bool = True,
        runner: Runner | None = None,
        id_prefix: str = "",
    ) -> None:
        self._server: Server[Any] | None = None
        self._changes = InMemorySubscriptionBus()
        self._id_prefix = id_prefix
        self._reading = asyncio.Semaphore(MAX_READING)
        self._transcripts = Transcripts(id_prefix)
        runner = runner or PlainRunner(runtime)
        self.executions = Executions(runner, self._transcripts, watch, check=check)
        self.tasks = Tasks(runner, self.executions, self._offer_anew)
        self.adopt(runtime, read_only=read_only, simulated=simulated)

    def adopt(self, runtime: Runtime, *, read_only: bool, simulated: bool) -> None:
        """Serve the documentation and describe the tools with another runtime; the runner stays."""
        self._runtime = runtime
        self._about = _about(runtime, simulated=simulated)
        if self._server:
            self._server.instructions = self._instructions
        limits = runtime.limits
        self._own = tools_for(limits, read_only=read_only, about=self._about)
        longer = limits.but(timeout=max(limits.timeout, limits.task_timeout))
        self._as_task = next(
            each for each in tools_for(longer, read_only=read_only, about=self._about) if each.name == EXECUTE
        )
        self._offer()

    def _offer(self) -> None:
        """Offer the server's own tools, and the user's scripts."""
        self._scripts = script_tools(self._runtime, {tool.name for tool in self._own})
        self._tools = {tool.name: tool for tool in [*self._own, *(tool for tool, _ in self._scripts.values())]}

    def server(self) -> Server[Any]:
        """Return a server of the SDK that calls these methods."""
        server = _ChangingServer(
            NAME,
            version=__version__,
            title="KosmoLua",
            icons=[ICON],
            instructions=self._instructions,
            on_list_tools=self.list_tools,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read_resource,
            on_list_prompts=self.list_prompts,
            on_get_prompt=self.get_prompt,
            on_completion=self.complete,
            on_subscriptions_listen=ListenHandler(self._changes),
            get_tool_input_schema=lambda name: None,  # no argument is repeated in a header: none has to be looked for
        )
        server.extensions |= {skills.EXTENSION: {}, TASKS: {}}
        server.add_request_handler("tools/call", CallToolRequestParams, self.call_tool)
        server.add_request_handler("tasks/get", TaskParams, self.get_task)
        server.add_request_handler("tasks/update", UpdateParams, self.update_task)
        server.add_request_handler("tasks/cancel", TaskParams, self.cancel_task)
        server.add_request_handler("skills/list", PaginatedRequestParams, self.list_skills)
        server.add_request_handler("skills/get", skills.GetSkillParams, self.get_skill)
        sealed = RequestStateSecurity(codec=_Prefixed(self._id_prefix), ttl=PARKING_TIMEOUT)
        server.middleware.append(RequestStateBoundary(sealed, default_audience=NAME))
        self._server = server
        return server

    @property
    def _instructions(self) -> str:
        ways = [f"{INSTRUCTIONS} {about}" for about in self._about]
        return next((each for each in ways if len(each) <= MAX_LISTED), ways[-1])

    def close(self) -> None:
        self.executions.close()

    def reopen_journal(self) -> None:
        """Reopen the journal, for instance after its file was renamed."""
        self._runtime.reopen_journal()

    async def list_tools(self, context: Context, params: Paging) -> ListToolsResult:
        longer = {EXECUTE: self._as_task} if Client(context).takes_tasks else {}
        return ListToolsResult(tools=[*{**self._tools, **longer}.values()])

    async def call_tool(
        self, context: Context, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult | dict[str, Any]:
        """Call a tool; return its result, an error too, so that the model can read it, or a question for a person, or a
        task.

        Raises:
            MCPError: There is no such tool, or the script may run longer than a client without tasks can wait.
        """
        tool = self._tools.get(params.name)
        if tool is None:
            hint = did_you_mean(params.name, self._tools) or f"the tools are {', '.join(self._tools)}"
            raise MCPError(INVALID_PARAMS, f"There is no tool {params.name[:80]!r} ({hint})")
        try:
            if tool.name in self._scripts:
                named = {name: value for name, value in decodable(params.arguments or {}).items() if value is not None}
                script = self._scripts[tool.name][1].given(named)
                return await self._execute(script, params, Client(context), context)
            given = params.arguments or {}
            client = Client(context)
            arguments = {decodable(name): decodable(given[name]) for name in given}
            if tool.name == EXECUTE and is_long(arguments, self._runtime.limits):
                tool = self._as_task if client.takes_tasks else tool
                if client.is_modern and not client.takes_tasks:
                    what = f"A timeout above {self._runtime.limits.timeout:g} s"
                    raise needs_tasks(f"{what} needs a client with the extension {TASKS}. Nothing was run.")
            arguments = check(tool, arguments)
            if tool.name == EXECUTE:
                script = ScriptRequest.of(arguments)
                if _is_page(script.input):
                    script = await in_thread(self._with_input, script, client)
                return await self._execute(script, params, client, context)
            async with self._reading:
                text = await in_thread(self._read_docs, tool.name, arguments, client.name)
                self._note_foreign(text, arguments.get("page", tool.name), client)
        except KosmoError as error:
            return refusal(error)
        return CallToolResult(content=[TextContent(text=text)])

    async def get_task(self, context: Context, params: TaskParams) -> dict[str, Any]:
        """Return the state of a task of the client."""
        return await self.tasks.get(params.task_id, check_request(context, params))

    async def update_task(self, context: Context, params: UpdateParams) -> dict[str, Any]:
        """Take a person's answers to questions of a task."""
        await self.tasks.update(params.task_id, params.input_responses, check_request(context, params))
        return {}

    async def cancel_task(self, context: Context, params: TaskParams) -> dict[str, Any]:
        """End a task."""
        await self.tasks.cancel(params.task_id, check_request(context, params))
        return {}

    async def list_resources(self, context: Context, params: Paging) -> ListResourcesResult:
        found = await in_thread(resources.resources, self._runtime)
        return ListResourcesResult(resources=[*found, skills.resource(self._skill)])

    async def list_templates(self, context: Context, params: Paging) -> ListResourceTemplatesResult:
        return ListResourceTemplatesResult(resource_templates=[resources.TEMPLATE, resources.RESULTS])

    async def read_resource(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        """Return a page; raise MCPError if no page has this URI, or its integration cannot be loaded."""
        try:
            if params.uri == skills.URI:
                found = TextResourceContents(uri=skills.URI, mime_type=resources.MARKDOWN, text=self._skill)
                return ReadResourceResult(contents=[found])
            if params.uri.startswith(RUNS):
                page = f"{transcripts.PREFIX}{params.uri.removeprefix(RUNS)}"
                text, _ = await in_thread(self._result, Client(context), page)
                found = TextResourceContents(uri=params.uri, mime_type="application/json", text=text)
                return ReadResourceResult(contents=[found])
            contents = await in_thread(resources.read, self._runtime, params.uri)
            self._note_foreign(contents.text, params.uri, Client(context))
        except KosmoError as error:
            raise MCPError(INVALID_PARAMS, error.message, {"uri": params.uri}) from error
        return ReadResourceResult(contents=[contents])

    async def complete(self, context: Context, params: CompleteRequestParams) -> CompleteResult:
        """Return what can stand for an argument of the prompt or of a resource's URI."""
        given = params.argument
        uri = params.ref.uri if isinstance(params.ref, ResourceTemplateReference) else ""
        is_page = uri == resources.TEMPLATE.uri_template
        if not is_page and (uri or given.name != "integration"):
            return CompleteResult(completion=Completion(values=[]))
        offered = await in_thread(partial(resources.offered, self._runtime, given.value, is_page=is_page))
        values = offered[: resources.MAX_OFFERED]
        more = len(offered) > len(values)
        return CompleteResult(completion=Completion(values=values, total=len(offered), has_more=more))

    async def list_skills(self, context: Context, params: PaginatedRequestParams) -> dict[str, Any]:
        """Return the one skill: how to use this server with the user's integrations."""
        return {"skills": [skills.entry(self._skill)], **skills.STALE}

    async def get_skill(self, context: Context, params: skills.GetSkillParams) -> dict[str, Any]:
        """Return the skill; raise MCPError if there is none with this URI."""
        if params.uri != skills.URI:
            raise MCPError(INVALID_PARAMS, f"There is no skill {params.uri[:80]!r} (the only one is {skills.URI})")
        return {"skill": skills.entry(self._skill), **skills.STALE}

    @property
    def _skill(self) -> str:
        return skills.text(self._about, MAX_LISTED)

    async def list_prompts(self, context: Context, params: Paging) -> ListPromptsResult:
        return ListPromptsResult(prompts=[WRITE_SCRIPT])

    async def get_prompt(self, context: Context, params: GetPromptRequestParams) -> GetPromptResult:
        """Return a prompt, filled in; raise MCPError if there is no such prompt, or an argument is not valid."""
        if params.name != WRITE_SCRIPT.name:
            raise MCPError(
                INVALID_PARAMS, f"There is no prompt {params.name[:80]!r} (the only prompt is {WRITE_SCRIPT.name})"
            )
        try:
            return await in_thread(write_script, self._runtime, params.arguments or {})
        except KosmoError as error:
            raise MCPError(INVALID_PARAMS, error.message) from error

    async def _execute(
        self, script: ScriptRequest, params: CallToolRequestParams, client: Client, context: Context
    ) -> CallToolResult | InputRequiredResult | dict[str, Any]:
        done: CallToolResult | InputRequiredResult | dict[str, Any]
        if params.request_state is not None:
            done = await self.executions.resume(params.request_state, params.input_responses or {}, client)
        elif client.takes_tasks and script.can_be_task:
            return await self.tasks.start(script, client, client.task(params.meta))
        else:
            done = await self.executions.start(script, client, client.task(params.meta))
        if script.save and await self._offer_anew():
            await context.session.send_tool_list_changed()
        return done

    async def _offer_anew(self) -> bool:
        """Offer the user's scripts anew; if there are others than before, tell clients that listen, and return True."""
        former = self._tools
        await in_thread(self._offer)
        if self._tools != former:
            await self._changes.publish(ToolsListChanged())
        return self._tools != former

    def _with_input(self, script: ScriptRequest, client: Client) -> ScriptRequest:
        """Return a script with the result of another run as its input, of which it has the page."""
        page = str(script.input)
        _, values = self._result(client, page)
        return replace(script, input=values[0] if len(values) == 1 else values, input_of=page)

    def _result(self, client: Client, page: str) -> tuple[str, list[Any]]:
        """Return the result of a run, as JSON and as it is; the client has read it from then on."""
        text, values = self._transcripts.result(client.name, page)
        self._note_foreign(values, page, client)
        return text, values

    def _note_foreign(self, said: Any, page: str, client: Client) -> None:
        """Note for the client's session what another one was told, and what servers say of themselves in pages."""
        memory = self.executions.memory_of(client.name)
        if not page.startswith(transcripts.PREFIX):
            memory.note_page(said, page, self._runtime.servers.names())
        elif self._transcripts.is_of_another(client.name, page):
            memory.note_text("\n".join(map(str, leaves(said))), page)

    def _read_docs(self, tool: str, arguments: Mapping[str, Any], client: str | None) -> str:
        docs = self._runtime.docs
        if tool == "lua_list_docs":
            return docs.list(arguments.get("namespace"))
        if tool == "lua_search_docs":
            query, limit = arguments["query"], arguments.get("limit")
            found = recipe(self._runtime, query) if limit is None else ""
            return found or docs.search(query, limit=int(limit or DEFAULT_HITS), for_scripts=True)
        page, budget = arguments["page"], int(arguments.get("budget", DEFAULT_PAGE))
        if page.startswith(transcripts.PREFIX):
            return self._transcripts.read(client, page, offset=int(arguments.get("offset", 0)), budget=budget)
        if "offset" in arguments:
            raise BadDocArguments(
                f"offset is only for an answer that was cut, such as {transcripts.LAST}, not for {page[:80]!r}",
                param="offset",
            )
        return docs.read(page, detail=arguments.get("detail", DEFAULT_DETAIL), budget=budget, for_scripts=True)


def _is_page(given: object) -> bool:
    """Return True if the input of a script is the page of another run."""
    return isinstance(given, str) and given.startswith(transcripts.PREFIX) and len(given.split()) == 1


def _about(runtime: Runtime, *, simulated: bool) -> list[str]:
    """Name the integrations and their accounts, for an agent: in several ways, each shorter than the one before."""
    integrations = [each for each in runtime.catalog.loadable() if not each.is_flat]
    full = " ".join(_about_integration(runtime, each) for each in integrations)
    names = ", ".join(each.name for each in integrations)
    short = [f"{each.name} ({shorten(each.about.rstrip('.'), MAX_SHORT, placeholder=' ...')})" for each in integrations]
    ways = [
        f"Integrations: {full}",
        f"Integrations: {', '.join(short)}.",
        f"Integrations: {names}.",
        f"lua_list_docs names the {len(integrations)} integrations.",
    ]
    warning = " All data is simulated (--simulate)." if simulated else ""
    return [way + warning for way in (ways if integrations else ["There are no integrations."])]


def _about_integration(runtime: Runtime, integration: Integration) -> str:
    about = shorten(integration.about.rstrip("."), MAX_ABOUT, placeholder=" ...")
    try:
        accounts = runtime.catalog.accounts(integration.name)
    except ConfigError:
        accounts = []
    more = f" and {len(accounts) - MAX_ACCOUNTS:,} more" if len(accounts) > MAX_ACCOUNTS else ""
    named = f"accounts {', '.join(accounts[:MAX_ACCOUNTS])}{more}" if accounts else "no account yet"
    if accounts and not runtime.catalog.default_account(integration):
        named += ", name one"
    return f"{integration.name} ({about}; {named})."
