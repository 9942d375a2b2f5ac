"""The questions that an MCP server asks the user while it answers a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_REQUEST, ElicitRequest, ElicitResult

Confirm: TypeAlias = Callable[[str, Mapping[str, object]], bool]
"""A function that asks the user and returns True for yes. It is called with a question and values to show with it."""

_ASKED_BY = "asked by"
"""The name under which a question shows the server, which no field of its form can have."""


class Questions:
    """Answers the questions of one server: asks the user where yes or no suffices, else declines and logs a line."""

    def __init__(self, server: str, log: Callable[[str], None]) -> None:
        self._server = server
        self._log = log
        self._confirms: list[Confirm | None] = []

    @contextmanager
    def put_to(self, confirm: Confirm | None) -> Iterator[None]:
        """Ask with ``confirm`` during the block, in which a request is under way.

        A question does not say to which request it belongs: the latest that has a ``confirm`` counts.
        """
        self._confirms.append(confirm)
        try:
            yield
        finally:
            self._confirms.remove(confirm)

    async def answer(self, context: object, params: Any) -> ElicitResult:
        """Answer one question; the SDK's context is not used."""
        confirm = next((each for each in reversed([*self._confirms]) if each), None)
        shown: dict[str, object] = {_ASKED_BY: self._server}
        content: dict[str, Any] | None = None
        if url := getattr(params, "url", None):
            shown["url"] = url
        else:
            content = _agreed(params.requested_schema)
            shown |= content or {}
        if confirm is None or (content is None and not url) or _ASKED_BY in (content or ()):
            self._log(f"asked a question that nobody can answer: {params.message}")
            return ElicitResult(action="decline")
        is_allowed = await asyncio.to_thread(confirm, " ".join(params.message.split()), shown)
        return ElicitResult(action="accept", content=content) if is_allowed else ElicitResult(action="decline")

    async def answer_all(self, requests: Mapping[str, Any]) -> dict[str, ElicitResult]:
        """Answer the questions sent in place of a tool's result, by the same keys.

        Raises:
            MCPError: One of the requests is not a question to the user.
        """
        if not all(isinstance(each, ElicitRequest) for each in requests.values()):
            raise MCPError(INVALID_REQUEST, "The server asked for something other than an answer from the user")
        return {key: await self.answer(None, each.params) for key, each in requests.items()}


def _agreed(schema: Any) -> dict[str, Any] | None:
    """Return the answer that says yes; None if more than a yes is needed."""
    schema = schema if isinstance(schema, dict) else schema.model_dump(by_alias=True, exclude_none=True)
    answer: dict[str, Any] = {}
    for name, field in (schema.get("properties") or {}).items():
        if "default" in field:
            answer[name] = field["default"]
        elif field.get("type") == "boolean":
            answer[name] = True
        elif name in (schema.get("required") or ()):
            return None
    return answer
