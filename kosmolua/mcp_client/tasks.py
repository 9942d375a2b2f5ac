"""Calls of tools that run as tasks: the server answers at once, and is asked for the result once it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import mcp_types as types

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
            interval = POLL_INTERVAL if task.poll_interval is None else task.poll_interval / 1000
            await asyncio.sleep(max(interval, SHORTEST_INTERVAL))
            look = types.GetTaskRequest(params=types.GetTaskRequestParams(task_id=task.task_id))
            task = await session.send_request(look, types.GetTaskResult)
            progressed()
        wanted = types.GetTaskPayloadRequest(params=types.GetTaskPayloadRequestParams(task_id=task.task_id))
        result: types.CallToolResult = await session.send_request(wanted, types.CallToolResult)
        return result
    except asyncio.CancelledError:
        end = types.CancelTaskRequest(params=types.CancelTaskRequestParams(task_id=task.task_id))
        ending = asyncio.get_running_loop().create_task(session.send_request(end, types.CancelTaskResult))
        ending.add_done_callback(lambda done: done.cancelled() or done.exception())
        raise
