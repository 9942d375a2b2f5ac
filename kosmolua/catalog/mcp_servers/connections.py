"""Connections to servers. Each is a task of one event loop, which runs in a thread of its own.

Any thread may make calls, and waits for the answers. Everything else happens in the loop, which owns the connections.
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
"""Seconds within which a server that ended is started again only once."""
MAX_WAIT = 3600.0
"""Seconds after which the deadline is checked again, since it may have moved."""


class Connections:
    """The connections of a runtime, one for each server.

    Args:
        around: The folder, the environment and the callbacks of all connections.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        # Used only in the loop's thread.
        self._links: dict[str, Link] = {}
        self._starts: dict[str, deque[float]] = {}

    def offer(self, name: str, server: Server, until: Until) -> Card:
        """Return the card of a server; connect to it first if it is not connected.

        Raises:
            NetworkError: It does not start or answer in time.
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
        """Send a request and return its result, in the form of the protocol.

        Args:
            name: The name of the server.
            server: The settings of the server.
            method: The method of the protocol, such as ``tools/call``.
            params: The parameters of the method.
            until: The deadline.
            safe: True if the request may be sent twice.
            tag: The digest of the tool that the caller knows.
            confirm: Asks a person a question of the server; None if nobody can be asked.
            sent: Called when the request is about to be sent.

        Raises:
            ApiError: The server answered with an error.
            NetworkError: It does not start or answer in time, or its tool has changed.
            NotConfigured: It requires another credential.
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
        """End the connection to a server, if there is one, and forget the reason of its last end."""

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
        """After a fork, forget the connections, which belong to the parent."""
        self._lock = Lock()
        self._loop, self._links, self._starts = None, {}, {}

    def _wait(self, name: str, work: Coroutine[Any, Any, T], until: Until) -> T:
        """Run a coroutine in the loop and wait for its result until the deadline, which may move meanwhile."""
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
        """Return the connection to a server when it is ready; start or restart the server if necessary."""
        link = self._links.get(name)
        if link is None or link.is_over:
            link = self._links[name] = Link(self._around, name, server, is_restart=self._count_start(name, link))
            link.task = asyncio.get_running_loop().create_task(link.run())
        await asyncio.shield(link.ready)
        return link

    def _count_start(self, name: str, earlier: Link | None) -> bool:
        """Count a start, and return True if the server ended less than :data:`RESTART_INTERVAL` ago."""
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
    """A coroutine in the loop whose result a thread waits for. It uses a lock, which is much faster than two futures.

    Args:
        loop: The loop, which runs in another thread.
        work: The coroutine, which is started immediately.
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
        """Wait for the end, at most ``seconds``, and return True if the coroutine has ended."""
        return self._is_over.acquire(timeout=seconds)

    def result(self) -> T:
        """Return the result of the coroutine, which has ended, or raise its exception."""
        if self._error:
            raise self._error
        return self._value

    def give_up(self) -> None:
        """Cancel the coroutine if it has not ended."""
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
