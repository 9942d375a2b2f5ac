"""Calls of a server's tools, by the SDK's session.

Its client would make an object of each result, only for it to be taken apart again: here a result stays what the
session has received and checked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from mcp.client.client import Client
from mcp.client.session import ClientSession
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError
from mcp_types import (
    HEADER_MISMATCH,
    INVALID_REQUEST,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    ElicitRequest,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    InputResponses,
)
from pydantic import RootModel

Elicit = Callable[[object, Any], Awaitable[ElicitResult]]

MAX_ROUNDS = 10
"""How often a server may ask for something before it goes on with one call."""
PAUSE = 0.1
"""Seconds after which a server that asks for nothing but patience is called again."""


class _Result(RootModel[dict[str, Any]]):
    """A result as the session received it."""


async def call_tool(
    client: Client, name: str, arguments: dict[str, Any], *, progress: ProgressFnT | None, elicit: Elicit
) -> dict[str, Any]:
    """Call a tool and return its result as the protocol has it.

    Args:
        client: The client that is connected.
        name: The tool.
        arguments: Its arguments.
        progress: Called with what the server says of its progress.
        elicit: Answers what the server wants to know.

    Raises:
        MCPError: The server refuses the call.
        RuntimeError: The result does not fit the tool's own schema.
        pydantic.ValidationError: The result does not fit the protocol.
    """
    request = CallToolRequest(params=CallToolRequestParams(name=name, arguments=arguments))
    try:
        result = (await client.session.send_request(request, _Result, progress_callback=progress)).root
    except MCPError as error:
        if error.error.code != HEADER_MISMATCH:
            raise
        return _plain(await client.call_tool(name, arguments, progress_callback=progress))  # it lists the tools first
    if result.get("resultType") == "input_required":
        asked = InputRequiredResult.model_validate(result, by_name=False)
        return _plain(await _go_on(client.session, request.params, asked, progress, elicit))
    if not result.get("isError"):
        await _check(client.session, name, result)
    return result


async def _go_on(
    session: ClientSession,
    call: CallToolRequestParams,
    asked: InputRequiredResult,
    progress: ProgressFnT | None,
    elicit: Elicit,
) -> CallToolResult:
    """Answer what a server asks for until it has done the call, and return the result."""
    for _ in range(MAX_ROUNDS):
        replies: InputResponses = {
            key: await _reply(request, elicit) for key, request in (asked.input_requests or {}).items()
        }
        if not replies:
            await asyncio.sleep(PAUSE)
        result = await session.call_tool(
            call.name,
            call.arguments,
            progress_callback=progress,
            input_responses=replies or None,
            request_state=asked.request_state,
            allow_input_required=True,
        )
        if isinstance(result, CallToolResult):
            return result
        asked = result
    raise RuntimeError(f"it asked {MAX_ROUNDS} times")


async def _reply(request: InputRequest, elicit: Elicit) -> ElicitResult:
    if isinstance(request, ElicitRequest):
        return await elicit(None, request.params)
    raise MCPError(INVALID_REQUEST, f"it asked for {request.method}, which is refused")


async def _check(session: ClientSession, name: str, result: dict[str, Any]) -> None:
    """Check a result against the schema that the tool has for it."""
    given = {"structured_content"} if "structuredContent" in result else set[str]()
    content = result.get("structuredContent")
    await session.validate_tool_result(name, CallToolResult.model_construct(given, structured_content=content))


def _plain(result: CallToolResult) -> dict[str, Any]:
    return result.model_dump(by_alias=True, mode="json", exclude_none=True)
