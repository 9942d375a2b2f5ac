"""Connections to servers, each kept by a task of one event loop in a thread of its own.

Calls come from any thread and wait there; everything else happens in the loop, which alone owns the connections.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from threading import Lock
from time import monotonic
from typing import Any, Generic, TypeVar

from kosmolua.catalog.mcp_servers.cards import Card
from kosmolua.catalog.mcp_servers.link import CLOSE_TIMEOUT, Confirm, Gone, Link, Surroundings
from kosmolua.catalog.mcp_servers.settings import Server
from kosmolua.clock import Until
from kosmolua.concurrency import start_thread
from kosmolua.errors import NetworkError
from kosmolua.protocol import Json

T = TypeVar("T")
RESTART_INTERVAL = 60.0
"""Seconds in which a server that ended is started again once, and not oftener."""
MAX_WAIT = 3600.0
"""Seconds after which the deadline is looked at again."""


class Connections:
    """The connections of a runtime, one for each server.

    Args:
        around: Where servers are started, and who hears of them.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        # In the loop's thread alone.
        self._links: dict[str, Link] = {}
        self._starts: dict[str, deque[float]] = {}

    def offer(self, name: str, server: Server, until: Until) -> Card:
        """Return what a server offers; connect to it if it is not connected.

        Raises:
            NetworkError: It does not start or answer, or not in time.
        """

        async def offer() -> Card:
            return (await self._connected(name, server)).card

        return self._wait(name, offer(), until)

    def request(
        self,
        name: str,
        server: Server,
        method: str,
        params: Mapping[str, Any],
        *,
        until: Until,
        safe: bool,
        tag: str = "",
        confirm: Confirm | None = None,
        sent: Callable[[], None] = lambda: None,
    ) -> dict[str, Json]:
        """Send a request and return its result as the protocol has it.

        Args:
            name: The server.
            server: How it is reached.
            method: Such as ``tools/call``.
            params: Its parameters.
            until: The deadline.
            safe: True if the request may be sent twice.
            tag: The digest of the tool that is meant.
            confirm: Asks a person what the server wants to know; None if nobody can be asked.
            sent: Called when the request is about to be sent.

        Raises:
            ApiError: The server answered with an error.
            NetworkError: It does not start or answer, or not in time, or the tool is not the same any more.
            NotConfigured: It wants another credential.
        """

        async def send() -> dict[str, Json]:
            while True:
                link = await self._connected(name, server)
                if tag and method == "tools/call" and link.tags.get(params["name"]) != tag:
                    raise NetworkError(f"{name} has changed its tool {params['name']}", hint="read its page again")
                sent()
                try:
                    return await link.ask(method, params, confirm)
                except Gone as error:
                    if not safe or link.is_restart:
                        lost = NetworkError(f"{name} was lost: {error}", retryable=safe)
                        lost.detail = link.printed
                        raise lost from None

        return self._wait(name, send(), until)

    def end(self, name: str) -> None:
        """End the connection to a server, if there is one, and forget why it ended before."""

        async def end() -> None:
            self._starts.pop(name, None)
            if link := self._links.pop(name, None):
                await link.close()

        if self._loop:
            self._wait(name, end(), lambda: monotonic() + CLOSE_TIMEOUT)

    def close(self) -> None:
        """End all connections, and the servers that were started for them."""
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
        """In a fork of the process, forget the connections: they are the parent's."""
        self._lock = Lock()
        self._loop, self._links, self._starts = None, {}, {}

    def _wait(self, name: str, work: Coroutine[Any, Any, T], until: Until) -> T:
        """Wait for work in the loop, until the deadline, which may move on meanwhile."""
        waiting = _Waiting(self._running(), work)
        is_over = False
        try:
            while not is_over and (seconds := until() - monotonic()) > 0:
                is_over = waiting.ends_within(min(seconds, MAX_WAIT))
        finally:
            if not is_over:
                waiting.give_up()
        if not is_over:
            raise NetworkError(f"{name} did not answer in time")
        try:
            return waiting.result()
        except asyncio.CancelledError:
            raise NetworkError(f"The connection to {name} was closed", retryable=False) from None

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._is_closed:
                raise NetworkError("The connections to servers are closed", retryable=False)
            if self._loop is None:
                loop = asyncio.new_event_loop()
                start_thread(lambda: _run(loop), "servers")
                self._loop = loop
            return self._loop

    async def _connected(self, name: str, server: Server) -> Link:
        """Return the connection to a server, started or restarted if need be, and ready."""
        link = self._links.get(name)
        if link is None or link.is_over:
            link = self._links[name] = Link(self._around, name, server, is_restart=self._count_start(name, link))
            link.task = asyncio.get_running_loop().create_task(link.run())
        await asyncio.shield(link.ready)
        return link

    def _count_start(self, name: str, earlier: Link | None) -> bool:
        """Count a start, and return True if it follows an end within :data:`RESTART_INTERVAL`."""
        now = monotonic()
        starts = self._starts.setdefault(name, deque(maxlen=2))
        while starts and now - starts[0] > RESTART_INTERVAL:
            starts.popleft()
        if len(starts) > 1:
            assert earlier
            seconds = round(RESTART_INTERVAL - (now - starts[0])) or 1
            raise NetworkError(
                f"{name} ended twice and is not started again for {seconds} s: {earlier.reason}", retryable=True
            )
        starts.append(now)
        return len(starts) > 1


class _Waiting(Generic[T]):
    """Work in the loop that a thread waits for: a lock, which takes a fraction of what a future of two kinds does.

    Args:
        loop: The loop, which another thread runs.
        work: The work, which begins at once.
    """

    __slots__ = ("_error", "_is_over", "_loop", "_task", "_value", "_work")

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> None:
        self._loop = loop
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._value: T
        self._error: BaseException | None = None
        self._is_over = Lock()
        self._is_over.acquire()
        loop.call_soon_threadsafe(self._begin)

    def ends_within(self, seconds: float) -> bool:
        """Wait for the end, and return True once it is there."""
        return self._is_over.acquire(timeout=seconds)

    def result(self) -> T:
        """Return what the work did, which is over, or raise what it raised."""
        if self._error:
            raise self._error
        return self._value

    def give_up(self) -> None:
        """Cancel the work if it is not over."""
        self._loop.call_soon_threadsafe(self._cancel)

    # In the loop's thread

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            self._value = await self._work
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self._error = error
        finally:
            self._is_over.release()

    def _cancel(self) -> None:
        if self._task:
            self._task.cancel()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()
