"""Connections to MCP servers. Each connection is a task of one event loop, which has a separate thread.

Any thread can send a request and wait for the response. All other work happens in the event loop's thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from time import monotonic
from typing import Any, TypeVar

from kosmolua.clock import Until
from kosmolua.concurrency import start_thread
from kosmolua.errors import NetworkError
from kosmolua.mcp_client.cards import Card
from kosmolua.mcp_client.direct import Gone
from kosmolua.mcp_client.link import CLOSE_TIMEOUT, Link, Surroundings
from kosmolua.mcp_client.pending import InLoop
from kosmolua.mcp_client.questions import Confirm
from kosmolua.mcp_client.settings import Server
from kosmolua.mcp_client.tools import CALL, ToolRequest
from kosmolua.protocol import Json

T = TypeVar("T")
CLOSED = "The runtime was closed, so it cannot connect to servers"
MIN_WAIT = 0.5
"""The least seconds to wait for a server, even if it should have listed its tools by now."""
RESTART_INTERVAL = 60.0
"""A server that ends is started again only once within this number of seconds."""


class Connections:
    """The connections of a :class:`Runtime` to its MCP servers, at most one for each, in common ``around``."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        # Changed only in the loop's thread.
        self._links: dict[str, Link] = {}
        self._starts: dict[str, deque[float]] = {}

    def offer(self, name: str, server: Server, seconds: float) -> Card:
        """Return the card of a server, connecting if necessary; it has ``seconds`` to list its tools once started.

        Raises:
            NetworkError: The server cannot be started or reached, or did not list its tools in time.
            NotConfigured: The server requires a valid credential.
        """

        async def offer() -> Card:
            return (await self._connected(name, server)).card

        link, now = self._links.get(name), monotonic()
        ends = max((link.started if link else now) + seconds, now + MIN_WAIT)
        with _reported(name):
            try:
                return InLoop(self._running(), offer).get(lambda: ends)
            except TimeoutError:
                verb = "reached" if server.url else "started"
                hint = f"raise it with --call-timeout, or run 'kosmolua servers check {name.rpartition('.')[2]}' once"
                late = NetworkError(
                    f"{name} cannot be {verb}: it did not list its tools within {seconds:g} s", hint=hint
                )
                late.detail = link.log.last if (link := self._links.get(name)) else None
                raise late from None

    def request(
        self,
        name: str,
        server: Server,
        request: ToolRequest,
        *,
        until: Until,
        confirm: Confirm | None,
        sent: Callable[[], None],
        progressed: Callable[[], None],
    ) -> dict[str, Json]:
        """Send a request to a server, and return the result.

        A safe one can be sent again after the connection was lost. ``sent`` is called each time that it is sent,
        ``progressed`` when the server says how far it is, which may move the deadline.

        Raises:
            ApiError: The server's response is an error.
            NetworkError: The server cannot be started or reached, did not answer before the deadline, or has changed
                the tool; or the connection was lost.
            NotConfigured: The server requires a valid credential.
        """

        async def send() -> dict[str, Json]:
            while True:
                link = await self._connected(name, server)
                if request.tag and link.tags.get(request.params["name"]) != request.tag:
                    hint = "read the tool's documentation again: its arguments or its effect may differ now"
                    raise NetworkError(f"The server {name} has changed its tool {request.params['name']}", hint=hint)
                sent()
                try:
                    return await link.ask(request, confirm, progressed)
                except Gone as error:
                    refuse_if_final(link, error)

        def refuse_if_final(link: Link, error: Gone) -> None:
            if not request.safe or link.is_restart:
                lost = NetworkError(f"The connection to {name} was lost: {error}", retryable=request.safe)
                lost.detail = link.log.last
                raise lost from None

        link = self._links.get(name) if request.asks == CALL else None
        if link:
            try:
                with _reported(name):
                    result = link.call(request, confirm=confirm, until=until, sent=sent, progressed=progressed)
            except Gone as error:
                refuse_if_final(link, error)
            else:
                if result is not None:
                    return result
        return self._wait(name, send, until)

    def is_open(self, name: str) -> bool:
        """Return True if a server is connected and has listed its tools; it says when they change."""
        link = self._links.get(name)
        return link is not None and bool(link.card) and not link.is_over

    def end(self, name: str) -> None:
        """Close the connection to a server, and forget how often the server was started recently."""

        async def end() -> None:
            self._starts.pop(name, None)
            if link := self._links.pop(name, None):
                await link.close()

        if self._loop:
            self._wait(name, end, lambda: monotonic() + CLOSE_TIMEOUT)

    def close(self) -> None:
        """Close all connections for good, and stop the servers started for them."""
        with self._lock:
            self._is_closed = True
            loop, self._loop = self._loop, None
        if loop is None:
            return

        async def close() -> None:
            await asyncio.gather(*(link.close() for link in self._links.values()), return_exceptions=True)

        with suppress(concurrent.futures.TimeoutError):
            asyncio.run_coroutine_threadsafe(close(), loop).result(CLOSE_TIMEOUT)
        loop.call_soon_threadsafe(loop.stop)

    def start_anew(self) -> None:
        """Forget the connections, which belong to the parent of this forked process."""
        self._lock = Lock()
        self._loop, self._links, self._starts = None, {}, {}

    def _wait(self, name: str, work: Callable[[], Coroutine[Any, Any, T]], until: Until) -> T:
        """Run a coroutine in the event loop, and return its result."""
        with _reported(name):
            return InLoop(self._running(), work).get(until)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._is_closed:
                raise NetworkError(CLOSED, retryable=False)
            if self._loop is None:
                loop = asyncio.new_event_loop()
                start_thread(lambda: _run(loop), "servers")
                self._loop = loop
            return self._loop

    async def _connected(self, name: str, server: Server) -> Link:
        """Return the connection once it is ready, connecting and starting the server if necessary."""
        if self._is_closed:
            raise NetworkError(CLOSED, retryable=False)
        link = self._links.get(name)
        if link is None or link.is_over:
            link = self._links[name] = Link(self._around, name, server, is_restart=self._count_start(name, link))
            link.task = asyncio.get_running_loop().create_task(link.run())
        await asyncio.shield(link.ready)
        return link

    def _count_start(self, name: str, earlier: Link | None) -> bool:
        """Record that a server is about to be started."""
        now = monotonic()
        starts = self._starts.setdefault(name, deque(maxlen=2))
        if earlier and earlier.is_refused:
            starts.clear()
        while starts and now - starts[0] > RESTART_INTERVAL:
            starts.popleft()
        if len(starts) > 1:
            assert earlier
            seconds = round(RESTART_INTERVAL - (now - starts[0])) or 1
            what = f"The server {name} ended twice and is not started again for {seconds} s: {earlier.reason}"
            raise NetworkError(what, retryable=True)
        starts.append(now)
        return len(starts) > 1


@contextmanager
def _reported(name: str) -> Iterator[None]:
    """Turn a timeout or a cancellation in the ``with`` block into a NetworkError."""
    try:
        yield
    except TimeoutError:
        raise NetworkError(f"The server {name} did not answer in time") from None
    except asyncio.CancelledError:
        raise NetworkError(f"The connection to the server {name} was closed", retryable=False) from None


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Run an event loop until it is stopped, then cancel its tasks, since other threads may wait for them."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        while tasks := asyncio.all_tasks(loop):
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.wait(tasks))
    finally:
        loop.close()
