"""The executions of a server: started for a client, followed, and kept while a client fetches an approval."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ElicitRequest, ElicitRequestFormParams, InputRequests, InputRequiredResult
from pydantic import ValidationError

from kosmolua.broker.records import Watch
from kosmolua.errors import WorkerLost
from kosmolua.mcp.answer import answer
from kosmolua.mcp.execution import Execution
from kosmolua.mcp.questions import SCHEMA, Question, can_be_asked, meaning
from kosmolua.mcp.tools import Script
from kosmolua.runtime import Runtime

HEARTBEAT = 5.0
"""Seconds after which a client hears that a script still runs, though nothing happened."""
SHORTEST_SILENCE = 0.1
"""Seconds between two notices of progress, however many calls there are."""
APPROVAL = "approval"


class Client:
    """The other side of one request.

    Args:
        context: The request, as the SDK hands it to a handler.
    """

    def __init__(self, context: ServerRequestContext[Any]) -> None:
        self._session = context.session
        self._request = context.request_id
        self._told = -SHORTEST_SILENCE

    @property
    def asks_a_person(self) -> bool:
        """Whether it can put a question to a person."""
        return can_be_asked(self._session.client_capabilities)

    async def follow(self, execution: Execution) -> bool:
        """Tell the client how a script gets on, and ask what the script asks, until it is done.

        Returns:
            Whether it is done. It is not when the client is one that can be asked only in the answer to its request:
            since protocol 2026-07-28 servers send no requests.
        """
        asked = None
        async with anyio.create_task_group() as asking:
            while not execution.done:
                if (question := execution.question) and question is not asked:
                    if not self._session.can_send_request:
                        return False
                    asking.start_soon(self._ask, execution, question)
                    asked = question
                await execution.change(HEARTBEAT)
                await self._tell(execution)
            asking.cancel_scope.cancel()
        return True

    async def _ask(self, execution: Execution, question: Question) -> None:
        try:
            reply = await self._session.elicit_form(question.message, SCHEMA, related_request_id=self._request)
        except (MCPError, ValidationError):
            reply = None
        execution.answer(question, meaning(reply))

    async def _tell(self, execution: Execution) -> None:
        if execution.done or execution.seconds - self._told < SHORTEST_SILENCE:
            return
        self._told = execution.seconds
        waiting = "; waiting for an approval" if execution.question else ""
        called = f", the last {execution.latest}" if execution.latest else ""
        await self._session.report_progress(
            round(execution.seconds, 3), message=f"calls: {execution.calls}{called}{waiting}"
        )


def put_off(question: Question) -> InputRequests:
    """Return the question for a client that answers it with its next request."""
    return {APPROVAL: ElicitRequest(params=ElicitRequestFormParams(message=question.message, requested_schema=SCHEMA))}


LONGEST_PARKED = 600.0
"""Seconds for which an execution is kept for a client that was asked and may never come back.

Its script waits for the answer no longer than the server's own ``--timeout``, and goes on without one.
"""


class Executions:
    """Runs scripts for any number of clients at once.

    Args:
        runtime: Runs them.
        watch: Told of each call's record when it starts and when it ends, in another thread.
    """

    def __init__(self, runtime: Runtime, watch: Watch) -> None:
        self._runtime = runtime
        self._watch = watch
        self._parked: dict[str, Execution] = {}

    async def start(self, script: Script, client: Client) -> CallToolResult | InputRequiredResult:
        """Run a script and return its answer, or what the client has to ask a person first."""
        execution = Execution(self._runtime, script, asks=client.asks_a_person, watch=self._watch)
        return await self._follow(execution, client)

    async def resume(
        self, state: str, replies: Mapping[str, object], client: Client
    ) -> CallToolResult | InputRequiredResult:
        """Go on with a script whose client comes back with a person's reply.

        Args:
            state: What the client was given when it was asked.
            replies: What it brings.

        Raises:
            WorkerLost: The script is gone.
        """
        execution = self._parked.pop(state, None)
        if execution is None:
            raise WorkerLost("The script that asked for this approval is gone", hint="run it again")
        if execution.question and APPROVAL in replies:
            execution.answer(execution.question, meaning(replies[APPROVAL]))
        return await self._follow(execution, client)

    def close(self) -> None:
        """End what is still kept for clients."""
        for state in list(self._parked):
            self._forget(state)

    async def _follow(self, execution: Execution, client: Client) -> CallToolResult | InputRequiredResult:
        parked = False
        try:
            if await client.follow(execution):
                outcome = execution.outcome()
                return await asyncio.to_thread(answer, outcome, execution.script, self._runtime.limits)
            parked = True
            return self._park(execution)
        finally:
            if not parked:
                execution.stop()

    def _park(self, execution: Execution) -> InputRequiredResult:
        assert execution.question
        state = secrets.token_urlsafe(16)
        self._parked[state] = execution
        asyncio.get_running_loop().call_later(LONGEST_PARKED, self._forget, state)
        return InputRequiredResult(input_requests=put_off(execution.question), request_state=state)

    def _forget(self, state: str) -> None:
        execution = self._parked.pop(state, None)
        if execution:
            execution.stop()
