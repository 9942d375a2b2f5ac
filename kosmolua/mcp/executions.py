"""The executions of a server: starts and ends them, reports progress, asks for approvals."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar

import anyio
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequiredResult,
    TextContent,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from kosmolua.calls.records import Watch
from kosmolua.errors import Interrupted, Paused, WorkerLost
from kosmolua.flow.memory import SessionMemory
from kosmolua.mcp.answer import answer, refusal, run_of
from kosmolua.mcp.clients import MAX_NAME, PERSON, SUBJECT, client_of
from kosmolua.mcp.execution import Execution
from kosmolua.mcp.questions import Question, can_be_asked
from kosmolua.mcp.runner import Runner
from kosmolua.mcp.tools import ScriptRequest
from kosmolua.mcp.transcripts import Transcripts
from kosmolua.runs import Outcome, RunOptions
from kosmolua.secret import Secret
from kosmolua.truncation import weigh

HEARTBEAT_INTERVAL = 5.0
"""Seconds after which a client is told that its script still runs, even if nothing has happened."""
MIN_SILENCE = 0.1
"""The shortest time between two progress notifications to a client, in seconds."""
APPROVAL = "approval"
SMALL_ANSWER = 4_000
"""The size up to which an outcome is converted in the event loop's thread, in characters."""


_Given = TypeVar("_Given")
_Kind = TypeVar("_Kind", bound=Execution)


async def in_thread(work: Callable[..., _Given], *given: Any) -> _Given:
    """Call a blocking function in another thread, or here if the system allows none; wait for it even if cancelled."""
    try:
        return await anyio.to_thread.run_sync(work, *given)
    except RuntimeError as error:
        if "new thread" not in str(error):
            raise
    return work(*given)


TASKS = "io.modelcontextprotocol/tasks"
"""The extension for tasks."""
TASK = "kosmolua/task"
"""The key in the ``_meta`` of a call under which a host application hands over the person's own words."""


class Client:
    """The client that sent one request, and its person; ``name`` tells clients apart, ``context`` is the SDK's."""

    def __init__(self, context: ServerRequestContext[Any]) -> None:
        software = context.session.client_params and context.session.client_params.client_info
        self.software = f"{software.name} {software.version}".strip()[:MAX_NAME] if software else ""
        self.person = str(context.request.scope.get(PERSON) or "") if context.request else ""
        self.subject: Secret | None = context.request.scope.get(SUBJECT) if context.request else None
        self.name = client_of(context.request, self.software)
        self.is_modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
        self._session = context.session
        self.wants_progress = "progress_token" in (context.meta or ())
        self._request = context.request_id
        self.http = context.request
        self._told = -MIN_SILENCE

    def task(self, meta: Mapping[str, Any] | None) -> str:
        """Return the person's own words, which a host application hands over with a call; empty if there are none.

        They count only with a signature that the client's token makes, since a model must not write them.
        """
        given = (meta or {}).get(TASK)
        scheme, _, token = (self.http.headers if self.http else {}).get("authorization", "").partition(" ")
        if not isinstance(given, dict) or scheme.lower() != "bearer" or not token:
            return ""
        text, signature = str(given.get("text", "")), str(given.get("signature", ""))
        expected = hmac.new(token.strip().encode(), text.encode("utf-8", "replace"), sha256).hexdigest()
        return text if hmac.compare_digest(expected.encode(), signature.lower().encode()) else ""

    @property
    def takes_tasks(self) -> bool:
        """Whether the answer to the request can be a task."""
        capabilities = self._session.client_capabilities
        return self.is_modern and TASKS in ((capabilities and capabilities.extensions) or ())

    @property
    def asks_a_person(self) -> bool:
        """Whether the client can show a question."""
        return can_be_asked(self._session.client_capabilities)

    async def follow(self, execution: Execution) -> bool:
        """Report progress and pass on questions until the script has ended.

        Return False for a question that must be the answer to the request: from protocol version 2026-07-28 on, a
        server cannot send requests to a client.
        """
        while not execution.done and not execution.question:
            await self._await_change(execution)
        return execution.done or await self._ask_meanwhile(execution)

    async def _await_change(self, execution: Execution) -> None:
        await execution.change(HEARTBEAT_INTERVAL)
        if not self.wants_progress or execution.done or execution.seconds - self._told < MIN_SILENCE:
            return
        self._told = execution.seconds
        waiting = "; waiting for an approval" if execution.question else ""
        called = f", the last {execution.latest}" if execution.latest else ""
        await self._session.report_progress(
            round(execution.seconds, 3), message=f"calls: {execution.calls}{called}{waiting}"
        )

    async def _ask_meanwhile(self, execution: Execution) -> bool:
        """Send questions until the end, and return True; False if the client cannot be sent requests."""
        asked = None
        async with anyio.create_task_group() as asking:
            while not execution.done:
                if (question := execution.question) and question is not asked:
                    if not self._session.can_send_request:
                        return False
                    asking.start_soon(self._ask, execution, question)
                    asked = question
                await self._await_change(execution)
            asking.cancel_scope.cancel()
        return True

    async def _ask(self, execution: Execution, question: Question) -> None:
        try:
            reply = await self._session.elicit_form(question.message, question.schema, related_request_id=self._request)
        except (MCPError, ValidationError):
            reply = None
        execution.answer(question, question.meaning(reply))


def put_off(question: Question) -> ElicitRequest:
    """Return a question as part of an answer; the reply comes in a new request."""
    return ElicitRequest(params=ElicitRequestFormParams(message=question.message, requested_schema=question.schema))


