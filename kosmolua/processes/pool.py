"""Where the processes that run scripts come from, and how many there are at once."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf
from threading import Event, RLock
from typing import TYPE_CHECKING

from kosmolua.errors import ConfigError, Interrupted, WorkerLost
from kosmolua.processes.child import Child, ColdChild

if TYPE_CHECKING:
    from kosmolua.processes.zygote import Zygote


class Workers:
    """Gives each run a process that ran no other script, and bounds how many there are at once.

    Where the OS can fork they come from a zygote; elsewhere one spare worker is kept warm.

    Args:
        most: How many may be at work; more wait in the order in which they came.

    Raises:
        ConfigError: There is room for none.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ConfigError(f"the number of workers must be at least 1, not {most}")
        self._most = most
        self._closed = False
        self._zygote: Zygote | None = None
        self._spare: ColdChild | None = None
        self._lock = RLock()
        self._gate = _Gate(most)

    @contextmanager
    def take(self) -> Iterator[Child]:
        """Yield a fresh worker, and end it afterwards.

        Raises:
            Interrupted: They are closed, or were while it waited.
            WorkerLost: No process can be started.
        """
        with self._gate.passage():
            child = self._fresh()
            try:
                yield child
            finally:
                child.close()

    def close(self) -> None:
        """End everything that is kept warm; runs that wait for their turn end too."""
        with self._lock:
            self._closed = True
            for warm in (self._zygote, self._spare):
                if warm:
                    warm.close()
            self._zygote = self._spare = None
        self._gate.open()

    def start_anew(self) -> None:
        """In a fork of the process: leave the zygote to the other one, and forget who was at work there."""
        if self._zygote:
            self._zygote.leave()
        self._zygote = None
        self._lock = RLock()
        self._gate = _Gate(self._most)

    def _fresh(self) -> Child:
        with self._lock:
            if self._closed:
                raise Interrupted("The runtime was closed before the script began")
            try:
                return self._fork() if hasattr(os, "fork") else self._swap()
            except OSError as error:
                raise WorkerLost.unstartable(error) from None

    def _swap(self) -> Child:
        ready, self._spare = self._spare or ColdChild(), ColdChild()
        return ready

    def _fork(self) -> Child:
        if self._zygote and self._zygote.alive:
            with suppress(WorkerLost):  # it may have died since it was looked at
                return self._zygote.fork()
        if self._zygote:
            self._zygote.close()
        from kosmolua.processes.zygote import Zygote

        self._zygote = Zygote()
        if self._closed:  # by a signal handler, meanwhile
            self._zygote.close()
            raise Interrupted("The runtime was closed before the script began")
        return self._zygote.fork()


class _Gate:
    """Lets a bounded number of threads pass, in the order in which they came."""

    def __init__(self, most: int) -> None:
        self._free: float = most
        self._waiting: deque[Event] = deque()
        self._lock = RLock()

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

    def open(self) -> None:
        """Let everybody pass from now on."""
        with self._lock:
            self._free = inf
            while self._waiting:
                self._waiting.popleft().set()

    def _leave(self, turn: Event) -> None:
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1
