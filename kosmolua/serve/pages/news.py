"""News for pages that are open: a stream of events, which says when what they show has changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from time import monotonic, time

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from kosmolua.errors import ConfigError
from kosmolua.serve.pages.rendering import HEADERS
from kosmolua.serve.pages.workspace import INSIGHTS, Workspace
from kosmolua.stores.store import RunFilter

INTERVAL, SLOW_INTERVAL, SHARE = 1.0, 5.0, 20
"""Seconds between two looks, and between two for a page that takes long to make; at least ``SHARE`` looks long."""
SILENCE, LONGEST = 25.0, 900.0
"""Seconds without news until a comment is sent, and until a stream ends: the browser opens another."""


def stream(workspace: Workspace, about: RunFilter | str, is_over: Callable[[], Awaitable[bool]]) -> Response:
    """Return the stream for a page, ``about`` as in :meth:`Workspace.state`. It ends once ``is_over``."""

    async def events() -> AsyncIterator[str]:
        latest, began = (0, ""), monotonic()
        told, interval = began, SLOW_INTERVAL if about == INSIGHTS else INTERVAL
        while monotonic() - began < LONGEST and not workspace.tenant.is_draining and not await is_over():
            looked = monotonic()
            with suppress(ConfigError):  # the store cannot be reached now
                waiting, state = await run_in_threadpool(workspace.state, about)
                if latest != (waiting, state):
                    latest, told = (waiting, state), looked
                    news = json.dumps({"waiting": waiting, "state": state, "now": round(time() * 1000)})
                    yield f"event: news\ndata: {news}\n\n"
            if looked - told > SILENCE:
                told = looked
                yield ":\n\n"
            await asyncio.sleep(max(interval, SHARE * (monotonic() - looked)))

    return StreamingResponse(events(), headers={**HEADERS, "Cache-Control": "no-store"}, media_type="text/event-stream")
