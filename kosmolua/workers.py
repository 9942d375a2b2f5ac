"""Where the processes that run scripts come from, and how many there are at once."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock
from typing import TYPE_CHECKING

from kosmolua.children import Child, ColdChild
from kosmolua.errors import WorkerLost

if TYPE_CHECKING:
    from kosmolua.zygote import Zygote


class Workers:
    """Gives each run a process that ran no other script, and bounds how many there are at once.

    Where the OS can fork they come from a zygote; elsewhere one spare worker is kept warm.

    Args:
        most: How many may be at work; more wait in the order in which they came.
    """

    def __init__(self, most: int) -> None:
        self._gate = _Gate(most)
        self._lock = Lock()
        self._zygote: Zygote | None = None
        self._spare: ColdChild | None = None

    @contextmanager
    def take(self) -> Iterator[Child]:
        """Yield a fresh worker, and end it afterwards."""
        with self._gate.passage():
            child = self._fresh()
            try:
                yield child
            finally:
                child.close()

    def close(self) -> None:
        """End everything that is kept warm."""
        with self._lock:
            for warm in (self._zygote, self._spare):
                if warm:
                    warm.close()
            self._zygote = self._spare = None

    def _fresh(self) -> Child:
        with self._lock:
            if not hasattr(os, "fork"):
                ready, self._spare = self._spare or ColdChild(), ColdChild()
                return ready
            if self._zygote and self._zygote.alive:
                with suppress(WorkerLost):  # it may have died since it was looked at
                    return self._zygote.fork()
            if self._zygote:
                self._zygote.close()
            from kosmolua.zygote import Zygote

            self._zygote = Zygote()
            return self._zygote.fork()


class _Gate:
    """Lets a bounded number of threads pass, in the order in which they came."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: deque[Event] = deque()
        self._lock = Lock()

    @contextmanager
    def passage(self) -> Iterator[None]:
        """Wait for a turn, and give it on afterwards."""
        turn = Event()
        with self._lock:
            if self._free > 0:
                self._free -= 1
                turn.set()
            else:
                self._waiting.append(turn)
        try:
            turn.wait()
            yield
        finally:
            self._leave(turn)

    def _leave(self, turn: Event) -> None:
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1