MAX_SESSIONS = 256
"""How many clients' sessions are remembered, to tell where the destinations of their scripts come from."""
PARKING_TIMEOUT = 600.0
"""Seconds that a client has to send the answer to a question. After that, its script is ended.

The script itself waits at most as long as the server's limit ``timeout``, and then continues without the answer.
"""


class Executions:
    """Runs scripts for any number of clients at once; ``transcripts`` keeps what is too long for them."""

    def __init__(self, runner: Runner, transcripts: Transcripts, watch: Watch, *, check: bool) -> None:
        self._runner = runner
        self._transcripts = transcripts
        self._watch = watch
        self._check = check
        self._followed: defaultdict[str | None, set[anyio.CancelScope]] = defaultdict(set)
        self._parked: dict[str, Execution] = {}
        self._sessions: dict[str | None, SessionMemory] = {}

    async def start(
        self, script: ScriptRequest, client: Client, task: str = ""
    ) -> CallToolResult | InputRequiredResult:
        """Run a script; return its result, or a question for a person. ``task`` are the person's own words."""
        return await self._follow(self.begin(Execution, script, client, task), client)

    def begin(
        self, kind: type[_Kind], script: ScriptRequest, client: Client, task: str = "", *, owner: str | None = None
    ) -> _Kind:
        """Begin to run a script, and return its execution. ``owner`` is the client of a run that goes on."""
        memory = self.memory_of(client.name)
        if task:
            memory.assign(task)
        return kind(
            self._runner,
            script,
            memory,
            client=owner or client.name,
            asks=client.asks_a_person,
            counts=client.wants_progress or client.takes_tasks,
            check=self._check,
            watch=self._watch,
            about=RunOptions(software=client.software or None, person=client.person or None, subject=client.subject),
        )

    def memory_of(self, client: str | None) -> SessionMemory:
        """Return what a client's session has seen. Of too many, the one that was used least recently is forgotten."""
        memory = self._sessions.pop(client) if client in self._sessions else SessionMemory()
        self._sessions[client] = memory
        if len(self._sessions) > MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return memory

    async def resume(
        self, state: str, replies: Mapping[str, object], client: Client
    ) -> CallToolResult | InputRequiredResult:
        """Continue a script with a person's ``replies``, by question; ``state`` is what was sent with these.

        Raises:
            WorkerLost: The script no longer runs.
        """
        execution = self._parked.pop(state, None)
        if execution is None:
            raise WorkerLost("The script that asked for this approval no longer runs", hint="run it again")
        if execution.question and APPROVAL in replies:
            execution.answer(execution.question, execution.question.meaning(replies[APPROVAL]))
        return await self._follow(execution, client)

    def close(self) -> None:
        """End the scripts that wait for an answer."""
        for state in list(self._parked):
            self._forget(state)

    def has_runs(self, client: str) -> bool:
        """Return True if a request of this client waits for a script."""
        return client in self._followed

    def end_runs(self, client: str) -> None:
        """End the scripts for which requests of this client wait."""
        for scope in list(self._followed.get(client, ())):
            scope.cancel()

    async def _follow(self, execution: Execution, client: Client) -> CallToolResult | InputRequiredResult:
        with anyio.CancelScope() as scope:
            self._followed[client.name].add(scope)
            parked = False
            try:
                if await client.follow(execution):
                    return await self.answer(execution, client)
                parked = True
                return self._park(execution)
            finally:
                if not parked:
                    execution.stop()
                    execution.release()
                self._followed[client.name].discard(scope)
                if not self._followed[client.name]:
                    del self._followed[client.name]
        return refusal(Interrupted("The client disconnected, so the script was stopped"))

    async def answer(self, execution: Execution, client: Client) -> CallToolResult:
        """Return the result of an ended script; a large one is converted in another thread."""
        result = await self.report(execution.outcome(), execution.script, client)
        if execution.saved:
            result.content.append(TextContent(text=execution.saved))
        return result

    async def report(self, outcome: Outcome, script: ScriptRequest, client: Client) -> CallToolResult:
        """Return the result for an outcome; a large one is converted in another thread."""
        keep = partial(self._transcripts.keep, client.name)
        way = ""
        if isinstance(outcome.error, Paused):
            waiting, site = outcome.error.calls, str(client.http.base_url).rstrip("/") if client.http else ""
            run = run_of(outcome)
            page = f"a/{run}-{waiting[0]['number']}" if len(waiting) == 1 else "approvals"
            way = self._runner.way_to_approve(site, page, run)
            if client.asks_a_person:
                way += ". Or call execute_lua with the run's id as resume, and without code, to have the user asked"
        given = outcome, script, self._runner.limits, way, keep
        is_small = len(outcome.output) + weigh(outcome.result, SMALL_ANSWER) + len(outcome.calls) <= SMALL_ANSWER
        return answer(*given) if is_small and outcome.plan is None else await in_thread(answer, *given)

    def _park(self, execution: Execution) -> InputRequiredResult:
        assert execution.question
        state = secrets.token_urlsafe(16)
        self._parked[state] = execution
        asyncio.get_running_loop().call_later(PARKING_TIMEOUT, self._forget, state)
        return InputRequiredResult(input_requests={APPROVAL: put_off(execution.question)}, request_state=state)

    def _forget(self, state: str) -> None:
        execution = self._parked.pop(state, None)
        if execution:
            execution.stop()
            execution.release()
