"""One connection to an MCP server.

The code runs in the event loop of :mod:`.connections`, unless a comment says that it runs in a different thread.
"""

from __future__ import annotations

import asyncio
import builtins
import shlex
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from mcp.client import session
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_REQUEST,
    CallToolResult,
    Implementation,
    InputRequiredResult,
    ToolListChangedNotification,
)

from kosmolua import __version__
from kosmolua.clock import Until
from kosmolua.errors import ApiError, CallError, NetworkError, NotConfigured
from kosmolua.mcp_client.cards import Card
from kosmolua.mcp_client.direct import DirectCalls, Gone
from kosmolua.mcp_client.http_client import UNAUTHORIZED, http_client
from kosmolua.mcp_client.log import ServerLog, Trace, divert_warnings, words_of
from kosmolua.mcp_client.mending import mending
from kosmolua.mcp_client.outputs import Outputs
from kosmolua.mcp_client.pending import InLoop
from kosmolua.mcp_client.questions import Confirm, Questions
from kosmolua.mcp_client.settings import Server
from kosmolua.mcp_client.tasks import CreatedTask, TaskExtension, call_as_task, progress
from kosmolua.mcp_client.tools import CALL, ToolRequest, digest, is_task
from kosmolua.protocol import Json, NotJson, encode

START_TIMEOUT = 60.0
"""Seconds within which a server must have started and listed its tools."""
CLOSE_TIMEOUT = 6.0
BAD_REQUEST, NOT_FOUND, NOT_ALLOWED = 400, 404, 405
GRACE = 1.0
"""Seconds within which the session notices that its server has died; one that only closed its input has not."""
MAX_PAGES = 100
"""The maximum number of pages of tools that are requested."""


@dataclass(frozen=True)
class Surroundings:
    """What all connections share.

    Args:
        folder: Where servers are started; relative commands start from it.
        environ: The environment, of which servers inherit only a few variables.
        trace: Called in the event loop's thread with a server's name and line.
        learned: Called there with a server's name and card, after connecting and each time the tools changed.
        known: Returns a server's card there, or None.
    """

    folder: Path
    environ: Mapping[str, str]
    trace: Trace | None
    learned: Callable[[str, Card], None]
    known: Callable[[str], Card | None]


