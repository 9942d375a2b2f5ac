"""Results that a thread waits for. The event loop of :mod:`.connections` delivers them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from threading import Lock
from time import monotonic
from typing import Any, Generic, TypeVar

from kosmolua.clock import Until

T = TypeVar("T")
MAX_WAIT = 0.5
"""Seconds after which the deadline is checked again, since the end of a run moves it to the present."""


class Pending(Generic[T]):
    """A result that is yet to come. Waiting uses a lock, which is much faster than a future."""

    def __init__(self) -> None:
        self._value: T
        self._error: BaseException | None = None
        self._is_set = False
        self._is_over = Lock()
        self._is_over.acquire()

    def get(self, until: Until) -> T:
        """Wait for the result or its exception.

        Raises:
            TimeoutError: It did not come before the deadline; the work on it is stopped.
        """
        is_over = False
        try:
            while not is_over and (seconds := until() - monotonic()) > 0:
                is_over = self._is_over.acquire(timeout=min(seconds, MAX_WAIT))
        finally:
            if not is_over:
                self.give_up()
        if not is_over:
            raise TimeoutError
        if self._error:
            raise self._error
        return self._value

    def give_up(self) -> None:
        """Stop the work: nobody waits any longer."""

    def deliver(self, value: T) -> None:
        """Set the result, unless it or an exception was set."""
        if not self._is_set:
            self._value, self._is_set = value, True
            self._is_over.release()

    def fail(self, error: BaseException) -> None:
        """Set the exception to raise instead."""
        if not self._is_set:
            self._error, self._is_set = error, True
            self._is_over.release()


class InLoop(Pending[T]):
    """The result of the coroutine ``work()`` in another thread's event loop; CancelledError if that is closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        super().__init__()
        self._loop = loop
        self._work = work
        self._task: asyncio.Task[None] | None = None
        try:
            loop.call_soon_threadsafe(self._begin)
        except RuntimeError:
            self.fail(asyncio.CancelledError())

    def give_up(self) -> None:
        with suppress(RuntimeError):  # the loop was closed
            self._loop.call_soon_threadsafe(self._cancel)

    # In the loop's thread

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            self.deliver(await self._work())
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self.fail(error)

    def _cancel(self) -> None:
        if self._task:
            self._task.cancel()
