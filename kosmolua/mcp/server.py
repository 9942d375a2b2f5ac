"""The MCP server: answers each kind of MCP request, for both transports (HTTP and standard input)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.request_state import AESGCMRequestStateCodec, RequestStateBoundary, RequestStateSecurity
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    TextContent,
)

from kosmolua import __version__
from kosmolua.broker.records import Watch
from kosmolua.docs.pages import DEFAULT_DETAIL
from kosmolua.docs.search import DEFAULT_HITS
from kosmolua.errors import BadDocArguments, ConfigError, KosmoError
from kosmolua.mcp import resources, transcripts
from kosmolua.mcp.answer import decodable, refusal
from kosmolua.mcp.executions import PARKING_TIMEOUT, Client, Executions, in_thread
from kosmolua.mcp.resources import WRITE_SCRIPT, write_script
from kosmolua.mcp.runner import PlainRunner, Runner
from kosmolua.mcp.tools import DEFAULT_PAGE, Script, check, script_tools, tools_for
from kosmolua.mcp.transcripts import Transcripts
from kosmolua.runtime import Runtime
from kosmolua.schema.integration import Integration
from kosmolua.schema.names import SCRIPTS
from kosmolua.suggestions import did_you_mean

NAME = "kosmolua"
INSTRUCTIONS = (
    "Lua scripts that call the user's web APIs. Find functions with lua_search_docs, read their pages with "
    "lua_read_doc, then do the whole task in one script with execute_lua. The page overview says how to write one."
)
MAX_ABOUT = 100
"""The maximum length of the sentence about one integration, in characters."""
MAX_ACCOUNTS = 8
MAX_READING = 1
"""How many pages are found or read at once, so that other tenants of the process have their turn meanwhile."""

Context = ServerRequestContext[Any]
Paging = PaginatedRequestParams | None


class _Prefixed(AESGCMRequestStateCodec):
    """Seals the state of a script that waits for its client with a key of this process, behind a prefix."""

    def __init__(self, prefix: str) -> None:
        super().__init__([secrets.token_bytes(32)])
        self._prefix = prefix

    def seal(self, payload: bytes) -> str:
        return self._prefix + super().seal(payload)

    def unseal(self, token: str) -> bytes:
        return super().unseal(token.removeprefix(self._prefix))


class Handlers:
    """Answers the MCP requests of any number of clients with one runtime.

    Args:
        runtime: Runs scripts and serves the documentation.
        read_only: Whether the runtime denies every write. If so, the descriptions of the tools say this.
        simulated: Whether the runtime's data is simulated. If so, the descriptions of the tools say this.
        watch: A function that is called in another thread when a call starts and when it ends.
        check: Whether scripts that are certain to fail are refused.
        runner: Runs the scripts; by default a :class:`PlainRunner` with the runtime.
        id_prefix: What the ids begin with that clients get, and that only this process knows.
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
        self._id_prefix = id_prefix
        self._reading = asyncio.Semaphore(MAX_READING)
        self._transcripts = Transcripts(id_prefix)
        self._executions = Executions(runner or PlainRunner(runtime), self._transcripts, watch, check=check)
        self.adopt(runtime, read_only=read_only, simulated=simulated)

    def adopt(self, runtime: Runtime, *, read_only: bool, simulated: bool) -> None:
        """From now on, serve the documentation and describe the tools with another runtime.

        The runner that was passed to the constructor continues to run the scripts.

        Args:
            runtime: The new runtime.
            read_only: Whether this runtime denies every write.
            simulated: Whether the data of this runtime is simulated.
        """
        self._runtime = runtime
        self._about = _about(runtime, simulated=simulated)
        if self._server:
            self._server.instructions = self._instructions
        tools = tools_for(runtime.limits, read_only=read_only, about=self._about)
        self._scripts = script_tools(runtime, {tool.name for tool in tools})
        tools += [tool for tool, _ in self._scripts.values()]
        self._tools = {tool.name: tool for tool in tools}

    def server(self) -> Server[Any]:
        """Return a server of the MCP SDK, which answers requests with the methods of this object."""
        server: Server[Any] = Server(
            NAME,
            version=__version__,
            instructions=self._instructions,
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read_resource,
            on_list_prompts=self.list_prompts,
            on_get_prompt=self.get_prompt,
            get_tool_input_schema=self._input_schema,
        )
        sealed = RequestStateSecurity(codec=_Prefixed(self._id_prefix), ttl=PARKING_TIMEOUT)
        server.middleware.append(RequestStateBoundary(sealed, default_audience=NAME))
        self._server = server
        return server

    @property
    def _instructions(self) -> str:
        return f"{INSTRUCTIONS} {self._about}"

    def close(self) -> None:
        """End the scripts that wait for a client to send an answer."""
        self._executions.close()

    def reopen_journal(self) -> None:
        """Reopen the journal of the runtime, for instance after the journal's file was renamed."""
        self._runtime.reopen_journal()

    def has_runs(self, client: str) -> bool:
        """Return True if a request of the client with this name waits for a running script."""
        return self._executions.has_runs(client)

    def end_runs(self, client: str) -> None:
        """End the scripts of the client with this name, which has disconnected."""
        self._executions.end_runs(client)

    async def list_tools(self, context: Context, params: Paging) -> ListToolsResult:
        """Return the list of the tools."""
        return ListToolsResult(tools=list(self._tools.values()))

    def _input_schema(self, name: str) -> Mapping[str, Any] | None:
        """Return the JSON Schema of a tool's arguments, or None if there is no tool with this name.

        Without this method, the SDK would list all tools before each call.
        """
        tool = self._tools.get(name)
        return tool.input_schema if tool else None

    async def call_tool(self, context: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
        """Call a tool and return its result, or a question that the client must first ask a person.

        An error is returned as a result, so that the model can read it.

        Raises:
            MCPError: There is no tool with the requested name.
        """
        tool = self._tools.get(params.name)
        if tool is None:
            hint = did_you_mean(params.name, self._tools) or f"the tools are {', '.join(self._tools)}"
            raise MCPError(INVALID_PARAMS, f"There is no tool {params.name[:80]!r} ({hint})")
        try:
            if tool.name in self._scripts:
                named = {name: value for name, value in decodable(params.arguments or {}).items() if value is not None}
                script = self._scripts[tool.name][1].given(named)
                return await self._execute(script, params, Client(context))
            arguments = check(tool, decodable(params.arguments or {}))
            if tool.name == "execute_lua":
                return await self._execute(Script.of(arguments), params, Client(context))
            async with self._reading:
                text = await in_thread(self._read_docs, tool.name, arguments, Client(context).name)
        except KosmoError as error:
            return refusal(error)
        return CallToolResult(content=[TextContent(text=text)])

    async def list_resources(self, context: Context, params: Paging) -> ListResourcesResult:
        """Return the guides and the pages about integrations in the documentation, as a list of MCP resources."""
        return ListResourcesResult(resources=await in_thread(resources.resources, self._runtime))

    async def list_templates(self, context: Context, params: Paging) -> ListResourceTemplatesResult:
        """Return the URI template with which clients find any page of the documentation."""
        return ListResourceTemplatesResult(resource_templates=[resources.TEMPLATE])

    async def read_resource(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        """Return the page of the documentation with the requested URI.

        Raises:
            MCPError: No page has this URI, or its integration cannot be loaded.
        """
        try:
            contents = await in_thread(resources.read, self._runtime, params.uri)
        except KosmoError as error:
            raise MCPError(INVALID_PARAMS, error.message, {"uri": params.uri}) from error
        return ReadResourceResult(contents=[contents])

    async def list_prompts(self, context: Context, params: Paging) -> ListPromptsResult:
        """Return the list of the prompts. There is only one."""
        return ListPromptsResult(prompts=[WRITE_SCRIPT])

    async def get_prompt(self, context: Context, params: GetPromptRequestParams) -> GetPromptResult:
        """Return the requested prompt, filled in with its arguments.

        Raises:
            MCPError: There is no prompt with this name, or an argument is not valid.
        """
        if params.name != WRITE_SCRIPT.name:
            raise MCPError(
                INVALID_PARAMS, f"There is no prompt {params.name[:80]!r} (the only prompt is {WRITE_SCRIPT.name})"
            )
        try:
            return await in_thread(write_script, self._runtime, params.arguments or {})
        except KosmoError as error:
            raise MCPError(INVALID_PARAMS, error.message) from error

    async def _execute(
        self, script: Script, params: CallToolRequestParams, client: Client
    ) -> CallToolResult | InputRequiredResult:
        if params.request_state is not None:
            return await self._executions.resume(params.request_state, params.input_responses or {}, client)
        return await self._executions.start(script, client)

    def _read_docs(self, tool: str, arguments: Mapping[str, Any], client: str | None) -> str:
        docs = self._runtime.docs
        if tool == "lua_list_docs":
            return docs.list(arguments.get("namespace"))
        if tool == "lua_search_docs":
            return docs.search(arguments["query"], limit=int(arguments.get("limit", DEFAULT_HITS)), for_scripts=True)
        page, budget = arguments["page"], int(arguments.get("budget", DEFAULT_PAGE))
        if page.startswith(transcripts.PREFIX):
            return self._transcripts.read(client, page, offset=int(arguments.get("offset", 0)), budget=budget)
        if "offset" in arguments:
            raise BadDocArguments(
                f"offset is only for an answer that was cut, such as {transcripts.LAST}, not for {page[:80]!r}",
                param="offset",
            )
        return docs.read(page, detail=arguments.get("detail", DEFAULT_DETAIL), budget=budget, for_scripts=True)


def _about(runtime: Runtime, *, simulated: bool) -> str:
    """Return sentences that name the integrations and their accounts, so that an agent knows what it can do here."""
    parts = [_about_integration(runtime, each) for each in runtime.catalog.loadable() if each.name != SCRIPTS]
    known = f"Integrations: {' '.join(parts)}" if parts else "There are no integrations."
    return known + (" All data is simulated (--simulate): nothing is real." if simulated else "")


def _about_integration(runtime: Runtime, integration: Integration) -> str:
    about = integration.about.rstrip(".")[:MAX_ABOUT]
    try:
        accounts = runtime.catalog.accounts(integration.name)
    except ConfigError:
        accounts = []
    more = f" and {len(accounts) - MAX_ACCOUNTS:,} more" if len(accounts) > MAX_ACCOUNTS else ""
    named = f"accounts {', '.join(accounts[:MAX_ACCOUNTS])}{more}" if accounts else "no account yet"
    return f"{integration.name} ({about}; {named})."