class Link:
    """One connection to a server, which is started first if its settings have a command.

    ``is_restart`` says that it was already started shortly before.
    """

    def __init__(self, around: Surroundings, name: str, server: Server, *, is_restart: bool) -> None:
        self.is_restart = is_restart
        self.started = monotonic()
        self.card: Card = {}
        self.tags: dict[str, str] = {}
        self.reason = ""
        self.log = ServerLog(name, around.trace)
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None
        self._around = around
        self._name = name
        self._server = server
        self._over = asyncio.Event()
        self._client: Any = None
        self._calls = DirectCalls()
        self._is_probed = self._has_died = False
        self._outputs = Outputs()
        self._tasks: set[str] = set()
        self._is_old = False
        self._loop = asyncio.get_running_loop()
        self._status, self._missing = 0, ""
        self._questions = Questions(name, self.log.write)
        self._extension = TaskExtension(self._questions.answer_all)

    @property
    def is_over(self) -> bool:
        """Whether the connection was lost or closed."""
        return self._over.is_set()

    @property
    def is_refused(self) -> bool:
        """Whether the server wants another credential, which a login can give it at any moment."""
        return self._status == UNAUTHORIZED or bool(self._missing)

    async def run(self) -> None:
        """Connect, and stay so until closed or lost. ``ready`` is done when the tools are listed, or has the error."""
        try:
            async with AsyncExitStack() as stack:
                stack.enter_context(self.log.taking_warnings())
                overdue = asyncio.get_running_loop().call_later(START_TIMEOUT, self._give_up)
                try:
                    await self._connect(stack)
                finally:
                    overdue.cancel()
                if not self.ready.done():
                    self.ready.set_result(None)
                await self._over.wait()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self.reason = self.reason or words_of(error)
            if not self.ready.done():
                self.ready.set_exception(self._failure(error))
                self.ready.exception()  # marks the error as seen, since nobody may be waiting for it
        finally:
            self._over.set()

    def _give_up(self) -> None:
        """End the connection: the server took too long to list its tools."""
        self._end(f"it did not list its tools within {START_TIMEOUT:g} s")
        if self.task:
            self.task.cancel()

    async def close(self) -> None:
        """Close the connection, and wait until it has ended; one that is not yet made is given up."""
        is_connecting = not self.ready.done()
        self._end("it was closed")
        if self.task:
            if is_connecting:
                self.task.cancel()
            await asyncio.wait({self.task}, timeout=CLOSE_TIMEOUT)
            self.task.cancel()

    async def ask(
        self, request: ToolRequest, confirm: Confirm | None, progressed: Callable[[], None]
    ) -> dict[str, Json]:
        """Send a request, and return the result; ``progressed`` is called when the server says how far it is.

        Raises:
            ApiError: The server's response is an error.
            NetworkError: The server's response cannot be read.
            NotConfigured: The server requires a valid credential.
            Gone: The connection was lost.
        """
        self._status, self._missing = 0, ""
        try:
            with self._reported(), self._questions.put_to(confirm), self.log.taking_warnings():
                try:
                    return _plain(await self._send(request, progressed))
                except MCPError:
                    await self._settle()
                    if self.is_over:
                        raise Gone from None
                    raise
        except (OSError, ExceptionGroupType) as error:
            self._end(words_of(error))
            raise Gone(self.reason) from None

    async def _settle(self) -> None:
        """Give the event loop time to notice that the process ended, if that is why a request failed."""
        for _ in range(20):
            if self._over.is_set():
                return
            await asyncio.sleep(0)

    async def _send(self, request: ToolRequest, progressed: Callable[[], None]) -> Any:
        client, params = self._client, request.params

        async def note(progress: float, total: float | None, message: str | None) -> None:
            progressed()
            if self.log.is_shown:
                await self.log.write_progress(progress, total, message)

        if request.asks == CALL and params["name"] in self._tasks:
            return await call_as_task(client.session, params, progressed)
        if request.asks == CALL:
            progress.set(progressed)
            return await client.call_tool(params["name"], params["arguments"], progress_callback=note)
        if request.asks == "resources/read":
            return await client.read_resource(params["uri"])
        if request.asks == "prompts/get":
            return await client.get_prompt(params["name"], params["arguments"])
        lists = {
            "resources/list": client.list_resources,
            "resources/templates/list": client.list_resource_templates,
            "prompts/list": client.list_prompts,
        }
        return await lists[request.asks]()

    # In the thread of a call

    def call(
        self,
        request: ToolRequest,
        *,
        confirm: Confirm | None,
        until: Until,
        sent: Callable[[], None],
        progressed: Callable[[], None],
    ) -> dict[str, Json] | None:
        """Call a tool without the event loop, as :meth:`ask` would; return None, without calling it, if that is not
        possible.

        Raises:
            TimeoutError: The result did not come before the deadline.
        """
        params = request.params
        is_known = self.tags.get(params["name"]) == request.tag and params["name"] not in self._tasks
        if self.is_over or self.log.is_shown or not is_known or until() <= monotonic():
            return None
        with self._reported(), self._questions.put_to(confirm):
            call = self._calls.start(params, progressed)
            if call is None:
                return None
            try:
                sent()
                raw = call.get(until)
            finally:
                call.give_up()  # which does nothing if the response has come
            if raw.get("resultType") in ("input_required", "task"):
                rest = InLoop(self._loop, lambda: self._continue_call(params, raw, progressed))
                try:
                    return rest.get(until)
                finally:
                    rest.give_up()
            return _plain(self._outputs.read(params["name"], raw))

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn errors of the SDK into those that :meth:`ask` raises."""
        try:
            yield
        except Gone:
            raise Gone(self.reason) from None
        except MCPError as error:
            raise self._refusal(error) from None
        except (ValueError, RuntimeError) as error:
            what = f"The server {self._name} sent a response that cannot be read: {words_of(error)}"
            raise NetworkError(what) from None

    # In the loop's thread

    async def _continue_call(
        self, params: Mapping[str, Any], raw: Mapping[str, Any], progressed: Callable[[], None]
    ) -> dict[str, Json]:
        """Wait for the task that was sent in place of a result, or answer the questions and finish the call."""
        progress.set(progressed)
        if raw["resultType"] == "task":
            with self.log.taking_warnings():
                made = CreatedTask.model_validate(raw, by_name=False)
                return _plain(await self._extension.follow(self._client.session, made, progressed))
        asked = InputRequiredResult.model_validate(raw, by_name=False)
        with self.log.taking_warnings():
            responses = await self._questions.answer_all(asked.input_requests or {}) or None
            further = {"input_responses": responses, "request_state": asked.request_state}
            return _plain(await self._client.call_tool(params["name"], params["arguments"], **further))

    async def _connect(self, stack: AsyncExitStack) -> None:
        """Connect, and learn what the server offers.

        Servers of today are asked for the versions that they speak. Older ones may die of this question, or leave it
        without an answer: they are greeted as the older versions have it, and the next time at once.
        """
        divert_warnings()
        self._is_old = bool((self._around.known(self._name) or {}).get("is_old"))
        self._is_probed = not (self._is_old or self._server.url or self._server.mode != "auto")
        began = monotonic()
        try:
            self._client = await self._greet(stack)
        except Exception:
            if not self._has_died or self.is_over:
                raise
            self._is_probed, self._is_old = False, True
            self._client = await self._greet(stack)
        self._is_probed = False
        was_silent = monotonic() - began >= session.DISCOVER_TIMEOUT_SECONDS
        self._is_old |= was_silent and self._client.session.discover_result is None
        await self._learn()
        if self._client.server_capabilities.tools and self._client.session.discover_result is not None:
            await stack.enter_async_context(_cancelled_at_end(self._listen()))

    async def _greet(self, stack: AsyncExitStack) -> Any:
        """Start the server or reach it, and return the SDK's client of it."""
        self._calls = DirectCalls()
        return await stack.enter_async_context(
            Client(
                mending(await self._transport(stack), self.log.write),
                mode="legacy" if self._is_old else self._server.mode,
                elicitation_callback=self._questions.answer,
                logging_callback=self.log.write_message,
                log_level="info" if self.log.is_shown else None,
                message_handler=self._noticed,
                client_info=Implementation(name="kosmolua", version=__version__),
                cache=None,
                extensions=[self._extension],
            )
        )

    def _ended(self, reason: str) -> None:
        """End the connection with its process, unless it has died of the question for its versions."""
        if not self._is_probed:
            self._end(reason)
            return
        self._has_died = True
        self._loop.call_later(GRACE, lambda: self._end(reason) if self._is_probed else None)

    async def _transport(self, stack: AsyncExitStack) -> Any:
        server = self._server
        if server.url and server.transport == "sse":
            from mcp.client.sse import sse_client

            return sse_client(server.url, httpx_client_factory=lambda *_, **__: http_client(server, self._answered))
        if server.url:
            from mcp.client.streamable_http import streamable_http_client

            client = await stack.enter_async_context(http_client(server, self._answered))
            return streamable_http_client(server.url, http_client=client)
        from kosmolua.mcp_client.settings import kept
        from kosmolua.mcp_client.stdio import process_streams

        folder = self._around.folder
        command = server.command_line(folder, self._around.environ)
        environment = server.environment(self._around.environ)
        started_in = folder / Path(server.cwd).expanduser() if server.cwd else folder
        return process_streams(
            kept(command), environment, started_in, calls=self._calls, said=self.log.write_printed, ended=self._ended
        )

    def _answered(self, status: int, missing: str) -> None:
        """Note how the server answers; a refusal counts until it accepts something, whatever it answers in between."""
        if status < BAD_REQUEST or not self.is_refused:
            self._status, self._missing = status, missing

    async def _learn(self) -> None:
        """Ask the server what it offers; keep it as ``card``, and pass it to ``learned``."""
        client = self._client
        capabilities = client.server_capabilities
        tools: list[dict[str, Any]] = []
        cursor = None
        for _ in range(MAX_PAGES if capabilities.tools else 0):
            page = await client.list_tools(cursor=cursor, cache_mode="bypass")
            tools += [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in page.tools]
            if not (cursor := page.next_cursor):
                break
        info = client.server_info
        self.card = {
            "server": info.model_dump(by_alias=True, mode="json", exclude_none=True) if info else {},
            "instructions": client.instructions,
            "tools": tools,
            "resources": bool(capabilities.resources),
            "prompts": bool(capabilities.prompts),
            "is_old": self._is_old,
        }
        self._outputs.learn(tools)
        self._tasks = {tool["name"] for tool in tools if is_task(tool)}
        self.tags = {tool["name"]: digest(tool) for tool in tools}
        self._around.learned(self._name, self.card)

    async def _listen(self) -> None:
        """Read the tools again each time the stream of changes announces it.

        Servers have it since version 2026-07-28 of the protocol. Older ones notify the client: see :meth:`_noticed`.
        """
        with suppress(MCPError, RuntimeError, OSError):
            async with self._client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    await self._learn()

    async def _noticed(self, message: object) -> None:
        if isinstance(message, ToolListChangedNotification) and self._client is not None:
            task = asyncio.get_running_loop().create_task(self._learn())
            task.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _end(self, reason: str) -> None:
        self.reason = self.reason or reason
        self._over.set()
        if not self.ready.done():
            self.ready.set_exception(self._failure(ConnectionError(reason)))
            self.ready.exception()

    def _failure(self, error: BaseException) -> CallError:
        """Return the error for calls of a server that could not be started or reached."""
        if self.is_refused:
            return self._unauthorized()
        if isinstance(error, CallError):
            hints = "; ".join(error.hints) or None
            return NetworkError(f"{self._name} cannot be started: {error.what}", retryable=False, hint=hints)
        verb = "reached" if self._server.url else "started"
        is_other = self._status in (NOT_FOUND, NOT_ALLOWED) and self._server.transport is None
        hint = f'if the server has the older transport, set transport = "sse" in [{self._name}]' if is_other else None
        failure = NetworkError(f"{self._name} cannot be {verb}: {self.reason or words_of(error)}", hint=hint)
        failure.detail = self.log.last
        return failure

    def _refusal(self, error: Any) -> CallError:
        """Return the error for a request that the server answered with an error."""
        if self.is_refused:
            return self._unauthorized()
        hint = None
        if error.error.code == INVALID_REQUEST and self._client.session.discover_result is not None:
            hint = f'if its tool asks the user in the middle of a call, set protocol = "2025-11-25" in [{self._name}]'
        body: dict[str, Json] = {"code": error.error.code, "message": error.error.message}
        with suppress(NotJson):  # data that no script could get is left out
            if error.error.data is not None and encode(error.error.data):
                body["data"] = error.error.data
        return ApiError(f"{self._name}: {error.error.message}", body=body, hint=hint)

    def _unauthorized(self) -> NotConfigured:
        login = f"run 'kosmolua accounts login {self._name}'"
        if self._missing:
            options = "".join(f" --scope {shlex.quote(scope)}" for scope in self._missing.split())
            what = f"The server {self._name} requires the scope {self._missing}"
            return NotConfigured(what, hint=f"run 'kosmolua accounts login {self._name}{options}'")
        hint = f"{login}, or set token in the section [{self._name}] of the accounts file"
        return NotConfigured(f"The server {self._name} requires a valid credential", hint=hint)


def _plain(result: Any) -> dict[str, Json]:
    """Return a result of the SDK as JSON; beside structured content of a success, no unstructured."""
    if isinstance(result, CallToolResult) and result.structured_content is not None and not result.is_error:
        return {"structuredContent": result.structured_content}
    plain: dict[str, Json] = result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return plain


ExceptionGroupType: type[BaseException] = getattr(builtins, "BaseExceptionGroup", OSError)  # since Python 3.11


@asynccontextmanager
async def _cancelled_at_end(work: Any) -> AsyncIterator[None]:
    """Run a coroutine during the block, and cancel it at its end."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
