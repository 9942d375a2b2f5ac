"""The client that made a request: what it can show to a person, and how it is told and asked while a script runs."""

from __future__ import annotations

from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequest, ElicitRequestFormParams, InputRequests
from pydantic import ValidationError

from kosmolua.mcp.execution import Execution
from kosmolua.mcp.question import SCHEMA, Question, can_be_asked, meaning

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
