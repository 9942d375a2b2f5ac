"""Calls of tools that run as tasks: the server answers at once, and is asked for the result once it is there.

Up to protocol version 2025-11-25 the client asks for a task, where the tool needs it; since then it is the server that
decides, for clients with the extension.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Literal

import mcp_types as types
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.shared.exceptions import MCPError

POLL_INTERVAL = 1.0
"""Seconds between two looks at a task, if the server names none."""
SHORTEST_INTERVAL = 0.1
"""Seconds between two looks that a server cannot shorten: all servers share one thread."""


async def call_as_task(session: Any, params: Mapping[str, Any], progressed: Callable[[], None]) -> types.CallToolResult:
    """Call a tool and wait for its task, which is cancelled if nobody waits any longer.

    ``progressed`` is called each time that the server says that it still works.
    """
    asked = types.CallToolRequestParams(name=params["name"], arguments=params["arguments"], task=types.TaskMetadata())
    made = await session.send_request(types.CallToolRequest(params=asked), types.CreateTaskResult)
    task: types.Task = made.task
    try:
        while task.status == "working":
            await asyncio.sleep(_pause(task.poll_interval))
            look = types.GetTaskRequest(params=types.GetTaskRequestParams(task_id=task.task_id))
            task = await session.send_request(look, types.GetTaskResult)
            progressed()
        wanted = types.GetTaskPayloadRequest(params=types.GetTaskPayloadRequestParams(task_id=task.task_id))
        result: types.CallToolResult = await session.send_request(wanted, types.CallToolResult)
        return result
    except asyncio.CancelledError:
        end = types.CancelTaskRequest(params=types.CancelTaskRequestParams(task_id=task.task_id))
        _begin(session.send_request(end, types.CancelTaskResult))
        raise


def _pause(interval: float | None) -> float:
    """Return the seconds until the next look, for the milliseconds that a server names."""
    return max(POLL_INTERVAL if interval is None else interval / 1000, SHORTEST_INTERVAL)


def _begin(sending: Any) -> None:
    """Send a request whose answer nobody waits for."""
    task = asyncio.get_running_loop().create_task(sending)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())


# Since 2026-07-28

Answer = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, types.ElicitResult]]]
progress: ContextVar[Callable[[], None]] = ContextVar("progress")
"""What is called in the current request each time that its server says that it still works."""


class CreatedTask(types.Result):
    """The answer of a server to a call that it makes a task."""

    result_type: Literal["task"] = "task"
    task_id: str
    poll_interval_ms: int | None = None


class _TaskState(types.Result):
    """What became of a task."""

    status: str
    poll_interval_ms: int | None = None
    input_requests: types.InputRequests | None = None
    result: dict[str, Any] | None = None
    error: types.ErrorData | None = None


class _TaskAsked(types.RequestParams):
    task_id: str
    input_responses: dict[str, types.ElicitResult] | None = None


class _AboutTask(types.Request[_TaskAsked, str]):
    name_param = "taskId"


class TaskExtension(ClientExtension):
    """The extension for tasks (SEP-2663); ``answer`` answers the questions of a task."""

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def claims(self) -> Sequence[ResultClaim[Any]]:
        """Return that a call may be answered by a task."""
        return [ResultClaim(result_type="task", model=CreatedTask, resolve=self._resolve)]

    async def _resolve(self, made: CreatedTask, context: ClaimContext) -> types.CallToolResult:
        return await self.follow(context.session, made, progress.get(lambda: None))

    async def follow(self, session: Any, made: CreatedTask, progressed: Callable[[], None]) -> types.CallToolResult:
        """Wait for a task, and return its result; the task is cancelled if nobody waits any longer.

        Raises:
            MCPError: The task failed, was cancelled, or asked for something other than an answer from the user.
        """

        def request(method: str, **more: Any) -> _AboutTask:
            return _AboutTask(method=method, params=_TaskAsked(task_id=made.task_id, **more))

        answered: set[str] = set()
        interval = made.poll_interval_ms
        try:
            while True:
                await asyncio.sleep(_pause(interval))
                state = await session.send_request(request("tasks/get"), _TaskState)
                progressed()
                interval = state.poll_interval_ms
                if state.status == "completed":
                    return types.CallToolResult.model_validate(state.result, by_name=False)
                if state.status in ("failed", "cancelled"):
                    said = types.ErrorData(code=types.INTERNAL_ERROR, message=f"The task was {state.status}")
                    raise MCPError.from_error_data(state.error or said)
                asked = {key: each for key, each in (state.input_requests or {}).items() if key not in answered}
                if asked:
                    answered |= asked.keys()
                    replies = dict(await self._answer(asked))
                    await session.send_request(request("tasks/update", input_responses=replies), types.EmptyResult)
        except asyncio.CancelledError:
            _begin(session.send_request(request("tasks/cancel"), types.EmptyResult))
            raise
