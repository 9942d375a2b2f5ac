"""The executions of a server: started for a client, followed, and kept while a client fetches an approval."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping

from mcp_types import CallToolResult, InputRequiredResult

from kosmolua.errors import WorkerLost
from kosmolua.journal import Watch
from kosmolua.mcp.answer import answer
from kosmolua.mcp.client import APPROVAL, Client, put_off
from kosmolua.mcp.execution import Execution
from kosmolua.mcp.question import meaning
from kosmolua.mcp.script import Script
from kosmolua.runtime import Runtime

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
