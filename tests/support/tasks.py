"""An MCP client that takes tasks (SEP-2663), and says what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any

import anyio
from mcp import Client
from mcp.client.extension import advertise
from mcp_types import ElicitResult, Request, RequestParams
from pydantic import ConfigDict, TypeAdapter

from kosmolua import Runtime
from kosmolua.mcp.executions import TASKS
from kosmolua.mcp.runner import Runner
from kosmolua.mcp.server import Handlers
from support.agents import DISCOVERY

TAKES = [advertise(TASKS)]
"""The extensions of such a client."""
WAIT = 60.0
"""Seconds that a task may take to come into a state."""
_ANY: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


class _Params(RequestParams):
    model_config = ConfigDict(extra="allow")


class _Request(Request[_Params, str]):
    method: str


class _TaskRequest(_Request):
    name_param = "taskId"


async def send(client: Client, method: str, **params: Any) -> dict[str, Any]:
    """Send a request, and return its result as it is."""
    kind = _TaskRequest if method.startswith("tasks/") else _Request
    return await client.session.send_request(kind(method=method, params=_Params(**params)), _ANY)


async def start(client: Client, code: str, **arguments: Any) -> dict[str, Any]:
    """Run a script, and return its result, or its task."""
    return await send(client, "tools/call", name="execute_lua", arguments={"code": code, **arguments})


async def until(client: Client, task: str, *states: str) -> dict[str, Any]:
    """Return what is known of a task as soon as it is in one of these states."""
    ends = monotonic() + WAIT
    while True:
        found = await send(client, "tasks/get", taskId=task)
        if found["status"] in states:
            return found
        assert monotonic() < ends, found
        await asyncio.sleep(0.05)


async def answer(client: Client, task: str, replies: Mapping[str, Mapping[str, Any]]) -> None:
    """Accept questions of a task with the contents of forms."""
    accepted = {key: {"action": "accept", "content": content} for key, content in replies.items()}
    await send(client, "tasks/update", taskId=task, inputResponses=accepted)


async def nobody(context: object, params: object) -> ElicitResult:
    """Answer no question: a client that takes tasks is asked in their states."""
    raise AssertionError("the client was asked")


def talk(
    runtime: Runtime,
    conversation: Callable[[Client], Awaitable[None]],
    runner: Runner | None = None,
    **options: Any,
) -> None:
    """Hold a conversation with a server in this process, which then stops; the client can be asked."""
    given = {"extensions": TAKES, "elicitation_callback": nobody, **options}

    async def hold() -> None:
        handlers = Handlers(runtime, read_only=False, simulated=True, watch=lambda event: None, runner=runner)
        async with Client(handlers.server(), mode=DISCOVERY, **given) as client:
            await conversation(client)
        await handlers.tasks.leave()
        handlers.close()

    anyio.run(hold)
