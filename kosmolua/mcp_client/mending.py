"""Mends what the SDK would refuse: lists of tools in which one is malformed, and tasks in place of results."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

ANYTHING = {"type": "object", "additionalProperties": True}
"""The schema of a tool that does not say what it takes."""


@asynccontextmanager
async def mending(transport: Any, log: Callable[[str], None]) -> AsyncIterator[Any]:
    """Yield the streams of a transport, whose messages are mended; ``log`` gets a line about each tool left out."""
    async with transport as (messages, *others):
        yield _MendedStream(messages, log), *others


class _MendedStream:
    """The messages of a server. Everything else is left to the stream of the transport."""

    def __init__(self, messages: Any, log: Callable[[str], None]) -> None:
        self._messages = messages
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._messages, name)

    async def __aenter__(self) -> _MendedStream:
        await self._messages.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._messages.__aexit__(*error)

    def __aiter__(self) -> _MendedStream:
        return self

    async def __anext__(self) -> Any:
        return self._mended(await self._messages.__anext__())

    async def receive(self) -> Any:
        return self._mended(await self._messages.receive())

    def _mended(self, item: Any) -> Any:
        result = getattr(getattr(item, "message", None), "result", None)
        if isinstance(result, dict) and isinstance(result.get("task"), dict):
            result.setdefault("content", [])
        if isinstance(result, dict) and isinstance(tools := result.get("tools"), list):
            result["tools"] = [tool for each in tools if (tool := self._mended_tool(each))]
        return item

    def _mended_tool(self, tool: Any) -> dict[str, Any] | None:
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            self._log("listed a tool without a name, which is left out")
            return None
        schema = tool.get("inputSchema")
        if not isinstance(schema, dict) or not schema or schema.get("type", "object") != "object":
            tool["inputSchema"] = ANYTHING
        else:
            schema.setdefault("type", "object")
        if not isinstance(tool.get("outputSchema", {}), dict) or tool.get("outputSchema") == {}:
            del tool["outputSchema"]
        return tool
